//! What the text says, and that documents, dashboard and alerts name what is in it.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use guard_common::abi::reason::Reason;

use super::*;
use crate::{
    bans::{
        BanTerm,
        settings::Capacity,
        store::{BanCounts, BanOrigin},
    },
    control::{JailCounts, JailReport, JailsReport, fleet::FleetSummary},
    controller::{Flows, InterfaceCounter, OriginCount, PortSample, ReasonCounter, Traffic},
    metrics::{BanFacts, DaemonFacts, Form, InterfaceFacts},
};

fn counter(packets: u64) -> Counter {
    Counter {
        packets,
        bytes: 100 * packets,
    }
}

/// Facts that have something for every metric.
fn facts() -> MetricFacts {
    let port = |port| PortSample {
        protocol: "tcp",
        port,
        passed: counter(5),
        dropped: counter(6),
        monitored: counter(7),
    };
    MetricFacts {
        is_active: true,
        generation: 4,
        pending: Some(Duration::from_millis(1500)),
        exposed: 1,
        interfaces: vec![InterfaceFacts {
            name: "we\"ird\\0".to_owned(),
            mode: Some("native"),
            is_protected: true,
        }],
        traffic: Some(Traffic {
            began: Some(1_700_000_000),
            reasons: Reason::ALL
                .iter()
                .map(|reason| ReasonCounter {
                    reason: *reason,
                    counted: counter(u64::from(*reason as u8)),
                    monitored: counter(1),
                })
                .collect(),
            flows: Flows {
                live: 3,
                room: 8,
                ..Flows::default()
            },
            interfaces: vec![InterfaceCounter {
                name: "eth0".to_owned(),
                index: 2,
                mode: None,
                packets: u64::from(u32::MAX) + 1,
                bytes: 1,
            }],
            ..Traffic::default()
        }),
        ports: vec![port(Some(22)), port(None)],
        bans: Some(BanFacts {
            origins: vec![OriginCount {
                origin: BanOrigin::Jail("sshd".to_owned()),
                in_force: 2,
                first_end: BanTerm::Permanent,
            }],
            counts: BanCounts::default(),
            capacity: Capacity::default(),
        }),
        daemon: Some(DaemonFacts {
            since: 1_700_000_001,
            events_lost: 3,
            fleet: FleetSummary {
                engines: vec![("nats".to_owned(), true), ("crowdsec".to_owned(), false)],
                quarantined: 1,
            },
            jails: JailsReport {
                jails: vec![JailReport {
                    name: "sshd".to_owned(),
                    broken: Some("why".to_owned()),
                    counts: JailCounts {
                        lines: 9,
                        ..JailCounts::default()
                    },
                    ..JailReport::default()
                }],
                ..JailsReport::default()
            },
        }),
    }
}

/// Names of the samples.
fn names() -> BTreeSet<String> {
    let suffix = |kind| match kind {
        Kind::Counter => "_total",
        Kind::Gauge => "",
    };
    let families = FAMILIES.iter();
    families
        .map(|family| format!("{}{}", family.name, suffix(family.kind)))
        .collect()
}

/// Words of a text that look like one of our metrics.
fn named_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("guard_"));
    ours.map(str::to_owned).collect()
}

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_metric_has_samples_with_its_head_before_them() {
    for form in [Form::Prometheus, Form::OpenMetrics] {
        let text = facts().text(form);
        for family in FAMILIES {
            let head = match (form, family.kind) {
                (Form::Prometheus, Kind::Counter) => format!("{}_total", family.name),
                (Form::Prometheus | Form::OpenMetrics, Kind::Gauge | Kind::Counter) => {
                    family.name.to_owned()
                }
            };
            for word in ["HELP", "TYPE"] {
                assert_eq!(
                    text.matches(&format!("# {word} {head} ")).count(),
                    1,
                    "{word} of {head} in\n{text}"
                );
            }
        }
        assert_eq!(text.ends_with("# EOF\n"), form == Form::OpenMetrics);
        let samples: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| Some(line.rsplit_once(' ')?.0))
            .collect();
        let different: BTreeSet<&&str> = samples.iter().collect();
        assert_eq!(different.len(), samples.len(), "a series twice in\n{text}");
    }
}

#[test]
fn samples_are_written_as_they_are_meant() {
    let text = facts().text(Form::Prometheus);
    for line in [
        "guard_active 1.0",
        "guard_confirm_pending_seconds 1.5",
        "guard_interface_protected{interface=\"we\\\"ird\\\\0\"} 1.0",
        "guard_packets_total{action=\"pass\",reason=\"rule-allow\"} 2",
        "guard_port_packets_total{protocol=\"tcp\",port=\"other\",action=\"drop\"} 6",
        "guard_port_bytes_total{protocol=\"tcp\",port=\"22\",action=\"would-drop\"} 700",
        "guard_interface_received_packets_total{interface=\"eth0\"} 4294967296",
        "guard_table_entries{table=\"flows\"} 3.0",
        "guard_bans_active{origin=\"jail sshd\"} 2.0",
        "guard_jail_broken{jail=\"sshd\"} 1.0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

#[test]
fn a_host_where_guard_is_off_says_so_and_no_more() {
    let text = MetricFacts::default().text(Form::Prometheus);
    let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(samples[1], "guard_active 0.0");
    assert_eq!(samples.len(), 5, "{text}");
}

#[test]
fn origins_of_bans_are_bounded() {
    let mut facts = facts();
    let bans = facts.bans.as_mut().expect("bans");
    bans.origins = (0..MOST_ORIGINS + 10)
        .map(|number| OriginCount {
            origin: BanOrigin::Jail(number.to_string()),
            in_force: 1,
            first_end: BanTerm::Permanent,
        })
        .collect();
    let samples = origins(&facts);
    assert_eq!(samples.len(), MOST_ORIGINS + 1);
    assert_eq!(
        samples.last(),
        Some(&(vec![("origin", "other".to_owned())], 10.0))
    );
}

#[test]
fn ten_thousand_hosts_of_a_fleet_are_one_series_and_hide_no_jail() {
    let mut facts = facts();
    let bans = facts.bans.as_mut().expect("bans");
    bans.origins.extend((0..10_000).map(|number| OriginCount {
        origin: BanOrigin::Fleet(format!("web/web-{number}")),
        in_force: 2,
        first_end: BanTerm::Permanent,
    }));
    let of = |name: &str| vec![("origin", name.to_owned())];
    let samples = [(of("jail sshd"), 2.0), (of("fleet"), 20_000.0)];
    assert_eq!(origins(&facts), samples);
}

#[test]
fn names_follow_the_rules_of_prometheus() {
    for family in FAMILIES {
        let name = family.name;
        assert!(name.starts_with("guard_"), "{name}");
        assert!(
            !name.ends_with("_total") && !name.ends_with("_count"),
            "{name}"
        );
        assert!(
            family.help.ends_with('.') && !family.help.contains('\n'),
            "{name}"
        );
    }
    assert_eq!(names().len(), FAMILIES.len());
}

#[test]
fn the_reference_has_every_metric_and_no_other() {
    assert_eq!(named_in(&file("docs/reference/metrics.md")), names());
}

#[test]
fn dashboard_alerts_and_guide_name_metrics_that_exist() {
    let names = names();
    for path in [
        "packaging/grafana/guard-dashboard.json",
        "packaging/prometheus/guard.rules.yml",
        "docs/guide/metrics.md",
    ] {
        let named = named_in(&file(path));
        assert!(!named.is_empty(), "{path}");
        let unknown: Vec<&String> = named.difference(&names).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
    }
    let dashboard: serde_json::Value =
        serde_json::from_str(&file("packaging/grafana/guard-dashboard.json")).expect("JSON");
    assert_eq!(dashboard["__inputs"][0]["name"], "DS_PROMETHEUS");
    assert!(
        dashboard["panels"]
            .as_array()
            .is_some_and(|panels| panels.len() > 8)
    );
}

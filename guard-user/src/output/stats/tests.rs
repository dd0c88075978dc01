//! What `stats` says of counters, rates and bans.

use super::*;
use crate::controller::InterfaceCounter;

const ALL: Tables = Tables {
    ports: true,
    reasons: true,
    interfaces: true,
    flows: true,
};

fn counter(packets: u64) -> Counter {
    Counter {
        packets,
        bytes: 125 * packets,
    }
}

fn traffic() -> Traffic {
    Traffic {
        at: 1_000_060,
        services: vec![ServiceCounter {
            service: Service::tcp(22),
            passed: counter(8),
            dropped: counter(4000),
            monitored: Counter::default(),
        }],
        reasons: vec![ReasonCounter {
            reason: Reason::DefaultDrop,
            counted: counter(4000),
            monitored: Counter::default(),
        }],
        interfaces: vec![InterfaceCounter {
            name: "eth0".to_owned(),
            index: 2,
            mode: None,
            packets: 4008,
            bytes: 0,
        }],
        ..Traffic::default()
    }
}

fn shown(span: Span, tables: Tables, origins: Option<&[OriginCount]>) -> String {
    let traffic = traffic();
    let mut out = Vec::new();
    let view = View {
        traffic: &traffic,
        span: &span,
        recent: None,
        origins,
        rules: None,
        tables,
        limit: 20,
    };
    stats(&mut out, &view).expect("memory");
    String::from_utf8(out).expect("text")
}

#[test]
fn it_says_since_when_is_counted() {
    let all = shown(Span::All(Some(1_000_000)), ALL, None);
    assert!(
        all.ends_with("Counted since 1970-01-12T13:46:40Z (1 min)\n"),
        "{all}"
    );
    assert!(
        all.contains("eth0 ") && all.contains("4000") && all.contains("488.3 KiB"),
        "{all}"
    );
    let since = Span::Since {
        at: 1_000_000,
        length: Duration::from_secs(7200),
        left_out: Some(3),
    };
    let since = shown(since, ALL, None);
    assert!(
        since.contains("(2 h); ports with at most 3 packets"),
        "{since}"
    );
}

#[test]
fn rates_are_packets_and_bits_per_second() {
    let text = shown(Span::PerSecond(Duration::from_secs(2)), ALL, None);
    assert!(text.contains("2000/s   2.0 Mbit/s"), "{text}");
    assert!(!text.contains("Drop rate"), "{text}");
    assert!(text.ends_with("Counted in 2.0 s\n"), "{text}");
    assert_eq!(bits(999.0), "999 bit/s");
}

#[test]
fn only_the_tables_that_are_asked_for_are_shown() {
    let none = Tables {
        ports: false,
        reasons: false,
        interfaces: false,
        flows: false,
    };
    let text = shown(Span::All(None), none, Some(&[]));
    assert!(text.contains("nothing is banned"), "{text}");
    for word in ["Port", "Reason", "Interface", "Flows"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

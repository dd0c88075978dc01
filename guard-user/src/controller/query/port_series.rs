//! Which ports have a series of their own in the metrics. 65 536 ports would be as many series in everybody's
//! database, and whoever scans would choose them; so a port gets one when a packet has passed there, and all others
//! are one series together.
//!
//! No series may go backwards: a port that gets its own begins at 0, and what it had stays with the others. That is
//! noted in the run folder, for the next daemon.

use std::collections::BTreeMap;

use guard_common::abi::{
    counters::Counter,
    service::{Service, ServiceKind},
};
use serde::{Deserialize, Serialize};

use super::traffic::Traffic;
use crate::{
    controller::{Controller, ServiceCounter},
    layout::Layout,
    state_file,
    text::staged::write_state,
};

/// Ports with series of their own.
const MOST_PORTS: usize = 128;

/// Packets and bytes that passed, were dropped, would have been dropped.
type Row = [u64; 6];

/// What ports had when they got their series, by row of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortSeries {
    instance: u64,
    begun: BTreeMap<u32, Row>,
}

/// One series of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSample {
    /// Which transport.
    pub protocol: &'static str,
    /// The port; `None` = all that have none of their own.
    pub port: Option<u16>,
    /// What passed.
    pub passed: Counter,
    /// What was dropped.
    pub dropped: Counter,
    /// What passed although it would have been dropped.
    pub monitored: Counter,
}

impl PortSeries {
    fn read(layout: &Layout) -> Option<Self> {
        serde_json::from_slice(&state_file::read(&layout.port_series()).ok()?).ok()
    }

    /// With the ports that get a series by now. True if there are new ones.
    fn grow(&mut self, traffic: &Traffic) -> bool {
        let is_first = self.instance != traffic.instance;
        if is_first {
            *self = Self {
                instance: traffic.instance,
                begun: BTreeMap::new(),
            };
        }
        let mut found: Vec<&ServiceCounter> = traffic
            .services
            .iter()
            .filter(|counter| port_of(counter.service).is_some() && counter.passed.packets > 0)
            .filter(|counter| !self.begun.contains_key(&counter.service.row()))
            .collect();
        found.sort_by_key(|counter| std::cmp::Reverse(counter.passed.packets));
        found.truncate(MOST_PORTS.saturating_sub(self.begun.len()));
        for counter in &found {
            // Of the first ones nobody has seen anything yet.
            let had = if is_first {
                Row::default()
            } else {
                row(counter)
            };
            self.begun.insert(counter.service.row(), had);
        }
        is_first || !found.is_empty()
    }

    fn samples(&self, traffic: &Traffic) -> Vec<PortSample> {
        let mut samples = Vec::new();
        let mut others: BTreeMap<&'static str, Row> =
            BTreeMap::from([("tcp", Row::default()), ("udp", Row::default())]);
        for counter in &traffic.services {
            let Some((protocol, port)) = port_of(counter.service) else {
                continue;
            };
            let all = row(counter);
            let had = match self.begun.get(&counter.service.row()) {
                Some(had) => *had,
                None => all,
            };
            let others = others.entry(protocol).or_default();
            *others = std::array::from_fn(|at| others[at] + had[at].min(all[at]));
            if self.begun.contains_key(&counter.service.row()) {
                let own = std::array::from_fn(|at| all[at].saturating_sub(had[at]));
                samples.push(sample(protocol, Some(port), own));
            }
        }
        samples.extend(
            others
                .into_iter()
                .map(|(protocol, row)| sample(protocol, None, row)),
        );
        samples
    }
}

impl Controller {
    /// The series of ports, as these counters have them. Whoever is the only one to ask notes new ports; the others
    /// show what is noted.
    #[must_use]
    pub fn port_samples(&self, traffic: &Traffic, notes: Notes) -> Vec<PortSample> {
        let known = PortSeries::read(&self.layout).unwrap_or_default();
        let mut series = known.clone();
        if series.grow(traffic) && notes == Notes::Write {
            let text = serde_json::to_string(&series).unwrap_or_default();
            // Not noted: as before, and the next one tries again.
            if write_state(&self.layout.port_series(), &text).is_err()
                && known.instance == traffic.instance
            {
                series = known;
            }
        } else if known.instance == traffic.instance {
            series = known;
        }
        series.samples(traffic)
    }
}

/// Who keeps the list of ports?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notes {
    /// Whoever asks.
    Write,
    /// Somebody else.
    Read,
}

fn port_of(service: Service) -> Option<(&'static str, u16)> {
    match service.kind() {
        ServiceKind::Tcp(port) => Some(("tcp", port)),
        ServiceKind::Udp(port) => Some(("udp", port)),
        ServiceKind::Protocol(_) | ServiceKind::Icmp(_) | ServiceKind::Icmpv6(_) => None,
    }
}

fn row(counter: &ServiceCounter) -> Row {
    [
        counter.passed.packets,
        counter.passed.bytes,
        counter.dropped.packets,
        counter.dropped.bytes,
        counter.monitored.packets,
        counter.monitored.bytes,
    ]
}

fn sample(protocol: &'static str, port: Option<u16>, row: Row) -> PortSample {
    let counter = |at: usize| Counter {
        packets: row[at],
        bytes: row[at + 1],
    };
    PortSample {
        protocol,
        port,
        passed: counter(0),
        dropped: counter(2),
        monitored: counter(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(instance: u64, counts: &[(u16, u64, u64)]) -> Traffic {
        let counter = |packets| Counter {
            packets,
            bytes: 10 * packets,
        };
        let services = counts.iter().map(|(port, passed, dropped)| ServiceCounter {
            service: Service::tcp(*port),
            passed: counter(*passed),
            dropped: counter(*dropped),
            monitored: Counter::default(),
        });
        Traffic {
            instance,
            services: services.collect(),
            ..Traffic::default()
        }
    }

    /// Port, passed and dropped packets of TCP.
    fn shown(series: &PortSeries, traffic: &Traffic) -> Vec<(Option<u16>, u64, u64)> {
        let samples = series.samples(traffic).into_iter();
        let tcp = samples.filter(|sample| sample.protocol == "tcp");
        tcp.map(|s| (s.port, s.passed.packets, s.dropped.packets))
            .collect()
    }

    #[test]
    fn a_port_where_something_passed_has_a_series_and_scanned_ones_share_one() {
        let mut series = PortSeries::default();
        let now = traffic(1, &[(22, 5, 1), (23, 0, 7), (24, 0, 2)]);
        assert!(series.grow(&now));
        assert_eq!(shown(&series, &now), [(Some(22), 5, 1), (None, 0, 9)]);
        assert!(!series.grow(&now));
    }

    #[test]
    fn nothing_goes_backwards_when_a_port_gets_its_series() {
        let mut series = PortSeries::default();
        series.grow(&traffic(1, &[(22, 5, 0), (80, 0, 7)]));
        let now = traffic(1, &[(22, 6, 0), (80, 3, 9)]);
        assert!(series.grow(&now));
        assert_eq!(
            shown(&series, &now),
            [(Some(22), 6, 0), (Some(80), 0, 0), (None, 3, 9)]
        );
        let later = traffic(1, &[(22, 6, 0), (80, 4, 9)]);
        assert_eq!(
            shown(&series, &later),
            [(Some(22), 6, 0), (Some(80), 1, 0), (None, 3, 9)]
        );
    }

    #[test]
    fn other_counters_begin_anew_and_the_number_of_series_is_bounded() {
        let mut series = PortSeries::default();
        series.grow(&traffic(1, &[(22, 5, 0)]));
        let many: Vec<(u16, u64, u64)> = (1..=500).map(|port| (port, 1, 0)).collect();
        let now = traffic(2, &many);
        assert!(series.grow(&now));
        assert_eq!(series.begun.len(), MOST_PORTS);
        let others = shown(&series, &now).pop();
        assert_eq!(others, Some((None, 500 - MOST_PORTS as u64, 0)));
        assert!(!series.grow(&now));
    }
}

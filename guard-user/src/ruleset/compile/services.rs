//! Services with the same rules share a group.

use std::collections::{BTreeSet, HashMap};

use guard_common::abi::{
    image::OPEN_TO_STRANGERS,
    service::{Service, protocol},
};

use super::TooComplex;
use crate::ruleset::model::{PortRange, Rule, Traffic, Transport};

/// Group numbers are 15 bits wide.
const MAX_GROUPS: usize = (OPEN_TO_STRANGERS - 1) as usize;
/// Rule numbers in all groups together.
const MAX_MEMBERS: usize = 8_000_000;

/// Which rules name which service. Group 0 has no rule.
#[derive(Debug)]
pub(super) struct Services {
    /// Ordinals by group, ascending.
    groups: Vec<Vec<u32>>,
    numbers: HashMap<Vec<u32>, u16>,
    /// First row, one past the last row, group.
    runs: Vec<(u32, u32, u16)>,
    members: usize,
}

impl Services {
    pub(super) fn new(rules: &[Rule]) -> Result<Self, TooComplex> {
        let mut services = Self {
            groups: vec![Vec::new()],
            numbers: HashMap::from([(Vec::new(), 0)]),
            runs: Vec::new(),
            members: 0,
        };
        services.sweep(rules)?;
        Ok(services)
    }

    /// The ordinals of every group, by group number.
    pub(super) fn groups(&self) -> &[Vec<u32>] {
        &self.groups
    }

    /// Row and group of every service that a rule names.
    pub(super) fn rows(&self) -> impl Iterator<Item = (u32, u16)> {
        self.runs
            .iter()
            .flat_map(|(first, end, group)| (*first..*end).map(|row| (row, *group)))
    }

    /// Walks over all rows once; at every row where a rule begins or ends, the rules in force make
    /// a group.
    fn sweep(&mut self, rules: &[Rule]) -> Result<(), TooComplex> {
        let mut edges: Vec<(u32, bool, u32)> = Vec::new();
        for (ordinal, rule) in rules.iter().enumerate() {
            for (first, last) in rows_of(&rule.traffic) {
                edges.push((first, true, ordinal as u32));
                edges.push((last + 1, false, ordinal as u32));
            }
        }
        edges.sort_unstable();
        let mut active = BTreeSet::new();
        let mut edges = edges.into_iter().peekable();
        while let Some((row, begins, ordinal)) = edges.next() {
            if begins {
                active.insert(ordinal);
            } else {
                active.remove(&ordinal);
            }
            if let Some((next, ..)) = edges.peek()
                && *next != row
                && !active.is_empty()
            {
                let next = *next;
                let group = self.intern(rules, &active)?;
                self.runs.push((row, next, group));
            }
        }
        Ok(())
    }

    /// The number of the group with these rules. What stands behind a rule that takes everything
    /// cannot match and is left out.
    fn intern(&mut self, rules: &[Rule], active: &BTreeSet<u32>) -> Result<u16, TooComplex> {
        let mut members = Vec::new();
        for ordinal in active {
            members.push(*ordinal);
            if takes_everything(&rules[*ordinal as usize]) {
                break;
            }
        }
        if let Some(number) = self.numbers.get(&members) {
            return Ok(*number);
        }
        self.members += members.len();
        TooComplex::check(
            "rule numbers in overlapping port ranges",
            self.members,
            MAX_MEMBERS,
        )?;
        TooComplex::check(
            "different sets of rules per port",
            self.groups.len(),
            MAX_GROUPS,
        )?;
        let number = self.groups.len() as u16;
        self.groups.push(members.clone());
        self.numbers.insert(members, number);
        Ok(number)
    }
}

fn takes_everything(rule: &Rule) -> bool {
    rule.source.is_any()
        && rule.destination.is_any()
        && rule.interface.is_none()
        && rule.until.is_none()
        && rule.source_ports.is_empty()
}

/// First and last row of every run of services that the traffic names. A rule for any traffic names
/// none: it is asked beside the service.
fn rows_of(traffic: &Traffic) -> Vec<(u32, u32)> {
    let single = |service: Service| (service.row(), service.row());
    match traffic {
        Traffic::Any => Vec::new(),
        Traffic::Ports(transport, ranges) => {
            let tcp = |range: &PortRange| {
                (
                    Service::tcp(range.first).row(),
                    Service::tcp(range.last).row(),
                )
            };
            let udp = |range: &PortRange| {
                (
                    Service::udp(range.first).row(),
                    Service::udp(range.last).row(),
                )
            };
            match transport {
                Transport::Tcp => ranges.iter().map(tcp).collect(),
                Transport::Udp => ranges.iter().map(udp).collect(),
                Transport::Both => ranges
                    .iter()
                    .map(tcp)
                    .chain(ranges.iter().map(udp))
                    .collect(),
            }
        }
        Traffic::Protocol(protocol::ICMP) => {
            vec![
                single(Service::protocol(protocol::ICMP)),
                (Service::icmp(0).row(), Service::icmp(u8::MAX).row()),
            ]
        }
        Traffic::Protocol(protocol::ICMPV6) => {
            vec![
                single(Service::protocol(protocol::ICMPV6)),
                (Service::icmpv6(0).row(), Service::icmpv6(u8::MAX).row()),
            ]
        }
        Traffic::Protocol(number) => vec![single(Service::protocol(*number))],
        Traffic::Icmp(kind) => {
            let v4 = kind.v4.map(Service::icmp);
            let v6 = kind.v6.map(Service::icmpv6);
            v4.into_iter().chain(v6).map(single).collect()
        }
    }
}

//! Many packets in few lines: the first of a kind is a line of its own, the others of its second are a number.
//!
//! A kind is a network, a service and a reason. Under a flood a sample is reported; how many packets there were is
//! taken from the counters, and shared out among the kinds as the sample says.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::IpAddr,
};

use guard_common::abi::{reason::Reason, record::Counted, service::Service};
use ipnetwork::IpNetwork;

/// Lines of single packets in a second; those of more kinds are only counted.
const MOST_LINES: usize = 10;
/// Networks that get a number of their own in a second, and services that do.
const MOST_NUMBERS: usize = 5;
/// Kinds that are told apart; a flood of random sources has as many as packets.
const MOST_KINDS: usize = 4096;

/// The length of the networks that sources are counted by: as of bans, and of IPv4 the least that is routed.
const V4_NETWORK: u8 = 24;
const V6_NETWORK: u8 = 64;

/// What is the same of packets that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    reason: Reason,
    is_monitored: bool,
    service: Option<Service>,
    network: Option<IpNetwork>,
}

/// Packets that no line was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct More {
    /// How many, by the counters.
    pub packets: u64,
    /// Whence, if all of them come from one network.
    pub network: Option<IpNetwork>,
    /// From how many networks, of which at least so many were seen.
    pub networks: usize,
    /// What they asked for, if all of them asked for one service.
    pub service: Option<Service>,
    /// For how many services they asked, of which at least so many were seen.
    pub services: usize,
    /// Why.
    pub reason: Reason,
    /// They passed because of monitor mode.
    pub is_monitored: bool,
}

/// A second's packets.
#[derive(Debug, Default)]
pub struct Summary {
    lines: usize,
    /// Of each kind: packets seen, and whether the first of them was a line.
    kinds: BTreeMap<Kind, (u64, bool)>,
    /// Packets of kinds that were too many, by reason and service.
    others: BTreeMap<Kind, u64>,
}

/// The network that a source is counted by.
#[must_use]
pub fn network_of(source: IpAddr) -> Option<IpNetwork> {
    let length = if source.is_ipv4() {
        V4_NETWORK
    } else {
        V6_NETWORK
    };
    let network = IpNetwork::new(source, length).ok()?;
    IpNetwork::new(network.network(), length).ok()
}

impl Summary {
    /// Takes note of a packet. `true`: it is to be a line of its own.
    pub fn note(&mut self, counted: &Counted, source: Option<IpAddr>) -> bool {
        let kind = Kind {
            reason: counted.reason,
            is_monitored: counted.is_monitored,
            service: counted.service,
            network: source.and_then(network_of),
        };
        if let Some((seen, _)) = self.kinds.get_mut(&kind) {
            *seen += 1;
            return false;
        }
        if self.kinds.len() >= MOST_KINDS {
            let kind = Kind {
                network: None,
                ..kind
            };
            *self.others.entry(kind).or_default() += 1;
            return false;
        }
        let is_line = self.lines < MOST_LINES;
        self.lines += usize::from(is_line);
        self.kinds.insert(kind, (1, is_line));
        is_line
    }

    /// Ends the second: what no line was made of, the most first. `counted` is how many packets a reason had
    /// meanwhile.
    pub fn end(&mut self, counted: impl Fn(Reason, bool) -> u64) -> Vec<More> {
        let kinds = std::mem::take(&mut self.kinds);
        let others = std::mem::take(&mut self.others);
        self.lines = 0;
        // By reason: packets seen, and packets seen that no line was made of.
        let mut by_reason: BTreeMap<(Reason, bool), (u64, u64)> = BTreeMap::new();
        let rest = |(kind, (seen, is_line)): (&Kind, &(u64, bool))| {
            (
                (kind.reason, kind.is_monitored),
                *seen,
                *seen - u64::from(*is_line),
            )
        };
        let of_others =
            |(kind, seen): (&Kind, &u64)| ((kind.reason, kind.is_monitored), *seen, *seen);
        for (reason, seen, rest) in kinds.iter().map(rest).chain(others.iter().map(of_others)) {
            let sums = by_reason.entry(reason).or_default();
            sums.0 += seen;
            sums.1 += rest;
        }
        let scaled = |kind: &Kind, part: u64| {
            let (seen, rest) = by_reason
                .get(&(kind.reason, kind.is_monitored))
                .copied()
                .unwrap_or_default();
            let lines = seen - rest;
            // A counter that was read a little later, or that began anew, is no less than what was seen.
            let all = counted(kind.reason, kind.is_monitored).max(seen);
            if rest == 0 {
                0
            } else {
                (u128::from(all - lines) * u128::from(part) / u128::from(rest)) as u64
            }
        };
        let mut numbers: Vec<(Kind, u64)> = kinds
            .iter()
            .map(|(kind, (seen, is_line))| (*kind, *seen - u64::from(*is_line)))
            .filter(|(_, rest)| *rest > 0)
            .map(|(kind, rest)| (kind, scaled(&kind, rest)))
            .collect();
        numbers.sort_by_key(|(_, packets)| std::cmp::Reverse(*packets));
        let alone = numbers.len().min(MOST_NUMBERS);
        let (first, last) = numbers.split_at(alone);
        let mut more: Vec<More> = first
            .iter()
            .map(|(kind, packets)| of(kind, *packets, 1))
            .collect();
        let mut together: BTreeMap<Kind, (u64, usize, Option<IpNetwork>)> = BTreeMap::new();
        for (kind, packets) in last {
            let merged = Kind {
                network: None,
                ..*kind
            };
            let sums = together.entry(merged).or_default();
            sums.0 += packets;
            sums.1 += 1;
            sums.2 = kind.network;
        }
        for (kind, seen) in &others {
            let sums = together.entry(*kind).or_default();
            sums.0 += scaled(kind, *seen);
            // Each of them is one that was not known.
            sums.1 += *seen as usize;
        }
        let mut together: Vec<More> = together
            .into_iter()
            .map(|(kind, (packets, networks, network))| {
                let network = network.filter(|_| networks == 1);
                of(&Kind { network, ..kind }, packets, networks)
            })
            .collect();
        together.sort_by_key(|more| std::cmp::Reverse(more.packets));
        let rest = together.split_off(together.len().min(MOST_NUMBERS));
        more.append(&mut together);
        more.extend(by_reason_alone(rest));
        more
    }
}

/// One number for all services of a reason: who tries every port has thousands of them.
fn by_reason_alone(rest: Vec<More>) -> Vec<More> {
    let mut sums: BTreeMap<(Reason, bool), More> = BTreeMap::new();
    for one in rest {
        match sums.entry((one.reason, one.is_monitored)) {
            Entry::Vacant(place) => {
                place.insert(one);
            }
            Entry::Occupied(place) => {
                let sum = place.into_mut();
                sum.packets += one.packets;
                sum.networks = sum.networks.max(one.networks);
                sum.services += one.services;
                sum.service = None;
                sum.network = sum.network.filter(|network| Some(*network) == one.network);
            }
        }
    }
    sums.into_values().collect()
}

fn of(kind: &Kind, packets: u64, networks: usize) -> More {
    More {
        packets,
        network: kind.network,
        networks,
        service: kind.service,
        services: usize::from(kind.service.is_some()),
        reason: kind.reason,
        is_monitored: kind.is_monitored,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use guard_common::abi::{hit::Hit, reason::Action};

    use super::*;

    fn dropped(port: u16) -> Counted {
        Counted {
            reason: Reason::DefaultDrop,
            action: Action::Drop,
            is_monitored: false,
            service: Some(Service::tcp(port)),
            hit: Hit::NONE,
        }
    }

    fn source(number: u32) -> Option<IpAddr> {
        Some(Ipv4Addr::from_bits(0xcb00_7100 + number).into())
    }

    #[test]
    fn the_first_of_a_network_is_a_line_and_the_others_are_a_number() {
        let mut summary = Summary::default();
        let lines: Vec<bool> = (0..200)
            .map(|n| summary.note(&dropped(22), source(n)))
            .collect();
        assert_eq!(lines.iter().filter(|line| **line).count(), 1);
        // The counter has seen far more than the sample.
        let more = summary.end(|_, _| 12_346);
        assert_eq!(more.len(), 1);
        assert_eq!(more[0].packets, 12_345);
        assert_eq!(
            more[0]
                .network
                .map(|network| network.to_string())
                .as_deref(),
            Some("203.0.113.0/24")
        );
        assert!(
            summary.end(|_, _| 0).is_empty(),
            "the next second begins with nothing"
        );
    }

    #[test]
    fn a_flood_of_random_sources_is_a_dozen_lines() {
        let mut summary = Summary::default();
        let lines = (0..20_000u32)
            .filter(|n| summary.note(&dropped(22), source(n * 256)))
            .count();
        assert_eq!(lines, MOST_LINES);
        let more = summary.end(|_, _| 1_000_000);
        assert!(more.len() <= MOST_NUMBERS + 1, "{more:?}");
        let sum: u64 = more.iter().map(|more| more.packets).sum();
        assert!((999_000..=999_990).contains(&sum), "{sum}");
        assert!(
            more.iter()
                .any(|more| more.networks > 15_000 && more.network.is_none())
        );
    }

    #[test]
    fn a_scan_of_all_ports_is_a_dozen_lines() {
        for networks in [1, 3000] {
            let mut summary = Summary::default();
            let lines = (0..20_000u32).filter(|n| {
                let port = (n % 9000) as u16;
                summary.note(&dropped(port), source(n % networks * 256))
            });
            assert_eq!(lines.count(), MOST_LINES);
            let more = summary.end(|_, _| 1_000_000);
            assert!(more.len() <= 2 * MOST_NUMBERS + 1, "{} lines", more.len());
            let sum: u64 = more.iter().map(|more| more.packets).sum();
            assert!((980_000..=999_990).contains(&sum), "{sum}");
            let many = more.iter().find(|more| more.services > 1000);
            assert_eq!(many.map(|more| more.service), Some(None), "{more:?}");
        }
    }

    #[test]
    fn numbers_are_shared_out_as_the_sample_says() {
        let mut summary = Summary::default();
        for n in 0..400 {
            summary.note(&dropped(if n % 4 == 0 { 22 } else { 23 }), source(0));
        }
        let more = summary.end(|_, _| 400_000);
        let of = |port| {
            let found = more
                .iter()
                .find(|more| more.service == Some(Service::tcp(port)));
            found.map_or(0, |more| more.packets)
        };
        assert!((99_000..=101_000).contains(&of(22)), "{}", of(22));
        assert!((299_000..=301_000).contains(&of(23)), "{}", of(23));
    }

    #[test]
    fn a_counter_that_lags_behind_takes_nothing_away() {
        let mut summary = Summary::default();
        for _ in 0..10 {
            summary.note(&dropped(22), source(0));
        }
        assert_eq!(summary.end(|_, _| 3)[0].packets, 9);
    }
}

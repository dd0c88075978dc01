//! Finds the few earlier rules that could cover a later one, so that 10 000 rules are not compared
//! with each other. A rule that covers another contains each of its ports and addresses; so the
//! index answers "which rules contain this port and this address", by blocks of powers of two.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use guard_common::abi::service::protocol;
use ipnetwork::IpNetwork;

use super::{
    Facts,
    region::{End, Range, Ranges, base, contains},
};
use crate::ruleset::model::{PortRange, Prefixes, Rule, Traffic, Transport};

/// Earlier rules by what they contain.
#[derive(Default)]
pub(super) struct Index {
    places: HashMap<IndexKey, Filed>,
    /// Kinds of places in use: only these are looked up.
    shapes: HashSet<PlaceShape>,
    /// Contents of the sets in use, by number.
    sets: Vec<Arc<Ranges>>,
}

/// The rules of one place by traffic.
#[derive(Default)]
struct Filed {
    rules: HashMap<Block, Vec<usize>>,
    /// Kinds of blocks in use.
    shapes: HashSet<BlockShape>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    Source,
    Destination,
}

/// Which addresses a rule is filed under.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum IndexKey {
    Anywhere,
    Prefix {
        side: Side,
        is_ipv6: bool,
        length: u8,
        base: u128,
    },
    Sets {
        side: Side,
        number: usize,
    },
}

/// A [`IndexKey`] without its address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum PlaceShape {
    Anywhere,
    Prefix {
        side: Side,
        is_ipv6: bool,
        length: u8,
    },
    Sets {
        side: Side,
        number: usize,
    },
}

/// Which traffic a rule is filed under; ports in blocks of `1 << level`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Block {
    Any,
    Ports {
        is_udp: bool,
        level: u8,
        number: u32,
    },
    Protocol(u8),
    Icmp {
        is_ipv6: bool,
        kind: u8,
    },
}

/// A [`Block`] without its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum BlockShape {
    Any,
    Ports { is_udp: bool, level: u8 },
    Protocol,
    Icmp { is_ipv6: bool },
}

/// Most keys of one rule; a rule that needs more is filed under "anywhere".
const MAX_KEYS: usize = 4096;

impl Index {
    pub(super) fn add(&mut self, at: usize, rule: &Rule, facts: &Facts<'_>) {
        let blocks = blocks(&rule.traffic);
        let side = chosen_side(rule);
        let (prefixes, end) = match side {
            Side::Source => (&rule.source, &facts.source),
            Side::Destination => (&rule.destination, &facts.destination),
        };
        let places = self.places(side, prefixes, end, MAX_KEYS / blocks.len().max(1));
        for place in places {
            self.shapes.insert(place.shape());
            let filed = self.places.entry(place).or_default();
            for block in &blocks {
                filed.shapes.insert(block.shape());
                let rules = filed.rules.entry(*block).or_default();
                if rules.last() != Some(&at) {
                    rules.push(at);
                }
            }
        }
    }

    /// Hands over every list of rules that could cover `later`, each in order.
    pub(super) fn for_each_candidate_list(&self, later: &Facts<'_>, mut see: impl FnMut(&[usize])) {
        let point = Point::of(later);
        for shape in &self.shapes {
            let place = self.place_at(*shape, &point);
            let Some(filed) = place.and_then(|place| self.places.get(&place)) else {
                continue;
            };
            let blocks = filed.shapes.iter().filter_map(|shape| point.block(*shape));
            for rules in blocks.filter_map(|block| filed.rules.get(&block)) {
                see(rules);
            }
        }
    }

    fn places(
        &mut self,
        side: Side,
        prefixes: &Prefixes,
        end: &End<'_>,
        most: usize,
    ) -> Vec<IndexKey> {
        if end.is_all() || prefixes.inline > most {
            return vec![IndexKey::Anywhere];
        }
        let inline = prefixes.prefixes.iter().take(prefixes.inline);
        let mut places: Vec<IndexKey> = inline.map(|network| prefix_place(side, network)).collect();
        if let Some(ranges) = end.sets() {
            let known = self.sets.iter().position(|set| Arc::ptr_eq(set, ranges));
            let number = known.unwrap_or_else(|| {
                self.sets.push(ranges.clone());
                self.sets.len() - 1
            });
            places.push(IndexKey::Sets { side, number });
        }
        places
    }

    fn place_at(&self, shape: PlaceShape, point: &Point<'_>) -> Option<IndexKey> {
        match shape {
            PlaceShape::Anywhere => Some(IndexKey::Anywhere),
            PlaceShape::Prefix {
                side,
                is_ipv6,
                length,
            } => {
                let (family, address) = point.address(side)?;
                let bits = if is_ipv6 { 128 } else { 32 };
                let host_bits = bits - u32::from(length);
                let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                let base = address & mask;
                (family == is_ipv6).then_some(IndexKey::Prefix {
                    side,
                    is_ipv6,
                    length,
                    base,
                })
            }
            PlaceShape::Sets { side, number } => {
                let (is_ipv6, first) = point.address(side)?;
                let set = self.sets.get(number)?;
                let range = Range {
                    is_ipv6,
                    first,
                    last: first,
                };
                contains(set, range).then_some(IndexKey::Sets { side, number })
            }
        }
    }
}

impl IndexKey {
    fn shape(self) -> PlaceShape {
        match self {
            Self::Anywhere => PlaceShape::Anywhere,
            Self::Prefix {
                side,
                is_ipv6,
                length,
                ..
            } => PlaceShape::Prefix {
                side,
                is_ipv6,
                length,
            },
            Self::Sets { side, number } => PlaceShape::Sets { side, number },
        }
    }
}

impl Block {
    fn shape(self) -> BlockShape {
        match self {
            Self::Any => BlockShape::Any,
            Self::Ports { is_udp, level, .. } => BlockShape::Ports { is_udp, level },
            Self::Protocol(_) => BlockShape::Protocol,
            Self::Icmp { is_ipv6, .. } => BlockShape::Icmp { is_ipv6 },
        }
    }
}

/// One packet's worth of a rule: whatever covers the rule contains it.
struct Point<'f> {
    facts: &'f Facts<'f>,
}

impl<'f> Point<'f> {
    fn of(facts: &'f Facts<'_>) -> Self {
        Self { facts }
    }

    fn end(&self, side: Side) -> &End<'f> {
        match side {
            Side::Source => &self.facts.source,
            Side::Destination => &self.facts.destination,
        }
    }

    fn address(&self, side: Side) -> Option<(bool, u128)> {
        self.end(side).first_address()
    }

    fn block(&self, shape: BlockShape) -> Option<Block> {
        match (shape, self.facts.traffic.as_ref()) {
            (BlockShape::Any, _) => Some(Block::Any),
            (BlockShape::Ports { is_udp, level }, Traffic::Ports(transport, ranges)) => {
                let takes_udp = *transport == Transport::Udp;
                let port = u32::from(ranges.first()?.first);
                (takes_udp == is_udp).then_some(Block::Ports {
                    is_udp,
                    level,
                    number: port >> level,
                })
            }
            (BlockShape::Protocol, Traffic::Protocol(number)) => Some(Block::Protocol(*number)),
            (BlockShape::Protocol, Traffic::Icmp(kind)) => {
                let protocol = kind.v4.map_or(protocol::ICMPV6, |_| protocol::ICMP);
                Some(Block::Protocol(protocol))
            }
            (BlockShape::Icmp { is_ipv6 }, Traffic::Icmp(kind)) => {
                let kind = if is_ipv6 { kind.v6 } else { kind.v4 };
                kind.map(|kind| Block::Icmp { is_ipv6, kind })
            }
            (BlockShape::Ports { .. } | BlockShape::Protocol | BlockShape::Icmp { .. }, _) => None,
        }
    }
}

/// The end that tells this rule best from others.
fn chosen_side(rule: &Rule) -> Side {
    let length = |prefixes: &Prefixes| prefixes.prefixes.first().map_or(0, IpNetwork::prefix);
    let is_by_destination = !rule.destination.is_any()
        && (rule.source.is_any() || length(&rule.destination) > length(&rule.source));
    if is_by_destination {
        Side::Destination
    } else {
        Side::Source
    }
}

fn prefix_place(side: Side, network: &IpNetwork) -> IndexKey {
    let (is_ipv6, base) = base(network);
    let length = network.prefix();
    IndexKey::Prefix {
        side,
        is_ipv6,
        length,
        base,
    }
}

fn blocks(traffic: &Traffic) -> Vec<Block> {
    match traffic {
        Traffic::Any => vec![Block::Any],
        Traffic::Protocol(number) => vec![Block::Protocol(*number)],
        Traffic::Icmp(kind) => {
            let of = |is_ipv6| move |kind| Block::Icmp { is_ipv6, kind };
            let v4 = kind.v4.map(of(false));
            v4.into_iter().chain(kind.v6.map(of(true))).collect()
        }
        Traffic::Ports(transport, ranges) => {
            let sides: &[bool] = match transport {
                Transport::Tcp => &[false],
                Transport::Udp => &[true],
                Transport::Both => &[false, true],
            };
            let of_range = |is_udp: bool| {
                ranges.iter().flat_map(move |range| {
                    port_blocks(*range)
                        .into_iter()
                        .map(move |(level, number)| Block::Ports {
                            is_udp,
                            level,
                            number,
                        })
                })
            };
            sides.iter().flat_map(|is_udp| of_range(*is_udp)).collect()
        }
    }
}

/// Cuts a range into aligned blocks of powers of two, at most 30.
fn port_blocks(range: PortRange) -> Vec<(u8, u32)> {
    let mut blocks = Vec::new();
    let (mut at, end) = (u32::from(range.first), u32::from(range.last) + 1);
    while at < end {
        let mut level = 0_u8;
        while level < 16 && at.is_multiple_of(2 << level) && at + (2 << level) <= end {
            level += 1;
        }
        blocks.push((level, at >> level));
        at += 1 << level;
    }
    blocks
}

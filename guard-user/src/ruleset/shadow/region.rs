//! Sets of addresses as sorted ranges, and what covers what.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use guard_common::abi::service::protocol;
use ipnetwork::IpNetwork;

use crate::ruleset::{
    model::{PortRange, Prefixes, Traffic, Transport},
    until::Until,
};

/// Does the region of one rule take in that of another?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cover {
    No,
    WithTheseSets,
    Always,
}

/// Addresses of one family, both ends included. IPv4 sorts before IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub(super) is_ipv6: bool,
    pub(super) first: u128,
    pub(super) last: u128,
}

const ALL_IPV4: Range = Range {
    is_ipv6: false,
    first: 0,
    last: u32::MAX as u128,
};
const ALL_IPV6: Range = Range {
    is_ipv6: true,
    first: 0,
    last: u128::MAX,
};

/// Ranges in order, neither overlapping nor touching.
pub(super) type Ranges = Vec<Range>;

/// Ranges of sets, by the names of the sets: many rules share one large feed.
pub(super) type SetRanges<'r> = HashMap<&'r [String], Arc<Ranges>>;

/// One end of a rule: source or destination.
#[derive(Clone, Debug)]
pub(super) struct End<'r> {
    inline: Ranges,
    set_names: &'r [String],
    sets: Option<Arc<Ranges>>,
}

impl<'r> End<'r> {
    pub(super) fn of(prefixes: &'r Prefixes, cache: &mut SetRanges<'r>) -> Self {
        let (inline, contents) = prefixes
            .prefixes
            .split_at_checked(prefixes.inline)
            .unwrap_or((&prefixes.prefixes, &[]));
        let inline = if prefixes.is_any() {
            vec![ALL_IPV4, ALL_IPV6]
        } else {
            ranges(inline)
        };
        let sets = (!prefixes.sets.is_empty()).then(|| {
            let shared = cache.entry(&prefixes.sets);
            shared.or_insert_with(|| Arc::new(ranges(contents))).clone()
        });
        Self {
            inline,
            set_names: &prefixes.sets,
            sets,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first_address().is_none()
    }

    /// Some address of this end, to look for rules that contain it.
    pub(super) fn first_address(&self) -> Option<(bool, u128)> {
        let first = self
            .inline
            .first()
            .or_else(|| self.sets.as_ref()?.first())?;
        Some((first.is_ipv6, first.first))
    }

    pub(super) fn sets(&self) -> Option<&Arc<Ranges>> {
        self.sets.as_ref()
    }

    pub(super) fn is_all(&self) -> bool {
        self.inline == [ALL_IPV4, ALL_IPV6]
    }

    pub(super) fn cover(&self, later: &Self) -> Cover {
        if self.is_all() {
            return Cover::Always;
        }
        let inline = later.inline.iter();
        let has_names = || {
            later
                .set_names
                .iter()
                .all(|name| self.set_names.contains(name))
        };
        if inline.clone().all(|range| contains(&self.inline, *range)) && has_names() {
            return Cover::Always;
        }
        let is_shared = match (&self.sets, &later.sets) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (_, None) => true,
            (None, Some(_)) => false,
        };
        let of_sets = later.sets.iter().flat_map(|sets| sets.iter());
        let holds = |range: &Range| {
            contains(&self.inline, *range)
                || self
                    .sets
                    .as_ref()
                    .is_some_and(|sets| contains(sets, *range))
        };
        if inline.clone().all(holds) && (is_shared || of_sets.clone().all(holds)) {
            Cover::WithTheseSets
        } else {
            Cover::No
        }
    }

    /// Each range as an end of its own.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Self> {
        let of_sets = self.sets.iter().flat_map(|sets| sets.iter());
        self.inline.iter().chain(of_sets).map(|range| Self {
            inline: vec![*range],
            set_names: &[],
            sets: None,
        })
    }
}

/// Does the traffic of one rule take in that of another?
pub(super) fn traffic_covers(earlier: &Traffic, later: &Traffic) -> bool {
    match (earlier, later) {
        (Traffic::Any, _) => true,
        (Traffic::Ports(transport, ranges), Traffic::Ports(other, others)) => {
            let has_transport = match (transport, other) {
                (Transport::Both, _)
                | (Transport::Tcp, Transport::Tcp)
                | (Transport::Udp, Transport::Udp) => true,
                (Transport::Tcp | Transport::Udp, _) => false,
            };
            has_transport && hold(ranges, others)
        }
        (Traffic::Protocol(number), Traffic::Protocol(other)) => number == other,
        (Traffic::Icmp(kind), Traffic::Icmp(other)) => kind.covers(*other),
        (Traffic::Protocol(protocol::ICMP), Traffic::Icmp(kind)) => kind.v6.is_none(),
        (Traffic::Protocol(protocol::ICMPV6), Traffic::Icmp(kind)) => kind.v4.is_none(),
        (Traffic::Ports(..) | Traffic::Protocol(_) | Traffic::Icmp(_), _) => false,
    }
}

/// Are the ports of the one among those of the other? None stand for all.
pub(super) fn source_ports_cover(earlier: &[PortRange], later: &[PortRange]) -> bool {
    earlier.is_empty() || !later.is_empty() && hold(earlier, later)
}

/// Are all of these ports among those?
fn hold(ranges: &[PortRange], others: &[PortRange]) -> bool {
    others.iter().all(|inner| {
        // Ranges are sorted: walk through those that touch each other.
        let mut reached = u32::from(inner.first);
        for outer in ranges {
            if u32::from(outer.first) <= reached && u32::from(outer.last) >= reached {
                reached = u32::from(outer.last) + 1;
            }
        }
        reached > u32::from(inner.last)
    })
}

pub(super) fn interface_covers(earlier: Option<&str>, later: Option<&str>) -> bool {
    earlier.is_none() || earlier == later
}

/// Does the one rule last as long as the other?
pub(super) fn end_covers(earlier: Option<Until>, later: Option<Until>) -> bool {
    earlier.is_none_or(|earlier| later.is_some_and(|later| later <= earlier))
}

/// Is the whole range among sorted ranges?
pub(super) fn contains(ranges: &[Range], inner: Range) -> bool {
    let after = ranges
        .partition_point(|range| (range.is_ipv6, range.first) <= (inner.is_ipv6, inner.first));
    let Some(outer) = after.checked_sub(1).and_then(|at| ranges.get(at)) else {
        return false;
    };
    outer.is_ipv6 == inner.is_ipv6 && outer.last >= inner.last
}

/// First address and family of a prefix.
pub(super) fn base(network: &IpNetwork) -> (bool, u128) {
    match network.ip() {
        IpAddr::V4(address) => (false, u128::from(address.to_bits())),
        IpAddr::V6(address) => (true, address.to_bits()),
    }
}

fn ranges(networks: &[IpNetwork]) -> Ranges {
    let mut all: Ranges = networks.iter().map(range).collect();
    all.sort_unstable();
    let mut merged: Ranges = Vec::with_capacity(all.len());
    for range in all {
        match merged.last_mut() {
            Some(last)
                if last.is_ipv6 == range.is_ipv6 && range.first <= last.last.saturating_add(1) =>
            {
                last.last = last.last.max(range.last);
            }
            Some(_) | None => merged.push(range),
        }
    }
    merged
}

fn range(network: &IpNetwork) -> Range {
    let (is_ipv6, first) = base(network);
    let bits = if is_ipv6 { 128 } else { 32 };
    let host_bits = bits - u32::from(network.prefix());
    let size_less_one = u128::MAX.checked_shr(128 - host_bits).unwrap_or(0);
    Range {
        is_ipv6,
        first,
        last: first | size_less_one,
    }
}

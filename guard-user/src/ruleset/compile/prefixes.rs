//! The prefixes of a policy as a forest: who holds whom.

use std::{net::IpAddr, ops::Range};

use guard_common::abi::{
    addr::Addr,
    image::{FILTER_WORDS, filter_bit_v6},
};
use ipnetwork::IpNetwork;

/// IPv4 prefixes begin behind the 96 bits of `::ffff:0:0/96`.
const V4_OFFSET: u32 = 96;

/// Address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Family {
    V4,
    V6,
}

/// A prefix as the kernel searches it: `len` counts from the top of 128 bits. The order puts a
/// prefix straight before everything that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Prefix {
    pub(super) family: Family,
    pub(super) addr: Addr,
    pub(super) len: u32,
}

impl From<IpNetwork> for Prefix {
    fn from(network: IpNetwork) -> Self {
        let (family, len) = match network {
            IpNetwork::V4(v4) => (Family::V4, V4_OFFSET + u32::from(v4.prefix())),
            IpNetwork::V6(v6) => (Family::V6, u32::from(v6.prefix())),
        };
        Self {
            family,
            addr: Addr::from(network.ip()).masked(len),
            len,
        }
    }
}

impl From<IpAddr> for Prefix {
    fn from(ip: IpAddr) -> Self {
        let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
        Self {
            family,
            addr: Addr::from(ip),
            len: 128,
        }
    }
}

impl Prefix {
    fn holds(&self, other: &Self) -> bool {
        self.family == other.family
            && self.len <= other.len
            && other.addr.masked(self.len) == self.addr
    }

    /// Does it hold every address of its family?
    fn is_whole_family(&self) -> bool {
        match self.family {
            Family::V4 => self.len == V4_OFFSET,
            Family::V6 => self.len == 0,
        }
    }
}

/// Distinct prefixes, each straight before those that it holds. The class of a prefix is its place,
/// from 1; class 0 is an address that no prefix holds.
#[derive(Debug)]
pub(super) struct Forest {
    prefixes: Vec<Prefix>,
    /// One past the last prefix that this one holds.
    ends: Vec<usize>,
    parents: Vec<Option<usize>>,
}

impl Forest {
    pub(super) fn new(prefixes: impl Iterator<Item = Prefix>) -> Self {
        let mut prefixes: Vec<_> = prefixes.collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let mut ends = vec![prefixes.len(); prefixes.len()];
        let mut parents = vec![None; prefixes.len()];
        let mut open: Vec<usize> = Vec::new();
        for (place, prefix) in prefixes.iter().enumerate() {
            while let Some(&last) = open.last()
                && !prefixes[last].holds(prefix)
            {
                ends[last] = place;
                open.pop();
            }
            parents[place] = open.last().copied();
            open.push(place);
        }
        Self {
            prefixes,
            ends,
            parents,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.prefixes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// Classes of all prefixes that `prefix`, one of the forest, holds, itself included.
    pub(super) fn classes(&self, prefix: Prefix) -> Range<usize> {
        let place = self
            .prefixes
            .binary_search(&prefix)
            .expect("every prefix of a rule is in it");
        place + 1..self.ends[place] + 1
    }

    /// Class of the family's /0, 0 when the policy has none.
    pub(super) fn default_class(&self, family: Family) -> u32 {
        let whole = self
            .prefixes
            .iter()
            .position(|prefix| prefix.family == family && prefix.is_whole_family());
        whole.map_or(0, |place| place as u32 + 1)
    }

    /// Prefixes of a family that must be searched for (all but /0), with their classes.
    pub(super) fn searched(&self, family: Family) -> impl Iterator<Item = (usize, Prefix)> {
        self.prefixes
            .iter()
            .copied()
            .enumerate()
            .filter(move |(_, prefix)| prefix.family == family && !prefix.is_whole_family())
    }

    /// Class of the longest prefix no longer than `len` that holds the prefix at `place`.
    pub(super) fn class_within(&self, place: usize, len: u32) -> u32 {
        let mut at = Some(place);
        while let Some(place) = at {
            if self.prefixes[place].len <= len {
                return place as u32 + 1;
            }
            at = self.parents[place];
        }
        0
    }

    /// The two source filters: a bit for every leading 16 bits below which a prefix lies.
    pub(super) fn filter_words(&self) -> Vec<u64> {
        let mut words = vec![0; 2 * FILTER_WORDS as usize];
        let mut set = |bits: Range<u32>, first: u32| {
            for bit in bits {
                words[(first + bit / 64) as usize] |= 1 << (bit % 64);
            }
        };
        for (_, prefix) in self.searched(Family::V4) {
            let first = prefix.addr.v4() >> 16;
            let len = prefix.len - V4_OFFSET;
            set(first..first + (1 << 16u32.saturating_sub(len)), 0);
        }
        for (_, prefix) in self.searched(Family::V6) {
            if prefix.len < 32 {
                set(0..1 << 16, FILTER_WORDS);
            } else {
                let bit = filter_bit_v6((prefix.addr.hi() >> 32) as u32);
                set(bit..bit + 1, FILTER_WORDS);
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        Prefix::from(text.parse::<IpNetwork>().unwrap())
    }

    #[test]
    fn a_prefix_stands_straight_before_what_it_holds() {
        let forest = Forest::new(
            [
                "10.1.2.0/24",
                "::/0",
                "10.0.0.0/8",
                "11.0.0.0/8",
                "10.1.0.0/16",
                "2001:db8::/32",
            ]
            .into_iter()
            .map(prefix),
        );
        assert_eq!(forest.classes(prefix("10.0.0.0/8")), 1..4);
        assert_eq!(forest.classes(prefix("10.1.0.0/16")), 2..4);
        assert_eq!(forest.classes(prefix("11.0.0.0/8")), 4..5);
        assert_eq!(forest.classes(prefix("::/0")), 5..7);
        assert_eq!(forest.default_class(Family::V6), 5);
        assert_eq!(forest.default_class(Family::V4), 0);
        assert_eq!(forest.class_within(2, 96 + 23), 2);
        assert_eq!(forest.class_within(2, 96 + 8), 1);
        assert_eq!(forest.class_within(2, 96 + 7), 0);
    }

    #[test]
    fn an_ipv6_default_holds_no_ipv4_prefix() {
        let forest = Forest::new(["::/0", "1.2.3.4/32"].into_iter().map(prefix));
        assert_eq!(forest.classes(prefix("::/0")).len(), 1);
    }
}

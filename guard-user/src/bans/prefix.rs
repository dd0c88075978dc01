//! A prefix of either family as one number and one length, in the order in which a prefix stands
//! directly before everything inside it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use guard_common::abi::addr::Addr;
use ipnetwork::IpNetwork;

/// `::ffff:0:0/96`: where IPv4 is.
const MAPPED: u128 = 0xffff_0000_0000;
/// Length of a single address.
pub const SINGLE: u8 = 128;
/// Bits before those of IPv4.
const V4_OFFSET: u8 = 96;

/// A prefix without host bits. IPv4 is held as `::ffff:0:0/96`, so its lengths are 96 to 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    bits: u128,
    length: u8,
}

impl Prefix {
    /// The first `length` bits of this number, at most 128.
    #[must_use]
    pub const fn new(bits: u128, length: u8) -> Self {
        let length = if length > SINGLE { SINGLE } else { length };
        Self {
            bits: bits & mask(length),
            length,
        }
    }

    /// An IPv4 prefix; `length` as it is written, 0 to 32.
    #[must_use]
    pub const fn v4(address: Ipv4Addr, length: u8) -> Self {
        Self::new(
            MAPPED | address.to_bits() as u128,
            length.saturating_add(V4_OFFSET),
        )
    }

    /// An IPv6 prefix.
    #[must_use]
    pub const fn v6(address: Ipv6Addr, length: u8) -> Self {
        Self::new(address.to_bits(), length)
    }

    /// A single address.
    #[must_use]
    pub const fn single(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::v4(v4, 32),
            IpAddr::V6(v6) => Self::v6(v6, SINGLE),
        }
    }

    /// The lowest address as a number.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.bits
    }

    /// Leading bits of 128 that are fixed: an IPv4 /24 has 120.
    #[must_use]
    pub const fn length(self) -> u8 {
        self.length
    }

    /// The lowest address, as the tables of the kernel know it.
    #[must_use]
    pub const fn addr(self) -> Addr {
        Addr::from_halves((self.bits >> 64) as u64, self.bits as u64)
    }

    /// Is it about IPv4?
    #[must_use]
    pub const fn is_v4(self) -> bool {
        self.length >= V4_OFFSET && self.bits >> 32 == MAPPED >> 32
    }

    /// Its length as it is written.
    #[must_use]
    pub const fn written_length(self) -> u8 {
        if self.is_v4() {
            self.length - V4_OFFSET
        } else {
            self.length
        }
    }

    /// The highest address as a number.
    #[must_use]
    pub const fn last(self) -> u128 {
        self.bits | !mask(self.length)
    }

    /// Does it hold all of `other`?
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        self.length <= other.length && other.bits & mask(self.length) == self.bits
    }

    /// The prefix of this length around it; itself when `length` is not shorter.
    #[must_use]
    pub const fn widened(self, length: u8) -> Self {
        if length < self.length {
            Self::new(self.bits, length)
        } else {
            self
        }
    }

    /// The range, in this type's order, of everything inside it, itself first.
    #[must_use]
    pub const fn inside(self) -> RangeInclusive<Self> {
        self..=Self {
            bits: self.last(),
            length: SINGLE,
        }
    }

    /// For a store: in the order of the type.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 17] {
        let mut bytes = [0; 17];
        let (bits, length) = bytes.split_at_mut(16);
        bits.copy_from_slice(&self.bits.to_be_bytes());
        length[0] = self.length;
        bytes
    }

    /// The inverse; `None` for what no prefix has become.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (bits, [length]) = bytes.split_first_chunk::<16>()? else {
            return None;
        };
        let prefix = Self::new(u128::from_be_bytes(*bits), *length);
        (prefix.to_bytes() == bytes).then_some(prefix)
    }

    /// The lowest address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        if self.is_v4() {
            IpAddr::V4(Ipv4Addr::from_bits(self.bits as u32))
        } else {
            IpAddr::V6(Ipv6Addr::from_bits(self.bits))
        }
    }
}

const fn mask(length: u8) -> u128 {
    match 128 - length as u32 {
        128 => 0,
        host_bits => u128::MAX << host_bits,
    }
}

impl From<IpNetwork> for Prefix {
    fn from(network: IpNetwork) -> Self {
        match network {
            IpNetwork::V4(v4) => Self::v4(v4.ip(), v4.prefix()),
            IpNetwork::V6(v6) => Self::v6(v6.ip(), v6.prefix()),
        }
    }
}

/// Reads back as it was: a single IPv6 address keeps its `/128`, because without it it means its /64.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_v4() && self.length == SINGLE {
            write!(f, "{}", self.address())
        } else {
            write!(f, "{}/{}", self.address(), self.written_length())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        Prefix::from(text.parse::<IpNetwork>().expect("a prefix"))
    }

    #[test]
    fn prefixes_survive_their_text_and_their_bytes() {
        for text in [
            "203.0.113.7",
            "203.0.113.0/24",
            "10.0.0.0/8",
            "2001:db8::/32",
            "2001:db8::1/128",
            "2001:db8:1:2::/64",
        ] {
            let it = prefix(text);
            assert_eq!(it.to_string(), text);
            assert_eq!(Prefix::from_bytes(&it.to_bytes()), Some(it));
        }
        assert_eq!(Prefix::from_bytes(&[0; 16]), None);
        assert_eq!(Prefix::from_bytes(&[255; 17]), None);
    }

    #[test]
    fn whatever_is_inside_stands_behind_in_one_run() {
        let mut all = [
            "10.0.0.0/8",
            "10.0.0.0/16",
            "10.0.0.0",
            "10.1.0.0/16",
            "11.0.0.0/8",
            "2001:db8::/32",
            "2001:db8::/64",
            "2001:db8::1/128",
        ]
        .map(prefix);
        all.sort_unstable();
        for outer in all {
            let inside: Vec<Prefix> = all.into_iter().filter(|p| outer.covers(*p)).collect();
            let range = outer.inside();
            let run: Vec<Prefix> = all.into_iter().filter(|p| range.contains(p)).collect();
            assert_eq!(inside, run, "{outer}");
            assert_eq!(run.first(), Some(&outer));
        }
    }
}

//! One address type for both families: IPv4 is held as its v4-mapped IPv6 address.

/// `::ffff:0:0/96` in the low half.
const MAPPED: u64 = 0xffff_0000_0000;

/// An IPv4 or IPv6 address as a 128-bit number in two halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr {
    hi: u64,
    lo: u64,
}

impl Addr {
    /// The IPv4 address whose network-order bytes form the number `v4`.
    #[inline(always)]
    #[must_use]
    pub const fn from_v4(v4: u32) -> Self {
        Self {
            hi: 0,
            lo: MAPPED | v4 as u64,
        }
    }

    /// The address with these network-order bytes, taken as IPv6.
    #[inline(always)]
    #[must_use]
    pub const fn from_v6(hi: [u8; 8], lo: [u8; 8]) -> Self {
        Self {
            hi: u64::from_be_bytes(hi),
            lo: u64::from_be_bytes(lo),
        }
    }

    /// The address with these halves.
    #[inline(always)]
    #[must_use]
    pub const fn from_halves(hi: u64, lo: u64) -> Self {
        Self { hi, lo }
    }

    /// Upper 64 bits.
    #[inline(always)]
    #[must_use]
    pub const fn hi(self) -> u64 {
        self.hi
    }

    /// Lower 64 bits.
    #[inline(always)]
    #[must_use]
    pub const fn lo(self) -> u64 {
        self.lo
    }

    /// Is this inside `::ffff:0:0/96`, that is, an IPv4 address?
    #[inline(always)]
    #[must_use]
    pub const fn is_v4(self) -> bool {
        self.hi == 0 && self.lo >> 32 == MAPPED >> 32
    }

    /// The IPv4 number; meaningful only when [`Addr::is_v4`].
    #[inline(always)]
    #[must_use]
    pub const fn v4(self) -> u32 {
        self.lo as u32
    }

    /// The first `len` bits, the others zero. `len` counts from the top of the 128 bits, so an IPv4
    /// /24 is 120.
    #[inline(always)]
    #[must_use]
    pub const fn masked(self, len: u32) -> Self {
        if len > 64 {
            // 1..=64 bits of the low half: the shift is 0..=63.
            Self {
                hi: self.hi,
                lo: self.lo & (u64::MAX << (128u32.wrapping_sub(len) & 63)),
            }
        } else if len == 0 {
            Self { hi: 0, lo: 0 }
        } else {
            Self {
                hi: self.hi & (u64::MAX << (64u32.wrapping_sub(len) & 63)),
                lo: 0,
            }
        }
    }

    /// `fe80::/10`.
    #[inline(always)]
    #[must_use]
    pub const fn is_link_local_v6(self) -> bool {
        self.hi >> 54 == 0xfe80 >> 6
    }

    /// `::`.
    #[inline(always)]
    #[must_use]
    pub const fn is_unspecified_v6(self) -> bool {
        self.hi == 0 && self.lo == 0
    }
}

#[cfg(feature = "std")]
impl From<Addr> for std::net::IpAddr {
    fn from(addr: Addr) -> Self {
        if addr.is_v4() {
            return std::net::Ipv4Addr::from_bits(addr.v4()).into();
        }
        std::net::Ipv6Addr::from_bits(u128::from(addr.hi()) << 64 | u128::from(addr.lo())).into()
    }
}

#[cfg(feature = "std")]
impl From<std::net::IpAddr> for Addr {
    fn from(ip: std::net::IpAddr) -> Self {
        match ip {
            std::net::IpAddr::V4(v4) => Self::from_v4(v4.to_bits()),
            std::net::IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                Self {
                    hi: (bits >> 64) as u64,
                    lo: bits as u64,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn addr(text: &str) -> Addr {
        Addr::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn masks_keep_exactly_the_prefix() {
        for (from, len, to) in [
            ("203.0.113.77", 128, "203.0.113.77"),
            ("203.0.113.77", 120, "203.0.113.0"),
            ("203.0.113.77", 96, "0.0.0.0"),
            ("2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::"),
            ("2001:db8:1:2:3:4:5:6", 65, "2001:db8:1:2::"),
            ("2001:db8:1:2:3:4:5:6", 1, "::"),
            ("2001:db8:1:2:3:4:5:6", 0, "::"),
        ] {
            assert_eq!(addr(from).masked(len), addr(to), "{from}/{len}");
        }
    }

    #[test]
    fn families_are_told_apart() {
        assert!(addr("1.2.3.4").is_v4());
        assert_eq!(addr("1.2.3.4").v4(), 0x0102_0304);
        assert!(!addr("::1.2.3.4").is_v4());
        assert!(addr("fe80::1").is_link_local_v6());
        assert!(addr("febf::1").is_link_local_v6());
        assert!(!addr("fec0::1").is_link_local_v6());
    }
}

//! How much of the world may be shut out at once without being told so expressly: the same for every way in, by
//! command, list, feed or jail.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    prefix::Prefix,
    target::{Complaint, refuse_wide},
};

/// Whether the operator has said that it shall be much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Breadth {
    /// Nothing wider than a /16 (IPv6: /32), and all of it together no more than [`MOST`] of the world.
    #[default]
    Usual,
    /// As much as is named: `--force`, `wide = true`.
    Any,
}

/// Too large a part of the world at once.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("it names {percent:.1} % of all {family} addresses, more than one in {MOST}")]
pub struct ShareError {
    /// IPv4 or IPv6.
    pub family: &'static str,
    /// Of all addresses of the family.
    pub percent: f64,
}

/// One part in so many of a family's addresses.
const MOST: u32 = 16;
const V4_ADDRESSES: u128 = 1 << 32;
/// `2000::/3`, what of IPv6 is in use.
const V6_ADDRESSES: u128 = 1 << 125;

impl Breadth {
    /// May one prefix be as wide as this?
    ///
    /// # Errors
    /// `Refused`; --force is the way out.
    pub fn check(self, prefix: Prefix) -> Result<(), Complaint> {
        match self {
            Self::Usual => refuse_wide(prefix),
            Self::Any => Ok(()),
        }
    }

    /// May all of these, which are in order, be banned at once?
    ///
    /// # Errors
    /// How much it would be.
    pub fn check_all(self, prefixes: impl IntoIterator<Item = Prefix>) -> Result<(), ShareError> {
        if self == Self::Any {
            return Ok(());
        }
        let (mut v4, mut v6) = (0u128, 0u128);
        let mut outer: Option<Prefix> = None;
        for prefix in prefixes {
            if outer.is_some_and(|outer| outer.covers(prefix)) {
                continue;
            }
            outer = Some(prefix);
            let addresses = prefix.last() - prefix.bits();
            let sum = if prefix.is_v4() { &mut v4 } else { &mut v6 };
            *sum = sum.saturating_add(addresses.saturating_add(1));
        }
        for (family, sum, all) in [("IPv4", v4, V4_ADDRESSES), ("IPv6", v6, V6_ADDRESSES)] {
            if sum > all / u128::from(MOST) {
                let percent = sum as f64 * 100.0 / all as f64;
                return Err(ShareError { family, percent });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(texts: impl IntoIterator<Item = String>) -> Vec<Prefix> {
        let read = |text: String| text.parse::<ipnetwork::IpNetwork>().expect("a prefix");
        let mut prefixes: Vec<Prefix> = texts.into_iter().map(|text| read(text).into()).collect();
        prefixes.sort_unstable();
        prefixes
    }

    fn v4(networks: std::ops::Range<u32>) -> impl Iterator<Item = String> {
        networks.map(|number| format!("{}.{}.0.0/16", 11 + number / 256, number % 256))
    }

    #[test]
    fn a_sixteenth_of_the_world_is_the_most_that_is_taken_unasked() {
        for (texts, is_usual) in [
            (prefixes(v4(0..4096)), true),
            (prefixes(v4(0..4097)), false),
            // What is named twice, or within another, counts once.
            (
                prefixes(v4(0..4096).chain((0..99).map(|n| format!("11.0.{n}.0/24")))),
                true,
            ),
            (prefixes((0..512).map(|n| format!("2a00:{n:x}::/32"))), true),
            (
                prefixes((0x2000..0x2201).map(|n| format!("{n:x}::/16"))),
                false,
            ),
        ] {
            assert_eq!(
                Breadth::Usual.check_all(texts.iter().copied()).is_ok(),
                is_usual,
                "{} of {:?}",
                texts.len(),
                texts.first()
            );
            assert_eq!(Breadth::Any.check_all(texts), Ok(()));
        }
        let all = prefixes(["::/0".to_owned()]);
        assert!(Breadth::Usual.check_all(all).is_err());
    }
}

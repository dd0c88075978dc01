//! Ceilings of what comes from strangers to open ports, as a policy says them: TCP segments that are part of no
//! session, and datagrams from sources that this host has not answered.

use std::fmt;

use guard_common::abi::ceiling;

use super::limit::Rate;
use crate::text::value::BadValue;

/// Most such packets to a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strangers {
    /// Any number: nothing is asked.
    #[default]
    Off,
    /// None.
    Nothing,
    /// So many, and twice the count at once.
    At(Rate),
}

/// The burst is this multiple of the rate's count.
const BURST: u32 = 2;
const SECOND_US: u64 = 1_000_000;

impl Strangers {
    /// Segments of no session, unless the policy says otherwise: [`ceiling::Ceiling::OUT_OF_STATE`].
    pub const OUT_OF_STATE: Self = Self::per_second(200);
    /// Datagrams, unless the policy says otherwise: [`ceiling::Ceiling::DATAGRAMS`].
    pub const UDP: Self = Self::per_second(2000);

    const fn per_second(count: u32) -> Self {
        Self::At(Rate { count, seconds: 1 })
    }

    /// Reads `200/s`, `0` or `off`.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn parse(text: &str) -> Result<Self, BadValue> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        if text == "0" {
            return Ok(Self::Nothing);
        }
        Rate::parse(text).map(Self::At).map_err(|bad| {
            bad.help("write a rate up to 5000/s, like 200/s, \"0\" to let none in, or \"off\" to let all in")
        })
    }

    /// As the image holds it.
    #[must_use]
    pub fn word(self) -> u64 {
        match self {
            Self::Off => ceiling::Ceiling::NONE,
            // No burst: not even one fits.
            Self::Nothing => ceiling::Ceiling::new(1, 0),
            Self::At(Rate { count, seconds }) => {
                let interval = u64::from(seconds) * SECOND_US / u64::from(count.max(1));
                // The slowest rate, one in an hour, fits.
                let interval = u32::try_from(interval.max(1)).unwrap_or(u32::MAX);
                ceiling::Ceiling::new(interval, count.saturating_mul(BURST))
            }
        }
        .to_word()
    }
}

impl fmt::Display for Strangers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => write!(f, "off"),
            Self::Nothing => write!(f, "0"),
            Self::At(rate) => write!(f, "{rate}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_or_none_or_all() {
        for (text, word) in [("off", 0), ("0", 1), ("200/s", 400 << 32 | 5000)] {
            let read = Strangers::parse(text).expect(text);
            assert_eq!((read.word(), read.to_string().as_str()), (word, text));
        }
        let default = Strangers::OUT_OF_STATE;
        assert_eq!(default.word(), ceiling::Ceiling::OUT_OF_STATE.to_word());
        assert_eq!(Strangers::parse("200/s").expect("a rate"), default);
        let default = Strangers::UDP;
        assert_eq!(default.word(), ceiling::Ceiling::DATAGRAMS.to_word());
        for wrong in ["", "on", "200", "-1/s", "0/s", "auto", "99999/s"] {
            assert!(Strangers::parse(wrong).is_err(), "{wrong}");
        }
    }
}

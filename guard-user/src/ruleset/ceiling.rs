//! The ceiling of new connections per port, as a policy says it.

use guard_common::abi::ceiling::{self, DEFAULT_BURST, DEFAULT_PER_SECOND};

/// Most new connections that a port takes from all sources together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    /// Any number.
    Off,
    /// So many per second, and twice as many at once.
    PerSecond(u32),
}

impl Default for Ceiling {
    fn default() -> Self {
        Self::PerSecond(DEFAULT_PER_SECOND)
    }
}

/// Lowest and highest rate: an interval is a whole number of microseconds.
pub const RATES: std::ops::RangeInclusive<u32> = 1..=100_000;

/// The burst is this multiple of the rate.
const BURST: u32 = DEFAULT_BURST / DEFAULT_PER_SECOND;

impl Ceiling {
    /// As the image holds it.
    #[must_use]
    pub fn word(self) -> u64 {
        match self {
            Self::Off => ceiling::Ceiling::NONE.to_word(),
            Self::PerSecond(rate) => {
                let rate = rate.clamp(*RATES.start(), *RATES.end());
                ceiling::Ceiling::new(1_000_000 / rate, rate * BURST).to_word()
            }
        }
    }
}

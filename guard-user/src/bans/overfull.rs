//! More bans than a table has room for.

use super::{prefix::Prefix, settings::Capacity, store::BanCounts};
use crate::failure::{Exit, Failure};

/// Which table would hold too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overfull {
    /// What it holds, in words.
    pub what: &'static str,
    /// How many it would be; a list that was left may name more.
    pub count: u64,
    /// How many it may be.
    pub most: u32,
    /// The key below `[bans]` that says so.
    key: &'static str,
}

impl Overfull {
    /// As a command fails with it; `message` says what was asked.
    #[must_use]
    pub fn failure(self, message: String) -> Failure {
        Failure::new(Exit::Failed, message).help(format!(
            "raise `{}` below [bans] in guard.toml, or lift bans (`guardctl unban`)",
            self.key
        ))
    }
}

impl BanCounts {
    /// Does every table hold as many?
    ///
    /// # Errors
    /// The first that does not.
    pub fn refuse_more_than(self, capacity: Capacity) -> Result<(), Overfull> {
        self.refuse_growth(Self::default(), capacity)
    }

    /// The same where there were so many before: a table that is over its capacity already, because that was lowered,
    /// takes nothing more.
    ///
    /// # Errors
    /// The first that does not hold them.
    pub fn refuse_growth(self, before: Self, capacity: Capacity) -> Result<(), Overfull> {
        for (what, before, count, most, key) in [
            (
                "IPv4 addresses",
                before.ipv4,
                self.ipv4,
                capacity.ipv4,
                "ipv4",
            ),
            (
                "IPv6 addresses and /64 networks",
                before.ipv6,
                self.ipv6,
                capacity.ipv6,
                "ipv6",
            ),
            (
                "prefixes",
                before.cidrs,
                self.cidrs,
                capacity.cidrs,
                "cidrs",
            ),
        ] {
            if count > u64::from(most) && count > before {
                return Err(Overfull {
                    what,
                    count,
                    most,
                    key,
                });
            }
        }
        Ok(())
    }

    /// One more.
    pub fn count(&mut self, prefix: Prefix) {
        *self.of(prefix) += 1;
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            ipv4: self.ipv4 + other.ipv4,
            ipv6: self.ipv6 + other.ipv6,
            cidrs: self.cidrs + other.cidrs,
        }
    }

    /// Without those.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            ipv4: self.ipv4.saturating_sub(other.ipv4),
            ipv6: self.ipv6.saturating_sub(other.ipv6),
            cidrs: self.cidrs.saturating_sub(other.cidrs),
        }
    }
}

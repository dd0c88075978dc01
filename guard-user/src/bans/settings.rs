//! What the policy says about bans: `[bans]` and `[[feed]]`.

use std::path::PathBuf;

use super::{rails::Breadth, term::BanTerm};

/// How many bans there may be, by the table that holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Single IPv4 addresses.
    pub ipv4: u32,
    /// IPv6 addresses and /64 networks.
    pub ipv6: u32,
    /// All other prefixes.
    pub cidrs: u32,
}

impl Capacity {
    /// Of all tables together.
    #[must_use]
    pub fn total(self) -> u64 {
        u64::from(self.ipv4) + u64::from(self.ipv6) + u64::from(self.cidrs)
    }
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            ipv4: 1_000_000,
            ipv6: 262_144,
            cidrs: 1_000_000,
        }
    }
}

/// `[bans]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How many there may be.
    pub capacity: Capacity,
    /// How long one holds when nothing is said.
    pub default: BanTerm,
}

/// `[[feed]]`: a file whose networks are banned as long as they stand in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Its name in listings.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// How much of the world it may name.
    pub breadth: Breadth,
}

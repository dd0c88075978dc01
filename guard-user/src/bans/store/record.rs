//! One ban as it lies in the store.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::super::{prefix::Prefix, term::BanTerm};
use crate::host::clock;

/// The time, by every clock that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// Which boot this is.
    pub boot_id: String,
    /// Milliseconds since boot, suspended or not.
    pub boot_ms: u64,
    /// Seconds since 1970, as far as the host knows.
    pub wall_s: u64,
}

impl Now {
    /// The clocks of this host.
    ///
    /// # Errors
    /// When procfs does not tell which boot this is.
    pub fn read() -> io::Result<Self> {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Self {
            boot_id: boot_id.trim().to_owned(),
            boot_ms: clock::boot_time_ns() / 1_000_000,
            wall_s: wall.map_or(0, |wall| wall.as_secs()),
        })
    }
}

/// When a ban ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BanEnd {
    /// At this boot time in ms.
    At(u64),
    /// When somebody lifts it.
    Never,
}

impl BanEnd {
    /// The end of a ban that begins now.
    #[must_use]
    pub fn after(term: BanTerm, now: &Now) -> Self {
        match term {
            BanTerm::For(time) => {
                let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                Self::At(now.boot_ms.saturating_add(ms))
            }
            BanTerm::Permanent => Self::Never,
        }
    }

    /// Has it come?
    #[must_use]
    pub fn is_over(self, now: &Now) -> bool {
        match self {
            Self::At(ms) => ms <= now.boot_ms,
            Self::Never => false,
        }
    }

    /// What is left.
    #[must_use]
    pub fn left(self, now: &Now) -> BanTerm {
        match self {
            Self::At(ms) => BanTerm::For(Duration::from_millis(ms.saturating_sub(now.boot_ms))),
            Self::Never => BanTerm::Permanent,
        }
    }
}

/// Who banned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BanOrigin {
    /// A command.
    Operator,
    /// A file that is read again when it changes.
    Feed(String),
    /// What a jail saw in logs.
    Jail(String),
    /// Another host of the fleet, `GROUP/HOST`.
    Fleet(String),
    /// CrowdSec's LAPI.
    Crowdsec,
    /// A limit with `on-excess`.
    Limit,
}

impl BanOrigin {
    /// Its name in the store and in listings.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Operator => "operator".to_owned(),
            Self::Feed(name) => format!("feed {name}"),
            Self::Jail(name) => format!("jail {name}"),
            Self::Fleet(member) => format!("fleet {member}"),
            Self::Crowdsec => "crowdsec".to_owned(),
            Self::Limit => "limit".to_owned(),
        }
    }

    /// Does a command lift its bans? Those of feeds come back with the next look at their file.
    #[must_use]
    pub fn is_liftable(&self) -> bool {
        match self {
            Self::Operator | Self::Jail(_) | Self::Fleet(_) | Self::Crowdsec | Self::Limit => true,
            Self::Feed(_) => false,
        }
    }

    /// Did this host find out itself, and does it mean something elsewhere? Only that is shared with others: how much
    /// is too much is a matter of one host's line.
    #[must_use]
    pub fn is_own(&self) -> bool {
        match self {
            Self::Operator | Self::Jail(_) => true,
            Self::Feed(_) | Self::Fleet(_) | Self::Crowdsec | Self::Limit => false,
        }
    }

    /// Did somebody else, whose word can be waived here?
    #[must_use]
    pub fn is_received(&self) -> bool {
        match self {
            Self::Fleet(_) | Self::Crowdsec => true,
            Self::Operator | Self::Jail(_) | Self::Feed(_) | Self::Limit => false,
        }
    }

    pub(super) fn from_name(name: &str) -> Self {
        match name.split_once(' ') {
            Some(("feed", feed)) => Self::Feed(feed.to_owned()),
            Some(("jail", jail)) => Self::Jail(jail.to_owned()),
            Some(("fleet", member)) => Self::Fleet(member.to_owned()),
            None if name == "crowdsec" => Self::Crowdsec,
            None if name == "limit" => Self::Limit,
            Some(_) | None => Self::Operator,
        }
    }
}

impl fmt::Display for BanOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// A ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanRow {
    /// What is banned.
    pub prefix: Prefix,
    /// Who banned it.
    pub origin: BanOrigin,
    /// Until when.
    pub end: BanEnd,
    /// When it was banned, in seconds since 1970.
    pub made: u64,
    /// Why.
    pub reason: String,
}

/// Places in a value: end in boot time, end by the wall clock, beginning by the wall clock, length in
/// seconds; then the reason.
const END_BOOT: usize = 0;
const END_WALL: usize = 8;
const MADE: usize = 16;
const LENGTH: usize = 24;
const REASON: usize = 32;
/// Instead of an end.
const FOREVER: u64 = u64::MAX;

pub(super) fn key(prefix: Prefix, origin: u32) -> [u8; 21] {
    let mut key = [0; 21];
    let (of_prefix, of_origin) = key.split_at_mut(17);
    of_prefix.copy_from_slice(&prefix.to_bytes());
    of_origin.copy_from_slice(&origin.to_be_bytes());
    key
}

pub(super) fn parse_key(key: &[u8]) -> Option<(Prefix, u32)> {
    let (prefix, origin) = key.split_at_checked(17)?;
    let origin = u32::from_be_bytes(origin.try_into().ok()?);
    Some((Prefix::from_bytes(prefix)?, origin))
}

pub(super) fn write(end: BanEnd, term: BanTerm, now: &Now, reason: &str) -> Vec<u8> {
    let (end_boot, end_wall, length) = match (end, term) {
        (BanEnd::At(ms), BanTerm::For(time)) => {
            let seconds = time.as_secs();
            (ms, now.wall_s.saturating_add(seconds), seconds)
        }
        (BanEnd::At(_) | BanEnd::Never, _) => (FOREVER, FOREVER, FOREVER),
    };
    let mut value = Vec::with_capacity(REASON + reason.len());
    for number in [end_boot, end_wall, now.wall_s, length] {
        value.extend_from_slice(&number.to_le_bytes());
    }
    value.extend_from_slice(reason.as_bytes());
    value
}

fn number(value: &[u8], at: usize) -> u64 {
    value
        .get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}

pub(super) fn end(value: &[u8]) -> BanEnd {
    match number(value, END_BOOT) {
        FOREVER => BanEnd::Never,
        ms => BanEnd::At(ms),
    }
}

pub(super) fn read(key: &[u8], value: &[u8], origins: &BTreeMap<u32, String>) -> Option<BanRow> {
    let (prefix, origin) = parse_key(key)?;
    let reason = value.get(REASON..).unwrap_or_default();
    Some(BanRow {
        prefix,
        origin: BanOrigin::from_name(origins.get(&origin)?),
        end: end(value),
        made: number(value, MADE),
        reason: String::from_utf8_lossy(reason).into_owned(),
    })
}

/// The same for this boot: the wall clock tells what is left, and never more than the whole.
pub(super) fn rebased(value: &[u8], now: &Now) -> Option<Vec<u8>> {
    if end(value) == BanEnd::Never {
        return None;
    }
    let left = number(value, END_WALL).saturating_sub(now.wall_s);
    let left = left.min(number(value, LENGTH));
    let end = now.boot_ms.saturating_add(left.saturating_mul(1000));
    let mut value = value.to_vec();
    value
        .get_mut(END_BOOT..END_BOOT + 8)?
        .copy_from_slice(&end.to_le_bytes());
    Some(value)
}

//! The tables of bans of a running firewall: written through shared memory, made anew when they are
//! full.

use std::time::Duration;

use guard_common::abi::ban::{ADDRESS_WAYS, Expiry, LEVEL_ADDRESS, MAX_CHUNKS, Sizes, WAYS};

use super::{clock, enlarge, pins, tables::bans::Shared};
use crate::{
    bans::{
        Prefix,
        settings::Capacity,
        store::{BanEnd, Now},
        table::{Full, Memory, PrefixBan, Writer, cells},
    },
    failure::{Exit, Failure},
    layout::Layout,
};

/// The tables of a running firewall, and the time.
#[derive(Debug)]
pub struct BanTables {
    writer: Writer<Shared>,
    seed: u64,
    /// In eighths of a tick, as the kernel counts.
    now: u32,
    /// The same moment in ms since boot.
    boot_ms: u64,
    eighth: Duration,
    most: Sizes,
}

impl BanTables {
    /// Those that are pinned; `None` when guard is off. They may grow until so many bans fit.
    ///
    /// # Errors
    /// When a pin cannot be opened.
    pub fn open(layout: &Layout, now: &Now, capacity: Capacity) -> Result<Option<Self>, Failure> {
        let Some(running) = pins::open(layout)? else {
            return Ok(None);
        };
        let eighths = clock::pinned_now(&layout.clock()).map_err(|error| {
            Failure::new(
                Exit::Failed,
                format!("{}: {error}", layout.clock().display()),
            )
        })?;
        let seed = running.slots.seed();
        let mut tables = Self {
            writer: Writer::new(running.bans, seed),
            seed,
            now: eighths,
            boot_ms: now.boot_ms,
            eighth: clock::eighth(),
            most: most(capacity),
        };
        if enlarge::is_enlarging(&layout.maps()) {
            // A command was killed: interfaces may use other tables than those that are pinned.
            tables.enlarge(layout, tables.sizes())?;
        }
        Ok(Some(tables))
    }

    /// How large they are.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.writer.memory().sizes()
    }

    /// Bans a prefix at least until then. Full tables are made anew, larger.
    ///
    /// # Errors
    /// When they may not grow any more. What was banned stays banned.
    pub fn raise(&mut self, layout: &Layout, prefix: Prefix, end: BanEnd) -> Result<(), Failure> {
        let expiry = self.expiry(end);
        loop {
            match self.writer.raise(prefix, expiry, self.now) {
                Ok(()) => return Ok(()),
                Err(full) => self.grow(layout, full)?,
            }
        }
    }

    /// Lets the fingerprint filter say the most: [`Writer::refill_fingerprints`].
    pub fn refill_fingerprints(&mut self) {
        self.writer.refill_fingerprints(self.now);
    }

    /// Gives the cells of a prefix what follows from the bans around it.
    ///
    /// # Errors
    /// What `around` says.
    pub fn lower<E>(
        &mut self,
        prefix: Prefix,
        mut around: impl FnMut(Prefix) -> Result<Vec<(Prefix, BanEnd)>, E>,
    ) -> Result<(), E> {
        let (now, boot_ms, eighth) = (self.now, self.boot_ms, self.eighth);
        self.writer.lower(prefix, now, |prefix| {
            let found = around(prefix)?.into_iter();
            let held = found.map(|(prefix, end)| (prefix, expiry(end, now, boot_ms, eighth)));
            Ok(held.collect())
        })
    }

    /// Makes these the bans.
    ///
    /// # Errors
    /// When they do not fit.
    pub fn replace(&mut self, layout: &Layout, bans: &[(Prefix, BanEnd)]) -> Result<(), Failure> {
        let room = TableDemand::of(bans.iter().map(|(prefix, _)| *prefix));
        self.make_room(layout, &room)?;
        let held: Vec<PrefixBan> = bans
            .iter()
            .map(|(prefix, end)| (*prefix, self.expiry(*end)))
            .collect();
        loop {
            match self.writer.replace(&held, self.now) {
                Ok(()) => return Ok(()),
                Err(full) => self.grow(layout, full)?,
            }
        }
    }

    /// Grows once for many bans, instead of again and again.
    ///
    /// # Errors
    /// When the kernel refuses larger tables.
    pub fn make_room(&mut self, layout: &Layout, room: &TableDemand) -> Result<(), Failure> {
        let now = self.sizes();
        let wanted = Sizes {
            chunks: now.chunks.max((room.nets + 1).next_multiple_of(64)),
            buckets: now.buckets.max(buckets_for(room.entries, WAYS)),
            addresses: now.addresses.max(buckets_for(room.addresses, ADDRESS_WAYS)),
        };
        let wanted = wanted.at_most(self.most).larger(now);
        if wanted != now {
            self.enlarge(layout, wanted)?;
        }
        Ok(())
    }

    fn grow(&mut self, layout: &Layout, full: Full) -> Result<(), Failure> {
        let now = self.sizes();
        let wanted = full.doubled(now).at_most(self.most).larger(now);
        if wanted == now {
            return Err(Failure::new(
                Exit::Failed,
                "the tables of bans are full: the prefixes need more entries than [bans] allows",
            )
            .help(
                "raise ipv4, ipv6 or cidrs below [bans] in guard.toml, or lift bans (`guardctl unban`)",
            ));
        }
        self.enlarge(layout, wanted)
    }

    fn enlarge(&mut self, layout: &Layout, sizes: Sizes) -> Result<(), Failure> {
        let shared = enlarge::enlarge(layout, sizes, |larger| {
            let mut larger = Writer::new(larger, self.seed);
            larger
                .take_over(self.writer.memory(), self.now)
                .map_err(|_| {
                    Failure::new(
                        Exit::Failed,
                        "larger tables do not hold what smaller ones held",
                    )
                })?;
            Ok(larger.into_memory())
        })?;
        self.writer = Writer::new(shared, self.seed);
        Ok(())
    }

    fn expiry(&self, end: BanEnd) -> Expiry {
        expiry(end, self.now, self.boot_ms, self.eighth)
    }
}

/// How much of each table many bans need.
#[derive(Debug)]
pub struct TableDemand {
    /// /16 networks with a chunk.
    nets: u32,
    /// Entries of the set.
    entries: u64,
    addresses: u64,
}

impl TableDemand {
    /// For these.
    #[must_use]
    pub fn of(bans: impl Iterator<Item = Prefix>) -> Self {
        let mut nets = std::collections::BTreeSet::new();
        let (mut entries, mut addresses) = (0u64, 0u64);
        for prefix in bans {
            let level = crate::bans::table::holding_level(prefix);
            let is_in_chunk = prefix.is_v4() && (113..=124).contains(&level);
            if is_in_chunk {
                nets.insert(prefix.addr().v4() >> 16);
            }
            if prefix.is_v4() && level == LEVEL_ADDRESS {
                addresses += cells(prefix).count() as u64;
            } else if !prefix.is_v4() || level > 120 {
                // The /64 of what is longer has a mark.
                let marks = u64::from(!prefix.is_v4() && level > 64);
                entries += cells(prefix).count() as u64 + marks;
            }
        }
        Self {
            nets: nets.len() as u32,
            entries,
            addresses,
        }
    }
}

/// Boot time to the kernel's clock, rounded up.
fn expiry(end: BanEnd, now: u32, boot_ms: u64, eighth: Duration) -> Expiry {
    match end {
        BanEnd::Never => Expiry::NEVER,
        BanEnd::At(ms) if ms <= boot_ms => Expiry::NONE,
        BanEnd::At(ms) => {
            let left = u128::from(ms - boot_ms) * 1_000_000;
            let eighths = left.div_ceil(eighth.as_nanos().max(1));
            Expiry::after(now, u32::try_from(eighths).unwrap_or(u32::MAX))
        }
    }
}

/// Buckets that hold so many entries without moving many: six of ten places are taken.
fn buckets_for(entries: u64, ways: usize) -> u32 {
    let buckets = (entries * 10).div_ceil(6 * ways as u64).max(1);
    u32::try_from(buckets.next_power_of_two()).unwrap_or(1 << 31)
}

/// Sizes beyond which the tables do not grow: every prefix may need a place, and every /16 a chunk.
fn most(capacity: Capacity) -> Sizes {
    let Capacity { ipv4, ipv6, cidrs } = capacity;
    let entries = u64::from(ipv6) + u64::from(cidrs);
    Sizes {
        chunks: cidrs.saturating_add(64).min(MAX_CHUNKS),
        buckets: buckets_for(entries, WAYS),
        addresses: buckets_for(u64::from(ipv4), ADDRESS_WAYS),
    }
    .larger(Sizes::SMALLEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_capacity_fits_the_budget() {
        let most = most(Capacity::default());
        let mb = most.bytes() >> 20;
        assert!(mb <= 160, "{mb} MB");
        assert!(Sizes::SMALLEST.bytes() >> 20 <= 5);
    }

    #[test]
    fn boot_time_becomes_the_kernels() {
        let eighth = Duration::from_millis(128);
        let of = |ms| expiry(BanEnd::At(ms), 1000, 50_000, eighth);
        assert_eq!(of(50_000), Expiry::NONE);
        assert_eq!(of(49_000), Expiry::NONE);
        let five = of(55_000);
        // 39.06 eighths, rounded up to an even number.
        assert!(five.is_live(1000 + 39) && !five.is_live(1000 + 41));
        assert_eq!(expiry(BanEnd::Never, 1000, 50_000, eighth), Expiry::NEVER);
        assert_eq!(of(u64::MAX - 1), Expiry::NEVER);
    }
}

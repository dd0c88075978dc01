//! Who watches what: the words that the program that filters reads.

use std::{
    collections::BTreeMap,
    fs::{DirBuilder, File},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
};

use aya::maps::{Array, Map, MapData};
use guard_common::abi::{
    names, record,
    watch::{self, NOT_WATCHED, WATCHERS},
};

use crate::{
    failure::{Exit, Failure, from_io},
    host::clock::boot_time_ns,
    layout::Layout,
};

/// For how long a watcher is believed to be there that says nothing.
const LEASE_NS: u64 = 2_000_000_000;

/// The sample of each row: one of `mask + 1` packets. Rows that are not named are not watched.
pub type Masks = BTreeMap<u32, u32>;

/// A place among those who watch: as long as the file is locked.
#[derive(Debug)]
pub(super) struct Seat {
    /// Its number.
    pub(super) number: u32,
    _file: File,
}

impl Seat {
    /// The first that is free.
    ///
    /// # Errors
    /// When all are taken, or the folder of locks cannot be written.
    pub(super) fn take(layout: &Layout) -> Result<Self, Failure> {
        for number in 0..WATCHERS {
            let file = lock_file(layout, &number.to_string())?;
            if file.try_lock().is_ok() {
                return Ok(Self {
                    number,
                    _file: file,
                });
            }
        }
        let what = format!("{WATCHERS} programs watch already: there is no place for another");
        Err(Failure::new(Exit::Failed, what)
            .help("end one of them: `guardctl monitor`, `capture`, `trace` and `top` watch, and the daemon with `[log] drops` or on-excess"))
    }
}

fn lock_file(layout: &Layout, name: &str) -> Result<File, Failure> {
    let folder = layout.watchers();
    let failed = |error: &std::io::Error| from_io(folder.display(), error);
    // Whoever may open a file may lock it, and would keep everybody else from watching.
    let mut only_ours = DirBuilder::new();
    only_ours.recursive(true).mode(0o700);
    only_ours.create(&folder).map_err(|error| failed(&error))?;
    let owned = std::fs::symlink_metadata(&folder).map_err(|error| failed(&error))?;
    if !owned.is_dir() || owned.mode() & 0o077 != 0 {
        let what = format!("{}: others may lock what is in it", folder.display());
        let help = format!("remove it: `rm -r {}`; it is made anew", folder.display());
        return Err(Failure::new(Exit::Failed, what).help(help));
    }
    let path = folder.join(name);
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| from_io(path.display(), &error))
}

/// The words of the firewall that runs.
pub(super) struct Words {
    map: Array<MapData, [u64; watch::WORDS as usize]>,
}

impl Words {
    /// Those that are pinned.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn open(layout: &Layout) -> Result<Self, Failure> {
        let path = layout.maps().join(names::WATCH_PIN);
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(Exit::Failed, format!("{}: {error}", path.display()))
        };
        let map = MapData::from_pin(&path).map_err(|error| failed(&error))?;
        let map = Array::try_from(Map::Array(map)).map_err(|error| failed(&error))?;
        Ok(Self { map })
    }

    /// Says that this place watches these rows from now on, for a while; the sparser samples that its program went
    /// over to meanwhile stay. Which samples it has now.
    ///
    /// # Errors
    /// When the kernel does not take them.
    pub(super) fn renew(
        &mut self,
        layout: &Layout,
        place: &Seat,
        wanted: &Masks,
        before: &Masks,
    ) -> Result<Masks, Failure> {
        let mut masks = wanted.clone();
        self.change(layout, |words| {
            let is_alive = words.get(watch::until_at(place.number)) != 0;
            for (row, mask) in &mut masks {
                let now = words.get(watch::mask_at(place.number, *row)) as u32;
                let known = if is_alive && now != NOT_WATCHED {
                    Some(now)
                } else {
                    before.get(row).copied()
                };
                *mask = known.unwrap_or(0).max(*mask);
            }
            words.set_watcher(place.number, boot_time_ns() + LEASE_NS, &masks);
        })?;
        Ok(masks)
    }

    /// Says what this place watches, whatever it was before.
    ///
    /// # Errors
    /// As [`Words::renew`].
    pub(super) fn set(
        &mut self,
        layout: &Layout,
        place: &Seat,
        masks: &Masks,
    ) -> Result<(), Failure> {
        self.change(layout, |words| {
            words.set_watcher(place.number, boot_time_ns() + LEASE_NS, masks);
        })
    }

    /// Says that this place watches nothing any more.
    ///
    /// # Errors
    /// As [`Words::renew`].
    pub(super) fn leave(&mut self, layout: &Layout, place: &Seat) -> Result<(), Failure> {
        self.change(layout, |words| {
            words.set_watcher(place.number, 0, &Masks::new());
        })
    }

    /// What the programs write meanwhile (phases, sparser samples) may be lost, which costs nothing.
    fn change(&mut self, layout: &Layout, change: impl FnOnce(&mut Table)) -> Result<(), Failure> {
        let lock = lock_file(layout, "lock")?;
        lock.lock()
            .map_err(|error| from_io(layout.watchers().display(), &error))?;
        let failed = |error| {
            Failure::new(
                Exit::Failed,
                format!("cannot tell the filter who watches: {error}"),
            )
        };
        let mut words = Table(self.map.get(&0, 0).map_err(failed)?);
        change(&mut words);
        words.settle(boot_time_ns());
        self.map.set(0, words.0, 0).map_err(failed)
    }
}

/// A copy of the words.
struct Table([u64; watch::WORDS as usize]);

impl Table {
    fn get(&self, index: u32) -> u64 {
        self.0.get(index as usize).copied().unwrap_or_default()
    }

    fn put(&mut self, index: u32, value: u64) {
        if let Some(word) = self.0.get_mut(index as usize) {
            *word = value;
        }
    }

    fn set_watcher(&mut self, number: u32, until: u64, masks: &Masks) {
        self.put(watch::until_at(number), until);
        for row in 0..record::ROWS {
            let mask = masks.get(&row).copied().unwrap_or(NOT_WATCHED);
            self.put(watch::mask_at(number, row), u64::from(mask));
        }
    }

    /// What follows from what the watchers want: gates, the first of them, and when the last one's time is over.
    fn settle(&mut self, now: u64) {
        let alive: Vec<u32> = (0..WATCHERS)
            .filter(|watcher| self.get(watch::until_at(*watcher)) > now)
            .collect();
        // The programs ask for the least of all masks: those of nobody must not be zero, which is every packet.
        for watcher in (0..WATCHERS).filter(|watcher| !alive.contains(watcher)) {
            self.set_watcher(watcher, 0, &Masks::new());
        }
        for row in 0..record::ROWS {
            let masks = alive
                .iter()
                .map(|watcher| self.get(watch::mask_at(*watcher, row)) as u32);
            let mask = masks.min().unwrap_or(NOT_WATCHED);
            // A phase is drawn with the first event.
            let gate = self.get(watch::gate_at(row));
            if gate as u32 != mask {
                self.put(watch::gate_at(row), watch::gate(0, mask));
            }
        }
        let watches = |watcher: &&u32| {
            (0..record::ROWS)
                .any(|row| self.get(watch::mask_at(**watcher, row)) as u32 != NOT_WATCHED)
        };
        let first = alive.iter().find(watches).map_or(0, |first| first + 1);
        let until = alive
            .iter()
            .map(|watcher| self.get(watch::until_at(*watcher)))
            .max();
        self.put(watch::FIRST, u64::from(first));
        self.put(watch::UNTIL, until.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table([0; watch::WORDS as usize])
    }

    fn masks(rows: &[(u32, u32)]) -> Masks {
        rows.iter().copied().collect()
    }

    #[test]
    fn a_gate_lets_through_what_the_most_curious_watcher_wants() {
        let mut words = table();
        words.set_watcher(1, 100, &masks(&[(0, 255), (42, 0)]));
        words.set_watcher(2, 90, &masks(&[(0, 15)]));
        words.settle(50);
        assert_eq!(words.get(watch::FIRST), 2);
        assert_eq!(words.get(watch::UNTIL), 100);
        for (row, mask) in [(0, 15), (42, 0), (1, NOT_WATCHED)] {
            assert_eq!(words.get(watch::gate_at(row)) as u32, mask, "row {row}");
        }
    }

    #[test]
    fn a_watcher_whose_time_is_over_wants_nothing() {
        let mut words = table();
        words.set_watcher(0, 100, &masks(&[(0, 0)]));
        words.set_watcher(3, 200, &masks(&[(0, 7)]));
        words.settle(150);
        assert_eq!(words.get(watch::FIRST), 4);
        for watcher in 0..3 {
            let mask = words.get(watch::mask_at(watcher, 0)) as u32;
            assert_eq!(mask, NOT_WATCHED, "of watcher {watcher}, who is not there");
        }
        assert_eq!(words.get(watch::gate_at(0)) as u32, 7);
        words.settle(250);
        assert_eq!(words.get(watch::FIRST), 0, "nobody");
        assert_eq!(words.get(watch::UNTIL), 0);
    }

    #[test]
    fn a_watcher_without_rows_is_not_the_first() {
        let mut words = table();
        words.set_watcher(0, 100, &Masks::new());
        words.set_watcher(1, 100, &masks(&[(5, 0)]));
        words.settle(50);
        assert_eq!(words.get(watch::FIRST), 2);
    }

    #[test]
    fn the_phase_of_a_gate_stays_while_its_mask_does() {
        let mut words = table();
        words.set_watcher(0, 100, &masks(&[(0, 15)]));
        words.settle(50);
        words.put(watch::gate_at(0), watch::gate(77, 15));
        words.settle(60);
        assert_eq!(words.get(watch::gate_at(0)), watch::gate(77, 15));
    }
}

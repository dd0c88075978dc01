//! What a command about bans holds, and how store and tables change together: a marker stands while they
//! may differ, and whoever finds it makes the tables say what the store says.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    super::{Controller, Lock},
    own::OwnNote,
};
use crate::{
    bans::{
        BanTerm, Prefix, Store,
        settings::{Capacity, Settings},
        store::{Added, BanCounts, BanEnd, BanOrigin, Change, Now, Opened, Trouble},
    },
    database::Quarantine,
    dataplane::{
        bans::{BanTables, TableDemand},
        pins,
    },
    failure::{Failure, from_io},
};

/// What commands about bans hold: the lock, the time, the store, and the kernel's tables if guard is on.
pub(in crate::controller) struct Session {
    pub(in crate::controller) now: Now,
    pub(in crate::controller) store: Store,
    pub(in crate::controller) tables: Option<BanTables>,
    pub(in crate::controller) warnings: Vec<String>,
    /// The store could not be read, and where it is now.
    pub(super) quarantined: Option<String>,
    /// Let go last: while the store is being closed, nobody else can open it.
    _lock: Lock,
}

/// A ban that is to be made.
pub(super) struct NewBan<'b> {
    pub(super) origin: &'b BanOrigin,
    pub(super) prefix: Prefix,
    pub(super) term: BanTerm,
    pub(super) reason: &'b str,
}

/// Does what others say of a prefix not count any more, once its ban is lifted?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waive {
    Yes,
    No,
}

/// Numbers of origins in the store; most bans of a change are of one.
#[derive(Default)]
struct Numbers<'o> {
    last: Option<(&'o BanOrigin, u32)>,
}

impl<'o> Numbers<'o> {
    fn of(&mut self, change: &mut Change<'_>, origin: &'o BanOrigin) -> Result<u32, redb::Error> {
        if let Some((_, number)) = self.last.filter(|(last, _)| *last == origin) {
            return Ok(number);
        }
        let number = change.origin(origin)?;
        self.last = Some((origin, number));
        Ok(number)
    }
}

/// More bans than these are not lifted one by one.
const MOST_LOWERED: usize = 10_000;

impl Controller {
    /// Every stored ban into the kernel's tables as they are: after `enable` and `load`, which make
    /// them anew, and after a command that was killed. What is there and not stored goes.
    ///
    /// # Errors
    /// When the store or the tables cannot be read. Bans that are in force stay.
    pub(in crate::controller) fn restore_bans(
        &self,
        warnings: &mut Vec<String>,
    ) -> Result<(), Failure> {
        if !self.has_store_of_bans() {
            return Ok(());
        }
        let now = now()?;
        let (path, copy) = (self.layout.bans(), self.layout.bans_copy());
        let mut tables = BanTables::open(&self.layout, &now, self.capacity())?;
        let mut restore = |store: &Store| match &mut tables {
            Some(tables) => settle(self, store, &now, tables),
            None => Ok(()),
        };
        let restored = Store::open_with_care(&path, &copy, &now).and_then(|opened| {
            if let Some(quarantine) = &opened.quarantine {
                warnings.push(self.note_quarantine(quarantine)?);
            }
            restore(&opened.store)
        });
        let Err(failure) = restored else {
            return Ok(());
        };
        let Some((store, from)) = Store::detached(&path, &copy, &now) else {
            return Err(failure);
        };
        restore(&store)?;
        warnings.push(format!(
            "{}; the bans of {} are in force, and none can be added or lifted until it can be written",
            failure.message,
            from.display()
        ));
        Ok(())
    }

    /// Is there anything that bans may be read from, whatever has become of it?
    pub(super) fn has_store_of_bans(&self) -> bool {
        let paths = [self.layout.bans(), self.layout.bans_copy()];
        paths.iter().any(|path| path.symlink_metadata().is_ok())
    }

    /// The lock, the store and the tables; what a killed command left is put in order.
    pub(in crate::controller) fn ban_session(&self) -> Result<Session, Failure> {
        self.ban_session_with(Store::open)
    }

    /// The same with a store that `open` opens.
    pub(super) fn ban_session_with(
        &self,
        open: impl FnOnce(&Path, &Path, &Now) -> Result<Opened, Failure>,
    ) -> Result<Session, Failure> {
        let lock = Lock::acquire(&self.layout)?;
        let now = now()?;
        let opened = open(&self.layout.bans(), &self.layout.bans_copy(), &now)?;
        let quarantined = match &opened.quarantine {
            Some(quarantine) => Some(self.note_quarantine(quarantine)?),
            None => None,
        };
        let mut warnings: Vec<String> = quarantined.iter().cloned().collect();
        let mut tables = BanTables::open(&self.layout, &now, self.capacity())?;
        if tables.is_none() {
            warnings
                .push("guard is not active: bans hold once it is (`guardctl enable`)".to_owned());
        }
        let marker = self.layout.unsettled_bans();
        if let Some(tables) = tables.as_mut().filter(|_| marker.exists()) {
            settle(self, &opened.store, &now, tables)?;
        }
        Ok(Session {
            now,
            store: opened.store,
            tables,
            warnings,
            quarantined,
            _lock: lock,
        })
    }

    /// The store is another one from here on, which may not know all that is in force: that stays, what the
    /// store knows beside it comes into force, and feeds are to be read anew. The text says so.
    pub(super) fn note_quarantine(&self, quarantine: &Quarantine) -> Result<String, Failure> {
        if pins::open(&self.layout)?.is_some() {
            for path in [self.layout.unbacked_bans(), self.layout.unsettled_bans()] {
                fs::write(&path, b"").map_err(|error| from_io(path.display(), &error))?;
            }
        }
        fs::remove_file(self.layout.feeds()).ok();
        Ok(quarantined(quarantine))
    }

    /// How many bans there may be; the usual number when the policy cannot be read.
    fn capacity(&self) -> Capacity {
        let loaded = self.load().ok();
        loaded.map_or_else(Capacity::default, |loaded| loaded.policy.bans.capacity)
    }
}

impl Session {
    /// Adds bans: into the store and into the tables, or, when one of them is full, into neither.
    pub(in crate::controller) fn add(
        &mut self,
        controller: &Controller,
        origin: &BanOrigin,
        new: &[(Prefix, BanTerm, &str)],
        settings: Settings,
    ) -> Result<Vec<Added>, Failure> {
        let new: Vec<NewBan<'_>> = new
            .iter()
            .map(|(prefix, term, reason)| NewBan {
                origin,
                prefix: *prefix,
                term: *term,
                reason,
            })
            .collect();
        self.add_all(controller, &new, settings)
    }

    /// The same of several origins.
    pub(super) fn add_all(
        &mut self,
        controller: &Controller,
        new: &[NewBan<'_>],
        settings: Settings,
    ) -> Result<Vec<Added>, Failure> {
        let Self {
            now, store, tables, ..
        } = self;
        let mut marker = Marker::of(controller);
        let mut own = OwnNote::of(controller, new.iter().map(|new| new.origin));
        let added = store.change(now, |change| {
            let over = change.sweep()?;
            let before = change.counts();
            let mut numbers = Numbers::default();
            let mut outcomes = Vec::with_capacity(new.len());
            for new in new {
                let number = numbers.of(change, new.origin)?;
                outcomes.push(change.add(new.prefix, number, new.term, new.reason)?);
            }
            refuse_full(before, change.counts(), settings)?;
            if let Some(tables) = tables {
                marker.set()?;
                lower(change, tables, over.get(..MOST_LOWERED).unwrap_or(&over))?;
                let room = TableDemand::of(new.iter().map(|new| new.prefix));
                tables.make_room(&controller.layout, &room)?;
                for (new, added) in new.iter().zip(&outcomes) {
                    if *added != Added::Known {
                        let end = BanEnd::after(new.term, now);
                        tables.raise(&controller.layout, new.prefix, end)?;
                    }
                }
            }
            let changed = new.iter().zip(&outcomes);
            let changed = changed.filter(|(_, added)| **added != Added::Known);
            own.note(change, changed.map(|(new, _)| (new.origin, new.prefix)))?;
            Ok(outcomes)
        });
        own.announce(added.is_ok());
        self.finish(controller, marker, added)
    }

    /// The tables become as large as many bans need that come next.
    pub(super) fn make_room(
        &mut self,
        controller: &Controller,
        room: &TableDemand,
    ) -> Result<(), Failure> {
        match &mut self.tables {
            Some(tables) => tables.make_room(&controller.layout, room),
            None => Ok(()),
        }
    }

    /// What the kernel sees first knows of many bans that were made.
    pub(super) fn refill_fingerprints(&mut self) {
        if let Some(tables) = &mut self.tables {
            tables.refill_fingerprints();
        }
    }

    /// Removes the bans of an origin; what others have banned stays so.
    pub(in crate::controller) fn remove(
        &mut self,
        controller: &Controller,
        origin: &BanOrigin,
        gone: &[Prefix],
    ) -> Result<(), Failure> {
        let gone: Vec<(&BanOrigin, Prefix)> = gone.iter().map(|gone| (origin, *gone)).collect();
        self.remove_all(controller, &gone, Waive::No)
    }

    /// The same of several origins; what others said is waived, or not.
    pub(super) fn remove_all(
        &mut self,
        controller: &Controller,
        gone: &[(&BanOrigin, Prefix)],
        waive: Waive,
    ) -> Result<(), Failure> {
        let Self {
            now, store, tables, ..
        } = self;
        let mut marker = Marker::of(controller);
        let mut own = OwnNote::of(controller, gone.iter().map(|(origin, _)| *origin));
        let prefixes: Vec<Prefix> = gone.iter().map(|(_, prefix)| *prefix).collect();
        let removed = store.change(now, |change| {
            let mut numbers = Numbers::default();
            for (origin, prefix) in gone {
                let number = numbers.of(change, origin)?;
                change.remove(*prefix, number)?;
                if waive == Waive::Yes && origin.is_received() {
                    change.waive(*prefix, number)?;
                }
            }
            own.note(change, gone.iter().copied())?;
            change.sweep()?;
            marker.set()?;
            match tables {
                Some(tables) if gone.len() > MOST_LOWERED && !is_unbacked(controller) => {
                    tables.replace(&controller.layout, &change.all()?)?;
                }
                Some(tables) => lower(change, tables, &prefixes)?,
                None => {}
            }
            Ok(())
        });
        own.announce(removed.is_ok());
        self.finish(controller, marker, removed)
    }

    /// The tables say again what the store says.
    pub(super) fn rewrite(&mut self, controller: &Controller) -> Result<(), Failure> {
        match &mut self.tables {
            Some(tables) => settle(controller, &self.store, &self.now, tables),
            None => Ok(()),
        }
    }

    /// What is over leaves both.
    pub(super) fn sweep(&mut self, controller: &Controller) -> Result<(), Failure> {
        let Self {
            now, store, tables, ..
        } = self;
        let mut marker = Marker::of(controller);
        let swept = store.change(now, |change| {
            let over = change.sweep()?;
            marker.set()?;
            match tables {
                Some(tables) if over.len() > MOST_LOWERED && !is_unbacked(controller) => {
                    tables.replace(&controller.layout, &change.all()?)?;
                }
                Some(tables) => {
                    lower(change, tables, &over)?;
                    tables.refill_fingerprints();
                }
                None => {}
            }
            Ok(())
        });
        self.finish(controller, marker, swept)
    }

    /// Store and tables say the same when a change has come to an end, whatever it was.
    fn finish<T>(
        &mut self,
        controller: &Controller,
        marker: Marker,
        result: Result<T, Failure>,
    ) -> Result<T, Failure> {
        // What was refused before the tables were touched has changed nothing.
        if result.is_err()
            && marker.is_set
            && let Some(tables) = &mut self.tables
        {
            settle(controller, &self.store, &self.now, tables)?;
        }
        marker.remove();
        result
    }
}

/// Exists while store and tables may differ.
struct Marker {
    path: PathBuf,
    is_set: bool,
}

impl Marker {
    fn of(controller: &Controller) -> Self {
        Self {
            path: controller.layout.unsettled_bans(),
            is_set: false,
        }
    }

    /// From here on they may.
    fn set(&mut self) -> Result<(), Failure> {
        fs::write(&self.path, b"").map_err(|error| from_io(self.path.display(), &error))?;
        self.is_set = true;
        Ok(())
    }

    /// If it stays, the next command compares once more than needed.
    fn remove(self) {
        if self.is_set {
            fs::remove_file(self.path).ok();
        }
    }
}

/// What the tables must say of these prefixes after bans were removed.
fn lower(change: &Change<'_>, tables: &mut BanTables, gone: &[Prefix]) -> Result<(), Trouble> {
    for prefix in gone {
        tables.lower(*prefix, |prefix| change.around(prefix))?;
    }
    Ok(())
}

/// Was the store lost while guard was on? Then the tables hold bans that nothing else knows, and only
/// what somebody lifts leaves them before its end.
fn is_unbacked(controller: &Controller) -> bool {
    controller.layout.unbacked_bans().exists()
}

/// The tables say what the store says.
fn settle(
    controller: &Controller,
    store: &Store,
    now: &Now,
    tables: &mut BanTables,
) -> Result<(), Failure> {
    let all = store.change(now, |change| {
        change.sweep()?;
        Ok(change.all()?)
    })?;
    if is_unbacked(controller) {
        for (prefix, end) in &all {
            tables.raise(&controller.layout, *prefix, *end)?;
        }
    } else {
        tables.replace(&controller.layout, &all)?;
    }
    fs::remove_file(controller.layout.unsettled_bans()).ok();
    Ok(())
}

fn refuse_full(before: BanCounts, counts: BanCounts, settings: Settings) -> Result<(), Failure> {
    let fits = counts.refuse_growth(before, settings.capacity);
    fits.map_err(|overfull| {
        overfull.failure(format!(
            "the table of bans is full: {} {}, at most {}",
            overfull.count, overfull.what, overfull.most
        ))
    })
}

fn quarantined(quarantine: &Quarantine) -> String {
    let copy = match quarantine.copy {
        Some(age) => format!(
            "; its copy from {} s before replaces it (bans lifted since then are back)",
            age.as_secs()
        ),
        None => String::new(),
    };
    let fate = match &quarantine.aside {
        Some(aside) => format!("could not be read and is now {}", aside.display()),
        None => "was gone".to_owned(),
    };
    format!(
        "the store of bans {fate}{copy}; bans in force stay until they end or are lifted, or guard is \
         turned off"
    )
}

pub(in crate::controller) fn now() -> Result<Now, Failure> {
    Now::read().map_err(|error| from_io("cannot read which boot this is", &error))
}

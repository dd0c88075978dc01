//! Many bans, a part at a time: other commands, and the daemon, come in between. Whoever does not find enough room is
//! told before anything is changed.

use std::{thread, time::Duration};

use super::{super::Controller, Session};
use crate::{
    bans::{
        Prefix, Wanted,
        settings::Settings,
        store::{Added, BanCounts, BanOrigin},
        wanted::Named,
    },
    dataplane::bans::TableDemand,
    failure::Failure,
};

/// Bans that are made, and that are lifted, under one lock: a tenth of a second on a slow machine.
const PART: usize = 10_000;
const PART_LIFTED: usize = 2_000;
/// Between two parts, so that whoever waits for the lock gets it.
const PAUSE: Duration = Duration::from_millis(10);

/// A prefix as it takes least: there may be millions.
pub(in crate::controller) type PackedPrefix = [u8; 17];

/// What became of many bans.
#[derive(Debug, Default)]
pub(in crate::controller) struct Gradual {
    pub(in crate::controller) new: u64,
    pub(in crate::controller) longer: u64,
    pub(in crate::controller) known: u64,
    pub(in crate::controller) warnings: Vec<String>,
    pub(in crate::controller) is_active: bool,
}

impl Gradual {
    fn count(&mut self, outcomes: Vec<Added>) {
        for added in outcomes {
            match added {
                Added::New => self.new += 1,
                Added::Longer => self.longer += 1,
                Added::Known => self.known += 1,
            }
        }
    }

    /// What a session has to say, once.
    fn note(&mut self, session: &mut Session) {
        self.is_active = session.tables.is_some();
        for warning in session.warnings.drain(..) {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }
}

impl Controller {
    /// Bans what is wanted, which is settled. `progress` is told how many of how many are done.
    ///
    /// # Errors
    /// Before anything is changed when a table has not enough room; else what the disk and the kernel say, and how far
    /// it came.
    pub(in crate::controller) fn ban_gradually(
        &self,
        origin: &BanOrigin,
        wanted: &Wanted,
        settings: Settings,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Gradual, Failure> {
        let total = wanted.len() as u64;
        let room = TableDemand::of(wanted.prefixes());
        let mut done = Gradual::default();
        let mut session = self.ban_session()?;
        session.refuse_if_full(origin, wanted, settings)?;
        session.make_room(self, &room)?;
        let mut entries = wanted.iter().peekable();
        let mut added = 0;
        loop {
            let part: Vec<Named<'_>> = entries.by_ref().take(PART).collect();
            progress(added, total);
            let outcomes = session.add(self, origin, &part, settings);
            done.count(outcomes.map_err(|failure| with_progress(failure, added, total))?);
            added += part.len() as u64;
            done.note(&mut session);
            if entries.peek().is_none() {
                if total > PART as u64 {
                    session.refill_fingerprints();
                }
                return Ok(done);
            }
            drop(session);
            thread::sleep(PAUSE);
            session = self.ban_session()?;
        }
    }

    /// Lifts the bans of these by an origin.
    ///
    /// # Errors
    /// What the disk and the kernel say.
    pub(in crate::controller) fn unban_gradually(
        &self,
        origin: &BanOrigin,
        gone: &[PackedPrefix],
    ) -> Result<(), Failure> {
        for (number, part) in gone.chunks(PART_LIFTED).enumerate() {
            let part = part.iter().filter_map(|bytes| Prefix::from_bytes(bytes));
            let part: Vec<Prefix> = part.collect();
            if number > 0 {
                thread::sleep(PAUSE);
            }
            self.ban_session()?.remove(self, origin, &part)?;
        }
        Ok(())
    }
}

impl Session {
    /// Is there room for all of this? What is banned by the same origin already needs none.
    fn refuse_if_full(
        &self,
        origin: &BanOrigin,
        wanted: &Wanted,
        settings: Settings,
    ) -> Result<(), Failure> {
        let before = self.store.counts()?;
        let all = before.plus(wanted.counts());
        if all.refuse_growth(before, settings.capacity).is_ok() {
            return Ok(());
        }
        let mut known = BanCounts::default();
        let mut wanted = wanted.prefixes().peekable();
        self.store.each_of(origin, &self.now, |prefix| {
            while wanted.next_if(|wanted| *wanted < prefix).is_some() {}
            if wanted.next_if_eq(&prefix).is_some() {
                known.count(prefix);
            }
        })?;
        let after = all.minus(known);
        let fits = after.refuse_growth(before, settings.capacity);
        fits.map_err(|overfull| {
            overfull.failure(format!(
                "the table of bans is full: {} {}, at most {}; nothing was changed",
                overfull.count, overfull.what, overfull.most
            ))
        })
    }
}

fn with_progress(mut failure: Failure, added: u64, total: u64) -> Failure {
    if added > 0 {
        failure.message = format!(
            "{}; before that, {added} of {total} sources were banned",
            failure.message
        );
    }
    failure
}

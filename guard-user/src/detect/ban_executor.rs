//! From what jails ask for to bans in the kernel: what must not be banned is looked up, the rest is
//! banned, and jails are told what became of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{Observer, Severity, memory::MemoryUpdate};
use crate::{
    bans::{Prefix, store::Added},
    controller::{BanOutcome, Controller, FromStore, JailBan, JailFrame},
    failure::Failure,
    jails::Past,
};

/// For so long it is believed what must not be banned: finding out costs ten milliseconds, which a ban
/// should not wait for, and the never list of the policy in force wins in the kernel all the same.
const FRAME: Duration = Duration::from_secs(10);
/// After so long it is found out again while nothing else is to be done,
const FRAME_AGES: Duration = Duration::from_secs(5);
/// if somebody was to be banned not longer ago than this.
const IN_USE: Duration = Duration::from_secs(60);
/// Bans that are reported one by one; of more at a time there is a number.
const MOST_ANNOUNCED: usize = 20;
/// Refusals that are remembered, so that each is reported once.
const MOST_REFUSALS: usize = 1000;

/// What carries bans out.
#[derive(Debug)]
pub(super) struct BanExecutor {
    controller: Controller,
    frame: Option<(JailFrame, Instant)>,
    used: Option<Instant>,
    refusals: BTreeSet<(Prefix, String)>,
}

/// Where it is written down.
pub(super) struct JailRecords<'b> {
    pub(super) past: &'b mut Past,
    pub(super) update: &'b mut MemoryUpdate,
    pub(super) now_ms: i64,
}

/// What became of what was asked.
#[derive(Debug, Default)]
pub(super) struct Executed {
    /// What is banned now, and was not before.
    pub(super) banned: Vec<JailBan>,
    /// How many were refused, by jail.
    pub(super) refused: BTreeMap<String, u64>,
    /// Why nothing could be banned; it must be asked for again.
    pub(super) problem: Option<String>,
}

impl BanExecutor {
    pub(super) fn new(controller: Controller) -> Self {
        Self {
            controller,
            frame: None,
            used: None,
            refusals: BTreeSet::new(),
        }
    }

    /// What may be banned is asked anew.
    pub(super) fn forget(&mut self) {
        self.frame = None;
        self.refusals.clear();
    }

    /// Bans, notes in `update` what must be remembered, and tells.
    pub(super) fn carry_out(
        &mut self,
        observer: &impl Observer,
        proxies: &[Prefix],
        asked: &[JailBan],
        JailRecords {
            past,
            update,
            now_ms,
        }: JailRecords<'_>,
    ) -> Executed {
        let mut executed = Executed::default();
        let outcomes = match self.decide(proxies, asked) {
            Ok(FromStore { found, warning }) => {
                if let Some(warning) = warning {
                    observer.log(Severity::Error, warning);
                }
                found
            }
            Err(failure) => {
                executed.problem = Some(failure.to_string());
                return executed;
            }
        };
        let mut announced = 0;
        for (JailBan { jail, ban }, outcome) in asked.iter().zip(outcomes) {
            let is_as_asked =
                matches!(&outcome, BanOutcome::Banned(prefix, _) if *prefix == ban.prefix);
            match outcome {
                BanOutcome::Banned(prefix, added) => {
                    update.past.push((ban.prefix, ban.record.clone()));
                    if !is_as_asked {
                        // Not all of the source is shut out, so the rest of it is counted on.
                        let changed = past.lifted(ban.prefix, Some(jail), now_ms);
                        let changed = changed.into_iter().map(|record| (ban.prefix, record));
                        update.past.extend(changed);
                    }
                    if added != Added::Known {
                        executed.banned.push(JailBan {
                            jail: jail.clone(),
                            ban: ban.clone(),
                        });
                    }
                    announced += 1;
                    if announced <= MOST_ANNOUNCED {
                        let whole = if is_as_asked {
                            ""
                        } else {
                            ", and not its network, which contains protected addresses"
                        };
                        let message = format!(
                            "jail {jail}: {prefix} is banned for {} ({} failures, the last of {}{whole})",
                            ban.term, ban.failures, ban.address
                        );
                        observer.log(Severity::Info, message);
                    }
                }
                BanOutcome::Refused(why) => {
                    past.undone(ban.prefix, jail, now_ms);
                    *executed.refused.entry(jail.clone()).or_default() += 1;
                    if self.refusals.len() >= MOST_REFUSALS {
                        self.refusals.clear();
                    }
                    if self.refusals.insert((ban.prefix, jail.clone())) {
                        let message = format!("jail {jail}: not banned: {why}");
                        observer.log(Severity::Warning, message);
                    }
                }
            }
        }
        if announced > MOST_ANNOUNCED {
            let message = format!(
                "jails: {} more sources are banned",
                announced - MOST_ANNOUNCED
            );
            observer.log(Severity::Info, message);
        }
        executed
    }

    /// Finds out what must not be banned before it is asked, while many are.
    pub(super) fn look_ahead(&mut self, proxies: impl FnOnce() -> Vec<Prefix>) {
        let is_used = self.used.is_some_and(|used| used.elapsed() < IN_USE);
        let is_aged = |(_, since): &(JailFrame, Instant)| since.elapsed() >= FRAME_AGES;
        if is_used && self.frame.as_ref().is_some_and(is_aged) {
            // What fails now is reported when somebody is to be banned.
            let frame = self.controller.jail_frame(proxies()).ok();
            self.frame = frame.map(|frame| (frame, Instant::now()));
        }
    }

    fn decide(
        &mut self,
        proxies: &[Prefix],
        asked: &[JailBan],
    ) -> Result<FromStore<Vec<BanOutcome>>, Failure> {
        self.used = Some(Instant::now());
        let is_fresh = |(_, since): &(JailFrame, Instant)| since.elapsed() < FRAME;
        let frame = match self.frame.take().filter(is_fresh) {
            Some(fresh) => fresh,
            None => {
                let frame = self.controller.jail_frame(proxies.iter().copied())?;
                (frame, Instant::now())
            }
        };
        let (frame, _) = self.frame.insert(frame);
        self.controller.ban_for_jails(frame, asked)
    }
}

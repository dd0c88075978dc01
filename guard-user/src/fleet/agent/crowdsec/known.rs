//! The decisions that are known, and what of them the daemon has to hear. A decision holds until its end or its
//! deletion: that it is missing in a list lifts nothing, because a LAPI that fails in the middle of a list looks the same.
//!
//! Memory is bounded by [`MOST`] decisions and as many liftings.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use ipnetwork::IpNetwork;

use super::decisions::{Decision, Listed, Lists, MOST};
use crate::{
    control::fleet::{CROWDSEC, FleetRecord, MOST_ROOM, MOST_SECONDS},
    text::address::show,
};

/// The longest that a record may ask for; longer decisions are said again when half of it is over.
const LONGEST: Duration = Duration::from_secs(MOST_SECONDS as u64);
/// The same decision comes with the same end, less the time that the list took to arrive.
const SAME_END: Duration = Duration::from_secs(120);
/// Bytes of a request that the longest record takes, and some.
const LONGEST_RECORD: usize = 320;
/// Most scopes and types that are counted by name.
const MOST_NAMES: usize = 16;

/// What a pull asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pull {
    /// Everything.
    All,
    /// What has changed since the last one.
    Changes,
}

struct Kept {
    id: u64,
    end: Instant,
    /// The end that the daemon knows, if it knows any.
    said: Option<Instant>,
    is_due: bool,
    reason: Arc<str>,
}

/// All that is known.
#[derive(Default)]
pub(super) struct Known {
    decisions: HashMap<IpNetwork, Kept>,
    due: VecDeque<IpNetwork>,
    lifted: HashMap<IpNetwork, u64>,
    skipped: BTreeMap<String, u64>,
    own: HashSet<IpNetwork>,
    reasons: HashSet<Arc<str>>,
    too_many: u64,
}

impl Known {
    /// What a pull brought, at `now`.
    pub(super) fn take_in(&mut self, pull: Pull, lists: Lists, now: Instant) {
        self.forget_ended(now);
        if pull == Pull::All {
            self.skipped.clear();
            self.own.clear();
            self.too_many = 0;
            self.reasons.retain(|reason| Arc::strong_count(reason) > 1);
        }
        self.too_many += lists.beyond;
        // Some versions write the new ones first, some the deleted: what is in both is in force.
        let in_force: HashSet<IpNetwork> = lists.new.iter().filter_map(Listed::ban).collect();
        for listed in lists.deleted {
            match listed {
                Listed::Ban(decision) => {
                    if !in_force.contains(&decision.prefix) {
                        self.lift(pull, &decision);
                    }
                }
                Listed::Own(prefix) => {
                    self.own.remove(&prefix);
                }
                Listed::Other(what) => {
                    if pull == Pull::Changes {
                        self.count_down(&what);
                    }
                }
            }
        }
        let mut seen = HashSet::new();
        for listed in lists.new {
            match listed {
                Listed::Ban(decision) => {
                    let is_first = seen.insert(decision.prefix);
                    self.learn(pull, is_first, &decision, now);
                }
                Listed::Own(prefix) => {
                    if self.own.len() < MOST {
                        self.own.insert(prefix);
                    }
                }
                Listed::Other(what) => self.count(what),
            }
        }
        self.say_long_ones_again(now);
    }

    fn learn(&mut self, pull: Pull, is_first: bool, decision: &Decision, now: Instant) {
        // Beyond a century nothing changes, and the clock would overflow.
        let left = Duration::from_secs(decision.left.min(100 * 366 * 24 * 3600));
        let end = now + left;
        if left.is_zero() {
            return;
        }
        if let Some(kept) = self.decisions.get_mut(&decision.prefix) {
            let is_same = kept.id == decision.id
                && kept.end.max(end).duration_since(kept.end.min(end)) < SAME_END;
            // Of several in one list, and of what comes beside what is known, the longest counts.
            let is_shorter = end <= kept.end && (pull == Pull::Changes || !is_first);
            if is_same || is_shorter {
                return;
            }
        } else if self.decisions.len() >= MOST {
            self.too_many += 1;
            return;
        }
        let reason = self.reason(&decision.reason);
        let old = self.decisions.remove(&decision.prefix);
        let is_due = old.as_ref().is_some_and(|old| old.is_due);
        // If it was lifted a moment ago, this replaces that.
        self.lifted.remove(&decision.prefix);
        let kept = Kept {
            id: decision.id,
            end,
            said: old.and_then(|old| old.said),
            is_due: true,
            reason,
        };
        self.decisions.insert(decision.prefix, kept);
        if !is_due {
            self.due.push_back(decision.prefix);
        }
    }

    fn lift(&mut self, pull: Pull, decision: &Decision) {
        let Some(kept) = self.decisions.get(&decision.prefix) else {
            return;
        };
        // A list of everything names deletions of long ago, too: those of older decisions than the one that is known.
        if pull == Pull::All && decision.id < kept.id {
            return;
        }
        if kept.said.is_some() && self.lifted.len() < MOST {
            self.lifted.insert(decision.prefix, kept.id);
        }
        self.decisions.remove(&decision.prefix);
    }

    fn forget_ended(&mut self, now: Instant) {
        self.decisions.retain(|_, kept| kept.end > now);
        let decisions = &self.decisions;
        self.due.retain(|prefix| decisions.contains_key(prefix));
    }

    fn say_long_ones_again(&mut self, now: Instant) {
        for (prefix, kept) in &mut self.decisions {
            let is_half_over = |said: Instant| {
                said + SAME_END < kept.end && said.saturating_duration_since(now) < LONGEST / 2
            };
            if !kept.is_due && kept.said.is_some_and(is_half_over) {
                kept.is_due = true;
                self.due.push_back(*prefix);
            }
        }
    }

    fn reason(&mut self, text: &str) -> Arc<str> {
        if let Some(reason) = self.reasons.get(text) {
            return Arc::clone(reason);
        }
        let reason: Arc<str> = Arc::from(text);
        self.reasons.insert(Arc::clone(&reason));
        reason
    }

    fn count(&mut self, what: String) {
        let is_known = self.skipped.contains_key(&what) || self.skipped.len() < MOST_NAMES;
        let name = if is_known { what } else { "others".to_owned() };
        *self.skipped.entry(name).or_default() += 1;
    }

    fn count_down(&mut self, what: &str) {
        if let Some(count) = self.skipped.get_mut(what) {
            *count = count.saturating_sub(1);
        }
    }

    /// Up to `most` records that the daemon has to hear, as many as fit a request. They count as said until [`Self::give_back`].
    pub(super) fn next_records(&mut self, most: usize, now: Instant) -> Vec<FleetRecord> {
        let record = |prefix: &IpNetwork, id: u64, left: u32, reason: &str| FleetRecord {
            by: CROWDSEC.to_owned(),
            prefix: show(prefix),
            id,
            left,
            reason: reason.to_owned(),
        };
        let most_lifted = most.min(MOST_ROOM / LONGEST_RECORD);
        let lifted: Vec<IpNetwork> = self.lifted.keys().take(most_lifted).copied().collect();
        let mut records: Vec<FleetRecord> = Vec::new();
        for prefix in lifted {
            if let Some(id) = self.lifted.remove(&prefix) {
                records.push(record(&prefix, id, 0, "lifted"));
            }
        }
        let bytes: usize = records.iter().map(FleetRecord::bytes).sum();
        let mut room = MOST_ROOM.saturating_sub(bytes);
        while records.len() < most
            && room >= LONGEST_RECORD
            && let Some(prefix) = self.due.pop_front()
        {
            let Some(kept) = self.decisions.get_mut(&prefix).filter(|kept| kept.is_due) else {
                continue;
            };
            kept.is_due = false;
            let left = kept.end.saturating_duration_since(now).min(LONGEST);
            let seconds = u32::try_from(left.as_secs()).unwrap_or(MOST_SECONDS);
            if seconds == 0 {
                continue;
            }
            kept.said = Some(now + left);
            let record = record(&prefix, kept.id, seconds, &kept.reason);
            room = room.saturating_sub(record.bytes());
            records.push(record);
        }
        records
    }

    /// The daemon has not taken these: it may be another one, which knows nothing, so it hears everything again.
    pub(super) fn give_back(&mut self, records: &[FleetRecord]) {
        for record in records.iter().filter(|record| record.left == 0) {
            if let Ok(prefix) = record.prefix.parse::<IpNetwork>()
                && !self.decisions.contains_key(&prefix)
            {
                self.lifted.insert(prefix, record.id);
            }
        }
        self.say_all();
    }

    /// The daemon hears everything again.
    pub(super) fn say_all(&mut self) {
        self.due.clear();
        for (prefix, kept) in &mut self.decisions {
            kept.is_due = true;
            self.due.push_back(*prefix);
        }
    }

    /// Does the LAPI have this host's own ban of it?
    pub(super) fn has_own(&self, prefix: &IpNetwork) -> bool {
        self.own.contains(prefix)
    }

    /// Decisions that hold.
    pub(super) fn count_in_force(&self, now: Instant) -> u64 {
        self.decisions
            .values()
            .filter(|kept| kept.end > now)
            .count() as u64
    }

    /// Decisions that are more than guard-fleet keeps.
    pub(super) fn too_many(&self) -> u64 {
        self.too_many
    }

    /// What is not enforced, by scope.
    pub(super) fn skipped(&self) -> Vec<(String, u64)> {
        let counts = self.skipped.iter().filter(|(_, count)| **count > 0);
        counts.map(|(name, count)| (name.clone(), *count)).collect()
    }
}

impl Listed {
    fn ban(&self) -> Option<IpNetwork> {
        match self {
            Self::Ban(decision) => Some(decision.prefix),
            Self::Own(_) | Self::Other(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;

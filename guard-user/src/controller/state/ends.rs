//! When rules end, by the clock that nobody can set. Noted on disk, so that reloads and restarts move no end, and so
//! that a time of day that is wrong after a reboot lets no rule last longer.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{
    applied::RuleView,
    lock::Lock,
    policy_files::{remove, stage_failure},
};
use crate::{
    controller::Controller,
    failure::{Exit, Failure},
    host::clock,
    layout::Layout,
    ruleset::{
        model::Policy,
        source::Loaded,
        until::{Moments, Until},
    },
    state_file,
    text::{
        diagnostic::{Diagnostic, Position},
        staged::write_state,
    },
};

/// A note that is older than this is written again: after a reboot it says how much was left.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// What is on disk.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct EndsNote {
    /// Of which boot the numbers are.
    boot_id: String,
    /// When it was noted.
    boot_ns: u64,
    /// When rules end; both in nanoseconds since that boot.
    ends: BTreeMap<String, u64>,
}

impl EndsNote {
    fn read(layout: &Layout) -> Option<Self> {
        serde_json::from_slice(&state_file::read(&layout.ends()).ok()?).ok()
    }

    fn write(&self, layout: &Layout) -> Result<(), Failure> {
        let text = serde_json::to_string(self)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        write_state(&layout.ends(), &text).map_err(|error| stage_failure(&error))
    }

    /// The ends as they are on this boot.
    fn known(&self, boot_id: &str, now: &Moments) -> BTreeMap<Until, u64> {
        let ends = self.ends.iter();
        ends.filter_map(|(text, end)| {
            let until = Until::parse(text).ok()?;
            if self.boot_id == boot_id {
                return Some((until, *end));
            }
            // What was left when it was noted, or less by the time of day.
            let left = end.saturating_sub(self.boot_ns);
            Some((until, now.end(until).min(now.boot_ns.saturating_add(left))))
        })
        .collect()
    }
}

/// What the clocks of this host show when rules end.
pub(in crate::controller) fn moments(layout: &Layout) -> Moments {
    let now = now();
    match EndsNote::read(layout) {
        Some(note) => Moments {
            known: note.known(&clock::boot_id(), &now),
            ..now
        },
        None => now,
    }
}

/// The clocks alone.
fn now() -> Moments {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH);
    let wall_ns = wall.map_or(0, |wall| wall.as_nanos());
    Moments {
        boot_ns: clock::boot_time_ns(),
        wall_ns: u64::try_from(wall_ns).unwrap_or(u64::MAX),
        known: BTreeMap::new(),
    }
}

/// Notes the ends of the policy beside those that are known: a rule that is over may still stand in a file.
///
/// # Errors
/// When it cannot be written.
pub(in crate::controller) fn keep(
    layout: &Layout,
    policy: &Policy,
    moments: &Moments,
) -> Result<(), Failure> {
    let of_policy = policy.rules.iter().filter_map(|rule| rule.until);
    let of_policy = of_policy.map(|until| (until, moments.end(until)));
    let known = moments.known.iter().map(|(until, end)| (*until, *end));
    let ends = of_policy.chain(known);
    let ends = ends.map(|(until, end)| (until.to_string(), end)).collect();
    write_changed(layout, moments, ends)
}

/// The same of a policy in which no rule is over: what has passed is forgotten.
///
/// # Errors
/// When it cannot be written.
pub(in crate::controller) fn keep_what_is_to_come(
    layout: &Layout,
    policy: &Policy,
    moments: &Moments,
) -> Result<(), Failure> {
    let mut moments = moments.clone();
    let now = moments.boot_ns;
    moments.known.retain(|_, end| *end > now);
    keep(layout, policy, &moments)
}

fn write_changed(
    layout: &Layout,
    moments: &Moments,
    ends: BTreeMap<String, u64>,
) -> Result<(), Failure> {
    if ends.is_empty() {
        return remove(&layout.ends());
    }
    let boot_id = clock::boot_id();
    let is_fresh = EndsNote::read(layout).is_some_and(|note| {
        let age = moments.boot_ns.saturating_sub(note.boot_ns);
        note.boot_id == boot_id && note.ends == ends && u128::from(age) < NOTED_EVERY.as_nanos()
    });
    if is_fresh {
        return Ok(());
    }
    EndsNote {
        boot_id,
        boot_ns: moments.boot_ns,
        ends,
    }
    .write(layout)
}

/// Notes again how much is left, now and then: after a reboot with a wrong clock that is what counts.
///
/// # Errors
/// When it cannot be written.
pub(in crate::controller) fn renew(layout: &Layout, moments: &Moments) -> Result<(), Failure> {
    let is_stale = |note: &EndsNote| {
        let age = moments.boot_ns.saturating_sub(note.boot_ns);
        u128::from(age) >= NOTED_EVERY.as_nanos()
    };
    if !EndsNote::read(layout).as_ref().is_some_and(is_stale) {
        return Ok(());
    }
    // Whoever has the lock may be writing.
    let Some(_lock) = Lock::wait(layout, Duration::ZERO)? else {
        return Ok(());
    };
    let Some(note) = EndsNote::read(layout) else {
        return Ok(());
    };
    if note.boot_id != clock::boot_id() {
        // Of another boot: the policy that is put in force notes its own.
        return Ok(());
    }
    EndsNote {
        boot_ns: moments.boot_ns,
        ..note
    }
    .write(layout)
}

/// Numbers of the rules that are over, from 1.
pub(in crate::controller) fn over(policy: &Policy, moments: &Moments) -> Vec<usize> {
    let rules = policy.rules.iter().zip(1..);
    rules
        .filter(|(rule, _)| rule.until.is_some_and(|until| moments.is_over(until)))
        .map(|(_, number)| number)
        .collect()
}

impl Controller {
    /// What the clocks show when rules end.
    pub(in crate::controller) fn moments(&self) -> Moments {
        moments(&self.layout)
    }

    /// Warns of rules that are over.
    pub(in crate::controller) fn warn_of_ended(&self, loaded: &mut Loaded) {
        if loaded.policy.rules.iter().all(|rule| rule.until.is_none()) {
            return;
        }
        for number in over(&loaded.policy, &self.moments()) {
            let rule = &loaded.policy.rules[number - 1];
            let (Some(origin), Some(until)) = (&rule.origin, rule.until) else {
                continue;
            };
            let message = format!("rule {number} is over since {until} and matches nothing");
            let at = Position {
                line: origin.line,
                column: 1,
            };
            let warning = Diagnostic::warning(origin.file.clone(), Some(at), message);
            let help = "the daemon removes it, or else the next change by command".to_owned();
            loaded.warnings.push(warning.with_help(Some(help)));
        }
    }

    /// Says of rules how much time is left.
    pub(in crate::controller) fn tell_time_left(&self, rules: &mut [RuleView]) {
        if rules.iter().all(|rule| rule.until.is_none()) {
            return;
        }
        let moments = self.moments();
        for rule in rules {
            rule.tell_time_left(&moments);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NS: u64 = 1_000_000_000;

    fn at(boot_s: u64, wall_s: u64) -> Moments {
        Moments {
            boot_ns: boot_s * NS,
            wall_ns: wall_s * NS,
            known: BTreeMap::new(),
        }
    }

    fn note() -> EndsNote {
        EndsNote {
            boot_id: "one".to_owned(),
            boot_ns: 1000 * NS,
            // Noted at 1 000 000 by the time of day.
            ends: BTreeMap::from([(Until::from_seconds(1_000_600).to_string(), 1600 * NS)]),
        }
    }

    #[test]
    fn an_end_stays_where_it_is_as_long_as_the_host_is_up() {
        for wall_s in [0, 1_000_100, 1_000_100 + 86_400] {
            let known = note().known("one", &at(1100, wall_s));
            assert_eq!(known.into_values().collect::<Vec<_>>(), [1600 * NS]);
        }
    }

    #[test]
    fn after_a_reboot_the_time_of_day_counts_but_lets_nothing_last_longer() {
        for (what, wall_s, end_s) in [
            ("a minute later", 1_000_060, 5 + 540),
            ("a clock that has gone back", 5, 5 + 600),
            ("a day later", 1_000_000 + 86_400, 0),
        ] {
            let known = note().known("two", &at(5, wall_s));
            assert_eq!(
                known.into_values().collect::<Vec<_>>(),
                [end_s * NS],
                "{what}"
            );
        }
    }
}

//! What the daemon does for bans: feeds whose files change, and what is over. Bans end without it.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{drift::Drift, event_log::EventLog};
use crate::{
    control::Level,
    controller::{Controller, Reread},
    failure::Failure,
};

/// Between two looks at the files of feeds.
const LOOK: Duration = Duration::from_secs(2);
/// Between two looks at everything.
const WHOLE: Duration = Duration::from_secs(60);
/// Between two sweeps of what is over.
const SWEEP: Duration = Duration::from_secs(600);

/// When what is due.
#[derive(Debug)]
pub(super) struct BanKeeper {
    next_look: Instant,
    next_whole: Instant,
    next_sweep: Instant,
    next_copy: Instant,
    /// Digest of the policy whose feeds were read.
    digest: Option<u64>,
    drift: Drift,
}

/// What a round has to say.
pub(super) struct BanRound {
    lines: Vec<(Level, String)>,
    problem: Option<Failure>,
}

impl BanRound {
    pub(super) fn log(self, events: &mut EventLog) {
        for (level, line) in self.lines {
            events.log(level, line);
        }
        let problem = self
            .problem
            .map(|failure| (Level::Warning, failure.message));
        events.standing("bans", problem);
    }
}

impl BanKeeper {
    /// `clock` is where the daemon keeps how far the clock of bans was behind.
    pub(super) fn new(clock: PathBuf) -> Self {
        let now = Instant::now();
        Self {
            next_look: now,
            next_whole: now,
            next_sweep: now + SWEEP,
            next_copy: now,
            digest: None,
            drift: Drift::kept(clock),
        }
    }

    fn follow_boot_time(&mut self, controller: &Controller) -> Result<(), Failure> {
        let Some(behind) = controller.ban_clock_behind()? else {
            return Ok(());
        };
        self.drift.follow(behind, || controller.rewrite_bans())
    }

    fn copy(&mut self, controller: &Controller, round: &mut BanRound) {
        let pause = match controller.copy_bans() {
            Ok((pause, warning)) => {
                round
                    .lines
                    .extend(warning.map(|line| (Level::Warning, line)));
                pause
            }
            Err(failure) => {
                round.problem.get_or_insert(failure);
                WHOLE
            }
        };
        self.next_copy = Instant::now() + pause;
    }

    /// Does what is due while the policy with this digest is in force; `None` when nothing is.
    pub(super) fn round(&mut self, controller: &Controller, digest: u64) -> Option<BanRound> {
        let now = Instant::now();
        if now < self.next_look {
            return None;
        }
        self.next_look = now + LOOK;
        let is_due = now >= self.next_whole
            || self.digest != Some(digest)
            || controller.feeds_have_changed();
        let is_sweep = now >= self.next_sweep;
        let is_copy = now >= self.next_copy;
        if !is_due && !is_sweep && !is_copy {
            return None;
        }
        let mut round = BanRound {
            lines: Vec::new(),
            problem: None,
        };
        if is_due {
            self.next_whole = now + WHOLE;
            self.digest = Some(digest);
            match controller.refresh_feeds(Reread::Changed) {
                Ok(feeds) => round.lines.extend(feeds.iter().map(|feed| {
                    let level = match feed.kept_because {
                        Some(_) => Level::Warning,
                        None => Level::Info,
                    };
                    (level, format!("feed {feed}"))
                })),
                Err(failure) => round.problem = Some(failure),
            }
        }
        if is_due && let Err(failure) = self.follow_boot_time(controller) {
            round.problem = Some(failure);
        }
        if is_sweep {
            self.next_sweep = now + SWEEP;
            let swept = controller.sweep_bans();
            round.problem = round.problem.or(swept.err());
        }
        if is_copy {
            self.copy(controller, &mut round);
        }
        Some(round)
    }
}

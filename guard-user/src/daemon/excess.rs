//! Bans of sources that go on above a limit with `on-excess`: a thread that watches what limits drop, only while a rule
//! in force says so. Neither the data path nor the daemon waits for it, and without it the limit drops all the same.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use guard_common::abi::{reason::Reason, service::protocol};

use super::keeper::{DaemonState, locked};
use crate::{
    bans::Prefix,
    control::Level,
    controller::{
        BanOutcome, Controller, ExcessFrame, ExcessRules, ExcessiveSource, Extent, FromStore,
        Sighting, Watch, WatchFilter,
    },
    events::excess::{Allowance, Excess},
    failure::Failure,
};

/// Between two looks at what was seen.
const LOOK: Duration = Duration::from_millis(100);
/// Between two looks at who is too much; the filter wants to hear of the watcher in less than two seconds.
const SLICE: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);
/// Between two attempts to watch.
const RETRY: Duration = Duration::from_secs(5);
/// For so long it is believed what must not be banned, as for jails.
const FRAME: Duration = Duration::from_secs(10);
/// Bans that are reported one by one; of more at a time there is a number.
const MOST_ANNOUNCED: usize = 20;
/// Refusals that are remembered, so that each is reported once.
const MOST_REFUSALS: usize = 1000;

/// The bans, and by which rules they are wanted.
pub(super) struct ExcessBans {
    controller: Controller,
    state: Arc<Mutex<DaemonState>>,
    wanted: Option<ExcessRules>,
    running: Option<Running>,
}

/// Dropped, it ends the thread, which looks some times a second. Nobody waits for that: it may be loading a program.
struct Running {
    _stop: mpsc::Sender<()>,
}

impl ExcessBans {
    pub(super) fn new(controller: Controller, state: Arc<Mutex<DaemonState>>) -> Self {
        Self {
            controller,
            state,
            wanted: None,
            running: None,
        }
    }

    /// Bans by these rules from now on, or nobody.
    pub(super) fn follow(&mut self, wanted: Option<ExcessRules>) {
        if self.wanted == wanted {
            return;
        }
        self.wanted.clone_from(&wanted);
        self.running = None;
        locked(&self.state).events.standing(SUBJECT, None);
        let Some(rules) = wanted else {
            return;
        };
        let (stop, stopped) = mpsc::channel();
        let thread = ExcessThread {
            controller: self.controller.clone(),
            state: Arc::clone(&self.state),
            rules,
            stopped,
        };
        let spawned = thread::Builder::new()
            .name("excess".to_owned())
            .spawn(move || thread.run());
        match spawned {
            Ok(_) => self.running = Some(Running { _stop: stop }),
            Err(error) => {
                let why = format!("{NOBODY}: no thread: {error}");
                let problem = Some((Level::Warning, why));
                locked(&self.state).events.standing(SUBJECT, problem);
            }
        }
    }
}

/// What problems are filed under.
const SUBJECT: &str = "on-excess";
/// What every problem means.
const NOBODY: &str = "who goes on above a limit with on-excess is not banned";

struct ExcessThread {
    controller: Controller,
    state: Arc<Mutex<DaemonState>>,
    rules: ExcessRules,
    stopped: mpsc::Receiver<()>,
}

/// Why the thread ends.
struct Stopped;

impl ExcessThread {
    fn run(&self) {
        let mut bans = ExcessBanner::default();
        loop {
            let problem = match self.watch(&mut bans) {
                Ok(Stopped) => return,
                Err(failure) => failure,
            };
            self.report(Some(&problem));
            if self.wait(RETRY) {
                return;
            }
        }
    }

    /// Bans until it is stopped, or cannot.
    fn watch(&self, bans: &mut ExcessBanner) -> Result<Stopped, Failure> {
        let filter = WatchFilter {
            reasons: vec![Reason::Limited],
            ..WatchFilter::default()
        };
        let watch = self.controller.watch(filter, Extent::Sample)?;
        let mut watch = watch.by_exact_rules();
        self.report(None);
        let mut excess = Excess::default();
        let mut counted = counted_by(&watch);
        let (mut slice, mut second) = (Instant::now(), Instant::now());
        loop {
            // A batch at a time: under a flood the rest is sampled, and waits in a ring of fixed size.
            watch.sightings(|sighting| self.note(&mut excess, sighting));
            if slice.elapsed() >= SLICE {
                let took = slice.elapsed();
                slice = Instant::now();
                watch.tend()?;
                let before = std::mem::replace(&mut counted, counted_by(&watch));
                let dropped = counted.saturating_sub(before);
                let allowance = |(rule, _): (usize, Prefix)| self.allowance(rule);
                let found = excess.end_slice(took, dropped, allowance);
                if !found.is_empty() {
                    let sources: Vec<ExcessiveSource> = found
                        .into_iter()
                        .map(|((rule, prefix), address)| ExcessiveSource {
                            rule,
                            prefix,
                            address,
                        })
                        .collect();
                    let banned = bans.carry_out(self, &sources);
                    self.report(banned.err().as_ref());
                }
            }
            if second.elapsed() >= SECOND {
                second = Instant::now();
                watch.look_around();
            }
            if self.wait(LOOK) {
                return Ok(Stopped);
            }
        }
    }

    /// Only segments that a session vouches for are charged to a limit and dropped by it. A SYN is, too, and anybody can
    /// have sent it.
    fn note(&self, excess: &mut Excess<(usize, Prefix)>, sighting: &Sighting<'_>) {
        if sighting.counted.is_monitored {
            return;
        }
        excess.saw();
        let is_segment = sighting.packet.protocol == Some(protocol::TCP)
            && sighting.packet.ports.is_some()
            && !sighting.packet.flags.contains(&"SYN");
        let (Some(rule), Some(address), true) = (sighting.rule, sighting.packet.source, is_segment)
        else {
            return;
        };
        if self.rules.get(rule).is_some() {
            excess.note((rule, self.rules.source(address)), address);
        }
    }

    fn allowance(&self, rule: usize) -> Option<Allowance> {
        let rule = self.rules.get(rule)?;
        Some(Allowance {
            per_second: f64::from(rule.rate.count) / f64::from(rule.rate.seconds),
            burst: f64::from(rule.burst),
        })
    }

    fn report(&self, problem: Option<&Failure>) {
        let problem =
            problem.map(|why| (Level::Warning, format!("{NOBODY}: {}", why.in_brackets())));
        locked(&self.state).events.standing(SUBJECT, problem);
    }

    /// Waits. Is it over?
    fn wait(&self, most: Duration) -> bool {
        match self.stopped.recv_timeout(most) {
            Err(RecvTimeoutError::Timeout) => false,
            Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
        }
    }
}

/// All that limits have dropped until now.
fn counted_by(watch: &Watch) -> u64 {
    let counted = watch.counted();
    counted
        .get(&(Reason::Limited, false))
        .copied()
        .unwrap_or_default()
}

/// What carries the bans out, and what it has told.
#[derive(Default)]
struct ExcessBanner {
    frame: Option<(ExcessFrame, Instant)>,
    refusals: BTreeSet<Prefix>,
}

impl ExcessBanner {
    fn carry_out(
        &mut self,
        thread: &ExcessThread,
        sources: &[ExcessiveSource],
    ) -> Result<(), Failure> {
        if !thread.controller.are_in_force(&thread.rules)? {
            // The next thread knows the new ones.
            return Ok(());
        }
        let is_fresh = |(_, since): &(ExcessFrame, Instant)| since.elapsed() < FRAME;
        let frame = match self.frame.take().filter(is_fresh) {
            Some(fresh) => fresh,
            None => (thread.controller.excess_frame()?, Instant::now()),
        };
        let (frame, _) = &*self.frame.insert(frame);
        let FromStore { found, warning } =
            thread
                .controller
                .ban_for_excess(frame, &thread.rules, sources)?;
        let log = |level, message| locked(&thread.state).events.log(level, message);
        if let Some(warning) = warning {
            log(Level::Error, warning);
        }
        let mut announced = 0;
        for (source, outcome) in sources.iter().zip(found) {
            let Some(rule) = thread.rules.get(source.rule) else {
                continue;
            };
            let what = format!("limit of rule {} ({})", source.rule, rule.about);
            match outcome {
                BanOutcome::Banned(prefix, _) => {
                    announced += 1;
                    if announced <= MOST_ANNOUNCED {
                        let message = format!(
                            "{what}: {prefix} goes on above packets {}: {} (the last was {})",
                            rule.rate, rule.ban, source.address
                        );
                        log(Level::Info, message);
                    }
                }
                BanOutcome::Refused(why) => {
                    if self.refusals.len() >= MOST_REFUSALS {
                        self.refusals.clear();
                    }
                    if self.refusals.insert(source.prefix) {
                        log(Level::Warning, format!("{what}: not banned: {why}"));
                    }
                }
            }
        }
        if announced > MOST_ANNOUNCED {
            let more = announced - MOST_ANNOUNCED;
            log(
                Level::Info,
                format!("limits: {more} more sources are banned"),
            );
        }
        Ok(())
    }
}

//! Bans of sources that go on above a limit with `on-excess`: a thread that watches what limits drop, only while a rule
//! in force says so. Neither the data path nor the daemon waits for it, and without it the limit drops all the same.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use guard_common::abi::{reason::Reason, service::protocol};

use super::{
    follower::{Daemon, Stopped, Work},
    keeper::locked,
};
use crate::{
    bans::Prefix,
    control::Level,
    controller::{
        BanOutcome, ExcessFrame, ExcessRules, ExcessiveSource, Extent, FromStore, Sighting, Watch,
        WatchFilter,
    },
    events::excess::{Allowance, Excess},
    failure::Failure,
};

/// Between two looks at what was seen.
const LOOK: Duration = Duration::from_millis(100);
/// Between two looks at who is too much; the filter wants to hear of the watcher in less than two seconds.
const SLICE: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);
/// For so long it is believed what must not be banned, as for jails.
const FRAME: Duration = Duration::from_secs(10);
/// Bans that are reported one by one; of more at a time there is a number.
const MOST_ANNOUNCED: usize = 20;
/// Refusals that are remembered, so that each is reported once.
const MOST_REFUSALS: usize = 1000;

/// The bans of sources that go on above the limits of these rules.
pub(super) struct ExcessBans {
    rules: ExcessRules,
    banner: ExcessBanner,
}

impl Work for ExcessBans {
    type Wanted = ExcessRules;
    const NAME: &'static str = "excess";
    const SUBJECT: &'static str = "on-excess";
    const UNDONE: &'static str = "who goes on above a limit with on-excess is not banned";

    fn new(rules: ExcessRules) -> Self {
        Self {
            rules,
            banner: ExcessBanner::default(),
        }
    }

    /// Bans until it is stopped, or cannot.
    fn run(&mut self, daemon: &Daemon) -> Result<Stopped, Failure> {
        let filter = WatchFilter {
            reasons: vec![Reason::Limited],
            ..WatchFilter::default()
        };
        let watch = daemon.controller.watch(filter, Extent::Sample)?;
        let mut watch = watch.by_exact_rules();
        daemon.report(None);
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
                    let banned = self.banner.carry_out(daemon, &self.rules, &sources);
                    daemon.report(banned.err().as_ref());
                }
            }
            if second.elapsed() >= SECOND {
                second = Instant::now();
                watch.look_around();
            }
            if daemon.wait(LOOK) {
                return Ok(Stopped);
            }
        }
    }
}

impl ExcessBans {
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
        daemon: &Daemon,
        rules: &ExcessRules,
        sources: &[ExcessiveSource],
    ) -> Result<(), Failure> {
        if !daemon.controller.are_in_force(rules)? {
            // The next thread knows the new ones.
            return Ok(());
        }
        let is_fresh = |(_, since): &(ExcessFrame, Instant)| since.elapsed() < FRAME;
        let frame = match self.frame.take().filter(is_fresh) {
            Some(fresh) => fresh,
            None => (daemon.controller.excess_frame()?, Instant::now()),
        };
        let (frame, _) = &*self.frame.insert(frame);
        let FromStore { found, warning } =
            daemon.controller.ban_for_excess(frame, rules, sources)?;
        let log = |level, message| locked(&daemon.state).events.log(level, message);
        if let Some(warning) = warning {
            log(Level::Error, warning);
        }
        let mut announced = 0;
        for (source, outcome) in sources.iter().zip(found) {
            let Some(rule) = rules.get(source.rule) else {
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

//! What happens at this moment, for whoever looks every second: `top` and the web page.
//!
//! A [`Snapshot`] is what was so at one moment, and [`Snapshot::since`] makes [`Rates`] of two. [`Live`] takes them,
//! and adds what one second does not show: sources, from a sample of the packets, and the last minute of each port.
//! Nothing here changes anything, and it works without the daemon.

mod history;
mod rates;
mod snapshot;
mod sources;
mod space_saving;

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use guard_common::abi::{reason::Reason, service::Service};

use crate::{
    bans::{
        BanTerm, Prefix,
        store::{BanRow, Now},
    },
    controller::{
        BanPeek, Controller, Extent, RunTimes, Traffic, TrafficCounters, Watch, WatchFilter,
    },
    failure::{Exit, Failure},
    text::value::plain,
};
use history::Histories;
pub use rates::{
    BanLeft, BansNow, Connections, CpuShare, History, InterfaceState, PendingChange, PortRates,
    Rate, Rates, ReasonRates, SourceRates, SourceState, Totals,
};
pub use snapshot::Snapshot;
use sources::{Interval, Sources};

/// Between two looks at the store of bans, at least.
const BANS_PAUSE: Duration = Duration::from_secs(5);
/// So many times as long as a look took is the pause behind it: reading a large store takes half a percent of a CPU.
const BANS_SHARE: u32 = 200;
/// Bans that are shown.
const SOONEST: usize = 20;
/// Sources that are shown.
const MOST_SOURCES: usize = 50;
/// Between two attempts to watch packets, where it was not possible.
const WATCH_PAUSE: Duration = Duration::from_secs(10);
/// How often the filter hears that somebody watches.
const TEND: Duration = Duration::from_millis(200);
/// How often names of interfaces and the like are read again.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// Follows a firewall, also while it is off.
pub struct Live {
    controller: Controller,
    counters: Option<TrafficCounters>,
    run_times: RunTimes,
    watching: Watching,
    interval: Interval,
    sources: Sources,
    histories: Histories,
    main_reasons: BTreeMap<Service, Reason>,
    bans: Bans,
    before: Option<Snapshot>,
}

/// Packets that are reported, if they are.
#[derive(Default)]
struct Watching {
    watch: Option<Watch>,
    /// Why not.
    note: Option<String>,
    tried: Option<Instant>,
    tended: Option<Instant>,
    looked: Option<Instant>,
    lost: u64,
    /// Packets by reason when the last slice ended.
    counted: HashMap<(Reason, bool), u64>,
}

/// What is known of the bans.
#[derive(Default)]
struct Bans {
    peek: Option<BanPeek>,
    next: Option<Instant>,
}

impl Live {
    /// Begins to follow the firewall of this controller. One that is off is waited for.
    #[must_use]
    pub fn begin(controller: Controller) -> Self {
        let mut live = Self {
            run_times: controller.run_times(),
            controller,
            counters: None,
            watching: Watching::default(),
            interval: Interval::default(),
            sources: Sources::default(),
            histories: Histories::default(),
            main_reasons: BTreeMap::new(),
            bans: Bans::default(),
            before: None,
        };
        live.watching.begin(&live.controller);
        live
    }

    /// Takes note of what was reported meanwhile; to be called some times a second.
    pub fn look(&mut self) {
        self.watching.look(&self.controller, &mut self.interval);
    }

    /// The rates since the last time; `None` the first time, for there is nothing to compare with. To be called once
    /// a second.
    ///
    /// # Errors
    /// When the maps of the firewall cannot be read, exit 4 or 11.
    pub fn tick(&mut self) -> Result<Option<Rates>, Failure> {
        self.look();
        self.watching.end_slice(&mut self.interval);
        let snapshot = self.snapshot()?;
        let interval = std::mem::take(&mut self.interval);
        let Some(before) = self.before.replace(snapshot) else {
            return Ok(None);
        };
        let Some(now) = &self.before else {
            return Ok(None);
        };
        let mut rates = now.since(&before);
        self.main_reasons.extend(interval.main_reasons());
        self.sources.add(&interval, rates.seconds);
        let bans = self.bans.peek.as_ref();
        rates.sources = self.sources.top(MOST_SOURCES, |source| {
            let of = bans.iter().flat_map(|bans| &bans.of_sources);
            of.filter(|ban| ban.prefix == source)
                .max_by_key(|ban| ban.end)
                .zip(bans)
                .map(|(ban, bans)| ban.end.left(&bans.now))
        });
        self.histories.add(&mut rates);
        for port in &mut rates.ports {
            port.main_reason = self.main_reasons.get(&port.service).map(|of| of.label());
        }
        self.main_reasons
            .retain(|service, _| self.histories.knows(*service));
        Ok(Some(rates))
    }

    /// The bans have changed: they are read again the next time.
    pub fn bans_have_changed(&mut self) {
        self.bans.next = None;
    }

    fn snapshot(&mut self) -> Result<Snapshot, Failure> {
        let traffic = self.traffic()?;
        let in_force = self.counters.as_ref().filter(|_| traffic.is_some());
        let sources: Vec<Prefix> = self.sources.busiest(MOST_SOURCES);
        self.bans.look(&self.controller, &sources)?;
        let mut notes: Vec<String> = self.watching.notes();
        if self.bans.peek.as_ref().is_some_and(|peek| peek.is_partial) {
            notes.push(
                "there are too many bans to look at all of them for the next to end".to_owned(),
            );
        }
        Ok(Snapshot {
            generation: in_force.map_or(0, TrafficCounters::generation),
            pending: in_force.and_then(TrafficCounters::pending),
            interfaces: match traffic {
                Some(_) => self.controller.interfaces_now()?,
                None => Vec::new(),
            },
            run_time: self.run_times.read(),
            bans: self.bans.now(),
            traffic,
            notes,
            taken: Instant::now(),
        })
    }

    /// The counters; `None` while guard is off.
    fn traffic(&mut self) -> Result<Option<Traffic>, Failure> {
        let read = |counters: &mut Option<TrafficCounters>, controller: &Controller| {
            let counters = match counters {
                Some(counters) => counters,
                None => counters.insert(controller.traffic()?),
            };
            counters.count()
        };
        match read(&mut self.counters, &self.controller) {
            Ok(traffic) => Ok(Some(traffic)),
            Err(failure) if failure.exit == Exit::Inactive => {
                self.counters = None;
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }
}

impl Watching {
    fn begin(&mut self, controller: &Controller) {
        self.tried = Some(Instant::now());
        match controller.watch(WatchFilter::default(), Extent::Sample) {
            Ok(watch) => {
                self.lost = watch.loss().lost;
                self.counted = watch.counted();
                self.watch = Some(watch.without_rules());
                self.note = None;
            }
            Err(failure) => {
                let why = failure.message.lines().next().unwrap_or_default();
                self.note = Some(format!("no sources and main reasons: {}", plain(why)));
            }
        }
    }

    fn look(&mut self, controller: &Controller, interval: &mut Interval) {
        let Some(watch) = &mut self.watch else {
            if is_over(self.tried, WATCH_PAUSE) {
                self.begin(controller);
            }
            return;
        };
        while !watch.sightings(|sighting| interval.note(&sighting.counted, sighting.source())) {}
        if is_over(self.tended, TEND) {
            self.tended = Some(Instant::now());
            if let Err(failure) = watch.tend() {
                self.note = Some(format!(
                    "no sources and main reasons: {}",
                    plain(&failure.message)
                ));
                self.watch = None;
                return;
            }
            self.end_slice(interval);
        }
        let Some(watch) = &mut self.watch else { return };
        if is_over(self.looked, LOOK_AROUND) {
            self.looked = Some(Instant::now());
            watch.look_around();
        }
    }

    /// What was reported since the last slice, by what was counted since.
    fn end_slice(&mut self, interval: &mut Interval) {
        let Some(watch) = &self.watch else { return };
        let now = watch.counted();
        let before = std::mem::replace(&mut self.counted, now);
        interval.end_slice(|reason, is_monitored| {
            let of = |counted: &HashMap<(Reason, bool), u64>| {
                let packets = counted.get(&(reason, is_monitored));
                packets.copied().unwrap_or_default()
            };
            of(&self.counted).saturating_sub(of(&before))
        });
    }

    fn notes(&mut self) -> Vec<String> {
        let mut notes: Vec<String> = self.note.iter().cloned().collect();
        if let Some(watch) = &self.watch {
            let lost = watch.loss().lost;
            let more = lost.saturating_sub(self.lost);
            self.lost = lost;
            if more > 0 {
                notes.push(format!(
                    "{more} reports of packets were lost: more came than could be read"
                ));
            }
        }
        notes
    }
}

impl Bans {
    fn look(&mut self, controller: &Controller, sources: &[Prefix]) -> Result<(), Failure> {
        let begin = Instant::now();
        if self.next.is_some_and(|next| begin < next) {
            return Ok(());
        }
        // Somebody writes at this moment: what was so before is near enough.
        if let Some(peek) = controller.peek_bans(SOONEST, sources)? {
            self.peek = Some(peek);
        }
        self.next = Some(begin + BANS_PAUSE.max(begin.elapsed() * BANS_SHARE));
        Ok(())
    }

    fn now(&self) -> BansNow {
        let Some(peek) = &self.peek else {
            return BansNow::default();
        };
        let passed = Now::read().map_or(0, |now| now.boot_ms.saturating_sub(peek.now.boot_ms));
        let soonest = peek.soonest.iter();
        BansNow {
            number: peek.number,
            soonest: soonest
                .filter_map(|ban| BanLeft::of(ban, &peek.now, passed))
                .collect(),
        }
    }
}

impl BanLeft {
    /// What is left of a ban, so many milliseconds after it was looked at; `None` when it is over.
    fn of(ban: &BanRow, then: &Now, passed_ms: u64) -> Option<Self> {
        let seconds_left = match ban.end.left(then) {
            BanTerm::For(left) => {
                let left = left.checked_sub(Duration::from_millis(passed_ms))?;
                Some(left.as_millis().div_ceil(1000) as u64)
            }
            BanTerm::Permanent => None,
        };
        Some(Self {
            source: ban.prefix.to_string(),
            seconds_left,
            origin: plain(&ban.origin.name()),
            reason: plain(&ban.reason),
        })
    }
}

fn is_over(since: Option<Instant>, pause: Duration) -> bool {
    since.is_none_or(|since| since.elapsed() >= pause)
}

//! Dropped packets into the log of the system, if the policy wants that: a thread that watches as `guardctl monitor`
//! does, so that neither the data path nor the daemon waits for a log.

use std::time::{Duration, Instant};

use guard_common::abi::reason::{Action, Reason};

use super::{
    follower::{Daemon, Stopped, Work},
    journal::LogSink,
    keeper::locked,
};
use crate::{
    controller::{Extent, Watch, WatchFilter},
    events::drop_log::{Admittance, Dropped},
    failure::Failure,
    host::clock::boot_time_ns,
    ruleset::drop_log::DropLog,
};

/// Between two looks at what was seen.
const LOOK: Duration = Duration::from_millis(100);
/// The filter wants to hear of the watcher in less than two seconds.
const TEND: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);
/// Between two lines about how much was left out.
const LEFT_OUT: Duration = Duration::from_secs(60);

/// The lines that become of sightings.
pub(super) struct DropLines {
    admittance: Admittance,
    sink: Option<LogSink>,
    since: Instant,
    left_out: u64,
}

impl Work for DropLines {
    type Wanted = DropLog;
    const NAME: &'static str = "drop-log";
    const SUBJECT: &'static str = "drop log";
    const UNDONE: &'static str = "dropped packets are not logged";

    fn new(log: DropLog) -> Self {
        let rate = log.rate;
        Self {
            admittance: Admittance::new(f64::from(rate.count) / f64::from(rate.seconds)),
            sink: None,
            since: Instant::now(),
            left_out: 0,
        }
    }

    /// Logs until it is stopped, or cannot.
    fn run(&mut self, daemon: &Daemon) -> Result<Stopped, Failure> {
        let reasons = Reason::ALL.iter().copied();
        let filter = WatchFilter {
            reasons: reasons
                .filter(|reason| matches!(reason.action(), Action::Drop))
                .collect(),
            ..WatchFilter::default()
        };
        let mut watch = daemon.controller.watch(filter, Extent::Sample)?;
        self.begin()?;
        daemon.report(None);
        let begin = Instant::now();
        let (mut tended, mut second, mut lost_before) = (begin, begin, 0);
        loop {
            self.look(&mut watch)?;
            if tended.elapsed() >= TEND {
                tended = Instant::now();
                watch.tend()?;
            }
            if second.elapsed() >= SECOND {
                second = Instant::now();
                watch.look_around();
                let lost = watch.loss().lost;
                locked(&daemon.state).report.events_lost += lost.saturating_sub(lost_before);
                lost_before = lost;
            }
            if daemon.wait(LOOK) {
                return Ok(Stopped);
            }
        }
    }
}

impl DropLines {
    fn begin(&mut self) -> Result<(), Failure> {
        let sink = LogSink::of_this_process();
        self.sink = Some(sink.map_err(|error| crate::failure::from_io("the journal", &error))?);
        Ok(())
    }

    /// Writes what is new.
    fn look(&mut self, watch: &mut Watch) -> Result<(), Failure> {
        let now = Duration::from_nanos(boot_time_ns());
        let (admittance, mut lines) = (&mut self.admittance, Vec::new());
        watch.sightings(|sighting| {
            let counted = &sighting.counted;
            let source = sighting.source();
            if admittance.admits(now, source, counted.service, counted.reason) {
                let dropped = Dropped {
                    reason: counted.reason,
                    action: counted.action,
                    service: counted.service,
                    interface: String::new(),
                    frame_len: sighting.frame_len,
                    packet: sighting.packet.clone(),
                    rule: sighting.rule,
                };
                lines.push((sighting.ifindex, dropped));
            }
        });
        for (ifindex, mut dropped) in lines {
            dropped.interface = watch.interface(ifindex);
            self.write(&dropped.to_string(), &dropped.fields());
        }
        self.left_out += self.admittance.left_out();
        if self.left_out > 0 && self.since.elapsed() >= LEFT_OUT {
            self.since = Instant::now();
            let count = std::mem::take(&mut self.left_out);
            let line = format!(
                "[GUARD] {count} more dropped packets of other sources or ports were seen, above the rate of [log]"
            );
            self.write(&line, &[("GUARD_LEFT_OUT", count.to_string())]);
        }
        Ok(())
    }

    /// A journal that takes nothing costs lines, not the watch.
    fn write(&mut self, line: &str, fields: &[(&'static str, String)]) {
        if let Some(sink) = &self.sink
            && sink.write(line, fields).is_err()
        {
            self.left_out += 1;
        }
    }
}

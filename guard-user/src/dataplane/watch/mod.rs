//! Watching: packets that the filter reports as it counts them.
//!
//! A watcher holds a place among those who watch, an object of its own, and the ring that its program writes to. It
//! must be tended some times a second; one that is not, because it was killed, is forgotten by the filter after two
//! seconds.

mod object;
mod trace;
mod words;

use std::os::unix::fs::MetadataExt as _;

use aya::maps::{MapData, RingBuf};
use guard_common::abi::{names, record::Counted, watch::EventHeader};

use super::{object::answer::can_jump, pins, preflight};
use crate::{
    failure::{Exit, Failure},
    layout::Layout,
};
use words::{Seat, Words};

use object::Reporter;
pub use object::{Loss, Settings, try_to_load};
pub use trace::{Traced, Tracer};
pub use words::Masks;

/// Windows' worth of events between two times that a watcher is tended, below which its sample becomes denser: a
/// quarter of what one CPU may report in 200 ms.
const QUIET: u64 = 12;

/// A packet that was reported.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Boot time in ns.
    pub boot_ns: u64,
    /// What it was counted as; `None` for a reason of another version.
    pub counted: Option<Counted>,
    /// Length of the frame in bytes.
    pub frame_len: u32,
    /// The interface that it came by.
    pub ifindex: u32,
    /// The queue of that interface.
    pub queue: u32,
    /// Its first bytes; of a packet that was answered, the answer's.
    pub bytes: &'a [u8],
}

/// Somebody who watches.
pub struct Watcher {
    layout: Layout,
    wanted: Masks,
    settings: Settings,
    kind: ReportKind,
    /// The samples that its program went over to.
    masks: Masks,
    place: Seat,
    running: Option<Running>,
    /// Of firewalls that are gone.
    before: Loss,
    /// Events since the watcher was tended last.
    events: u64,
}

/// What ties a watcher to the firewall that runs.
struct Running {
    words: Words,
    reports: Reports,
    reporter: Reporter,
    pin: u64,
}

/// What the program writes.
enum Reports {
    /// Packets, into a ring.
    Ring(RingBuf<MapData>),
    /// Lines of log.
    Log(Tracer),
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// Packets.
    Packets,
    /// Lines of log.
    Lines,
}

impl Watcher {
    /// Begins to watch.
    ///
    /// # Errors
    /// Exit 3 when guard is not active, 4 without root, 9 where the kernel cannot, 1 when all places are taken.
    pub fn begin(
        layout: &Layout,
        wanted: Masks,
        settings: Settings,
        kind: ReportKind,
    ) -> Result<Self, Failure> {
        preflight::may_load()?;
        may_watch(layout)?;
        let mut watcher = Self {
            layout: layout.clone(),
            masks: wanted.clone(),
            wanted,
            settings,
            kind,
            place: Seat::take(layout)?,
            running: None,
            before: Loss::default(),
            events: 0,
        };
        watcher.running = Some(watcher.tie()?);
        Ok(watcher)
    }

    fn tie(&self) -> Result<Running, Failure> {
        let place = self.place.number;
        let (reporter, reports) = match self.kind {
            ReportKind::Packets => {
                let mut reporter = Reporter::load(&self.layout, place, &self.settings)?;
                let ring = reporter.ring()?;
                (reporter, Reports::Ring(ring))
            }
            ReportKind::Lines => {
                let mut reporter = Reporter::load_trace(&self.layout, place, &self.settings)?;
                let log = Tracer::of(reporter.ebpf())?;
                (reporter, Reports::Log(log))
            }
        };
        let mut words = Words::open(&self.layout)?;
        words.set(&self.layout, &self.place, &self.masks)?;
        Ok(Running {
            words,
            reports,
            reporter,
            pin: pin_number(&self.layout).unwrap_or_default(),
        })
    }

    /// Says that it is still there; to be called some times a second. `false` while guard is off: it goes on when
    /// guard is on again.
    ///
    /// # Errors
    /// As [`Watcher::begin`], when another firewall has taken the place of the one that was watched.
    pub fn tend(&mut self) -> Result<bool, Failure> {
        let pin = pin_number(&self.layout);
        if let Some(running) = self.running.take_if(|running| Some(running.pin) != pin) {
            let loss = running.reporter.loss();
            self.before.due += loss.due;
            self.before.lost += loss.lost;
            self.masks.clone_from(&self.wanted);
        }
        if pin.is_none() {
            return Ok(false);
        }
        let Some(running) = &mut self.running else {
            self.running = Some(self.tie()?);
            return Ok(true);
        };
        let mut masks =
            running
                .words
                .renew(&self.layout, &self.place, &self.wanted, &self.masks)?;
        if self.events < u64::from(self.settings.budget) * QUIET && masks != self.wanted {
            // It has become quiet: a denser sample again.
            for (row, mask) in &mut masks {
                *mask = (*mask >> 1).max(self.wanted.get(row).copied().unwrap_or_default());
            }
            running.words.set(&self.layout, &self.place, &masks)?;
        }
        self.masks = masks;
        self.events = 0;
        Ok(true)
    }

    /// Hands over what was reported since the last time, but for `most` of it that comes first: `false` if there is
    /// more.
    pub fn events(&mut self, most: usize, mut each: impl FnMut(Event<'_>)) -> bool {
        let Some(Running {
            reports: Reports::Ring(ring),
            ..
        }) = &mut self.running
        else {
            return true;
        };
        for _ in 0..most {
            let Some(item) = ring.next() else {
                return true;
            };
            self.events += 1;
            let Some((header, bytes)) = EventHeader::read(&item) else {
                continue;
            };
            each(Event {
                boot_ns: header.boot_ns,
                counted: Counted::of(header.record),
                frame_len: header.frame_len,
                ifindex: header.ifindex,
                queue: header.queue,
                bytes,
            });
        }
        false
    }

    /// Hands over the lines since the last time, of one who traces.
    pub fn lines(&mut self, each: impl FnMut(Traced)) {
        if let Some(Running {
            reports: Reports::Log(log),
            ..
        }) = &mut self.running
        {
            self.events += log.lines(each);
        }
    }

    /// Packets that were due since the beginning, and those that were lost.
    #[must_use]
    pub fn loss(&self) -> Loss {
        let now = self
            .running
            .as_ref()
            .map_or_else(Loss::default, |running| running.reporter.loss());
        Loss {
            due: self.before.due + now.due,
            lost: self.before.lost + now.lost,
        }
    }

    /// Ends watching; what was reported until then can still be read.
    pub fn stop(&mut self) {
        if let Some(running) = &mut self.running {
            // The firewall may be gone.
            running.words.leave(&self.layout, &self.place).ok();
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop();
    }
}

fn may_watch(layout: &Layout) -> Result<(), Failure> {
    if pins::open(layout)?.is_none() {
        return Err(Failure::new(Exit::Inactive, "guard is not active")
            .help("`guardctl enable` turns it on"));
    }
    if !can_jump() {
        return Err(Failure::new(
            Exit::Unsupported,
            "this kernel lets no program jump to another one, by which packets are reported",
        )
        .help("Linux 6.0 or newer on arm64; `guardctl stats` counts all the same"));
    }
    if layout.maps().join(names::WATCH_PIN).exists() {
        return Ok(());
    }
    let what = "the program that runs is of an earlier version, which reports nothing";
    Err(Failure::new(Exit::AbiMismatch, what)
        .help("`guardctl load --new-program` puts this version's in its place, without a gap"))
}

/// Tells firewalls apart: one that was off and on again has other maps.
fn pin_number(layout: &Layout) -> Option<u64> {
    let pin = layout.maps().join(names::WATCH_PIN);
    pin.metadata().ok().map(|metadata| metadata.ino())
}

//! What a packet costs while nobody watches, while a sample is reported, and while every packet is.
//!
//! The maps of the benchmark's object are pinned as an instance's are, and a real watcher watches them; another
//! thread reads what is reported, as guardctl does.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use aya::{Ebpf, maps::Map};
use guard_common::abi::{names, watch::rows_of_interest};
use guard_user::{
    dataplane::watch::{Loss, Masks, ReportKind, Settings, Watcher},
    failure::Failure,
    layout::Layout,
    ruleset::compile::{Host, Stamp, compile},
};
use serde_json::{Value, json};

use super::{
    cpus::thread_time,
    measure::{BARE, GUARD, Gate, XDP_DROP, XDP_PASS, run},
    rows::{self, Case},
    series::Series,
};
use crate::lab::{Folder, mount_bpffs, unmount_bpffs};

/// How long the reader waits between two looks, as guardctl does.
const LOOK: Duration = Duration::from_millis(20);
const TEND: Duration = Duration::from_millis(200);
/// Packets that fit the ring of a capture, at its usual length of each: a packet that is lost costs less than one that
/// is written.
const FIT: u32 = 50_000;
/// Pieces of so many in a round.
const PIECES: u32 = 4;

/// What the numbers are.
pub const EXPLANATION: &str = "ns per packet, the lowest of all rounds. \"left out\": guard without the question whether somebody watches. \
     \"a sample\": at the budget of\n`guardctl monitor`, 8 events per CPU and 4 ms. \"every packet\": as `guardctl capture` \
     has it, with 256 bytes of each at most,\nand none of them lost: that would cost less.";

/// A row.
#[derive(Clone, Debug)]
pub struct Watched {
    name: &'static str,
    bare: Series,
    left_out: Series,
    idle: Series,
    sample: Series,
    every: Series,
    /// Share of a CPU that the reader of the sample used.
    reader: f64,
    /// Of the capture of every packet.
    loss: Loss,
}

impl Watched {
    /// For people.
    #[must_use]
    pub fn line(&self) -> String {
        let base = self.left_out.min();
        let percent = |series: &Series| (series.min() / base - 1.0) * 100.0;
        format!(
            "{:<44} bare {:>5.1}  left out {:>6.1}  unwatched {:>6.1} ({:+.1} %)  a sample {:>6.1} ({:+.1} %)  \
             every packet {:>6.1} (+{:.0} ns)  reader {:.1} %  {} of {} lost",
            self.name,
            self.bare.min(),
            base,
            self.idle.min(),
            percent(&self.idle),
            self.sample.min(),
            percent(&self.sample),
            self.every.min(),
            self.every.min() - base,
            self.reader * 100.0,
            self.loss.lost,
            self.loss.due,
        )
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "name": self.name,
            "ns": {
                "bare_drop": self.bare.json(),
                "left_out": self.left_out.json(),
                "unwatched": self.idle.json(),
                "sample": self.sample.json(),
                "every_packet": self.every.json(),
            },
            "reader_cpu": self.reader,
            "due": self.loss.due,
            "lost": self.loss.lost,
        })
    }
}

/// Rows of part a that drop, from the cheapest on.
#[must_use]
pub fn cases() -> Vec<Case> {
    let all = rows::GROUPS.iter().flat_map(|group| {
        let dropped = (group.rows)().into_iter().filter(|case| !case.passes);
        // The first of each subject.
        dropped.take(1)
    });
    all.collect()
}

/// Measures one, all of it in the same rounds.
///
/// # Errors
/// When the kernel refuses a program, or a packet meets another verdict than the row says.
pub fn measure(case: &Case, rounds: usize, packets: u32) -> Result<Watched> {
    let host = Host {
        own: vec!["192.0.2.1".parse()?],
        ..Host::default()
    };
    let image = compile(&case.policy, &host, Stamp::default())?;
    let mut without = case.load(&image.words, Gate::LeftOut)?;
    let mut object = case.load(&image.words, Gate::Built)?;
    let pinned = Pinned::new(&object)?;
    let expected = if case.passes { XDP_PASS } else { XDP_DROP };
    let mut row = Watched {
        name: case.name,
        bare: Series::default(),
        left_out: Series::default(),
        idle: Series::default(),
        sample: Series::default(),
        every: Series::default(),
        reader: 0.0,
        loss: Loss::default(),
    };
    let settings = |budget, ring| Settings {
        snap: 256,
        budget,
        services: Vec::new(),
        ring,
    };
    for round in 0..=rounds {
        let bare = run(&mut object, BARE, &case.frame, packets, XDP_DROP)?;
        let left_out = run(&mut without, GUARD, &case.frame, packets, expected)?;
        let idle = run(&mut object, GUARD, &case.frame, packets, expected)?;
        let mut watched = |settings| -> Result<(f64, f64, Loss)> {
            let watcher = pinned.watcher(settings)?;
            read_while(watcher, || {
                // Until the sample is as sparse as it becomes.
                run(&mut object, GUARD, &case.frame, packets, expected)?;
                run(&mut object, GUARD, &case.frame, packets, expected)
            })
        };
        let (sample, reader, _) = watched(settings(8, 1 << 20))?;
        let watcher = pinned.watcher(settings(0, 1 << 24))?;
        let (every, _, loss) = read_while(watcher, || {
            let mut least = f64::INFINITY;
            for _ in 0..PIECES {
                let packets = packets.min(FIT);
                let took = run(&mut object, GUARD, &case.frame, packets, expected)?;
                least = least.min(took);
                // Until all of it has been read.
                thread::sleep(2 * LOOK);
            }
            Ok(least)
        })?;
        // The first round warms caches and clocks and does not count.
        if round > 0 {
            for (series, value) in [
                (&mut row.bare, bare),
                (&mut row.left_out, left_out),
                (&mut row.idle, idle),
                (&mut row.sample, sample),
                (&mut row.every, every),
            ] {
                series.push(value);
            }
            row.reader = row.reader.max(reader);
            row.loss.due += loss.due;
            row.loss.lost += loss.lost;
        }
    }
    Ok(row)
}

/// Runs something while another thread reads what is reported: what came of it, the share of a CPU that reading took,
/// and what was lost.
fn read_while(watcher: Watcher, work: impl FnOnce() -> Result<f64>) -> Result<(f64, f64, Loss)> {
    let is_over = AtomicBool::new(false);
    let watcher = Mutex::new(watcher);
    thread::scope(|scope| {
        let reading = scope.spawn(|| -> Result<(f64, Loss)> {
            let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
            let (begin, mut tended, mut bytes) = (Instant::now(), Instant::now(), 0);
            while !is_over.load(Ordering::Relaxed) {
                let is_all = watcher.events(4096, |event| bytes += event.bytes.len());
                if tended.elapsed() >= TEND {
                    tended = Instant::now();
                    watcher.tend().map_err(in_words)?;
                }
                if is_all {
                    thread::sleep(LOOK);
                }
            }
            std::hint::black_box(bytes);
            let share = thread_time().as_secs_f64() / begin.elapsed().as_secs_f64();
            Ok((share, watcher.loss()))
        });
        let took = work();
        is_over.store(true, Ordering::Relaxed);
        let (share, loss) = reading
            .join()
            .map_err(|_| anyhow!("the reader panicked"))??;
        Ok((took?, share, loss))
    })
}

fn in_words(failure: Failure) -> anyhow::Error {
    anyhow!("{failure}")
}

/// The maps of an object, pinned where an instance has them.
struct Pinned {
    folder: Folder,
    layout: Layout,
}

impl Pinned {
    fn new(object: &Ebpf) -> Result<Self> {
        let folder = Folder::new();
        let path = |name: &str| -> Result<std::path::PathBuf> {
            let path = folder.join(name);
            std::fs::create_dir(&path)?;
            Ok(path)
        };
        let bpffs = path("bpf")?;
        mount_bpffs(&bpffs);
        let layout = Layout {
            etc: path("etc")?,
            state: path("state")?,
            run: path("run")?,
            bpffs,
            ..Layout::from_environment()
        };
        let pinned = Self { folder, layout };
        std::fs::create_dir_all(pinned.layout.maps())?;
        let maps = names::MAPS.into_iter().map(|name| (name, name));
        for (name, pin) in maps.chain(names::BETWEEN_PROGRAMS) {
            let map = object.map(name).with_context(|| format!("no map {name}"))?;
            let (Map::Array(map) | Map::PerCpuArray(map) | Map::ProgramArray(map)) = map else {
                anyhow::bail!("{name} is no array");
            };
            map.pin(pinned.layout.maps().join(pin))?;
        }
        Ok(pinned)
    }

    fn watcher(&self, settings: Settings) -> Result<Watcher> {
        let masks: Masks = rows_of_interest().map(|row| (row, 0)).collect();
        Watcher::begin(&self.layout, masks, settings, ReportKind::Packets).map_err(in_words)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        unmount_bpffs(&self.folder.join("bpf"));
    }
}

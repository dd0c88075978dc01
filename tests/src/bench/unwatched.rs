//! What it costs every row of part a that guard asks whether somebody watches, while nobody does: a nanosecond or less.
//!
//! The kernel says how long a test run took in whole nanoseconds per packet, which is coarser than what is sought. So
//! the CPU time of the thread around the whole run is divided by its packets: it has no room for other programs in it,
//! and what the system call itself takes is spread over all packets. Programs run in turn, in short pieces, and every
//! other turn in the opposite order; the least of a round's pieces counts. They have the same maps. Where a program's
//! code lies moves a row by more than the question costs, so every third round loads the programs anew; and guard
//! without the question is there twice: how far those two differ is what is no difference.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf,
    programs::{TestRun as _, TestRunOptions, Xdp},
};
use guard_user::ruleset::compile::{Host, Stamp, compile};
use serde_json::{Value, json};

use super::{
    cpus::thread_time,
    measure::{GUARD, Gate, XDP_DROP, XDP_PASS, load_guard, program},
    rows::Case,
    series::Series,
    shared_maps::SharedMaps,
};

/// What is not to be exceeded, in percent.
pub const AIM: f64 = 1.5;
/// Pieces of each program in a round.
const TURNS: u32 = 4;
/// Rounds until the programs are loaded anew.
const ROUNDS_PER_LOAD: usize = 3;
/// What is measured: guard without the question, the same once more, guard.
const KINDS: [Gate; 3] = [Gate::LeftOut, Gate::LeftOut, Gate::Built];

/// What the numbers are.
pub const EXPLANATION: &str = "CPU time of the thread around whole test runs, divided by their packets: fractions of \
     a ns.\n\"left out\": guard without the question whether somebody watches. Difference: round by round, the middle \
     round,\nand in brackets the middle half of all rounds. \"itself\": left out, loaded a second time, over left out: \
     what is no\ndifference. At the end: what the kernel says, in whole ns.";

/// A row.
#[derive(Clone, Debug)]
pub struct Unwatched {
    subject: &'static str,
    name: &'static str,
    packets: &'static str,
    rules: usize,
    /// In the order of [`KINDS`]: CPU time in ns per packet, and what the kernel says.
    by_cpu_time: [Series; 3],
    by_kernel: [Series; 3],
}

impl Unwatched {
    /// Percent that the question adds, round by round.
    fn difference(&self) -> Series {
        let [left_out, _, built] = &self.by_cpu_time;
        built.over(left_out).map(|ratio| (ratio - 1.0) * 100.0)
    }

    /// Percent between two that are the same.
    fn of_itself(&self) -> Series {
        let [left_out, again, _] = &self.by_cpu_time;
        again.over(left_out).map(|ratio| (ratio - 1.0) * 100.0)
    }

    /// For people.
    #[must_use]
    pub fn line(&self) -> String {
        let spread = |series: &Series| {
            let (low, high) = series.middle_half();
            format!("{:+5.1} % ({low:+.1} to {high:+.1})", series.median())
        };
        let [left_out, _, built] = &self.by_cpu_time;
        let [kernel_left_out, _, kernel_built] = &self.by_kernel;
        format!(
            "{:>6} rules  {:<26} {:<38} left out {:>6.2} ns  unwatched {:>6.2} ns  {:<26} itself {:<26} \
             ({:.0} / {:.0})",
            self.rules,
            self.name,
            self.packets,
            left_out.median(),
            built.median(),
            spread(&self.difference()),
            spread(&self.of_itself()),
            kernel_left_out.median(),
            kernel_built.median(),
        )
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let ns = |[left_out, again, built]: &[Series; 3]| {
            json!({
                "left_out": left_out.json(),
                "left_out_again": again.json(),
                "unwatched": built.json(),
            })
        };
        json!({
            "subject": self.subject,
            "row": self.name,
            "packets": self.packets,
            "rules": self.rules,
            "cpu_ns": ns(&self.by_cpu_time),
            "kernel_ns": ns(&self.by_kernel),
            "difference_percent": self.difference().json(),
            "of_itself_percent": self.of_itself().json(),
        })
    }
}

/// How many rows are within the aim, and how many would be if there were no difference at all.
#[must_use]
pub fn summary(rows: &[Unwatched]) -> String {
    let within = |difference: &dyn Fn(&Unwatched) -> Series| {
        let is_within = |row: &&Unwatched| difference(row).median() <= AIM;
        rows.iter().filter(is_within).count()
    };
    let differences: Series = rows.iter().map(|row| row.difference().median()).collect();
    let of_itself: Series = rows.iter().map(|row| row.of_itself().median()).collect();
    format!(
        "unwatched: {} of {} rows cost {AIM} % more at most; the middle row {:+.2} %, from {:+.1} to {:+.1} %.\n  \
         Loaded twice, guard without the question differs from itself by no more on {} of {}; the middle row \
         {:+.2} %, from {:+.1} to {:+.1} %",
        within(&Unwatched::difference),
        rows.len(),
        differences.median(),
        differences.min(),
        differences.max(),
        within(&Unwatched::of_itself),
        rows.len(),
        of_itself.median(),
        of_itself.min(),
        of_itself.max(),
    )
}

impl Case {
    /// Runs guard with and without the question in turn, and times them by the CPU time of this thread.
    ///
    /// # Errors
    /// As [`Case::measure`].
    pub fn measure_unwatched(
        &self,
        subject: &'static str,
        rounds: usize,
        packets: u32,
    ) -> Result<Unwatched> {
        let host = Host {
            own: vec!["192.0.2.1".parse()?],
            ..Host::default()
        };
        let image = compile(&self.policy, &host, Stamp::default())?;
        let mut row = Unwatched {
            subject,
            name: self.name,
            packets: self.packets,
            rules: self.rules(),
            by_cpu_time: Default::default(),
            by_kernel: Default::default(),
        };
        let filled = self.load(&image.words, Gate::LeftOut)?;
        let maps = SharedMaps::of(&filled)?;
        let mut objects = Vec::new();
        for gate in KINDS {
            objects.push(self.load_object(&image.words, gate, Some(&maps))?);
        }
        for round in 0..rounds {
            let loads = if round % ROUNDS_PER_LOAD == 0 {
                objects.as_mut_slice()
            } else {
                &mut []
            };
            for object in loads {
                load_guard(object)?;
                // Warms caches, and does not count.
                self.piece(object, packets / TURNS)?;
            }
            let least = self.round(&mut objects, packets / TURNS)?;
            for (kind, (cpu, kernel)) in least.into_iter().enumerate() {
                row.by_cpu_time[kind].push(cpu);
                row.by_kernel[kind].push(kernel);
            }
        }
        Ok(row)
    }

    /// The least of each program's pieces, by CPU time and as the kernel says.
    fn round(&self, objects: &mut [Ebpf], packets: u32) -> Result<[(f64, f64); 3]> {
        let mut least = [(f64::INFINITY, f64::INFINITY); 3];
        for turn in 0..TURNS {
            for at in 0..objects.len() {
                let kind = if turn % 2 == 0 {
                    at
                } else {
                    objects.len() - 1 - at
                };
                let (cpu, kernel) = self.piece(&mut objects[kind], packets)?;
                let found = &mut least[kind];
                *found = (found.0.min(cpu), found.1.min(kernel));
            }
        }
        Ok(least)
    }

    fn piece(&self, object: &mut Ebpf, packets: u32) -> Result<(f64, f64)> {
        let expected = if self.passes { XDP_PASS } else { XDP_DROP };
        let options = TestRunOptions {
            data_in: Some(&self.frame),
            repeat: packets,
            ..TestRunOptions::default()
        };
        let guard: &mut Xdp = program(object, GUARD)?;
        let before = thread_time();
        let result = guard.test_run(options).context("a test run")?;
        let took = thread_time().saturating_sub(before);
        ensure!(
            result.return_value == expected,
            "{GUARD} returned {} where {expected} was expected",
            result.return_value
        );
        ensure!(took > Duration::ZERO, "a run that took no time");
        let kernel = result.duration.as_nanos() as f64;
        Ok((took.as_nanos() as f64 / f64::from(packets), kernel))
    }
}

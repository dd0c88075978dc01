//! `cargo xtask bench`: ns per packet by BPF_PROG_TEST_RUN, as ratios to a bare XDP_DROP program
//! measured in the same rounds.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use guard_tests::bench::{measure::Measurement, report, rows};

/// Measure nanoseconds per packet.
#[derive(Debug, Parser)]
struct Args {
    /// Rounds; in each, bare XDP_DROP and every program run once.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Packets per program and round.
    #[arg(long, default_value_t = 500_000)]
    packets: u32,
    /// Only the rows about these subjects.
    #[arg(long, value_parser = subjects())]
    rows: Vec<String>,
    /// Where the JSON goes.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

fn subjects() -> Vec<&'static str> {
    rows::GROUPS.iter().map(|group| group.subject).collect()
}

fn main() -> Result<()> {
    let args = Args::parse();
    // Both programs of a pair on one CPU, so that they share its clock and caches.
    pin_to_last_cpu();
    let mut measurements: Vec<Measurement> = Vec::new();
    let wanted = |subject: &str| args.rows.is_empty() || args.rows.iter().any(|row| row == subject);
    for (subject, case) in rows::GROUPS
        .iter()
        .filter(|group| wanted(group.subject))
        .flat_map(|group| (group.rows)().into_iter().map(|case| (group.subject, case)))
    {
        let measured = case
            .measure(args.rounds.max(5), args.packets)
            .with_context(|| format!("{subject}: {} with {} rules", case.name, case.rules()))?;
        println!("{}", report::line(&measured));
        measurements.push(measured);
    }
    let [empty, egress] =
        rows::flows::outgoing().measure_egress(args.rounds.max(5), args.packets)?;
    println!("{}", report::egress_line(&empty, &egress));
    std::fs::create_dir_all(&args.out)?;
    let path = args.out.join("test-run.json");
    std::fs::write(&path, report::json(&measurements, &empty, &egress))?;
    println!("\n{}\nwritten to {}", report::EXPLANATION, path.display());
    Ok(())
}

fn pin_to_last_cpu() {
    // SAFETY: sysconf takes an integer and touches no memory of ours.
    let cpus = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    // SAFETY: an all-zero cpu_set_t is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the CPU number is below the size of the set on every machine that has this many.
    unsafe { libc::CPU_SET(cpus.max(1) as usize - 1, &mut set) };
    // SAFETY: `set` is a live cpu_set_t of the size that is named.
    let pinned =
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if pinned != 0 {
        eprintln!("note: not pinned to one CPU; expect a wider spread");
    }
}

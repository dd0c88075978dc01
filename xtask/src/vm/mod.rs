//! `cargo xtask vm`: the kernel tests on other kernels than this machine's, in an emulator.

mod archive;
mod cpio;
mod guest;
mod kernel;
mod modules;
mod payload;
mod platform;
mod qemu;
pub(crate) mod sources;
mod userland;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{cross::Target, packages, tally::Tally, workspace};
use kernel::Kernel;
use payload::Payload;
use platform::Platform;
use userland::Userland;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Series (5.10, 6.1, 6.12), `newest` or full ABIs of Debian cloud kernels; all four when
    /// none is named
    #[arg(value_name = "ABI")]
    kernels: Vec<String>,
    /// Boot the kernel whose unpacked packages lie here instead
    #[arg(long, value_name = "DIR", conflicts_with = "kernels")]
    kernel_dir: Option<PathBuf>,
    /// Run this executable instead of the tests
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// For --binary
    #[arg(last = true, requires = "binary")]
    args: Vec<String>,
    /// Seconds that one guest may take [default: 900, another processor's 5400]
    #[arg(long)]
    timeout: Option<u64>,
    /// Look for newer kernels than the ones that were fetched before
    #[arg(long)]
    refresh: bool,
    /// Processor of the guest
    #[arg(long, value_enum, default_value_t = Target::of_this_machine())]
    arch: Target,
    /// tcg works everywhere; kvm is quicker where it can run stock kernels
    #[arg(long, default_value = "tcg", value_parser = ["tcg", "kvm"])]
    accel: String,
}

/// What came of one kernel.
struct Line {
    kernel: String,
    took: Duration,
    outcome: Result<Tally>,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("guests run on an x86-64 machine only");
    }
    let platform = &Platform::of(args.arch);
    packages::ensure(packages::VM, "the VM")?;
    packages::ensure(&[platform.qemu_package], "the VM")?;
    let cache = workspace::target().join(platform.cache);
    for folder in ["kernels", "logs"] {
        fs::create_dir_all(cache.join(folder))?;
    }
    if args.refresh && cache.join("resolved").exists() {
        fs::remove_dir_all(cache.join("resolved"))?;
    }
    let payload = match &args.binary {
        Some(program) => Payload::program(program, &args.args)?,
        None => Payload::tests(args.arch)?,
    };

    let mut lines = Vec::new();
    if let Some(folder) = &args.kernel_dir {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let kernel = Kernel::in_folder(folder, &name);
        lines.push(attempt(&name, kernel, &payload, args, platform, &cache));
    } else {
        let default: Vec<String> = platform
            .kernels
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
        let wanted = if args.kernels.is_empty() {
            &default
        } else {
            &args.kernels
        };
        for name in wanted {
            let kernel = Kernel::obtain(&cache, name, platform);
            lines.push(attempt(name, kernel, &payload, args, platform, &cache));
        }
    }
    summarise(&lines)
}

/// A kernel that fails does not keep the others from running.
fn attempt(
    name: &str,
    kernel: Result<Kernel>,
    payload: &Payload,
    args: &Args,
    platform: &Platform,
    cache: &Path,
) -> Line {
    let started = Instant::now();
    let mut label = name.to_owned();
    let outcome = kernel.and_then(|kernel| {
        label.clone_from(&kernel.name);
        println!("\n== {label}");
        boot(&kernel, payload, args, platform, cache)
    });
    let took = started.elapsed();
    if let Err(error) = &outcome {
        println!(
            "== {label}: FAILED ({:.1} s): {error:#}",
            took.as_secs_f64()
        );
    } else {
        println!("== {label}: ok ({:.1} s)", took.as_secs_f64());
    }
    Line {
        kernel: label,
        took,
        outcome,
    }
}

fn boot(
    kernel: &Kernel,
    payload: &Payload,
    args: &Args,
    platform: &Platform,
    cache: &Path,
) -> Result<Tally> {
    let initramfs = cache.join(format!("{}.cpio", kernel.name));
    let userland = Userland::obtain(cache, platform)?;
    guest::write(&initramfs, &kernel.modules, &userland, payload)
        .context("cannot make the guest")?;
    let machine = qemu::Machine {
        platform,
        accelerator: &args.accel,
        timeout: Duration::from_secs(args.timeout.unwrap_or(platform.patience)),
        log: &cache.join("logs").join(format!("{}.log", kernel.name)),
    };
    let report = machine.boot(&kernel.image, &initramfs);
    fs::remove_file(&initramfs)?;
    let report = report?;
    if let Some(failure) = report.failure() {
        bail!("{failure}; tests: {}", report.tally);
    }
    if report.jobs.len() != payload.jobs.len() {
        bail!(
            "{} of {} programs ran",
            report.jobs.len(),
            payload.jobs.len()
        );
    }
    // Test programs without a single test would look like success.
    if args.binary.is_none() && report.tally.passed == 0 {
        bail!("no test ran");
    }
    Ok(report.tally)
}

fn summarise(lines: &[Line]) -> Result<()> {
    println!();
    let mut failed = Vec::new();
    for line in lines {
        let (verdict, tests) = match &line.outcome {
            Ok(tally) if tally.total() > 0 => ("ok", tally.to_string()),
            Ok(_) => ("ok", String::new()),
            Err(_) => {
                failed.push(line.kernel.as_str());
                ("FAILED", String::new())
            }
        };
        let seconds = line.took.as_secs_f64();
        let row = format!("{:<34} {verdict:<7} {seconds:>6.1} s  {tests}", line.kernel);
        println!("{}", row.trim_end());
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed on {}", failed.join(", "))
}

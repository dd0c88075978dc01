//! `cargo xtask vps`: a Debian server with systemd and a virtio NIC in an emulator, and a peer on
//! its network that counts what boots, reboots and NICs that come anew let through.
//!
//! It installs guard as an operator does and decides by what the peer sees; it knows nothing of
//! guard's insides.

mod agent;
mod debian;
mod guest;
mod installation;
mod machine;
mod network;
mod packages;
mod probe;
mod scenes;
mod session;
mod transfer;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{build, packages::VPS, workspace};
use debian::{Edition, Suite};
use guest::{Bench, Guest};
use scenes::Scene;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Scenes to play; the short set that CI plays when none is named
    #[arg(value_name = "SCENE", value_parser = scenes::names())]
    scenes: Vec<String>,
    /// Debian suite of the server
    #[arg(long, value_enum, default_value_t = Suite::Bookworm)]
    suite: Suite,
    /// Leave the last guest and its network running and say how to talk to them
    #[arg(long)]
    keep: bool,
    /// Seconds that any one event may take before a scene fails
    #[arg(long, default_value_t = 240)]
    patience: u64,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("the guest runs this machine's guardctl on Debian's amd64 kernel: x86-64 only");
    }
    if !workspace::is_root() {
        bail!(
            "the guest's network is made of namespaces, which needs root\n  help: sudo -E env \"PATH=$PATH\" cargo xtask vps"
        );
    }
    crate::packages::ensure(VPS, "the virtual server")?;
    let mut wanted = scenes::chosen(&args.scenes);
    let guardctl = build::run()?;
    let cache = workspace::target().join("guard-vps");
    let run = RunFolder::make(&cache)?;
    let payload = packages::disk(&guardctl, &run.0)?;
    let mut lines = Vec::new();
    for edition in [Edition::Small, Edition::Docker, Edition::Metal] {
        let is_of_it = |scene: &&Scene| scene.hardware.edition == edition;
        let (of_it, others) = wanted.into_iter().partition(is_of_it);
        wanted = others;
        if of_it.is_empty() {
            continue;
        }
        let bench = Bench {
            system: debian::obtain(&cache, args.suite, edition)?,
            payload: payload.clone(),
            run: run.0.clone(),
            logs: cache.join("logs"),
            patience: Duration::from_secs(args.patience),
        };
        fs::create_dir_all(&bench.logs)?;
        let bench = installation::on_fresh_server(bench, edition)?;
        // The last server is kept, if one is.
        let is_kept = args.keep && wanted.is_empty();
        play_all(&of_it, &bench, is_kept, &mut lines)?;
    }
    summarise(&lines)
}

/// What came of a scene, and how long it took.
type Line = (&'static str, Duration, Option<anyhow::Error>);

/// Plays the scenes of one server.
fn play_all(
    scenes: &[&'static Scene],
    bench: &Bench,
    is_kept: bool,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let mut guest: Option<Guest<'_>> = None;
    for scene in scenes {
        println!("\n== {}: {}", scene.name, scene.about);
        let started = Instant::now();
        let outcome = play(scene, bench, &mut guest);
        if let Err(error) = &outcome {
            println!("== {}: FAILED: {error:#}", scene.name);
            if !is_kept {
                // What a failed scene left behind is no ground for the next one.
                guest = None;
            }
        }
        lines.push((scene.name, started.elapsed(), outcome.err()));
    }
    match guest {
        Some(mut guest) if is_kept => guest.keep(),
        Some(_) | None => Ok(()),
    }
}

/// Plays one scene, in the guest of the one before if that has the same hardware.
fn play<'b>(scene: &Scene, bench: &'b Bench, guest: &mut Option<Guest<'b>>) -> Result<()> {
    if guest
        .as_ref()
        .is_none_or(|guest| guest.hardware() != &scene.hardware)
    {
        *guest = None;
        *guest = Some(Guest::cold_boot(bench, &scene.hardware)?);
    }
    let guest = guest.as_mut().context("a guest has just been booted")?;
    (scene.play)(guest).inspect_err(|_| println!("{}", guest.evidence()))
}

fn summarise(lines: &[Line]) -> Result<()> {
    println!();
    let mut failed = Vec::new();
    for (name, took, error) in lines {
        let verdict = if error.is_none() { "ok" } else { "FAILED" };
        println!("{name:<16} {verdict:<7} {:>6.1} s", took.as_secs_f64());
        if error.is_some() {
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "))
}

/// Disks and sockets of this run; gone when dropped.
struct RunFolder(PathBuf);

impl RunFolder {
    fn make(cache: &Path) -> Result<Self> {
        let path = cache.join(format!("run-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("xtask: cannot remove {}: {error}", self.0.display());
        }
    }
}

//! guard-fleet: the process that talks to other hosts, without a privilege, so that what they send meets nothing worth having.
//! It carries records between the daemon and NATS or CrowdSec, and decides nothing: the daemon checks each.

pub mod crowdsec;
mod daemon;
mod list;
mod nats;
mod operator;
mod publish;
mod relay;
mod serve;
mod setup;
#[cfg(feature = "testing")]
mod simulated_daemon;
#[cfg(feature = "testing")]
pub mod simulation;
mod waves;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{failure::Failure, host::clock::boot_time_ns, layout::Layout};

/// Shares bans with other hosts
#[derive(Debug, Parser)]
#[command(name = "guard-fleet", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Share bans, as /etc/guard/fleet.toml says; guard-fleet.service runs this
    Run,
    /// Write keys and the configuration of the servers of a new fleet
    Setup(setup::SetupArgs),
    /// Make the streams on servers that run, or say what is wrong with them
    Prepare(operator::PrepareArgs),
    /// Lift a ban on every host, whoever made it
    Lift(operator::LiftArgs),
    /// List the hosts that are there
    Hosts(list::HostsArgs),
    /// Sign a policy for a group and release it in waves
    Publish(publish::PublishArgs),
}

/// How an operator of the fleet reaches the servers.
#[derive(Clone, Debug, clap::Args)]
struct ServerArgs {
    /// tls://HOST:PORT, nats://127.0.0.1:PORT; several for a cluster
    #[arg(long, required = true, value_name = "URL")]
    server: Vec<String>,
    /// File of the authority that vouches for the servers [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Milliseconds since boot, suspended or not.
fn now_ms() -> u64 {
    boot_time_ns() / 1_000_000
}

/// Runs it.
#[must_use]
pub fn run() -> ExitCode {
    let args = Args::parse();
    let layout = Layout::from_environment();
    let done = match &args.command {
        Command::Run => serve::serve(layout),
        Command::Setup(args) => setup::setup(args),
        Command::Prepare(args) => operator::prepare(args),
        Command::Lift(args) => operator::lift(args),
        Command::Hosts(args) => list::hosts(&layout, args),
        Command::Publish(args) => publish::publish(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn complain(failure: &Failure) {
    eprintln!("guard-fleet: {}", failure.message);
    if let Some(help) = &failure.help {
        eprintln!("  help: {help}");
    }
}

/// One thread is enough: what takes long is waiting.
fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| crate::failure::from_io("cannot wait for the network", &error))?;
    runtime.block_on(future)
}

//! guard-fleet: the process that talks to other hosts, without a privilege, so that what they send meets nothing worth having.
//! It carries records between the daemon and NATS or CrowdSec, and decides nothing: the daemon checks each.

pub mod crowdsec;

use std::process::ExitCode;

/// Runs it.
#[must_use]
pub fn run() -> ExitCode {
    ExitCode::SUCCESS
}

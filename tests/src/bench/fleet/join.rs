//! A real host joins a fleet that has banned many.

use std::{
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use guard_user::fleet::agent::simulation::fill;

use super::{GROUP, Plan, load::HOLDS_S};
use crate::{
    bench::memory::kb,
    lab::{FleetHost, NatsCluster},
};

/// The first source that is banned.
const FIRST: Ipv4Addr = Ipv4Addr::new(46, 0, 0, 0);
/// Between two looks: each counts every ban, in the daemon that is to take them.
const LOOK: Duration = Duration::from_millis(250);
/// Nobody takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Join {
    /// Bans that the stream had.
    pub keys: u32,
    /// From the start of guard-fleet until all of them were in force.
    pub took: Duration,
    /// The most memory that guard-fleet had, in KB.
    pub peak_kb: u64,
}

pub(super) fn measure(plan: &Plan, cluster: &NatsCluster, members: &[String]) -> Result<Join> {
    let keys = plan.members * plan.bans_each;
    let begun = Instant::now();
    for (number, member) in members.iter().enumerate() {
        let first = Ipv4Addr::from(FIRST.to_bits() + number as u32 * plan.bans_each);
        let filled = fill(
            &cluster.settings(GROUP, member),
            first,
            plan.bans_each,
            HOLDS_S,
        );
        filled.map_err(|failure| anyhow::anyhow!("{member}: {}", failure.message))?;
    }
    println!("{keys} bans are stored after {:.1?}", begun.elapsed());
    let mut host = FleetHost::joined(cluster, GROUP, "c");
    let begun = Instant::now();
    host.start_fleet();
    let fleet = host.fleet_process().context("guard-fleet does not run")?;
    while in_force(&host) < u64::from(keys) {
        ensure!(
            begun.elapsed() < PATIENCE,
            "not all are in force: {:?}",
            host.view()
        );
        thread::sleep(LOOK);
    }
    Ok(Join {
        keys,
        took: begun.elapsed(),
        peak_kb: kb(fleet, "VmHWM:")?,
    })
}

fn in_force(host: &FleetHost) -> u64 {
    let members = host.view().members.into_iter();
    let members = members.filter(|member| member.member.starts_with("web/k-"));
    members.map(|member| member.in_force).sum()
}

impl Join {
    pub(super) fn line(&self) -> String {
        format!(
            "{:<34}{:>8.1} s until {} bans are in force; guard-fleet had {:.1} MB at most",
            "join",
            self.took.as_secs_f64(),
            self.keys,
            self.peak_kb as f64 / 1024.0
        )
    }
}

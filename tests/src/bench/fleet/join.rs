//! A real host joins a fleet that has banned many.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use guard_user::fleet::agent::simulation::fill;

use super::{GROUP, Plan, load::HOLDS_S};
use crate::{
    bench::memory::kb,
    lab::{FleetHost, NatsCluster, within},
};

/// The first source that is banned.
const FIRST: Ipv4Addr = Ipv4Addr::new(46, 0, 0, 0);
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
    let took = within(PATIENCE, || {
        let members = host.view().members;
        let in_force: u64 = members
            .iter()
            .filter(|member| member.member.starts_with("web/k-"))
            .map(|member| member.in_force)
            .sum();
        (in_force >= u64::from(keys)).then(|| begun.elapsed())
    });
    let took = took.with_context(|| format!("not all are in force: {:?}", host.view()))?;
    Ok(Join {
        keys,
        took,
        peak_kb: kb(fleet, "VmHWM:")?,
    })
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

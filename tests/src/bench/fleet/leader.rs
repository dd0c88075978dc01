//! The server that leads the stream is killed while hosts ban.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use guard_user::fleet::agent::simulation::Simulation;

use super::{
    PATIENCE, Plan,
    load::{self, Ban, Sources, Spread},
};
use crate::lab::{NatsCluster, within};

/// The load runs so long before.
const BEFORE: Duration = Duration::from_secs(1);
/// Bans of this long before are those that were on their way.
const ON_THEIR_WAY: Duration = Duration::from_millis(500);

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Leader {
    /// Until another server led the stream.
    pub silence: Duration,
    /// Bans that were made while nobody led it, or were on their way when it was killed: until every other host had them.
    pub unled: Spread,
    /// All bans of the load.
    pub all: Spread,
}

pub(super) fn measure(
    plan: &Plan,
    cluster: &mut NatsCluster,
    simulation: &Simulation,
    sources: &Sources,
) -> Result<Leader> {
    let leads = within(PATIENCE, || cluster.leader());
    let leads = leads.context("nobody leads the stream")?;
    let (bans, killed, silence) = thread::scope(|scope| {
        let load = scope.spawn(|| load::ban_for(simulation, sources, plan.per_second, plan.unled));
        thread::sleep(BEFORE);
        let killed = Instant::now();
        cluster.kill(leads);
        let silence = within(PATIENCE, || {
            let next = cluster.leader().filter(|next| *next != leads);
            next.map(|_| killed.elapsed())
        });
        (load.join(), killed, silence)
    });
    let bans = bans.map_err(|_| anyhow::anyhow!("the load has panicked"))?;
    let silence = silence.context("nobody leads the stream after its leader")?;
    let all = load::settle(simulation, &bans, PATIENCE);
    let is_unled = |ban: &&Ban| ban.at + ON_THEIR_WAY >= killed && ban.at <= killed + silence;
    let unled = load::spread(simulation, bans.iter().filter(is_unled));
    cluster.run(leads);
    Ok(Leader {
        silence,
        unled,
        all,
    })
}

impl Leader {
    pub(super) fn line(&self) -> String {
        format!(
            "{:<34}{}\nanother server led the stream after {:.1} s; all bans of that load: {}",
            "leader killed, until heard",
            self.unled.line(),
            self.silence.as_secs_f64(),
            self.all.line().trim_start()
        )
    }
}

//! Bans of simulated hosts at a rate, and when every other host was handed them.

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use guard_user::fleet::agent::simulation::Simulation;
use serde_json::{Value, json};

/// How long each ban holds: longer than the benchmark takes.
pub(super) const HOLDS_S: u32 = 3600;
/// The first source that is banned.
const FIRST: Ipv4Addr = Ipv4Addr::new(45, 0, 0, 0);
/// Between two looks at whether all have heard of it.
const LOOK: Duration = Duration::from_millis(50);

/// A ban, made by one of the hosts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ban {
    origin: usize,
    source: Ipv4Addr,
    pub(super) at: Instant,
}

/// Sources that were banned, each once.
#[derive(Debug, Default)]
pub(super) struct Sources(AtomicU32);

impl Sources {
    fn next(&self) -> Ipv4Addr {
        Ipv4Addr::from(FIRST.to_bits() + self.0.fetch_add(1, Ordering::Relaxed))
    }

    /// All that were banned so far.
    pub(super) fn so_far(&self) -> Vec<Ipv4Addr> {
        let count = self.0.load(Ordering::Relaxed);
        (0..count)
            .map(|number| Ipv4Addr::from(FIRST.to_bits() + number))
            .collect()
    }
}

/// Bans so many sources per second, each host in turn.
pub(super) fn ban_for(
    simulation: &Simulation,
    sources: &Sources,
    per_second: u32,
    length: Duration,
) -> Vec<Ban> {
    let begun = Instant::now();
    let count = (length.as_secs_f64() * f64::from(per_second)) as u32;
    let pace = Duration::from_secs(1) / per_second;
    (0..count)
        .map(|number| {
            thread::sleep((begun + pace * number).saturating_duration_since(Instant::now()));
            let origin = number as usize % simulation.hosts().len();
            let source = sources.next();
            let at = Instant::now();
            simulation.hosts()[origin].daemon.ban(source, HOLDS_S);
            Ban { origin, source, at }
        })
        .collect()
}

/// Waits until every host was handed every ban, at most so long; how long each took, and how many are missing.
pub(super) fn settle(simulation: &Simulation, bans: &[Ban], limit: Duration) -> Spread {
    let deadline = Instant::now() + limit;
    // Looking must cost next to nothing: the hosts are on the same CPUs.
    for (index, host) in simulation.hosts().iter().enumerate() {
        let mut others = bans.iter().filter(|ban| ban.origin != index).peekable();
        while let Some(ban) = others.peek()
            && Instant::now() < deadline
        {
            match host.daemon.heard(ban.source) {
                Some(_) => drop(others.next()),
                None => thread::sleep(LOOK),
            }
        }
    }
    spread(simulation, bans.iter())
}

/// The same of some bans, as it is.
pub(super) fn spread<'b>(simulation: &Simulation, bans: impl Iterator<Item = &'b Ban>) -> Spread {
    let mut took = Vec::new();
    let mut missing = 0;
    for ban in bans {
        for (index, host) in simulation.hosts().iter().enumerate() {
            if index == ban.origin {
                continue;
            }
            match host.daemon.heard(ban.source) {
                Some(at) => took.push(at.saturating_duration_since(ban.at)),
                None => missing += 1,
            }
        }
    }
    Spread::of(took, missing)
}

/// How long something took, often.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread {
    /// How often.
    pub count: usize,
    /// What did not happen at all.
    pub missing: usize,
    /// Half took no longer.
    pub p50: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

impl Spread {
    pub(super) fn of(mut took: Vec<Duration>, missing: usize) -> Self {
        took.sort_unstable();
        let at = |share: f64| {
            let last = took.len().saturating_sub(1);
            let index = (last as f64 * share).ceil() as usize;
            took.get(index).copied().unwrap_or_default()
        };
        Self {
            count: took.len(),
            missing,
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
        }
    }

    pub(super) fn line(&self) -> String {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        format!(
            "{:>8.1} ms p50 {:>8.1} ms p99 {:>8.1} ms max ({} times, {} missing)",
            ms(self.p50),
            ms(self.p99),
            ms(self.max),
            self.count,
            self.missing
        )
    }

    pub(super) fn json(&self) -> Value {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        json!({
            "count": self.count,
            "missing": self.missing,
            "p50_ms": ms(self.p50),
            "p99_ms": ms(self.p99),
            "max_ms": ms(self.max),
        })
    }
}

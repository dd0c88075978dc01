//! What the servers need while hosts ban: CPU time, memory, bytes.

use std::time::Instant;

use anyhow::Result;

use crate::{
    bench::memory::{cpu_seconds, kb},
    lab::{NatsCluster, Relay},
};

/// What all three came to.
#[derive(Clone, Debug)]
pub struct Servers {
    /// CPU seconds per second, of all three.
    pub cpus: f64,
    /// Memory of each, in KB.
    pub rss_kb: Vec<u64>,
    /// Bytes that a host got per ban, TLS and probes included.
    pub bytes_per_ban: f64,
}

/// The state at the beginning.
pub(super) struct Measuring {
    at: Instant,
    cpu: f64,
    carried: u64,
}

impl Measuring {
    pub(super) fn begin(cluster: &NatsCluster, relays: &[Relay]) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            cpu: cpu(cluster)?,
            carried: carried(relays),
        })
    }

    pub(super) fn end(
        self,
        cluster: &NatsCluster,
        relays: &[Relay],
        bans: usize,
    ) -> Result<Servers> {
        let seconds = self.at.elapsed().as_secs_f64();
        let memory = cluster.processes().into_iter().map(|id| kb(id, "VmRSS:"));
        Ok(Servers {
            cpus: (cpu(cluster)? - self.cpu) / seconds,
            rss_kb: memory.collect::<Result<_>>()?,
            bytes_per_ban: (carried(relays) - self.carried) as f64 / bans.max(1) as f64,
        })
    }
}

fn cpu(cluster: &NatsCluster) -> Result<f64> {
    cluster.processes().into_iter().map(cpu_seconds).sum()
}

fn carried(relays: &[Relay]) -> u64 {
    relays.iter().map(Relay::carried).sum()
}

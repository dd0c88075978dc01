//! What the flood costs the machine, by the kernel's own accounts.

use std::{fs, time::Duration};

use crate::lab::Namespace;

/// Accounts at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accounts {
    softirq: Duration,
    received: u64,
    sent: u64,
}

/// What happened between two moments.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundCost {
    /// CPU time in soft interrupts, where the kernel receives packets, over all CPUs.
    pub softirq: Duration,
    /// Frames that reached the server's network card.
    pub received: u64,
    /// Frames that the server sent.
    pub sent: u64,
}

impl Accounts {
    /// Reads them for a host's eth0.
    #[must_use]
    pub fn read(host: &Namespace) -> Self {
        let listed = host.ip("-j -s link show dev eth0");
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap_or_default();
        let packets = |way: &str| {
            listed[0]["stats64"][way]["packets"]
                .as_u64()
                .unwrap_or_default()
        };
        Self {
            softirq: softirq(),
            received: packets("rx"),
            sent: packets("tx"),
        }
    }

    /// What has happened since.
    #[must_use]
    pub fn until(&self, later: &Self) -> RoundCost {
        RoundCost {
            softirq: later.softirq.saturating_sub(self.softirq),
            received: later.received.saturating_sub(self.received),
            sent: later.sent.saturating_sub(self.sent),
        }
    }
}

/// Seventh number of the line `cpu` in /proc/stat, in ticks of 10 ms.
fn softirq() -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = text
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().nth(7)?.parse().ok())
        .unwrap_or(0u64);
    Duration::from_millis(ticks * 10)
}

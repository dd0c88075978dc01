//! What must survive what happens to a package: policy, counters, the program on the NIC, the daemon.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::vps::{
    debian::{CLOSED, NIC},
    guest::Guest,
};

/// How it is at one moment.
pub(super) struct State {
    program: String,
    daemon: String,
    version: String,
    /// SYNs to the closed port that were dropped.
    dropped: u64,
    policy: String,
}

impl State {
    pub(super) fn of(guest: &mut Guest<'_>) -> Result<Self> {
        let mut ask = |command: &str| guest.must(command);
        Ok(Self {
            program: ask(&format!(
                "ip -d link show dev {NIC} | grep -o 'prog/xdp id [0-9]*'"
            ))?,
            daemon: ask("systemctl show -P MainPID guard.service")?,
            version: ask("dpkg-query -W -f '${Status} ${Version}' guardctl")?,
            dropped: dropped(&ask("guardctl stats --json")?)?,
            policy: ask("cat /etc/guard/guard.toml; guardctl list")?,
        })
    }

    /// Policy, counters and the program are those of before.
    pub(super) fn is_kept(&self, guest: &mut Guest<'_>) -> Result<()> {
        let now = Self::of(guest)?;
        self.has_same_state(&now)?;
        if now.program != self.program || now.daemon != self.daemon || now.version != self.version {
            bail!(
                "program, daemon or version changed:\n{}\nto\n{}",
                self.shown(),
                now.shown()
            );
        }
        Ok(())
    }

    /// Policy and counters are, and another program and daemon run.
    pub(super) fn is_kept_but_for_program_and_daemon(&self, guest: &mut Guest<'_>) -> Result<()> {
        guest.until("systemctl is-active guard.service")?;
        let now = Self::of(guest)?;
        self.has_same_state(&now)?;
        if now.program == self.program || now.daemon == self.daemon || now.version == self.version {
            bail!(
                "program, daemon or version is still the one of before:\n{}",
                now.shown()
            );
        }
        Ok(())
    }

    pub(super) fn has_same_state(&self, now: &Self) -> Result<()> {
        if now.dropped < self.dropped || self.dropped == 0 {
            bail!(
                "{} SYNs were dropped before, and {} now",
                self.dropped,
                now.dropped
            );
        }
        if now.policy != self.policy {
            bail!("the policy changed:\n{}\nto\n{}", self.policy, now.policy);
        }
        Ok(())
    }

    fn shown(&self) -> String {
        format!("{}{}{}", self.program, self.daemon, self.version)
    }
}

/// Of the answer of `stats --json`.
fn dropped(stats: &str) -> Result<u64> {
    let stats: Value = serde_json::from_str(stats).with_context(|| stats.to_owned())?;
    let ports = stats["ports"].as_array().into_iter().flatten();
    let of_port = ports.filter(|service| service["port"] == CLOSED);
    Ok(of_port
        .filter_map(|service| service["dropped"]["packets"].as_u64())
        .sum())
}

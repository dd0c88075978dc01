//! A flood of SYNs at an open port, in native mode.

use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::vps::{
    debian::NIC,
    guest::Guest,
    network::{GUEST, Network},
};

/// Microseconds between two SYNs of the flood.
const INTERVAL: &str = "u500";
/// It ends by itself, also when nobody is left to end it.
const SYNS: &str = "400000";
/// SYNs that are answered before the honest client comes.
const ENOUGH: u64 = 2000;
/// Its connections, all of which must succeed.
const CONNECTIONS: u32 = 10;

/// SYNs from everywhere fill the queue of sshd; guard answers with cookies, and who is honest comes in.
pub(super) fn cookies(guest: &mut Guest<'_>) -> Result<()> {
    guest.must(&format!("guardctl status | grep -q '{NIC} (native)'"))?;
    guest.must("guardctl status | grep -q 'SYN floods: cookies'")?;
    let before = answered(guest)?;
    let flood = Flood::begin(&guest.network)?;
    guest.until(&format!(
        "sleep 1; guardctl stats --json | tr -d ' \\n' | grep -o '\"answered\":[0-9]*' | cut -d: -f2 |
awk '{{ sum += $1 }} END {{ exit sum < {} }}'",
        before + ENOUGH
    ))?;
    let mut let_in = 0;
    for _ in 0..CONNECTIONS {
        if guest.network.answers(22)? {
            let_in += 1;
        }
    }
    let answered = answered(guest)? - before;
    drop(flood);
    let shown = guest.must("guardctl stats")?;
    println!(
        "  {answered} SYNs answered with cookies, {let_in} of {CONNECTIONS} honest connections"
    );
    if !shown.contains("syn-cookie") {
        bail!("stats does not show the cookies:\n{shown}");
    }
    if let_in < CONNECTIONS {
        bail!("{let_in} of {CONNECTIONS} honest connections came about in the flood");
    }
    guest.must(&format!("guardctl status | grep -q '{NIC} (native)'"))?;
    guest.expect_silence("during a flood of SYNs")
}

/// SYNs that were answered with cookies until now.
fn answered(guest: &mut Guest<'_>) -> Result<u64> {
    let stats = guest.must("guardctl stats --json")?;
    let stats: Value = serde_json::from_str(&stats).with_context(|| stats.clone())?;
    let floods = stats["syn_floods"].as_array().into_iter().flatten();
    Ok(floods.filter_map(|port| port["answered"].as_u64()).sum())
}

/// hping3 on the peer; it ends with the value.
struct Flood(Child);

impl Flood {
    fn begin(network: &Network) -> Result<Self> {
        let mut hping = network.on_peer(
            "hping3",
            [
                "-S",
                "-q",
                "-p",
                "22",
                "-i",
                INTERVAL,
                "-c",
                SYNS,
                "--rand-source",
                GUEST,
            ],
        );
        let child = hping.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Self(child.context("cannot start hping3")?))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

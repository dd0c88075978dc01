//! Who fails to log in, by the server's own sshd and journal.

use anyhow::{Context as _, Result, bail};

use super::boot;
use crate::{
    sh,
    vps::{
        guest::Guest,
        network::{GUEST, Network},
    },
};

/// Another address of the peer: the scenes need its first one.
pub(super) const BURGLAR: &str = "198.51.100.66";

/// Five failed logins are a ban, by the jail of sshd.
pub(super) fn five_failures_are_a_ban(guest: &mut Guest<'_>) -> Result<()> {
    let burglar = format!("{BURGLAR}/24");
    sh::output(
        &mut guest
            .network
            .on_peer("ip", ["address", "replace", &burglar, "dev", "eth0"]),
    )?;
    guest.until("guardctl jail status sshd")?;
    for attempt in 1..=5 {
        if !is_let_in(&guest.network)? {
            bail!("attempt {attempt} did not reach sshd");
        }
    }
    guest.until(&format!("guardctl bans | grep -w {BURGLAR}"))?;
    if is_let_in(&guest.network)? {
        bail!("{BURGLAR} is banned, and sshd answers it");
    }
    guest
        .must(&format!("guardctl bans | grep -w {BURGLAR} | grep -w sshd"))
        .map(drop)
}

/// A reboot does not lift the ban.
pub(super) fn logins(guest: &mut Guest<'_>) -> Result<()> {
    guest.must("guardctl jail set sshd bantime 1h")?;
    five_failures_are_a_ban(guest)?;
    guest.reboot()?;
    boot::is_whole(guest)?;
    let bans = guest.must("guardctl bans --json")?;
    println!(
        "  {}",
        left(&bans).context("the ban is not back after a reboot")?
    );
    if is_let_in(&guest.network)? {
        bail!("{BURGLAR} is banned, and sshd answers it after a reboot");
    }
    guest.answers_before = guest.probe.answers();
    guest
        .must(&format!(
            "guardctl --yes unban {BURGLAR}; guardctl jail set sshd bantime 10m"
        ))
        .map(drop)
}

/// Tries to log in as nobody. Did sshd hear of it?
fn is_let_in(network: &Network) -> Result<bool> {
    let target = format!("nobody-there@{GUEST}");
    let mut ssh = network.on_peer(
        "ssh",
        [
            "-b",
            BURGLAR,
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=20",
        ],
    );
    ssh.args([
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
    ])
    .arg(&target)
    .arg("true");
    let output = ssh.output().context("cannot start ssh")?;
    Ok(String::from_utf8_lossy(&output.stderr).contains("Permission denied"))
}

/// The entry of the ban.
fn left(bans: &str) -> Option<&str> {
    let at = bans.find(BURGLAR)?;
    let rest = &bans[at..];
    Some(rest.split('}').next().unwrap_or(rest))
}

//! Boots.

use anyhow::{Result, bail};

use crate::vps::{debian::CLOSED, guest::Guest};

/// From power-on to a system that is up.
pub(super) fn cold(guest: &mut Guest<'_>) -> Result<()> {
    guest.expect_silence("from power-on until the system is up")?;
    is_whole(guest)
}

/// A port that a change opens which nobody confirms.
const UNCONFIRMED: u16 = 8088;

/// From a running system to the next, in the middle of a change that nobody has confirmed: what was before is back.
pub(super) fn reboot(guest: &mut Guest<'_>) -> Result<()> {
    guest.must(&format!(
        "guardctl allow {UNCONFIRMED}/tcp --confirm 1h && guardctl status | grep PENDING"
    ))?;
    guest.reboot()?;
    guest.expect_silence("from the reboot until the system is up")?;
    is_whole(guest)?;
    let port = UNCONFIRMED.to_string();
    if guest.must("cat /etc/guard/guard.toml")?.contains(&port) {
        bail!("a change that nobody confirmed is in the file after the reboot");
    }
    let rules = guest.must("guardctl status numbered")?;
    // What is said of the change that was taken back names it too.
    let is_rule = |line: &&str| line.starts_with('[') && line.contains(&port);
    if let Some(rule) = rules.lines().find(is_rule) {
        bail!("a change that nobody confirmed is in force after the reboot: {rule}");
    }
    if rules.contains("PENDING") {
        bail!("a change still waits for its confirmation after the reboot:\n{rules}");
    }
    Ok(())
}

/// All that was there when guard was installed is there.
pub(super) fn is_whole(guest: &mut Guest<'_>) -> Result<()> {
    guest.until("guardctl status >/dev/null")?;
    let failed = guest.must("systemctl --failed --no-legend --plain")?;
    if !failed.trim().is_empty() {
        bail!("units have failed:\n{failed}");
    }
    guest.must("systemctl is-active guard-load.service guard.service")?;
    if guest.network.answers(CLOSED)? {
        bail!("the closed port {CLOSED} accepts a connection");
    }
    // The daemon may be loading a program, which takes an emulated machine longer than a command waits.
    let bans = guest.until("guardctl bans")?;
    let banned = bans.lines().find(|line| line.contains("203.0.113.66"));
    // Of 24 h not one has passed.
    match banned {
        Some(line) if line.contains("23 h") || line.contains("23h") => Ok(()),
        Some(line) => bail!("the ban of a day is not back with the time left: {line}"),
        None => bail!("the ban is not back:\n{bans}"),
    }
}

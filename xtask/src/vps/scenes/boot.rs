//! Boots.

use anyhow::{Result, bail};

use crate::vps::{debian::CLOSED, guest::Guest};

/// From power-on to a system that is up.
pub(super) fn cold(guest: &mut Guest<'_>) -> Result<()> {
    guest.expect_silence("from power-on until the system is up")?;
    is_whole(guest)
}

/// From a running system to the next.
pub(super) fn reboot(guest: &mut Guest<'_>) -> Result<()> {
    guest.reboot()?;
    guest.expect_silence("from the reboot until the system is up")?;
    is_whole(guest)
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

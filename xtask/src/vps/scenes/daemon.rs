//! The daemon dies.

use anyhow::{Result, bail};

use super::{boot, logins};
use crate::vps::{debian::CLOSED, guest::Guest};

/// Killed outright, it is missed by nobody: what is in force stays, commands work, systemd starts it again, and its
/// jails ban.
pub(super) fn killed(guest: &mut Guest<'_>) -> Result<()> {
    let before = guest.must("systemctl show -P MainPID guard")?;
    guest.must("systemctl kill -s KILL guard; guardctl --yes ban 203.0.113.99 --for 1h")?;
    if guest.network.answers(CLOSED)? {
        bail!("the closed port {CLOSED} accepts a connection after the daemon was killed");
    }
    guest.until("systemctl is-active guard")?;
    let after = guest.must("systemctl show -P MainPID guard")?;
    if after == before {
        bail!("the daemon was not killed: it is still process {before}");
    }
    guest.until("guardctl status >/dev/null")?;
    guest.must("guardctl bans | grep -w 203.0.113.99")?;
    guest.until("guardctl --yes unban 203.0.113.99")?;
    logins::five_failures_are_a_ban(guest)?;
    guest.until(&format!("guardctl --yes unban {}", logins::BURGLAR))?;
    guest.expect_silence("while the daemon was dead and began anew")?;
    boot::is_whole(guest)
}

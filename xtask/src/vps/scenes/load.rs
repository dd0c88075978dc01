//! Loads that fail.

use anyhow::{Result, bail};

use crate::vps::guest::Guest;

/// The policy is broken and no copy is left: the host is open, and nothing may look as if it were not.
pub(super) fn fails(guest: &mut Guest<'_>) -> Result<()> {
    const CAUSE: &str = "guard.toml";
    guest.must(
        "set -e
systemctl stop guard
cp /etc/guard/guard.toml /root/
echo broken >/etc/guard/guard.toml
rm /var/lib/guard/last-good.json
rm -r /sys/fs/bpf/guard
! systemctl restart guard-load
systemctl start --no-block guard",
    )?;
    // Whenever it is looked at.
    for _ in 0..5 {
        for command in ["guardctl status", "guardctl service status"] {
            let answer = guest.run(command)?;
            let is_told = answer.output.contains("UNPROTECTED") && answer.output.contains(CAUSE);
            if answer.status != 8 || !is_told {
                bail!(
                    "`{command}` ended with {}:\n{}",
                    answer.status,
                    answer.output
                );
            }
        }
        let state = guest.run("systemctl is-active guard")?.output;
        if state.trim() == "active" {
            bail!("guard.service is active although nothing is in force");
        }
    }
    // Each start of the daemon tries it, too.
    guest.until("systemctl is-failed guard-load")?;
    guest.until("systemctl show -P StatusText guard | grep UNPROTECTED")?;
    // A way out that needs no more than a good file.
    guest.must("cp /root/guard.toml /etc/guard/")?;
    guest.until("systemctl is-active guard")?;
    guest.until("guardctl status >/dev/null")?;
    guest.must("systemctl restart guard-load").map(drop)
}

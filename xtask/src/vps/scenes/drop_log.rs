//! Dropped packets in the server's own journal, written by the daemon of the packaged unit.

use anyhow::{Context as _, Result, bail};

use super::boot;
use crate::vps::{
    debian::NIC,
    guest::Guest,
    network::{GUEST, PEER},
};

/// An address of nobody.
const SCANNER: &str = "198.51.100.67";
/// Closed ports that it tries, and one of them.
const PORTS: &str = "8";
const FIRST: &str = "++3000";
const ONE_OF_THEM: &str = "3003";
/// The policy from before.
const BEFORE: &str = "/root/guard.toml.before";

/// `[log] drops` writes lines with fields, and the jail that reads them bans who tries port after port, and not who
/// repeats one.
pub(super) fn drop_log(guest: &mut Guest<'_>) -> Result<()> {
    guest.must(&format!(
        "set -e
cp /etc/guard/guard.toml {BEFORE}
printf '\\n[log]\\ndrops = true\\n' >>/etc/guard/guard.toml
guardctl --yes reload
guardctl jail enable guard-portscan
guardctl jail set guard-portscan maxretry 6"
    ))?;
    // The probe knocks at one port all the time: it shows that the log has begun.
    let of = |source: &str| format!("journalctl -q -b -u guard GUARD_SOURCE={source}");
    guest.until(&format!("{} | grep -q .", of(PEER)))?;
    let scan = [
        "-S", "-q", "-a", SCANNER, "-p", FIRST, "-c", PORTS, "-i", "u50000", GUEST,
    ];
    // Nobody answers, of which it complains.
    let ran = guest.network.on_peer("hping3", scan).output();
    ran.context("cannot start hping3")?;
    guest.until(&format!(
        "guardctl bans | grep -w {SCANNER} | grep -w guard-portscan"
    ))?;
    let fields = format!(
        "GUARD_REASON=default-drop GUARD_ACTION=drop GUARD_PROTOCOL=tcp GUARD_PORT={ONE_OF_THEM} GUARD_INTERFACE={NIC}"
    );
    let line = guest.must(&format!("{} {fields} PRIORITY=6 -o cat", of(SCANNER)))?;
    let begin = format!("[GUARD DROP] IN={NIC} OUT= SRC={SCANNER} DST={GUEST} LEN=");
    let end = format!(" DPT={ONE_OF_THEM} SYN REASON=default-drop");
    if !line.trim_end().starts_with(&begin) || !line.trim_end().ends_with(&end) {
        bail!("the line of port {ONE_OF_THEM} is another:\n{line}");
    }
    if guest
        .run(&format!("guardctl bans | grep -w {PEER}"))?
        .status
        == 0
    {
        bail!("{PEER}, which repeats one port, is banned");
    }
    guest.until(&format!("guardctl --yes unban {SCANNER}"))?;
    guest.must(&format!(
        "set -e
guardctl jail disable guard-portscan
mv {BEFORE} /etc/guard/guard.toml
guardctl --yes reload"
    ))?;
    guest.expect_silence("while dropped packets were logged")?;
    boot::is_whole(guest)
}

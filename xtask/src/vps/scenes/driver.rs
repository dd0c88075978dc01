//! What the driver of a NIC does with a program, and says of it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::vps::{
    debian::{CLOSED, NIC},
    guest::Guest,
    network::PEER,
};

/// Seconds from a daemon that is ready to generic mode. It has a program ready then: loading one takes the
/// verifier a tenth of a second, and twenty seconds of an emulated machine.
const UNTIL_SEEN: f64 = 5.0;

/// The driver takes the program and hands it no packets: guard finds out, takes generic mode, and begins
/// with it at the next boot.
pub(super) fn blind(guest: &mut Guest<'_>) -> Result<()> {
    const WHY: &str = "generic: its driver takes the program and hands it no packets";
    guest.until(&format!("guardctl status | grep -q '{WHY}'"))?;
    guest.must("guardctl status >/dev/null")?;
    let journal = guest.must("journalctl -b -o short-monotonic --no-pager -u guard")?;
    let ready = moment(&journal, "Started guard.service")?;
    let seen = moment(&journal, "saw none of the packets")?;
    println!(
        "  {:.1} s after the daemon was ready; {} answers of a closed port before",
        seen - ready,
        guest.probe.answers()
    );
    if seen - ready > UNTIL_SEEN {
        bail!("that took too long");
    }
    if guest.network.answers(CLOSED)? {
        bail!("the closed port {CLOSED} accepts a connection in generic mode");
    }
    guest.answers_before = guest.probe.answers();
    guest.reboot()?;
    guest.expect_silence("from a reboot of a NIC whose native mode is known not to filter")?;
    guest
        .must(&format!("guardctl status | grep -q '{WHY}'"))
        .map(drop)
}

/// When a line with this text was written, in seconds of this boot.
fn moment(journal: &str, text: &str) -> Result<f64> {
    let line = journal.lines().find(|line| line.contains(text));
    let line = line.with_context(|| format!("no line with `{text}` in:\n{journal}"))?;
    let stamp = line.trim_start_matches('[').split(']').next();
    let stamp = stamp.unwrap_or_default().trim();
    stamp
        .parse()
        .with_context(|| format!("no time in `{line}`"))
}

/// The MTU is raised under a native program: large frames come in, nothing else does, and guard comes off.
pub(super) fn large_mtu(guest: &mut Guest<'_>) -> Result<()> {
    guest.must(&format!("guardctl status | grep -q '{NIC} (native)'"))?;
    guest.network.set_mtu(9000)?;
    guest.answers_before = guest.probe.answers();
    guest.must(&format!("ip link set {NIC} mtu 9000"))?;
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    // The first frame that is too large for native mode and comes in.
    while guest
        .run(&format!("ping -c 1 -W 1 -M do -s 8000 {PEER}"))?
        .status
        != 0
    {
        if std::time::Instant::now() > deadline {
            bail!("no frame of 8000 bytes came in within 10 s");
        }
    }
    guest.until(&format!(
        "guardctl status | grep -q '{NIC} (generic: its driver takes no program with an MTU of 9000'"
    ))?;
    guest.expect_silence("while the mode changed")?;

    guest.must("guardctl disable")?;
    guest.until_network("the closed port answers without guard", |network| {
        network.answers(CLOSED)
    })?;
    guest.must(&format!("! ip -d link show dev {NIC} | grep -q xdp"))?;
    guest.must("guardctl --yes enable")?;
    guest.answers_before = guest.probe.answers();
    if guest.network.answers(CLOSED)? {
        bail!("the closed port {CLOSED} accepts a connection");
    }
    // At the next boot the MTU is raised behind guard's back again.
    guest.must(&format!(
        "printf '[Unit]\\nAfter=guard-load.service\\nBefore=networking.service\\nDefaultDependencies=no\\n\
         [Service]\\nType=oneshot\\nExecStart=ip link set {NIC} mtu 9000\\n[Install]\\nWantedBy=sysinit.target\\n' \
         >/etc/systemd/system/large-mtu.service && systemctl enable large-mtu.service"
    ))?;
    guest.answers_before = guest.probe.answers();
    guest.reboot()?;
    guest.expect_silence("from a reboot with a large MTU")?;
    guest.must(&format!("ping -c 1 -W 5 -M do -s 8000 {PEER}"))?;
    guest.must(&format!(
        "guardctl status | grep -q '{NIC} (generic: its driver takes no program with an MTU of 9000'"
    ))?;
    guest
        .must("systemctl disable large-mtu.service; guardctl --yes disable")
        .map(drop)
}

/// The driver keeps a program at an MTU at which it takes none: guard comes off all the same.
pub(super) fn disable_at_a_large_mtu(guest: &mut Guest<'_>) -> Result<()> {
    guest.must(&format!(
        "set -e
systemctl stop guard
ip link set {NIC} mtu 1500
guardctl --yes enable --mode auto
guardctl status | grep -q '{NIC} (native)'
ip link set {NIC} mtu 9000
guardctl status | grep -q 'LARGE FRAMES MAY BE LOST' || exit 9
guardctl disable"
    ))?;
    guest.must(&format!("ip link show dev {NIC} | grep -q 'mtu 9000'"))?;
    guest.until_network("the closed port answers without guard", |network| {
        network.answers(CLOSED)
    })?;
    guest.must(&format!("ping -c 1 -W 5 -M do -s 8000 {PEER}"))?;
    guest.must(&format!(
        "ip link set {NIC} mtu 1500 && guardctl --yes enable && systemctl start guard"
    ))?;
    guest.answers_before = guest.probe.answers();
    Ok(())
}

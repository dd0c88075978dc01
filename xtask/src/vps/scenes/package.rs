//! The package: upgraded and downgraded under traffic, refused, removed, purged.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{boot, kept::State};
use crate::vps::{
    debian::{CLOSED, NIC},
    guest::Guest,
    installation::{BEFORE, install, note_files},
    packages::{NEXT, OTHER_ABI, THIS},
    session::{self, ECHO, Session},
};

/// Long enough for a probe and a session to show a gap.
const MOMENT: Duration = Duration::from_secs(2);

/// To a newer version, unpacked first and configured later, as after a dpkg that was interrupted; then one that
/// cannot be. Neither opens anything, and a session goes on.
pub(super) fn upgrade(guest: &mut Guest<'_>) -> Result<()> {
    in_a_session(guest, |guest, session| {
        let before = State::of(guest)?;
        guest.must(&format!("dpkg --unpack {NEXT}"))?;
        goes_on(session)?;
        guest.must("guardctl status >/dev/null")?;
        let said = guest.must("dpkg --configure guardctl 2>&1")?;
        if !said.contains("program replaced without a gap") {
            bail!("the program was not exchanged:\n{said}");
        }
        goes_on(session)?;
        guest.expect_silence("while the package was upgraded")?;
        before.is_kept_but_for_program_and_daemon(guest)?;

        let before = State::of(guest)?;
        let refused = guest.run(&format!("dpkg -i {OTHER_ABI} 2>&1"))?;
        let is_told = refused
            .output
            .contains("its commands could not change that filter");
        if refused.status == 0 || !is_told {
            bail!(
                "a package of another ABI was not refused:\n{}",
                refused.output
            );
        }
        goes_on(session)?;
        guest.expect_silence("while a package was refused")?;
        before.is_kept(guest)
    })
}

/// To an older version.
pub(super) fn downgrade(guest: &mut Guest<'_>) -> Result<()> {
    guest.must(&format!("dpkg -i {NEXT}"))?;
    in_a_session(guest, |guest, session| {
        let before = State::of(guest)?;
        guest.must(&format!("dpkg -i {THIS}"))?;
        goes_on(session)?;
        guest.expect_silence("while the package was downgraded")?;
        before.is_kept_but_for_program_and_daemon(guest)
    })
}

/// Plays this while a session goes on, and looks whether all is there afterwards.
pub(super) fn in_a_session(
    guest: &mut Guest<'_>,
    play: impl FnOnce(&mut Guest<'_>, &mut Session) -> Result<()>,
) -> Result<()> {
    guest.must(&session::serve())?;
    guest.must(&format!("guardctl --yes allow {ECHO}/tcp comment echo"))?;
    guest.answers_before = guest.probe.answers();
    let mut session = Session::begin(&guest.network)?;
    goes_on(&mut session)?;
    play(guest, &mut session)?;
    boot::is_whole(guest)?;
    drop(session);
    guest
        .must(&format!(
            "systemctl stop echo; guardctl --yes delete allow {ECHO}/tcp"
        ))
        .map(drop)
}

/// Removed, it filters no more and keeps its policy; purged, nothing is left. Then it comes back, as on a server
/// that never had it, and is off.
pub(super) fn purge(guest: &mut Guest<'_>) -> Result<()> {
    let said = guest.must("dpkg -r guardctl 2>&1")?;
    if !said.contains("guard is OFF") {
        bail!("nothing says that guard is off:\n{said}");
    }
    guest.must(&format!(
        "! ip -d link show dev {NIC} | grep xdp && test -s /etc/guard/guard.toml"
    ))?;
    guest.until_network("the closed port answers without guard", |network| {
        network.answers(CLOSED)
    })?;
    guest.must("dpkg -P guardctl")?;
    note_files(guest, "/root/after")?;
    guest.must(&format!(
        "# Scenes before may have left files of the network's.
diff {BEFORE} /root/after | grep '^[<>]' | grep -vE '/(systemd-)?network|large-mtu' && exit 1
find /sys/fs/bpf /run -name '*guard*' | grep -vE '^/run/(systemd/propagate|udev)' | grep . && exit 1
getent group guard && exit 2
systemctl list-unit-files 'guard*' --no-legend | grep . && exit 3
systemctl list-units 'guard*' --no-legend | grep . && exit 4
systemctl --failed --no-legend | grep . && exit 5
ip -d link | grep xdp && exit 6
pgrep guardctl && exit 7
true"
    ))?;
    install(guest)
}

pub(super) fn goes_on(session: &mut Session) -> Result<()> {
    let before = session.answers()?;
    let deadline = Instant::now() + Duration::from_secs(60);
    std::thread::sleep(MOMENT);
    while session.answers()? <= before {
        if Instant::now() > deadline {
            bail!("the session says nothing any more");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

//! The package: upgraded and downgraded under traffic, refused, removed, purged.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::boot;
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
    guest.must(&session::serve())?;
    guest.must(&format!("guardctl --yes allow {ECHO}/tcp comment echo"))?;
    guest.answers_before = guest.probe.answers();
    let mut session = Session::begin(&guest.network)?;
    goes_on(&mut session)?;
    let before = State::of(guest)?;

    guest.must(&format!("dpkg --unpack {NEXT}"))?;
    goes_on(&mut session)?;
    guest.must("guardctl status >/dev/null")?;
    let said = guest.must("dpkg --configure guardctl 2>&1")?;
    if !said.contains("program replaced without a gap") {
        bail!("the program was not exchanged:\n{said}");
    }
    goes_on(&mut session)?;
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
    goes_on(&mut session)?;
    guest.expect_silence("while a package was refused")?;
    before.is_kept(guest)?;
    boot::is_whole(guest)?;
    drop(session);
    guest
        .must(&format!(
            "systemctl stop echo; guardctl --yes delete allow {ECHO}/tcp"
        ))
        .map(drop)
}

/// To an older version, under traffic.
pub(super) fn downgrade(guest: &mut Guest<'_>) -> Result<()> {
    guest.must(&format!("dpkg -i {NEXT}"))?;
    guest.must(&session::serve())?;
    guest.must(&format!("guardctl --yes allow {ECHO}/tcp comment echo"))?;
    guest.answers_before = guest.probe.answers();
    let mut session = Session::begin(&guest.network)?;
    goes_on(&mut session)?;
    let before = State::of(guest)?;

    guest.must(&format!("dpkg -i {THIS}"))?;

    goes_on(&mut session)?;
    guest.expect_silence("while the package was downgraded")?;
    before.is_kept_but_for_program_and_daemon(guest)?;
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

/// No room for the package: dpkg stops, and what is in force stays. Room again, and it goes on.
pub(super) fn full_disk(guest: &mut Guest<'_>) -> Result<()> {
    let before = State::of(guest)?;
    guest.answers_before = guest.probe.answers();
    guest.must("dd if=/dev/zero of=/var/tmp/full bs=1M 2>/dev/null; sync; df / | grep 100%")?;
    let full = guest.run(&format!("dpkg -i {NEXT} 2>&1"))?;
    if full.status == 0 {
        bail!("the disk was not full:\n{}", full.output);
    }
    println!(
        "  dpkg: {}",
        full.output.lines().next_back().unwrap_or_default()
    );
    before.is_kept(guest)?;
    guest.must("rm /var/tmp/full; dpkg --configure -a")?;
    before.is_kept(guest)?;
    guest.must(&format!("dpkg -i {NEXT}"))?;
    guest.expect_silence("while the disk was full")?;
    boot::is_whole(guest)
}

/// In a chroot that sees the host's /sys, without systemd: the package comes and goes there, and the host's filter
/// stays.
pub(super) fn chroot(guest: &mut Guest<'_>) -> Result<()> {
    let before = State::of(guest)?;
    guest.answers_before = guest.probe.answers();
    guest.must(&format!(
        "set -e
mkdir -p /srv/chroot
cp -ax /bin /etc /lib* /sbin /usr /srv/chroot/
mkdir -p /srv/chroot/proc /srv/chroot/sys /srv/chroot/run /srv/chroot/tmp /srv/chroot/var/lib /srv/chroot/dev
cp -ax /var/lib/dpkg /srv/chroot/var/lib/
mount --rbind --make-rslave /sys /srv/chroot/sys
mount -t proc proc /srv/chroot/proc
mount --rbind --make-rslave /dev /srv/chroot/dev
cp {NEXT} /srv/chroot/next.deb
chroot /srv/chroot dpkg -P guardctl
chroot /srv/chroot dpkg -i /next.deb
chroot /srv/chroot dpkg -r guardctl
chroot /srv/chroot dpkg -i /next.deb
chroot /srv/chroot dpkg -P guardctl
test ! -e /srv/chroot/usr/sbin/guardctl
umount -R -l /srv/chroot/sys /srv/chroot/dev
umount /srv/chroot/proc
rm -rf /srv/chroot"
    ))?;
    guest.expect_silence("while a package came and went in a chroot")?;
    before.is_kept(guest)
}

fn goes_on(session: &mut Session) -> Result<()> {
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

/// What must survive what happens to a package.
struct State {
    program: String,
    daemon: String,
    version: String,
    /// SYNs to the closed port that were dropped.
    dropped: u64,
    policy: String,
}

impl State {
    fn of(guest: &mut Guest<'_>) -> Result<Self> {
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
    fn is_kept(&self, guest: &mut Guest<'_>) -> Result<()> {
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
    fn is_kept_but_for_program_and_daemon(&self, guest: &mut Guest<'_>) -> Result<()> {
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

    fn has_same_state(&self, now: &Self) -> Result<()> {
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

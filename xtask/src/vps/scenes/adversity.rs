//! The package and the commands where something is in their way: no room, another root, a dpkg that is killed, an
//! /etc that cannot be written.

use anyhow::{Result, bail};

use super::{
    boot,
    kept::State,
    package::{goes_on, in_a_session},
};
use crate::vps::{
    debian::NIC,
    guest::Guest,
    packages::{NEXT, THIS},
};

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

/// In tenths of the time that an installation takes: when dpkg is killed.
const MOMENTS: [f64; 4] = [1.0, 3.0, 5.0, 8.0];

/// dpkg is killed in the middle of an upgrade, again and again: the filter stays in force, a session goes on, and
/// dpkg gets to its end when it is asked again.
pub(super) fn interrupted(guest: &mut Guest<'_>) -> Result<()> {
    in_a_session(guest, |guest, session| {
        let started = std::time::Instant::now();
        guest.must(&format!("dpkg -i {THIS}"))?;
        let takes = started.elapsed().as_secs_f64();
        let before = State::of(guest)?;
        let mut in_the_middle = 0;
        for moment in MOMENTS {
            let after = takes * moment / 10.0;
            let shown = guest.must(&format!(
                "setsid dpkg -i {NEXT} >/root/said 2>&1 & pid=$!
sleep {after:.2}; kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
while pgrep -f 'guardctl[.](pre|post)' >/dev/null; do sleep 0.1; done
ip -d link show dev {NIC} | grep -q prog/xdp || exit 9
dpkg-query -W -f '${{Status}} ${{Version}}' guardctl"
            ))?;
            println!("  dpkg killed after {after:.1} s of {takes:.1}: {shown}");
            if !shown.contains("install ok installed") {
                in_the_middle += 1;
            }
            goes_on(session)?;
            guest.must(&format!(
                "dpkg --configure -a && guardctl status && dpkg -i {THIS}"
            ))?;
            goes_on(session)?;
        }
        if in_the_middle == 0 {
            bail!("dpkg was never killed in the middle");
        }
        guest.expect_silence("while dpkg was killed again and again")?;
        guest.must(&format!("dpkg -i {NEXT} && dpkg --audit"))?;
        before.is_kept_but_for_program_and_daemon(guest)
    })
}

/// What a command must not change, as text.
const SURROUNDINGS: &str =
    "find /etc/guard /etc/systemd/system /sys/fs/bpf/guard 2>/dev/null | sort
cat /etc/guard/* 2>/dev/null; ip -d link | grep -c xdp; true";

/// Where /etc is read-only, commands that would write there say so, and change nothing.
pub(super) fn read_only(guest: &mut Guest<'_>) -> Result<()> {
    guest.until("guardctl --yes disable")?;
    guest.must(
        "set -e
cp /etc/guard/guard.toml /root/kept.toml
echo 'table inet t { chain c { type filter hook input priority 0; policy drop; tcp dport 22 accept; }; }' >/root/rules.nft",
    )?;
    // With a policy, and without one.
    for prepare in ["true", "rm /etc/guard/guard.toml"] {
        guest.must(prepare)?;
        guest.must("mount --bind /etc /etc && mount -o remount,bind,ro /etc")?;
        let before = guest.must(SURROUNDINGS)?;
        for command in [
            "setup --yes",
            "--yes allow 80/tcp",
            "--yes default allow",
            "--yes import nft --from /root/rules.nft",
        ] {
            let answer = guest.run(&format!("guardctl {command} 2>&1"))?;
            let is_told = answer.output.contains("read-only") || answer.status == 7;
            println!(
                "  {command}: {} {}",
                answer.status,
                answer.output.lines().next_back().unwrap_or_default()
            );
            let after = guest.must(SURROUNDINGS)?;
            if answer.status == 0 || !is_told || after != before {
                bail!(
                    "`{command}` with a read-only /etc ended with {}:\n{}\nbefore:\n{before}after:\n{after}",
                    answer.status,
                    answer.output
                );
            }
        }
        guest.must("guardctl doctor | grep -q 'the file system is read-only' && umount /etc")?;
    }
    guest.must("cp /root/kept.toml /etc/guard/guard.toml && guardctl --yes enable")?;
    guest.answers_before = guest.probe.answers();
    boot::is_whole(guest)
}

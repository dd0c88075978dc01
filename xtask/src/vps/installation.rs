//! guard comes onto the server as its operator brings it, and leaves again.

use std::time::Instant;

use anyhow::{Result, bail};

use super::{
    debian::{CLOSED, Edition},
    guest::{Bench, Guest},
    machine::{Disk, Hardware},
    network::PEER,
    packages::THIS,
};
use crate::sh;

/// List of the files that were there before the package was.
pub(super) const BEFORE: &str = "/root/before";

/// What belongs to others, or changes by itself.
const OF_OTHERS: &[&str] = &[
    "/etc/.pwd.lock",
    "/etc/group-",
    "/etc/gshadow-",
    "/etc/resolv.conf",
    "/root",
    "/tmp",
    "/var/cache",
    "/var/lib/dhcp",
    "/var/lib/dpkg",
    "/var/lib/systemd",
    "/var/log",
    "/var/tmp",
];

/// The package, on a server without guard.
fn commands_to_install() -> String {
    format!(
        "set -e
tar -xf /dev/vdb -C /root
dpkg -i {THIS} >/root/said 2>&1 || {{ cat /root/said; exit 1; }}
grep -q 'installed, and off' /root/said
systemctl is-enabled guard-load.service guard.service
systemctl is-active guard-load.service guard.service
guardctl status && exit 1 || [ $? = 3 ]
ip -d link | grep xdp && exit 1
systemctl --failed --no-legend --plain | grep . && exit 1
guardctl service install | grep 'the units are those of the package'
find /etc/systemd/system -name 'guard*' -type f | grep . && exit 1
getent group guard"
    )
}

/// What an operator types next: SSH stays open, one source is banned.
fn commands_to_enable() -> String {
    format!(
        "set -e
guardctl --yes allow 22/tcp comment ssh
guardctl --yes enable
# The daemon loads a program meanwhile, which takes an emulated machine longer than a command waits.
until guardctl --yes ban 203.0.113.66 --for 1d --reason vps; do sleep 1; done
guardctl service status
systemctl is-active guard.service
ping -c 1 -W 10 {PEER}
sync"
    )
}

/// A disk on which guard is installed. The port that the scenes find closed is open before, or they would prove
/// nothing.
pub(super) fn on_fresh_server(mut bench: Bench, edition: Edition) -> Result<Bench> {
    println!("\n== installing guard on a fresh server");
    let disk = bench.run.join("disk.img");
    let mut copy = sh::command("cp", ["--sparse=always"]);
    sh::output(copy.arg(&bench.system.disk).arg(&disk))?;
    bench.system.disk = disk;
    let started = Instant::now();
    let hardware = Hardware {
        edition,
        memory: match edition {
            Edition::Small | Edition::Metal => Hardware::PLAIN.memory,
            Edition::Docker => 1024,
        },
        ..Hardware::PLAIN
    };
    let mut guest = Guest::power_on(&bench, &hardware, Disk::Kept)?;
    let installed = guest
        .is_up()
        .and_then(|()| note_files(&mut guest, BEFORE))
        .and_then(|()| install(&mut guest))
        .and_then(|()| enable(&mut guest));
    installed.inspect_err(|_| println!("{}", guest.evidence()))?;
    guest.power_off()?;
    println!("  {:.1} s", started.elapsed().as_secs_f64());
    Ok(bench)
}

/// Installs the package on a server without guard. It turns nothing on.
pub(super) fn install(guest: &mut Guest<'_>) -> Result<()> {
    guest.must(&commands_to_install())?;
    guest.until_network("the closed port answers while guard is off", |network| {
        network.answers(CLOSED)
    })
}

fn enable(guest: &mut Guest<'_>) -> Result<()> {
    guest.must(&commands_to_enable())?;
    if guest.network.answers(CLOSED)? {
        bail!("the closed port {CLOSED} accepts a connection");
    }
    Ok(())
}

/// Writes the paths of all files that could be guard's into a file of the guest.
pub(super) fn note_files(guest: &mut Guest<'_>, list: &str) -> Result<()> {
    let skipped: Vec<String> = OF_OTHERS
        .iter()
        .map(|path| format!("-path {path}"))
        .collect();
    let find = format!(
        "find / -xdev \\( {} \\) -prune -o -print | LC_ALL=C sort >{list}",
        skipped.join(" -o ")
    );
    guest.must(&find).map(drop)
}

//! From a line in a log to the first packet that is dropped for it.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{
    bench::{memory::kb, until_dropped::until_dropped},
    lab::{GuardDaemon, Instance, Topology, UdpEcho},
    sshd_log,
};

const PORT: u16 = 7000;
const POLICY: &str = "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 7000\n";

/// How long it took for each source, in order of length, and the daemon's memory.
#[derive(Clone, Debug)]
pub struct Delays {
    /// By length.
    pub samples: Vec<Duration>,
    /// What the daemon has in the end, in KB.
    pub rss_kb: u64,
    /// The most that it ever had, in KB.
    pub peak_kb: u64,
}

impl Delays {
    /// What this share of the sources does not exceed.
    #[must_use]
    pub fn at(&self, share: f64) -> Duration {
        let last = self.samples.len().saturating_sub(1);
        let index = (last as f64 * share).ceil() as usize;
        self.samples.get(index).copied().unwrap_or_default()
    }
}

pub(super) fn measure(attackers: u16, bans: u32) -> Result<Delays> {
    let lab = Topology::new();
    let guard = Instance::new(&lab.srv);
    guard.write_policy(POLICY);
    let path = guard.folder().join("auth.log");
    File::create(&path)?;
    let jails = guard.etc().join("jails.d");
    fs::create_dir_all(&jails)?;
    let jail = format!(
        "[jail.sshd]\nenabled = true\nlogpath = \"{}\"\nmaxretry = 5\n",
        path.display()
    );
    fs::write(jails.join("bench.toml"), jail)?;
    drop(guard.guardctl(&["enable"]).ok());
    import(&guard, bans)?;
    let daemon = GuardDaemon::start(&guard);
    let _echo = UdpEcho::start(&lab.srv, PORT);
    // All of 198.18.0.0/16 is the attacker.
    lab.wan
        .ip(&format!("route add 198.18.0.0/16 via {}", lab.attacker.v4));
    lab.attacker.ip("route add local 198.18.0.0/16 dev lo");
    let mut log = OpenOptions::new().append(true).open(&path)?;
    let to = SocketAddr::new(lab.srv.v4, PORT);
    let samples: Result<Vec<Duration>> = lab.attacker.run(|| {
        (0..attackers)
            .map(|number| {
                let [high, low] = (number + 1).to_be_bytes();
                let source = Ipv4Addr::new(198, 18, high, low);
                one(source, to, &mut log).with_context(|| format!("{source}: {}", daemon.said()))
            })
            .collect()
    });
    let mut samples = samples?;
    samples.sort_unstable();
    Ok(Delays {
        samples,
        rss_kb: kb(daemon.id(), "VmRSS:")?,
        peak_kb: kb(daemon.id(), "VmHWM:")?,
    })
}

/// Bans that are there before.
fn import(guard: &Instance, bans: u32) -> Result<()> {
    if bans == 0 {
        return Ok(());
    }
    let mut text = String::new();
    for number in 0..bans {
        let [_, b, c, d] = number.to_be_bytes();
        writeln!(text, "45.{b}.{c}.{d}")?;
    }
    let list = guard.folder().join("list.txt");
    fs::write(&list, text)?;
    let list = list.to_string_lossy().into_owned();
    drop(
        guard
            .guardctl(&["bans", "import", &list, "--for", "1d"])
            .ok(),
    );
    Ok(())
}

/// One source: its failures are written, its answers stop.
fn one(source: Ipv4Addr, to: SocketAddr, log: &mut File) -> Result<Duration> {
    let lines = sshd_log::failures(&source.to_string(), 5);
    until_dropped(source, to, || Ok(log.write_all(lines.as_bytes())?))
}

//! From a line in a log to the first packet that is dropped for it.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    lab::{GuardDaemon, Instance, Topology, UdpEcho},
    sshd_log,
};

const PORT: u16 = 7000;
/// Between two datagrams.
const PACE: Duration = Duration::from_micros(200);
/// Between two looks for an answer.
const LOOK: Duration = Duration::from_micros(20);
/// Datagrams that must be answered before the log says anything.
const BEFORE: usize = 20;
/// So long without an answer, and it is banned.
const SILENCE: Duration = Duration::from_millis(40);
/// Nobody takes longer.
const MOST: Duration = Duration::from_secs(10);
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

/// One source: it asks all the time, its failures are written, its answers stop.
fn one(source: Ipv4Addr, to: SocketAddr, log: &mut File) -> Result<Duration> {
    let socket = UdpSocket::bind((source, 0))?;
    socket.connect(to)?;
    // A time-out would be as long as a tick.
    socket.set_nonblocking(true)?;
    let lines = sshd_log::failures(&source.to_string(), 5);
    let mut sent: Vec<Instant> = Vec::new();
    let mut written = None;
    let mut last_answer = 0_usize;
    let begun = Instant::now();
    loop {
        let number = u32::try_from(sent.len())?;
        sent.push(Instant::now());
        socket.send(&number.to_be_bytes())?;
        let next = sent[sent.len() - 1] + PACE;
        while Instant::now() < next {
            let mut answer = [0; 4];
            match socket.recv(&mut answer) {
                Ok(_) => last_answer = last_answer.max(u32::from_be_bytes(answer) as usize),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(LOOK),
                Err(error) => return Err(error.into()),
            }
        }
        if written.is_none() && last_answer >= BEFORE {
            written = Some(Instant::now());
            log.write_all(lines.as_bytes())?;
        }
        if let Some(written) = written
            && let Some(first_lost) = sent.get(last_answer + 1)
            && first_lost.elapsed() > SILENCE
        {
            return Ok(first_lost.saturating_duration_since(written));
        }
        ensure!(begun.elapsed() < MOST, "not banned within {MOST:?}");
    }
}

fn kb(id: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|line| line.split_whitespace().next());
    Ok(word.context("no memory is told")?.parse()?)
}

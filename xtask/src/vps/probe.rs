//! Knocks at the guest's closed port from outside, fifty times a second, and counts the answers:
//! each is a packet that met a host without protection.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, Result, bail};

use super::{
    debian::CLOSED,
    network::{GUEST, Network},
};

/// Microseconds between two SYNs.
const INTERVAL: &str = "u20000";

/// A probe that runs; it ends with the value.
pub(super) struct Probe {
    knocking: Child,
    listening: Child,
    answers: Arc<AtomicU64>,
}

impl Probe {
    /// Starts it; the guest need not be there yet.
    pub(super) fn start(network: &Network) -> Result<Self> {
        let filter = format!("src host {GUEST} and tcp src port {CLOSED}");
        let mut tcpdump = network.on_peer("tcpdump", ["-i", "eth0", "-n", "-l", &filter]);
        let mut listening = tcpdump
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start tcpdump")?;
        let output = listening.stdout.take().context("its output is piped")?;
        let errors = listening.stderr.take().context("its errors are piped")?;
        let answers = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&answers);
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            for _ in lines.filter(|line| line.contains("Flags [S.]")) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        // Before it listens nothing may be sent that could be answered.
        let mut errors = BufReader::new(errors).lines().map_while(Result::ok);
        if !errors.any(|line| line.starts_with("listening on")) {
            let _ended = listening.wait();
            bail!("tcpdump does not listen on the peer");
        }
        // Read on, or it would be stopped by a full pipe.
        std::thread::spawn(move || errors.for_each(drop));
        let port = CLOSED.to_string();
        let mut hping = network.on_peer("hping3", ["-S", "-q", "-p", &port, "-i", INTERVAL, GUEST]);
        let knocking = hping.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let knocking = match knocking {
            Ok(knocking) => knocking,
            Err(error) => {
                let _killed = listening.kill();
                let _reaped = listening.wait();
                return Err(error).context("cannot start hping3");
            }
        };
        Ok(Self {
            knocking,
            listening,
            answers,
        })
    }

    /// SYN+ACKs of the closed port until now.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// Fails with the number if the closed port has answered since it was `before`.
    pub(super) fn expect_silence(&mut self, during: &str, before: u64) -> Result<()> {
        if let Some(status) = self.knocking.try_wait()? {
            bail!("hping3 has ended ({status}): nobody knocked");
        }
        if let Some(status) = self.listening.try_wait()? {
            bail!("tcpdump has ended ({status}): nobody listened");
        }
        let leaks = self.answers() - before;
        println!("  {during}: {leaks} SYN+ACKs of the closed port");
        if leaks > 0 {
            bail!("{during}: the closed port {CLOSED} answered {leaks} times");
        }
        Ok(())
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        for child in [&mut self.knocking, &mut self.listening] {
            let _killed = child.kill();
            let _reaped = child.wait();
        }
    }
}

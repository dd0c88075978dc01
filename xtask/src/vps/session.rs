//! A TCP session between the peer and the guest that says something ten times a second, and notices when nothing
//! comes back.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, Result, bail};

use super::network::{GUEST, Network};

/// Where the guest answers with what it was told.
pub(super) const ECHO: u16 = 7777;

/// Run in the guest.
pub(super) fn serve() -> String {
    format!("systemd-run --quiet --unit=echo systemd-socket-activate -a --inetd -l {ECHO} cat")
}

/// Seconds after which a session without an answer counts as lost: less than a peer waits before it gives one up.
const PATIENCE: u32 = 60;

/// A session that lasts; it ends with the value.
pub(super) struct Session {
    peer: Child,
    answers: Arc<AtomicU64>,
}

impl Session {
    /// Begins it.
    pub(super) fn begin(network: &Network) -> Result<Self> {
        let script = format!(
            "exec 3<>/dev/tcp/{GUEST}/{ECHO} || exit 1
n=0
while echo $n >&3 && read -t {PATIENCE} -r line <&3 && [ \"$line\" = $n ]; do
    n=$((n + 1))
    echo $n
    sleep 0.1
done"
        );
        let mut bash = network.on_peer("bash", ["-c", &script]);
        let mut peer = bash
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start bash on the peer")?;
        let output = peer.stdout.take().context("its output is piped")?;
        let answers = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&answers);
        std::thread::spawn(move || {
            for _ in BufReader::new(output).lines().map_while(Result::ok) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(Self { peer, answers })
    }

    /// Answers until now. Fails when there will be no more.
    pub(super) fn answers(&mut self) -> Result<u64> {
        if let Some(status) = self.peer.try_wait()? {
            bail!("the session has ended ({status})");
        }
        Ok(self.answers.load(Ordering::Relaxed))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _killed = self.peer.kill();
        let _reaped = self.peer.wait();
    }
}

//! 100 MB from the guest to the peer and as much the other way, by TCP, slowly until somebody wants the end; and
//! whether every byte arrived.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{guest::Guest, network::GUEST};
use crate::sh;

/// Where the guest sends, and where it receives and answers with the checksum.
const DOWN: u16 = 7778;
const UP: u16 = 7779;
const MEGABYTES: u32 = 100;
/// What is sent, in the guest.
const LARGE: &str = "/root/large";
/// Seconds between two megabytes while there is no hurry.
const PAUSE: &str = "2";

/// Both ways at once; they end with the value.
pub(super) struct Transfers {
    down: Child,
    up: Child,
    /// What is expected of each.
    checksums: [String; 2],
    /// There as long as there is no hurry.
    slow: PathBuf,
}

impl Transfers {
    /// Begins them.
    pub(super) fn begin(guest: &mut Guest<'_>) -> Result<Self> {
        guest.must(&format!(
            "set -e
systemctl stop down up 2>/dev/null || true
test -e {LARGE} || head -c {MEGABYTES}M /dev/urandom >{LARGE}
systemd-run --quiet --unit=down systemd-socket-activate -a --inetd -l {DOWN} cat {LARGE}
systemd-run --quiet --unit=up systemd-socket-activate -a --inetd -l {UP} sh -c 'head -c {MEGABYTES}M | sha256sum'"
        ))?;
        let down = guest.must(&format!("sha256sum <{LARGE}"))?;
        let folder = guest.run_folder().to_owned();
        let large = large_file(&folder)?;
        let up = sh::output(sh::command("sha256sum", []).stdin(fs::File::open(&large)?))?;
        let slow = folder.join("slow");
        fs::write(&slow, "")?;
        guest.until_network("the guest sends and receives", |network| {
            Ok(network.answers(DOWN)? && network.answers(UP)?)
        })?;
        let (large, wait) = (large.display(), waits(&slow));
        let receives = format!(
            "exec 3<>/dev/tcp/{GUEST}/{DOWN} || exit 1
for n in $(seq {MEGABYTES}); do
    dd bs=1M count=1 iflag=fullblock status=none <&3 || exit 2
    {wait}
done | sha256sum"
        );
        let sends = format!(
            "exec 3<>/dev/tcp/{GUEST}/{UP} || exit 1
for n in $(seq 0 $(({MEGABYTES} - 1))); do
    dd if='{large}' bs=1M skip=$n count=1 status=none >&3 || exit 2
    {wait}
done
cat <&3"
        );
        let start = |script: &str| -> Result<Child> {
            let mut bash: Command = guest.network.on_peer("bash", ["-c", script]);
            let child = bash.stdout(Stdio::piped()).spawn();
            child.context("cannot start bash on the peer")
        };
        Ok(Self {
            down: start(&receives)?,
            up: start(&sends)?,
            checksums: [first_word(&down), first_word(&up)],
            slow,
        })
    }

    /// Neither has ended.
    pub(super) fn go_on(&mut self) -> Result<()> {
        for (child, way) in [
            (&mut self.down, "to the peer"),
            (&mut self.up, "to the guest"),
        ] {
            if let Some(status) = child.try_wait()? {
                bail!("the transfer {way} has ended already ({status})");
            }
        }
        Ok(())
    }

    /// At full speed to the end: every byte has arrived.
    pub(super) fn finish(mut self, patience: Duration) -> Result<()> {
        fs::remove_file(&self.slow)?;
        let deadline = Instant::now() + patience;
        let ways = [
            (&mut self.down, "to the peer"),
            (&mut self.up, "to the guest"),
        ];
        for ((child, way), expected) in ways.into_iter().zip(&self.checksums) {
            while child.try_wait()?.is_none() {
                if Instant::now() > deadline {
                    bail!("the transfer {way} stands still");
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            let mut output = String::new();
            if let Some(mut pipe) = child.stdout.take() {
                std::io::Read::read_to_string(&mut pipe, &mut output)?;
            }
            if first_word(&output) != *expected {
                bail!("the transfer {way} came to {output:?} instead of {expected}");
            }
        }
        Ok(())
    }
}

impl Drop for Transfers {
    fn drop(&mut self) {
        for child in [&mut self.down, &mut self.up] {
            let _killed = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// What the peer sends.
fn large_file(folder: &Path) -> Result<PathBuf> {
    let large = folder.join("large");
    if !large.exists() {
        let size = format!("{MEGABYTES}M");
        let mut head = sh::command("head", ["-c", &size, "/dev/urandom"]);
        let status = head.stdout(fs::File::create(&large)?).status()?;
        if !status.success() {
            bail!("cannot write {}", large.display());
        }
    }
    Ok(large)
}

fn waits(slow: &Path) -> String {
    format!("[ -e '{}' ] && sleep {PAUSE}", slow.display())
}

fn first_word(text: &str) -> String {
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

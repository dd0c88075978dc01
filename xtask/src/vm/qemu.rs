//! Boots one kernel under qemu and watches its console until it is done, dead or late.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    guest::{BEGIN, DONE, END},
    platform::Platform,
};
use crate::tally::Tally;

/// Words for every kernel.
const KERNEL: &str = "panic=-1 quiet loglevel=3 mitigations=off random.trust_cpu=on tsc=reliable";

/// What a guest reported.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// Name and exit status of each job that ended.
    pub(super) jobs: Vec<(String, i32)>,
    pub(super) tally: Tally,
    done: bool,
}

/// How a guest is run.
pub(super) struct Machine<'a> {
    pub(super) platform: &'a Platform,
    pub(super) accelerator: &'a str,
    pub(super) timeout: Duration,
    /// Keeps the whole console.
    pub(super) log: &'a Path,
}

impl Machine<'_> {
    /// Runs until the guest powers off; an error when it never got to the end of its jobs.
    pub(super) fn boot(&self, image: &Path, initramfs: &Path) -> Result<Report> {
        let mut child = Running(self.command(image, initramfs).spawn().with_context(|| {
            let Platform { qemu, qemu_package, .. } = self.platform;
            format!("cannot start {qemu}\n  help: apt-get install --no-install-recommends {qemu_package}")
        })?);
        let console = child.0.stdout.take().context("the console is piped")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).replace('\r', "");
                if sender.send(line).is_err() {
                    break;
                }
            }
        });

        let mut log = fs::File::create(self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let deadline = Instant::now() + self.timeout;
        let mut report = Report::default();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    writeln!(log, "{line}")?;
                    report.note(&line);
                    println!("  {line}");
                }
                // qemu closed the console: the guest is off.
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => bail!(
                    "not done after {} s; stopped\n  help: the console is in {}; --timeout gives it longer",
                    self.timeout.as_secs(),
                    self.log.display()
                ),
            }
        }
        let status = child.0.wait()?;
        if !report.done {
            bail!(
                "the guest went off before it was done (qemu: {status}); the console is in {}",
                self.log.display()
            );
        }
        Ok(report)
    }

    fn command(&self, image: &Path, initramfs: &Path) -> Command {
        let mut command = Command::new(self.platform.qemu);
        let cpu = if self.accelerator == "kvm" {
            "host"
        } else {
            self.platform.processor
        };
        // With one thread, since several race with the kernel's own code patching and are no faster on a small
        // machine.
        let accelerator = match self.accelerator {
            "tcg" => "tcg,thread=single",
            other => other,
        };
        command
            .args(["-accel", accelerator, "-cpu", cpu])
            .args(["-machine", self.platform.board])
            .args(["-smp", "2", "-m", "1024"])
            .args(["-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
            .arg("-kernel")
            .arg(image)
            .arg("-initrd")
            .arg(initramfs)
            .arg("-append")
            .arg(format!("console={} {KERNEL}", self.platform.console))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if self.platform.has_nics {
            // On one wire, which leads nowhere else.
            for name in ["one", "two"] {
                command
                    .args(["-netdev", &format!("hubport,id={name},hubid=0")])
                    .args(["-device", &format!("virtio-net-pci,netdev={name}")]);
            }
        }
        command
    }
}

impl Report {
    /// Takes in a line of the console. A job's last line may lack its end, so a marker counts
    /// wherever it stands.
    fn note(&mut self, line: &str) {
        if let Some((_, ended)) = line.split_once(END) {
            if let Some((name, status)) = ended.rsplit_once(' ') {
                self.jobs
                    .push((name.to_owned(), status.trim().parse().unwrap_or(-1)));
            }
        } else if line.contains(DONE) {
            self.done = true;
        } else if !line.contains(BEGIN) {
            self.tally.note(line);
        }
    }

    /// What went wrong in the jobs, if anything.
    pub(super) fn failure(&self) -> Option<String> {
        let failed: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, status)| *status != 0)
            .map(|(name, status)| format!("{name} (exit status {status})"))
            .collect();
        (!failed.is_empty()).then(|| failed.join(", "))
    }
}

/// A qemu that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone in the usual case.
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_tells_which_jobs_failed() {
        let mut report = Report::default();
        for line in [
            "@guard-vm begin object",
            "test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
            "@guard-vm end object 0",
            "@guard-vm begin ingress",
            "no newline at the end@guard-vm end ingress 101",
            "@guard-vm done",
        ] {
            report.note(line);
        }

        assert!(report.done);
        assert_eq!(report.tally.passed, 4);
        assert_eq!(
            report.failure().as_deref(),
            Some("ingress (exit status 101)")
        );
    }
}

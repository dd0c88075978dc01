//! A server that is on: its machine, its network, and what can be asked of both.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    agent::{Agent, Answer},
    debian::System,
    machine::{Disk, Hardware, Machine},
    network::{GUEST, Network},
    probe::Probe,
};

/// What all guests of a run share.
pub(super) struct Bench {
    pub(super) system: System,
    /// Packages of guardctl, as a disk.
    pub(super) payload: PathBuf,
    pub(super) run: PathBuf,
    pub(super) logs: PathBuf,
    pub(super) patience: Duration,
}

/// A running server with its network.
pub(super) struct Guest<'b> {
    bench: &'b Bench,
    hardware: Hardware,
    // In the order in which they end.
    agent: Agent,
    machine: Machine,
    pub(super) probe: Probe,
    pub(super) network: Network,
    /// Answers that came before what a scene is about.
    pub(super) answers_before: u64,
}

impl<'b> Guest<'b> {
    /// A server with guard installed that was off. The peer knocks before it is on.
    pub(super) fn cold_boot(bench: &'b Bench, hardware: &Hardware) -> Result<Self> {
        let started = Instant::now();
        let mut guest = Self::power_on(bench, hardware, Disk::Snapshot)?;
        guest
            .is_up()
            .inspect_err(|_| println!("{}", guest.evidence()))?;
        println!("  booted in {:.1} s", started.elapsed().as_secs_f64());
        Ok(guest)
    }

    /// Powers it on, and waits for the agent.
    pub(super) fn power_on(bench: &'b Bench, hardware: &Hardware, disk: Disk) -> Result<Self> {
        let network = Network::lay(&bench.run, hardware.queues)?;
        let probe = Probe::start(&network)?;
        let machine = Machine::start(
            &bench.system,
            hardware,
            disk,
            &bench.payload,
            &bench.run,
            &network,
        )?;
        let agent = Agent::connect(&machine.socket, bench.patience)?;
        let mut guest = Self {
            bench,
            hardware: *hardware,
            agent,
            machine,
            probe,
            network,
            answers_before: 0,
        };
        guest.agent.ready().inspect_err(|_| {
            println!("{}", guest.console());
        })?;
        Ok(guest)
    }

    /// Switches it off as its operator does.
    pub(super) fn power_off(mut self) -> Result<()> {
        self.agent.start("systemctl poweroff")?;
        self.machine.is_off_within(self.bench.patience)
    }

    /// What it is made of.
    pub(super) fn hardware(&self) -> &Hardware {
        &self.hardware
    }

    /// Where files of this run may lie.
    pub(super) fn run_folder(&self) -> &Path {
        &self.bench.run
    }

    /// Runs a command of a shell in the guest.
    pub(super) fn run(&mut self, command: &str) -> Result<Answer> {
        self.agent.run(command)
    }

    /// Runs one that must succeed.
    pub(super) fn must(&mut self, command: &str) -> Result<String> {
        let answer = self.run(command)?;
        if answer.status != 0 {
            bail!(
                "`{command}` ended with {}:\n{}",
                answer.status,
                answer.output
            );
        }
        Ok(answer.output)
    }

    /// Runs one until it succeeds.
    pub(super) fn until(&mut self, command: &str) -> Result<String> {
        let deadline = Instant::now() + self.bench.patience;
        loop {
            let answer = self.run(command)?;
            if answer.status == 0 {
                return Ok(answer.output);
            }
            if Instant::now() >= deadline {
                bail!(
                    "`{command}` still ends with {}:\n{}",
                    answer.status,
                    answer.output
                );
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits for something that the peer can see.
    pub(super) fn until_network(
        &mut self,
        what: &str,
        is_so: impl Fn(&Network) -> Result<bool>,
    ) -> Result<()> {
        let deadline = Instant::now() + self.bench.patience;
        while !is_so(&self.network)? {
            self.machine.is_on()?;
            if Instant::now() >= deadline {
                bail!("waited {} s: {what}", self.bench.patience.as_secs());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Waits until systemd has started all that there is, and SSH answers.
    pub(super) fn is_up(&mut self) -> Result<()> {
        // It ends with an error where a unit has failed, which scenes look for themselves.
        self.run("systemctl is-system-running --wait")?;
        self.until_network("SSH answers", |network| network.answers(22))
    }

    /// Restarts the system and waits until it is up again.
    pub(super) fn reboot(&mut self) -> Result<()> {
        self.agent.start("systemctl reboot")?;
        self.agent.ready()?;
        self.is_up()
    }

    /// The closed port has not answered since the last time that this was asked.
    pub(super) fn expect_silence(&mut self, during: &str) -> Result<()> {
        let before = self.answers_before;
        self.answers_before = self.probe.answers();
        self.probe.expect_silence(during, before)
    }

    /// What a person would look at after a failure.
    pub(super) fn evidence(&mut self) -> String {
        const QUESTIONS: &str = "guardctl status; guardctl daemon --status; ip -details address show
systemctl --failed --no-pager; journalctl --no-pager -b -o short-monotonic -u guard-load -u guard -n 60";
        let answer = self.run(QUESTIONS);
        let said = answer.map_or_else(|error| format!("{error:#}"), |answer| answer.output);
        format!("{said}\n{}", self.console())
    }

    /// The end of the console, which is kept whole.
    fn console(&self) -> String {
        let kept = self.bench.logs.join("console.log");
        let text = fs::read(&self.machine.console).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let end = lines[lines.len().saturating_sub(15)..].join("\n");
        match fs::copy(&self.machine.console, &kept) {
            Ok(_) => format!("{end}\nthe console is in {}", kept.display()),
            Err(error) => format!("{end}\nthe console is lost: {error}"),
        }
    }

    /// Waits for a person to be done with it.
    pub(super) fn keep(&mut self) -> Result<()> {
        println!(
            "\nkept: qemu is process {}; peer: ip netns exec {} bash; server: {GUEST}\n\
             type a command for the guest, an empty line ends it",
            self.machine.pid(),
            self.network.peer()
        );
        for line in std::io::stdin().lines() {
            let line = line.context("cannot read the keyboard")?;
            if line.trim().is_empty() {
                break;
            }
            match self.run(&line) {
                Ok(answer) => println!("{}[{}]", answer.output, answer.status),
                Err(error) => println!("{error:#}"),
            }
        }
        Ok(())
    }
}

//! Runs commands in the guest over a virtio port, which guard cannot cut.
//!
//! A request is a line `NUMBER TEXT`, the text as `printf %b` reads it; an answer is a line `NUMBER
//! STATUS HEX`. Whenever the agent starts it says `ready BOOT-ID`.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// Name of the port in the guest.
pub(super) const PORT: &str = "guard-vps";

/// The agent, a shell script: it needs nothing that the smallest Debian has not.
pub(super) const SCRIPT: &str = r#"#!/bin/sh
port=/dev/virtio-ports/guard-vps
until [ -c $port ]; do sleep 0.1; done
exec 3<>$port
echo "ready $(cat /proc/sys/kernel/random/boot_id)" >&3
while IFS= read -r line <&3; do
    number=${line%% *}
    printf '%b' "${line#* }" >/run/vps-command
    sh /run/vps-command </dev/null >/run/vps-output 2>&1 3>&-
    status=$?
    echo "$number $status $(od -An -v -tx1 /run/vps-output | tr -d ' \n')" >&3
done
"#;

/// Its unit: there before the network, and as long as the system is.
pub(super) const UNIT: &str = "[Unit]
Description=runs what cargo xtask vps asks for
DefaultDependencies=no
After=systemd-remount-fs.service
[Service]
ExecStart=/usr/local/sbin/vps-agent
Restart=always
RestartSec=200ms
KillMode=process
[Install]
WantedBy=sysinit.target
";

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: i32,
    /// Standard output and error.
    pub(super) output: String,
}

/// The host's end of the port.
pub(super) struct Agent {
    port: UnixStream,
    lines: Receiver<String>,
    number: u64,
    patience: Duration,
}

impl Agent {
    /// Connects to the socket that qemu has opened.
    pub(super) fn connect(socket: &Path, patience: Duration) -> Result<Self> {
        let deadline = Instant::now() + patience;
        let port = loop {
            match UnixStream::connect(socket) {
                Ok(port) => break port,
                Err(_) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(error) => return Err(error).context("qemu opens no port for the agent"),
            }
        };
        let reader = BufReader::new(port.try_clone()?);
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in reader.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            port,
            lines,
            number: 0,
            patience,
        })
    }

    /// Waits until the agent of a freshly booted system speaks.
    pub(super) fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + self.patience;
        while !self
            .line(deadline, "the system to boot")?
            .starts_with("ready ")
        {}
        Ok(())
    }

    /// Runs a command of a shell.
    pub(super) fn run(&mut self, command: &str) -> Result<Answer> {
        self.number += 1;
        let number = self.number.to_string();
        writeln!(self.port, "{number} {}", escaped(command))?;
        let deadline = Instant::now() + self.patience;
        loop {
            let line = self.line(deadline, &format!("`{command}`"))?;
            // Answers to what nobody waits for any more, and the greeting of another boot.
            if let Some(answer) = line
                .strip_prefix(&number)
                .and_then(|rest| rest.strip_prefix(' '))
            {
                return parse(answer);
            }
        }
    }

    /// Starts a command that takes the system down, so that no answer may come.
    pub(super) fn start(&mut self, command: &str) -> Result<()> {
        self.number += 1;
        writeln!(self.port, "{} {}", self.number, escaped(command))?;
        Ok(())
    }

    fn line(&self, deadline: Instant, what: &str) -> Result<String> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => Ok(line),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                bail!("waited {} s for {what}", self.patience.as_secs())
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                bail!("the guest went off while it was waited for {what}")
            }
        }
    }
}

/// One line that `printf %b` makes the command of.
fn escaped(command: &str) -> String {
    command.replace('\\', r"\\").replace('\n', r"\n")
}

fn parse(answer: &str) -> Result<Answer> {
    let (status, hex) = answer.split_once(' ').unwrap_or((answer, ""));
    let digits: Vec<u8> = hex
        .chars()
        .map_while(|digit| digit.to_digit(16))
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect();
    let bytes: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect();
    Ok(Answer {
        status: status
            .parse()
            .with_context(|| format!("the agent answers {answer:?}"))?,
        output: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_of_several_lines_is_one_line_on_the_wire() {
        assert_eq!(escaped("a 'b\\n'\nc"), r"a 'b\\n'\nc");
    }

    #[test]
    fn an_answer_is_its_status_and_what_was_printed() {
        let answer = parse("8 6f6b0a").expect("an answer");

        assert_eq!((answer.status, answer.output.as_str()), (8, "ok\n"));
        assert_eq!(parse("0").expect("nothing printed").output, "");
        assert!(parse("x 00").is_err());
    }
}

//! Probes from another machine: a small script, run there by ssh.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{Read as _, Write as _},
    net::IpAddr,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    controller::Target,
    failure::{Exit, Failure},
    host::listeners::PortProtocol,
    text::value::plain,
};

const SCRIPT: &str = include_str!("probe.sh");
/// For all of it; a probe takes four seconds, and 32 run at once.
const PATIENCE: Duration = Duration::from_secs(180);
/// More is no answer of the script.
const MOST_BYTES: u64 = 1 << 20;

/// What came back from a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// A connection.
    Open,
    /// A datagram.
    Answered,
    /// "Nobody is here": the packet arrived all the same.
    Refused,
    /// Nothing.
    Silence,
    /// The packet could not be sent.
    Unreachable,
    /// The other machine cannot try this.
    Unknown,
}

/// What the other machine saw, and the address that it sent from, if it knows.
pub(super) type Seen = BTreeMap<Target, (Came, Option<IpAddr>)>;

/// Runs the script at `host`, as `ssh` knows it.
///
/// # Errors
/// Exit 1 with what ssh says, when it fails or takes too long.
pub(super) fn probe(ssh: &OsStr, host: &str, targets: &[Target]) -> Result<Seen, Failure> {
    let lines: Vec<String> = targets.iter().map(line).collect();
    // Addresses and numbers only: nothing in them ends the quotes.
    let script = format!("targets='{}'\n{SCRIPT}", lines.join("\n"));
    let failed = |what: String| {
        Failure::new(Exit::Failed, format!("{}: {what}", plain(host)))
            .help("`ssh HOST true` must work without a question; HOST needs python3 or bash")
    };
    let mut child = Command::new(ssh)
        // Behind `--` a host is no option, whatever it begins with.
        .args(["-o", "ConnectTimeout=15", "--", host, "sh", "-s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("cannot run {}: {error}", ssh.display())))?;
    let mut input = child.stdin.take();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // A thread each: none of the three waits for another.
    let writer = thread::spawn(move || {
        let input = input.as_mut()?;
        input.write_all(script.as_bytes()).ok()
    });
    let answer = thread::spawn(move || text(stdout));
    let complaint = thread::spawn(move || text(stderr));
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(50)),
            Ok(None) | Err(_) => {
                child.kill().unwrap_or_default();
                child.wait().map_err(|error| failed(error.to_string()))?;
                return Err(failed(format!("no answer within {} s", PATIENCE.as_secs())));
            }
        }
    };
    writer.join().unwrap_or_default();
    let answer = answer.join().unwrap_or_default();
    let complaint = complaint.join().unwrap_or_default();
    if !status.success() {
        let last = complaint.lines().rfind(|line| !line.trim().is_empty());
        return Err(failed(plain(
            last.unwrap_or("it failed and gave no reason"),
        )));
    }
    Ok(read(&answer, targets))
}

fn line(target: &Target) -> String {
    format!(
        "{} {} {}",
        target.protocol.label(),
        target.address,
        target.port
    )
}

fn text(stream: Option<impl std::io::Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream
            .take(MOST_BYTES)
            .read_to_end(&mut bytes)
            .unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Only what was asked for is taken from an answer.
fn read(answer: &str, targets: &[Target]) -> Seen {
    let asked: BTreeMap<String, &Target> = targets
        .iter()
        .map(|target| (line(target), target))
        .collect();
    let mut seen = Seen::new();
    for said in answer.lines() {
        let words: Vec<&str> = said.split(' ').collect();
        let [protocol, address, port, came, source] = words.as_slice() else {
            continue;
        };
        let came = match *came {
            "open" => Came::Open,
            "answered" => Came::Answered,
            "refused" => Came::Refused,
            "silence" => Came::Silence,
            "unreachable" => Came::Unreachable,
            "unknown" => Came::Unknown,
            _ => continue,
        };
        if let Some(target) = asked.get(&format!("{protocol} {address} {port}")) {
            let source = source.parse().ok();
            seen.insert((*target).clone(), (came, source));
        }
    }
    seen
}

impl Target {
    /// `22/tcp`
    #[must_use]
    pub(super) fn port_word(&self) -> String {
        format!("{}/{}", self.port, self.protocol.label())
    }

    /// What an operator types on another machine.
    pub(super) fn command(&self) -> String {
        let udp = match self.protocol {
            PortProtocol::Tcp => "",
            PortProtocol::Udp => "u",
        };
        format!("nc -{udp}zv -w 4 {} {}", self.address, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_believed() {
        let target = |port| Target {
            protocol: PortProtocol::Tcp,
            address: "192.0.2.1".parse().expect("an address"),
            port,
            owner: None,
        };
        let answer = "tcp 192.0.2.1 22 open 198.51.100.10\ntcp 192.0.2.1 80 gone -\nudp 192.0.2.1 22 answered -\n\
            tcp 192.0.2.1 443 open -\n\u{1b}[2J\ntcp 192.0.2.1 80 silence nowhere\n";
        let seen = read(answer, &[target(22), target(80)]);
        let here = "198.51.100.10".parse().ok();
        assert_eq!(
            seen,
            Seen::from([
                (target(22), (Came::Open, here)),
                (target(80), (Came::Silence, None))
            ])
        );
    }
}

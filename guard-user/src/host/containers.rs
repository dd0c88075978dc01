//! Ports that containers publish on this host, asked of Docker's own client.

use std::{
    io,
    net::IpAddr,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;

use super::listeners::PortProtocol;

/// Longest that the engine may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Published {
    /// Name of the container.
    pub container: String,
    /// TCP or UDP.
    pub protocol: PortProtocol,
    /// Address on the host that it is published on.
    pub address: IpAddr,
    /// Port on the host.
    pub port: u16,
    /// Port inside.
    pub container_port: u16,
}

/// A line of `docker ps --format '{{json .}}'`.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "Names")]
    names: String,
    #[serde(rename = "Ports")]
    ports: String,
}

/// The ports that running containers publish; none where there is no Docker client.
///
/// # Errors
/// What the client says when the engine does not answer within five seconds.
pub fn published() -> io::Result<Vec<Published>> {
    let spawned = Command::new("docker")
        .args(["ps", "--no-trunc", "--format", "{{json .}}"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let reader = thread::spawn(move || text(stdout));
    let complaints = thread::spawn(move || text(stderr));
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::other("docker ps: no answer within 5 s"));
        }
        thread::sleep(Duration::from_millis(20));
    };
    let output = reader.join().unwrap_or_default();
    let complaint = complaints.join().unwrap_or_default();
    if !status.success() {
        let line = complaint.lines().next().unwrap_or("no reason given");
        return Err(io::Error::other(format!("docker ps: {line}")));
    }
    Ok(output.lines().flat_map(parse).collect())
}

fn text(stream: Option<impl io::Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        // What was read until an error is all there is.
        stream.read_to_end(&mut bytes).unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 127.0.0.1:5000-5001->5000-5001/udp, 9000/tcp`; the last is
/// not published.
fn parse(line: &str) -> Vec<Published> {
    let Ok(line) = serde_json::from_str::<Line>(line) else {
        return Vec::new();
    };
    line.ports
        .split(", ")
        .filter_map(mapping)
        .flatten()
        .map(|published| Published {
            container: line.names.clone(),
            ..published
        })
        .collect()
}

fn mapping(text: &str) -> Option<Vec<Published>> {
    let (outside, inside) = text.split_once("->")?;
    let (address, ports) = outside.rsplit_once(':')?;
    let address = address.trim_matches(['[', ']']).parse().ok()?;
    let (inside, protocol) = inside.split_once('/')?;
    let protocol = match protocol {
        "tcp" => PortProtocol::Tcp,
        "udp" => PortProtocol::Udp,
        // SCTP has no port rules.
        _ => return None,
    };
    let (first, last) = range(ports)?;
    let (first_inside, _) = range(inside)?;
    Some(
        (first..=last)
            .zip(first_inside..)
            .map(|(port, container_port)| Published {
                container: String::new(),
                protocol,
                address,
                port,
                container_port,
            })
            .collect(),
    )
}

fn range(text: &str) -> Option<(u16, u16)> {
    match text.split_once('-') {
        Some((first, last)) => Some((first.parse().ok()?, last.parse().ok()?)),
        None => text.parse().ok().map(|port| (port, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_ports_are_told_from_exposed_ones() {
        let line = r#"{"Names":"web","Ports":"0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 9000/tcp, 127.0.0.1:5000-5001->7000-7001/udp"}"#;
        let found: Vec<_> = parse(line)
            .into_iter()
            .map(|port| {
                let protocol = port.protocol.label();
                format!(
                    "{} {}/{protocol} {} -> {}",
                    port.container, port.port, port.address, port.container_port
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                "web 8080/tcp 0.0.0.0 -> 80",
                "web 8080/tcp :: -> 80",
                "web 5000/udp 127.0.0.1 -> 7000",
                "web 5001/udp 127.0.0.1 -> 7001",
            ]
        );
        assert!(parse("no json").is_empty());
        assert!(parse(r#"{"Names":"x","Ports":""}"#).is_empty());
    }
}

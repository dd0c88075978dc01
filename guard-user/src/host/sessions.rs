//! The sessions by which operators reach this host: what a change of policy must not cut unasked.

use std::{
    collections::BTreeSet,
    env,
    net::{IpAddr, SocketAddr},
};

use procfs::{
    net::TcpState,
    process::{FDTarget, all_processes},
};

use super::sockets::{self, plain};

/// A TCP session of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session {
    /// Where the operator is.
    pub remote: SocketAddr,
    /// Where he arrives.
    pub local: SocketAddr,
}

/// Programs that serve remote logins.
const SERVERS: [&str; 4] = ["sshd", "sshd-session", "sshd-auth", "dropbear"];
/// Where they listen when nobody can be asked.
const SSH_PORT: u16 = 22;

/// Every established session of an SSH server in this network namespace, and the one that this
/// command was started from. `sudo` drops `SSH_CONNECTION` and tmux hides the ancestors, so the
/// kernel's tables are what counts.
#[must_use]
pub fn operators() -> BTreeSet<Session> {
    let entries = sockets::tcp();
    let servers = server_inodes();
    let mut ports: BTreeSet<u16> = entries
        .iter()
        .filter(|entry| entry.state == TcpState::Listen)
        .filter(|entry| servers.contains(&entry.inode) || entry.local_address.port() == SSH_PORT)
        .map(|entry| entry.local_address.port())
        .collect();
    let mut sessions: BTreeSet<Session> = from_environment().into_iter().collect();
    ports.extend(sessions.iter().map(|session| session.local.port()));
    let established = entries
        .iter()
        .filter(|entry| entry.state == TcpState::Established)
        .filter(|entry| {
            servers.contains(&entry.inode) || ports.contains(&entry.local_address.port())
        })
        .map(|entry| Session {
            remote: plain(entry.remote_address),
            local: plain(entry.local_address),
        })
        // A login from this host to itself does not pass the network card.
        .filter(|session| session.remote.ip() != session.local.ip());
    sessions.extend(established);
    sessions.retain(|session| !session.remote.ip().is_loopback());
    sessions
}

/// Socket inodes held by SSH servers; none when /proc may not be read.
fn server_inodes() -> BTreeSet<u64> {
    let Ok(processes) = all_processes() else {
        return BTreeSet::new();
    };
    processes
        .flatten()
        .filter(|process| {
            process
                .stat()
                .is_ok_and(|stat| SERVERS.contains(&stat.comm.as_str()))
        })
        .filter_map(|process| process.fd().ok())
        .flat_map(|descriptors| descriptors.flatten())
        .filter_map(|descriptor| {
            if let FDTarget::Socket(inode) = descriptor.target {
                Some(inode)
            } else {
                None
            }
        })
        .collect()
}

/// `SSH_CONNECTION`: client address, client port, server address, server port.
fn from_environment() -> Option<Session> {
    parse_connection(&env::var("SSH_CONNECTION").ok()?)
}

fn parse_connection(text: &str) -> Option<Session> {
    let mut parts = text.split_whitespace();
    let mut address = || {
        let ip: IpAddr = parts.next()?.split('%').next()?.parse().ok()?;
        let port = parts.next()?.parse().ok()?;
        Some(plain(SocketAddr::new(ip, port)))
    };
    Some(Session {
        remote: address()?,
        local: address()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_a_session() {
        let session = parse_connection("198.51.100.10 50000 192.0.2.1 22").unwrap();
        assert_eq!(session.remote.to_string(), "198.51.100.10:50000");
        assert_eq!(session.local.to_string(), "192.0.2.1:22");
        let v6 = parse_connection("fe80::1%eth0 50000 fe80::2%eth0 22").unwrap();
        assert_eq!(v6.remote.ip().to_string(), "fe80::1");
        assert_eq!(parse_connection("198.51.100.10 x 192.0.2.1 22"), None);
        assert_eq!(parse_connection(""), None);
    }
}

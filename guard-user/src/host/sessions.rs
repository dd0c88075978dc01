//! The sessions by which operators reach this host: those that a change of policy must not shut out
//! unasked.

use std::{
    collections::BTreeSet,
    env, fs, iter,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use procfs::process::{FDTarget, Process, all_processes};

use super::{
    logins,
    sock_diag::{self, TcpSocket},
    sockets::plain,
    units::{self, Serves},
};

/// A TCP session of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session {
    /// Where the operator is.
    pub remote: SocketAddr,
    /// Where he arrives.
    pub local: SocketAddr,
    /// How sure it is that it is an operator's.
    pub evidence: Evidence,
}

/// How a session was found to be an operator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// A server of logins has it, or this command came by it.
    Server,
    /// Root serves it, and this process may not see which program that is.
    Unidentified,
}

/// Programs that serve remote logins.
const SERVERS: [&str; 4] = ["sshd", "sshd-session", "sshd-auth", "dropbear"];
/// Further up nobody looks.
const MOST_ANCESTORS: usize = 64;
/// The first process holds many sockets, and serves nobody's session.
const INIT: i32 = 1;
/// Where they listen when nobody can be asked.
const SSH_PORT: u16 = 22;
/// With this capability no process hides what it holds.
const CAP_SYS_PTRACE: u32 = 19;

/// Every established session of an SSH server in this network namespace, the one that a process above
/// this command serves, and the one that this command was started from. `sudo` drops
/// `SSH_CONNECTION` and tmux hides the ancestors, so the kernel's tables are what counts. Who may not look into
/// other processes takes every session of root's servers for one, unless their unit of systemd says that they
/// serve something else.
#[must_use]
pub fn operators() -> BTreeSet<Session> {
    let sockets = sock_diag::tcp();
    let servers = server_inodes();
    let above = served_by(&sockets_above(), &sockets);
    let from_environment = from_environment();
    let mut ports: BTreeSet<u16> = listening(&sockets)
        .filter(|socket| servers.contains(&socket.inode) || port_of(socket) == SSH_PORT)
        .map(port_of)
        .collect();
    ports.extend(from_environment.iter().map(|session| session.local.port()));
    let mut unidentified = BTreeSet::new();
    if !sees_all_processes() {
        for listener in listening(&sockets) {
            match units::serves(listener.uid, listener.cgroup) {
                Serves::Logins => ports.insert(port_of(listener)),
                Serves::Unknown => unidentified.insert(port_of(listener)),
                Serves::Others => continue,
            };
        }
    }
    let evidence = |socket: &TcpSocket| {
        let is_known = above.contains(&socket.inode)
            || servers.contains(&socket.inode)
            || ports.contains(&port_of(socket));
        let is_possible = unidentified.contains(&port_of(socket));
        match (is_known, is_possible) {
            (true, _) => Some(Evidence::Server),
            (false, true) => Some(Evidence::Unidentified),
            (false, false) => None,
        }
    };
    let established = sockets.iter().filter(|socket| !socket.is_listener);
    let mut sessions: BTreeSet<Session> = established
        .filter_map(|socket| {
            Some(Session {
                remote: socket.remote,
                local: socket.local,
                evidence: evidence(socket)?,
            })
        })
        // A login from this host to itself does not pass the network card.
        .filter(|session| session.remote.ip() != session.local.ip())
        .collect();
    sessions.extend(from_environment);
    sessions.retain(|session| !session.remote.ip().is_loopback());
    sessions
}

/// Where this command was given: the other ends of the sessions that a process above it serves, and
/// what `SSH_CONNECTION` says.
#[must_use]
pub fn callers() -> BTreeSet<IpAddr> {
    let mut callers: BTreeSet<IpAddr> = from_environment()
        .into_iter()
        .map(|session| session.remote.ip())
        .collect();
    let above = sockets_above();
    if above.is_empty() {
        // The tables of all sockets are long to read, and none of them would be one of theirs.
        return callers;
    }
    let sockets = sock_diag::tcp();
    let above = served_by(&above, &sockets);
    let served = sockets
        .iter()
        .filter(|socket| above.contains(&socket.inode) && !socket.is_listener)
        .map(|socket| socket.remote.ip());
    callers.extend(served);
    callers
}

/// From where somebody is logged in. Who has not proven yet who he is, as every guesser of passwords, does not
/// count.
#[must_use]
pub fn logged_in() -> BTreeSet<IpAddr> {
    let mut addresses = logins::recorded().unwrap_or_default();
    if !sees_all_processes() {
        if logins::recorded().is_none() {
            // Nothing says who is past the question for a password.
            addresses.extend(operators().iter().map(|session| session.remote.ip()));
        }
        return addresses;
    }
    let authenticated = authenticated_inodes();
    if authenticated.is_empty() {
        return addresses;
    }
    let sockets = sock_diag::tcp();
    let sessions = sockets
        .iter()
        .filter(|socket| !socket.is_listener && authenticated.contains(&socket.inode))
        .map(|socket| socket.remote.ip())
        .filter(|ip| !ip.is_loopback());
    addresses.extend(sessions);
    addresses
}

/// May this process see which sockets every other one holds?
fn sees_all_processes() -> bool {
    let status = Process::myself().and_then(|process| process.status());
    status.is_ok_and(|status| status.capeff >> CAP_SYS_PTRACE & 1 == 1)
}

/// Inodes of the sockets of each process above this one that has any.
fn sockets_above() -> Vec<BTreeSet<u64>> {
    ancestors()
        .iter()
        .map(|process| socket_inodes(process).into_iter().collect())
        .filter(|held: &BTreeSet<u64>| !held.is_empty())
        .collect()
}

/// Those of these processes' sockets that serve one session each: accepted on a port where somebody
/// else listens. Who listens himself serves many, and who listens nowhere went out.
fn served_by(above: &[BTreeSet<u64>], sockets: &[TcpSocket]) -> BTreeSet<u64> {
    let mut served = BTreeSet::new();
    for held in above {
        let accepted = sockets.iter().filter(|socket| {
            let mut listeners =
                listening(sockets).filter(|other| port_of(other) == port_of(socket));
            let is_server = listeners.clone().any(|other| held.contains(&other.inode));
            held.contains(&socket.inode) && listeners.next().is_some() && !is_server
        });
        served.extend(accepted.map(|socket| socket.inode));
    }
    served
}

fn listening(sockets: &[TcpSocket]) -> impl Iterator<Item = &TcpSocket> + Clone {
    sockets.iter().filter(|socket| socket.is_listener)
}

fn port_of(socket: &TcpSocket) -> u16 {
    socket.local.port()
}

/// Did this command come by SSH into this network namespace? `SSH_CONNECTION` says so, or a process
/// above this one that serves logins: `sudo` drops the variable, but not its parents.
#[must_use]
pub fn is_remote() -> bool {
    env::var_os("SSH_CONNECTION").is_some_and(|text| !text.is_empty())
        || ancestors()
            .iter()
            .any(|process| serves_logins(process) && is_in_our_network(process))
}

/// The processes above this one, the nearest first, without the first of all.
fn ancestors() -> Vec<Process> {
    let parent = |process: &Process| {
        let parent = process.stat().ok()?.ppid;
        (parent > INIT).then(|| Process::new(parent).ok())?
    };
    let this = Process::myself().ok();
    iter::successors(this.as_ref().and_then(parent), parent)
        .take(MOST_ANCESTORS)
        .collect()
}

fn serves_logins(process: &Process) -> bool {
    process
        .stat()
        .is_ok_and(|stat| SERVERS.contains(&stat.comm.as_str()))
}

/// A namespace that cannot be read counts as ours.
fn is_in_our_network(process: &Process) -> bool {
    let namespace = |pid: &str| fs::read_link(PathBuf::from(format!("/proc/{pid}/ns/net"))).ok();
    match (namespace(&process.pid().to_string()), namespace("self")) {
        (Some(theirs), Some(ours)) => theirs == ours,
        (None, _) | (_, None) => true,
    }
}

/// Socket inodes held by SSH servers; none when /proc may not be read.
fn server_inodes() -> BTreeSet<u64> {
    let Ok(processes) = all_processes() else {
        return BTreeSet::new();
    };
    processes
        .flatten()
        .filter(serves_logins)
        .flat_map(|process| socket_inodes(&process))
        .collect()
}

/// Inodes of the sockets of those SSH servers' processes whose user has proven who he is.
fn authenticated_inodes() -> BTreeSet<u64> {
    let Ok(processes) = all_processes() else {
        return BTreeSet::new();
    };
    let (mut after, mut before) = (BTreeSet::new(), BTreeSet::new());
    for process in processes.flatten().filter(serves_logins) {
        let title = process.cmdline().unwrap_or_default().join(" ");
        let inodes = socket_inodes(&process);
        match logins::stage(&title) {
            logins::Stage::Before => before.extend(inodes),
            logins::Stage::After => after.extend(inodes),
        }
    }
    // Until the user has proven it, a second process without rights has the socket as well.
    &after - &before
}

/// Inodes of the sockets that a process holds.
fn socket_inodes(process: &Process) -> Vec<u64> {
    process
        .fd()
        .into_iter()
        .flatten()
        .flatten()
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
        evidence: Evidence::Server,
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

//! The kernel's connection table, read by ctnetlink: which conversations pass through this network
//! namespace, with the addresses that they have on either side of a translation.

mod message;

use std::{fs, io, net::SocketAddr};

use netlink_sys::protocols::NETLINK_NETFILTER;

use super::dump::dump;

/// Addresses and ports of one direction. Protocols without ports have 0; for echo requests and
/// answers (ICMP and ICMPv6) both ports are the identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// Who sends.
    pub source: SocketAddr,
    /// Who receives.
    pub destination: SocketAddr,
}

/// How far a TCP connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpPhase {
    /// A SYN was seen (from one side or from both).
    SynSent,
    /// A SYN-ACK was seen.
    SynReceived,
    /// The handshake is complete.
    Established,
    /// A FIN was seen.
    Closing,
    /// Over; the entry is about to go.
    Closed,
}

/// A conversation that the kernel tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// IP protocol number.
    pub protocol: u8,
    /// As the first packet had it.
    pub original: Tuple,
    /// As an answer has it: differs from the mirrored original where addresses are translated.
    pub reply: Tuple,
    /// Not dropped early when the table is full.
    pub assured: bool,
    /// Packets were seen in both directions.
    pub seen_reply: bool,
    /// `None` for other protocols, and when the kernel does not say.
    pub tcp: Option<TcpPhase>,
}

/// How many connections the kernel tracks in the reader's network namespace. Exists once it tracks any;
/// asking for the table would load the module, and walks the connections of all namespaces.
const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
/// How many it tracks at most.
const MOST_TRACKED: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
/// ctnetlink's number among the subsystems of netfilter, and its request for entries.
const CTNETLINK: u16 = 1;
const GET: u16 = CTNETLINK << 8 | 1;
/// Netfilter's header, which asks for both families.
const ANY_FAMILY: [u8; 4] = [0; 4];

/// How many connections the kernel tracks at most; `None` where it tracks none.
#[must_use]
pub fn most() -> Option<u32> {
    std::fs::read_to_string(MOST_TRACKED)
        .ok()?
        .trim()
        .parse()
        .ok()
        .filter(|most| *most > 0)
}

/// All entries of the calling thread's network namespace, IPv4 and IPv6. Empty when the kernel
/// tracks no connections.
///
/// # Errors
/// When netlink does not answer, or not within ten seconds, or without CAP_NET_ADMIN.
pub fn tracked() -> io::Result<Vec<Tracked>> {
    match fs::read_to_string(COUNT) {
        Ok(count) if count.trim() != "0" => {}
        Ok(_) => return Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        // What cannot be counted may be there.
        Err(_) => {}
    }
    let mut entries = Vec::new();
    dump(NETLINK_NETFILTER, GET, &ANY_FAMILY, |message| {
        entries.extend(message::entry(message));
    })?;
    Ok(entries)
}

#[cfg(test)]
mod tests;

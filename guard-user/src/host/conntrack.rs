//! The kernel's connection table, read by ctnetlink: which conversations pass through this network
//! namespace, with the addresses that they have on either side of a translation.

mod message;

use std::{
    fs, io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use netlink_packet_core::{
    ErrorBuffer, ErrorMessage, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN,
    NetlinkBuffer, Parseable as _,
};
use netlink_sys::{Socket, SocketAddr as NetlinkAddress, protocols::NETLINK_NETFILTER};
use socket2::SockRef;

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
/// The kernel's answers come in pieces of at most 32 KiB.
const BUFFER_BYTES: usize = 64 << 10;
/// More than any kernel tracks by default; a table without an end is not read to its end.
const MOST: usize = 1 << 22;
/// For the whole table; a million entries take about a second.
const PATIENCE: Duration = Duration::from_secs(10);
/// ctnetlink's number among the subsystems of netfilter, and its request for entries.
const CTNETLINK: u16 = 1;
const GET: u16 = 1;
/// Answers are of type "new": also 0 in the low byte.
const NEW: u16 = CTNETLINK << 8;

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
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&NetlinkAddress::new(0, 0))?;
    limit_waiting(&socket)?;
    socket.send(&request(), 0)?;

    let deadline = Instant::now() + PATIENCE;
    let mut entries = Vec::new();
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        buffer.clear();
        let length = socket.recv(&mut buffer, libc::MSG_TRUNC)?;
        if length > buffer.len() {
            return Err(io::Error::other("an answer is longer than any should be"));
        }
        if read_answer(&buffer, &mut entries)? == Progress::Complete {
            return Ok(entries);
        }
        if entries.len() > MOST || Instant::now() > deadline {
            return Err(io::Error::other(format!(
                "gave up after {} connections",
                entries.len()
            )));
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Complete,
    More,
}

/// Netlink header and netfilter header: a dump of both families.
fn request() -> [u8; 20] {
    let mut bytes = [0; 20];
    let mut header = NetlinkBuffer::new(&mut bytes[..]);
    header.set_length(20);
    header.set_message_type(CTNETLINK << 8 | GET);
    header.set_flags(NLM_F_REQUEST | NLM_F_DUMP);
    header.set_sequence_number(1);
    bytes
}

/// One datagram: any number of messages.
fn read_answer(mut bytes: &[u8], entries: &mut Vec<Tracked>) -> io::Result<Progress> {
    while !bytes.is_empty() {
        let message = NetlinkBuffer::new_checked(bytes).map_err(io::Error::other)?;
        let length = message.length() as usize;
        match message.message_type() {
            NLMSG_DONE => return Ok(Progress::Complete),
            NLMSG_ERROR => {
                let payload = message.payload();
                let error = ErrorBuffer::new_checked(&payload)
                    .and_then(|error| ErrorMessage::parse(&error))
                    .map_err(io::Error::other)?;
                if error.code.is_some() {
                    return Err(error.to_io());
                }
            }
            NLMSG_OVERRUN => return Err(io::Error::other("the kernel lost answers")),
            NEW => entries.extend(message::entry(message.payload())),
            // Nothing to do, or nothing that we know.
            _ => {}
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(Progress::More)
}

/// A kernel that does not answer must not hang a command.
fn limit_waiting(socket: &Socket) -> io::Result<()> {
    SockRef::from(socket).set_read_timeout(Some(PATIENCE))
}

#[cfg(test)]
mod tests;

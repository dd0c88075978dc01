//! TCP sockets of this network namespace as sock_diag tells them: beside the addresses, who made a socket and in
//! which control group. It needs no capability, and hides nothing from a process that may not look into others.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use procfs::net::TcpState;

use super::{
    dump::dump,
    sockets::{self, plain},
};

/// A TCP socket that listens, or has a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TcpSocket {
    /// Does it listen? Otherwise its connection is established.
    pub is_listener: bool,
    /// Its end. IPv4 seen through an IPv6 socket is IPv4.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Its number, by which a process holds it.
    pub inode: u64,
    /// The user who made it.
    pub uid: u32,
    /// Has data come in, and has data that went out been acknowledged? `None` where the kernel does not say.
    pub has_talked: Option<bool>,
    /// Its control group in the unified hierarchy; one that was accepted has the listener's. `None` before Linux
    /// 5.8.
    pub cgroup: Option<u64>,
}

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `INET_DIAG_INFO`, and the bit of a request that asks for it.
const INFO: u16 = 2;
const WITH_INFO: u8 = 1 << (INFO - 1);
/// `tcpi_bytes_acked` and `tcpi_bytes_received` of `struct tcp_info` (since 4.1). The handshake may count as one.
const BYTES_ACKED_AT: usize = 120;
const BYTES_RECEIVED_AT: usize = 128;
/// `INET_DIAG_CGROUP_ID`.
const CGROUP_ID: u16 = 21;
const ESTABLISHED: u8 = 1;
const LISTEN: u8 = 10;
/// `struct inet_diag_req_v2`.
const REQUEST_BYTES: usize = 56;
/// `struct inet_diag_msg`.
const MESSAGE_BYTES: usize = 72;

/// Listeners and established connections of both families, of the calling thread's network namespace. Where the
/// kernel has no sock_diag, as procfs knows them; empty when neither can be read.
#[must_use]
pub(super) fn tcp() -> Vec<TcpSocket> {
    let dumps = [libc::AF_INET, libc::AF_INET6].map(of_family);
    if let [Ok(v4), Ok(v6)] = dumps {
        return v4.into_iter().chain(v6).collect();
    }
    sockets::tcp()
        .into_iter()
        .filter(|entry| [TcpState::Listen, TcpState::Established].contains(&entry.state))
        .map(|entry| TcpSocket {
            is_listener: entry.state == TcpState::Listen,
            local: plain(entry.local_address),
            remote: plain(entry.remote_address),
            inode: entry.inode,
            uid: entry.uid,
            has_talked: None,
            cgroup: None,
        })
        .collect()
}

fn of_family(family: libc::c_int) -> io::Result<Vec<TcpSocket>> {
    let mut request = [0; REQUEST_BYTES];
    request[0] = u8::try_from(family).expect("a small number");
    request[1] = u8::try_from(libc::IPPROTO_TCP).expect("a small number");
    request[2] = WITH_INFO;
    let states: u32 = 1 << ESTABLISHED | 1 << LISTEN;
    request[4..8].copy_from_slice(&states.to_ne_bytes());
    let mut found = Vec::new();
    dump(NETLINK_SOCK_DIAG, BY_FAMILY, &request, |message| {
        found.extend(read(message));
    })?;
    Ok(found)
}

/// `struct inet_diag_msg` and its attributes.
fn read(message: &[u8]) -> Option<TcpSocket> {
    let (head, attributes) = message.split_at_checked(MESSAGE_BYTES)?;
    let address = |at: usize, port: usize| -> Option<SocketAddr> {
        let ip: IpAddr = if i32::from(head[0]) == libc::AF_INET {
            let octets: [u8; 4] = head.get(at..at + 4)?.try_into().ok()?;
            Ipv4Addr::from(octets).into()
        } else {
            let octets: [u8; 16] = head.get(at..at + 16)?.try_into().ok()?;
            Ipv6Addr::from(octets).into()
        };
        let port = u16::from_be_bytes(head.get(port..port + 2)?.try_into().ok()?);
        Some(plain(SocketAddr::new(ip, port)))
    };
    let number = |at: usize| -> Option<u32> {
        Some(u32::from_ne_bytes(head.get(at..at + 4)?.try_into().ok()?))
    };
    let found = attributes_of(attributes);
    Some(TcpSocket {
        is_listener: head[1] == LISTEN,
        local: address(8, 4)?,
        remote: address(24, 6)?,
        inode: number(68)?.into(),
        uid: number(64)?,
        has_talked: found.get(&INFO).and_then(|info| has_talked(info)),
        cgroup: found
            .get(&CGROUP_ID)
            .and_then(|value| Some(u64::from_ne_bytes((*value).try_into().ok()?))),
    })
}

/// What `struct tcp_info` says of data.
fn has_talked(info: &[u8]) -> Option<bool> {
    let number = |at: usize| -> Option<u64> {
        let bytes = info.get(at..at + 8)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    };
    Some(number(BYTES_ACKED_AT)? > 1 && number(BYTES_RECEIVED_AT)? > 0)
}

/// Connections of this host over which data went not both ways. None where the kernel does not say.
#[must_use]
pub(super) fn silent() -> Vec<(SocketAddr, SocketAddr)> {
    tcp()
        .into_iter()
        .filter(|socket| !socket.is_listener && socket.has_talked == Some(false))
        .map(|socket| (socket.local, socket.remote))
        .collect()
}

fn attributes_of(mut bytes: &[u8]) -> BTreeMap<u16, &[u8]> {
    let mut found = BTreeMap::new();
    while let Some((head, _)) = bytes.split_at_checked(4) {
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let kind = u16::from_ne_bytes([head[2], head[3]]);
        found.extend(bytes.get(4..length).map(|value| (kind, value)));
        bytes = bytes
            .get(length.max(4).next_multiple_of(4)..)
            .unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        os::fd::AsRawFd as _,
    };

    use super::*;

    #[test]
    fn what_listens_and_what_is_connected_is_told_with_its_number_and_its_user() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                // A machine without IPv6.
                assert!(address.starts_with('['), "{address}");
                continue;
            };
            let local = listener.local_addr().unwrap();
            let client = TcpStream::connect(local).unwrap();
            let link = format!("/proc/self/fd/{}", client.as_raw_fd());
            let link = std::fs::read_link(link).unwrap();

            let found = tcp();

            let listening = found.iter().find(|s| s.is_listener && s.local == local);
            // SAFETY: the call takes nothing and touches no memory.
            let uid = unsafe { libc::getuid() };
            assert_eq!(listening.expect("a listener").uid, uid);
            let from = client.local_addr().unwrap();
            let connected = found.iter().find(|s| s.local == from).expect("a client");
            assert_eq!((connected.is_listener, connected.remote), (false, local));
            assert_eq!(
                format!("socket:[{}]", connected.inode),
                link.to_str().unwrap()
            );
        }
    }

    #[test]
    fn a_control_group_is_found_behind_other_attributes_and_broken_ones_end_the_search() {
        let attribute = |kind: u16, value: &[u8]| {
            let mut bytes = u16::try_from(value.len() + 4)
                .unwrap()
                .to_ne_bytes()
                .to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let bytes = [
            attribute(8, &[7]),
            attribute(CGROUP_ID, &99u64.to_ne_bytes()),
        ]
        .concat();
        let expected = 99u64.to_ne_bytes();
        assert_eq!(attributes_of(&bytes).get(&CGROUP_ID), Some(&&expected[..]));
        for broken in [&bytes[..5], &[0, 0, 21, 0, 1][..], &[255, 255, 21, 0, 1]] {
            assert_eq!(attributes_of(broken).get(&CGROUP_ID), None);
        }
    }

    #[test]
    fn a_connection_has_talked_when_data_went_both_ways() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let ends = (server.local_addr().unwrap(), server.peer_addr().unwrap());
        let is_silent = || silent().contains(&ends);
        assert!(is_silent(), "nothing was said");
        let mut byte = [0];
        client.write_all(b"a question").unwrap();
        server.read_exact(&mut byte).unwrap();
        assert!(is_silent(), "nothing was answered");
        server.write_all(b"an answer").unwrap();
        client.read_exact(&mut byte).unwrap();
        let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while is_silent() && std::time::Instant::now() < end {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(!is_silent());
    }
}

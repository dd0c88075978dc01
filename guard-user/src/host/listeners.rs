//! What listens on this host: sockets with their processes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use procfs::{
    net::TcpState,
    process::{FDTarget, all_processes},
};

use super::sockets;
use crate::text::value::plain;

/// A transport with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl PortProtocol {
    /// Word for people and JSON.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A socket that takes what comes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListeningSocket {
    /// TCP or UDP.
    pub protocol: PortProtocol,
    /// Where; `[::]` takes IPv4 as well, as sockets do unless told otherwise.
    pub local: SocketAddr,
    /// Process number and name; `None` when it may not be known.
    pub process: Option<(i32, String)>,
}

/// All listening TCP sockets and all UDP sockets without a partner, of the calling thread's network
/// namespace. Empty when procfs cannot be read.
#[must_use]
pub fn listeners() -> BTreeSet<ListeningSocket> {
    let owners = owners();
    let tcp = sockets::tcp()
        .into_iter()
        .filter(|entry| entry.state == TcpState::Listen)
        .map(|entry| (PortProtocol::Tcp, entry.local_address, entry.inode));
    let udp = sockets::udp()
        .into_iter()
        .filter(|entry| entry.remote_address.port() == 0)
        .map(|entry| (PortProtocol::Udp, entry.local_address, entry.inode));
    tcp.chain(udp)
        .map(|(protocol, local, inode)| ListeningSocket {
            protocol,
            local: sockets::plain(local),
            process: owners.get(&inode).cloned(),
        })
        .collect()
}

/// Process by socket inode; the lowest number where several share one.
fn owners() -> BTreeMap<u64, (i32, String)> {
    let mut owners = BTreeMap::new();
    let Ok(processes) = all_processes() else {
        return owners;
    };
    let mut processes: Vec<_> = processes.flatten().collect();
    processes.sort_by_key(|process| process.pid);
    for process in processes {
        let (Ok(stat), Ok(descriptors)) = (process.stat(), process.fd()) else {
            continue;
        };
        for descriptor in descriptors.flatten() {
            if let FDTarget::Socket(inode) = descriptor.target {
                owners
                    .entry(inode)
                    .or_insert_with(|| (process.pid, plain(&stat.comm)));
            }
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn what_listens_is_found_with_its_process() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let session = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        let found = listeners();
        for (protocol, local) in [
            (PortProtocol::Tcp, tcp.local_addr().unwrap()),
            (PortProtocol::Udp, udp.local_addr().unwrap()),
        ] {
            let listener = found
                .iter()
                .find(|known| known.protocol == protocol && known.local == local)
                .unwrap_or_else(|| panic!("{local}: {found:?}"));
            let (pid, _) = listener.process.clone().unwrap();
            assert_eq!(pid, std::process::id() as i32);
        }
        let session = session.local_addr().unwrap();
        assert!(found.iter().all(|known| known.local != session));
    }
}

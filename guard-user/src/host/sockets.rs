//! Sockets of this network namespace: which conversations the host itself has.

use std::{collections::BTreeSet, net::SocketAddr};

use procfs::{
    FromReadSI as _, current_system_info,
    net::{TcpNetEntries, TcpNetEntry, TcpState, UdpNetEntries, UdpNetEntry},
};

/// The UDP sockets that have one partner, local address first. IPv4 seen through an IPv6 socket is
/// IPv4. Empty when procfs cannot be read.
#[must_use]
pub fn connected_udp() -> Vec<(SocketAddr, SocketAddr)> {
    udp()
        .into_iter()
        .filter(|entry| entry.remote_address.port() != 0)
        .map(|entry| (plain(entry.local_address), plain(entry.remote_address)))
        .collect()
}

/// Does a UDP socket talk to whom it likes? Such conversations stand in no table.
#[must_use]
pub fn has_unconnected_udp() -> bool {
    udp().iter().any(|entry| {
        entry.remote_address.port() == 0 && !plain(entry.local_address).ip().is_loopback()
    })
}

/// TCP connections of this host, whatever their state; listeners are none.
#[derive(Clone, Debug, Default)]
pub struct TcpConnections {
    /// Their local ports.
    pub ports: BTreeSet<u16>,
    /// Those that are established, local address first. IPv4 seen through an IPv6 socket is IPv4.
    pub established: Vec<(SocketAddr, SocketAddr)>,
}

impl TcpConnections {
    /// Those of this moment; none when procfs cannot be read.
    #[must_use]
    pub fn read() -> Self {
        let mut connections = Self::default();
        for entry in tcp() {
            if entry.state == TcpState::Listen {
                continue;
            }
            connections.ports.insert(entry.local_address.port());
            if entry.state == TcpState::Established {
                let ends = (plain(entry.local_address), plain(entry.remote_address));
                connections.established.push(ends);
            }
        }
        connections
    }
}

/// All UDP sockets of both families.
pub(super) fn udp() -> Vec<UdpNetEntry> {
    let system = current_system_info();
    ["udp", "udp6"]
        .into_iter()
        .filter_map(|table| UdpNetEntries::from_file(path(table), system).ok())
        .flat_map(|entries| entries.0)
        .collect()
}

/// All TCP sockets of both families.
pub(super) fn tcp() -> Vec<TcpNetEntry> {
    let system = current_system_info();
    ["tcp", "tcp6"]
        .into_iter()
        .filter_map(|table| TcpNetEntries::from_file(path(table), system).ok())
        .flat_map(|entries| entries.0)
        .collect()
}

/// /proc/net is the namespace of the process's first thread; this is the calling thread's.
fn path(table: &str) -> String {
    format!("/proc/thread-self/net/{table}")
}

/// IPv4 seen through an IPv6 socket is IPv4 on the wire.
pub(super) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn connected_sockets_are_found_and_others_are_not() {
        for loopback in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(server) = UdpSocket::bind(loopback) else {
                // A machine without IPv6.
                assert!(loopback.starts_with('['), "{loopback}");
                continue;
            };
            let server_address = server.local_addr().unwrap();
            let client = UdpSocket::bind(loopback).unwrap();
            client.connect(server_address).unwrap();

            let found = connected_udp();

            let client_address = client.local_addr().unwrap();
            assert!(
                found.contains(&(client_address, server_address)),
                "{found:?}"
            );
            assert!(found.iter().all(|(local, _)| *local != server_address));
        }
    }

    #[test]
    fn a_listener_alone_is_no_session() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(!TcpConnections::read().ports.contains(&address.port()));

        let client = TcpStream::connect(address).unwrap();

        let found = TcpConnections::read();
        let from = client.local_addr().unwrap();
        assert!(found.ports.contains(&from.port()));
        assert!(
            found.ports.contains(&address.port()),
            "its end of the connection"
        );
        assert!(found.established.contains(&(from, address)));
    }
}

//! Conversations that exist before guard sees a packet of them: they must go on.

use std::{collections::BTreeSet, io, net::SocketAddr};

use guard_common::abi::{
    flow::{Phase, Tuple},
    service::protocol,
};

use super::{
    Network, conntrack,
    conntrack::{TcpPhase, Tracked},
    sock_diag,
    sockets::{self, TcpConnections},
};

/// A conversation that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LiveFlow {
    /// As its packets arrive on the network card: behind source NAT, before destination NAT.
    pub tuple: Tuple,
    /// How far it is.
    pub phase: Phase,
}

/// What goes on at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Conversations that no TCP socket of this host vouches for: of containers, and over UDP.
    pub flows: BTreeSet<LiveFlow>,
    /// Ports of this host that have TCP sessions, about which the kernel's socket table is asked.
    pub session_ports: BTreeSet<u16>,
    /// Established TCP sessions of this host.
    pub sessions: BTreeSet<Tuple>,
    /// Those of them over which data went not both ways: anybody can have one for the asking.
    pub silent: BTreeSet<Tuple>,
}

impl Live {
    /// Asks the kernel: its connection table and its sockets.
    ///
    /// # Errors
    /// When the connection table cannot be read.
    pub fn read(network: &Network) -> io::Result<Self> {
        let own: BTreeSet<_> = network.own().collect();
        let is_own = |address: &SocketAddr| own.contains(&address.ip());
        let mut flows: BTreeSet<LiveFlow> = conntrack::tracked()?
            .iter()
            .flat_map(|tracked| arriving(tracked, is_own))
            .collect();
        let connected = sockets::connected_udp()
            .into_iter()
            .filter(|(local, _)| !local.ip().is_loopback());
        flows.extend(connected.map(|(local, remote)| LiveFlow {
            tuple: Tuple::between(remote, local, protocol::UDP),
            phase: Phase::BothWays,
        }));
        let tcp = TcpConnections::read();
        let silent = sock_diag::silent().into_iter();
        Ok(Self {
            silent: silent
                .map(|(local, remote)| Tuple::between(remote, local, protocol::TCP))
                .collect(),
            flows,
            session_ports: tcp.ports,
            sessions: tcp
                .established
                .into_iter()
                .filter(|(local, _)| !local.ip().is_loopback())
                .map(|(local, remote)| Tuple::between(remote, local, protocol::TCP))
                .collect(),
        })
    }
}

/// As which tuples the packets of a tracked conversation arrive. Of a translated one, that is the
/// direction that is addressed to this host; of one that is only forwarded, both.
fn arriving(tracked: &Tracked, is_own: impl Fn(&SocketAddr) -> bool) -> Vec<LiveFlow> {
    let Some(phase) = phase(tracked) else {
        return Vec::new();
    };
    let directions = [tracked.original, tracked.reply];
    let to_us = |direction: &conntrack::Tuple| is_own(&direction.destination);
    // What this host sends to itself does not pass the network card.
    let from_us = |direction: &conntrack::Tuple| is_own(&direction.source);
    let is_addressed = directions.iter().any(to_us);
    directions
        .iter()
        .filter(|direction| !from_us(direction) && (to_us(direction) || !is_addressed))
        .map(|direction| LiveFlow {
            tuple: Tuple::between(direction.source, direction.destination, tracked.protocol),
            phase,
        })
        .collect()
}

/// How far a conversation is; `None` for one that is nothing yet. A handshake that somebody else began
/// may be forged, so it counts from its end on.
fn phase(tracked: &Tracked) -> Option<Phase> {
    match tracked.protocol {
        protocol::TCP => match tracked.tcp? {
            TcpPhase::Established => Some(Phase::Open),
            TcpPhase::Closing => Some(Phase::Closing),
            TcpPhase::SynSent | TcpPhase::SynReceived | TcpPhase::Closed => None,
        },
        protocol::UDP if tracked.seen_reply => Some(Phase::BothWays),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracked(original: [&str; 2], reply: [&str; 2], tcp: TcpPhase) -> Tracked {
        let direction = |ends: [&str; 2]| conntrack::Tuple {
            source: ends[0].parse().unwrap(),
            destination: ends[1].parse().unwrap(),
        };
        Tracked {
            protocol: protocol::TCP,
            original: direction(original),
            reply: direction(reply),
            assured: true,
            seen_reply: true,
            tcp: Some(tcp),
        }
    }

    fn arrive(tracked: &Tracked) -> Vec<(u16, u16)> {
        let is_own = |address: &SocketAddr| address.ip().to_string() == "192.0.2.1";
        arriving(tracked, is_own)
            .iter()
            .map(|flow| (flow.tuple.remote_port, flow.tuple.local_port))
            .collect()
    }

    #[test]
    fn translated_conversations_arrive_at_our_own_address() {
        let masqueraded = tracked(
            ["172.17.0.2:5000", "198.51.100.10:80"],
            ["198.51.100.10:80", "192.0.2.1:61000"],
            TcpPhase::Established,
        );
        assert_eq!(arrive(&masqueraded), [(80, 61000)]);
        let published = tracked(
            ["198.51.100.10:40000", "192.0.2.1:8080"],
            ["172.17.0.2:80", "198.51.100.10:40000"],
            TcpPhase::Established,
        );
        assert_eq!(arrive(&published), [(40000, 8080)]);
        let forwarded = tracked(
            ["198.51.100.10:40000", "203.0.113.5:80"],
            ["203.0.113.5:80", "198.51.100.10:40000"],
            TcpPhase::Established,
        );
        assert_eq!(arrive(&forwarded), [(40000, 80), (80, 40000)]);
    }

    #[test]
    fn a_handshake_that_may_be_forged_is_no_conversation() {
        for (phase, count) in [
            (TcpPhase::SynSent, 0),
            (TcpPhase::SynReceived, 0),
            (TcpPhase::Established, 1),
            (TcpPhase::Closing, 1),
            (TcpPhase::Closed, 0),
        ] {
            let ends = ["198.51.100.10:40000", "192.0.2.1:8080"];
            let entry = tracked(ends, ["172.17.0.2:80", ends[0]], phase);
            assert_eq!(arrive(&entry).len(), count, "{phase:?}");
        }
    }
}

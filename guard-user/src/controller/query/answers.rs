//! Ports whose answers guard does not see leave.

use std::collections::BTreeSet;

use guard_common::abi::{flow, flow::Tuple, service::protocol};

use crate::{
    controller::Controller,
    dataplane::{clock, pins},
    host::{
        Network,
        listeners::{PortProtocol, listeners},
        sockets::TcpConnections,
    },
};

impl Controller {
    /// Warns of open TCP ports whose answers leave by an interface that guard does not protect: what is part of no
    /// session is let in there. Seen by a session of the kernel of which guard knows nothing.
    pub(in crate::controller) fn unseen_answers(&self, network: &Network) -> Option<String> {
        let running = pins::open(&self.layout).ok().flatten()?;
        let tick = clock::pinned_ticks(&self.layout.clock()).ok()?;
        let connections = TcpConnections::read().established;
        let is_own = |ip| network.addresses.iter().any(|(own, _)| *own == ip);
        let unseen: BTreeSet<u16> = connections
            .into_iter()
            .filter(|(_, remote)| !remote.ip().is_loopback() && !is_own(remote.ip()))
            .filter(|(local, _)| !running.flows.has_mark(local.port(), flow::ANSWERS))
            .filter(|(local, remote)| {
                let tuple = Tuple {
                    remote: remote.ip().into(),
                    local: local.ip().into(),
                    remote_port: remote.port(),
                    local_port: local.port(),
                    protocol: protocol::TCP,
                };
                !running.flows.knows(&tuple, tick)
            })
            .map(|(local, _)| local.port())
            .collect();
        if unseen.is_empty() {
            return None;
        }
        // What this host has begun itself has a port that nobody listens on.
        let served: BTreeSet<u16> = listeners()
            .into_iter()
            .filter(|listener| listener.protocol == PortProtocol::Tcp)
            .map(|listener| listener.local.port())
            .collect();
        let ports: Vec<String> = unseen.intersection(&served).map(u16::to_string).collect();
        (!ports.is_empty()).then(|| {
            format!(
                "port {}: answers leave by an interface that guard does not protect, so segments that are part of no \
                 session are let in there (`guardctl enable --interface NAME` protects one more)",
                ports.join(", ")
            )
        })
    }
}

//! What a policy says to one packet, asked of the model: the kernel's own decision function over the
//! compiled image.

use std::net::SocketAddr;

use guard_common::{
    abi::{
        addr::Addr,
        reason::Verdict,
        service::{Service, protocol},
    },
    memory::MemTables,
    packet::{Fragment, Packet, TcpFlags, Transport},
    policy::{Arrival, evaluate},
};

use super::compile::Image;

/// A compiled policy that can be asked.
#[derive(Debug)]
pub struct Model {
    tables: MemTables,
}

impl Model {
    /// The model of an image.
    #[must_use]
    pub fn new(image: &Image) -> Self {
        Self {
            tables: MemTables::with_policy(image.words.clone()),
        }
    }

    /// What happens to the first segment of a new TCP connection (a SYN).
    #[must_use]
    pub fn new_connection(&self, ifindex: u32, remote: SocketAddr, local: SocketAddr) -> Verdict {
        let packet = Packet {
            source: Addr::from(remote.ip()),
            destination: Addr::from(local.ip()),
            hop_limit: 64,
            protocol: protocol::TCP,
            fragment: Fragment::Whole,
            extended: false,
            router_alert: false,
            transport: Transport::Tcp {
                source_port: remote.port(),
                destination_port: local.port(),
                flags: TcpFlags(TcpFlags::SYN),
            },
            network_at: 0,
            transport_at: 0,
            end: 0,
        };
        evaluate(
            &self.tables,
            Arrival { ifindex },
            &packet,
            Some(Service::tcp(local.port())),
        )
    }
}

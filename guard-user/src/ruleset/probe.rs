//! What a policy says to one packet, asked of the model: the kernel's own decision function over the
//! compiled image.

use std::net::{IpAddr, SocketAddr};

use guard_common::{
    abi::{
        addr::Addr,
        flow::Tuple,
        image::{CONDITIONS, ENDS, HEADER_FLAGS, HEADER_METERS, MAX_ENDS},
        meter::Meter,
        reason::{Reason, Verdict},
        service::{Service, protocol},
    },
    memory::MemTables,
    packet::{Facts, Fragment, Packet, TcpFlags, Transport},
    policy::{Arrival, evaluate_stateless},
};

use super::compile::Image;

/// A compiled policy that can be asked.
#[derive(Debug)]
pub struct Model {
    tables: MemTables,
    words: Vec<u64>,
}

impl Model {
    /// The model of an image, at this time after boot.
    #[must_use]
    pub fn at(image: &Image, boot_ns: u64) -> Self {
        let mut tables = MemTables::with_policy(image.words.clone());
        tables.now_ns = boot_ns;
        Self {
            tables,
            words: image.words.clone(),
        }
    }

    /// The same later, or earlier.
    pub fn set_time(&mut self, boot_ns: u64) {
        self.tables.now_ns = boot_ns;
    }

    /// The times at which rules of the image end, in nanoseconds after boot.
    #[must_use]
    pub fn ends(&self) -> Vec<u64> {
        if self.words.get(HEADER_FLAGS as usize).copied().unwrap_or(0) & u64::from(CONDITIONS) == 0
        {
            return Vec::new();
        }
        let ends = self
            .words
            .iter()
            .skip(ENDS as usize)
            .take(MAX_ENDS as usize);
        ends.copied().take_while(|end| *end != u64::MAX).collect()
    }

    /// What happens to the first segment of a new TCP connection (a SYN).
    #[must_use]
    pub fn new_connection(&self, ifindex: u32, remote: SocketAddr, local: SocketAddr) -> Verdict {
        let tuple = Tuple::between(remote, local, protocol::TCP);
        self.ask(ifindex, &tuple, TcpFlags::SYN)
    }

    /// Does a rule let the packets of a conversation in, on whichever interface?
    #[must_use]
    pub fn lets_in(&self, tuple: &Tuple) -> bool {
        const NO_INTERFACE: u32 = 0;
        let verdict = self.ask(NO_INTERFACE, tuple, TcpFlags::ACK);
        verdict.reason == Reason::RuleAllow
    }

    /// Does a rule limit new connections like this one, on one of these interfaces?
    #[must_use]
    pub fn limits(&self, tuple: &Tuple, interfaces: &[u32]) -> bool {
        interfaces
            .iter()
            .any(|ifindex| self.ask(*ifindex, tuple, TcpFlags::SYN).rule.is_limited())
    }

    /// May a rule that lets this new connection in shut its source out later, when it exceeds a limit?
    #[must_use]
    pub fn may_block(&self, verdict: Verdict) -> bool {
        let word = |index: u64| {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            self.words.get(index).copied().unwrap_or(0)
        };
        let at = (word(u64::from(HEADER_METERS)) & 0xffff_ffff)
            + u64::from(verdict.rule.index() * Meter::WORDS);
        verdict.rule.is_limited() && Meter::from_words(word(at), word(at + 1)).block != 0
    }

    /// What happens to the first packet of a conversation of any protocol but ICMP.
    #[must_use]
    pub fn first_packet(&self, ifindex: u32, tuple: &Tuple) -> Verdict {
        self.ask(ifindex, tuple, TcpFlags::SYN)
    }

    /// What happens to a message of ICMP of this type, in the family of the addresses.
    #[must_use]
    pub fn message(&self, ifindex: u32, source: IpAddr, destination: IpAddr, kind: u8) -> Verdict {
        const ID: u16 = 1;
        let (transport, service, protocol) = if source.is_ipv4() {
            let transport = Transport::Icmp { kind, id: ID };
            (transport, Service::icmp(kind), protocol::ICMP)
        } else {
            let transport = Transport::Icmpv6 { kind, id: ID };
            (transport, Service::icmpv6(kind), protocol::ICMPV6)
        };
        let ends = (source.into(), destination.into());
        self.evaluate(ifindex, ends, protocol, transport, service)
    }

    fn ask(&self, ifindex: u32, tuple: &Tuple, flags: u8) -> Verdict {
        let (source_port, destination_port) = (tuple.remote_port, tuple.local_port);
        let (transport, service) = match tuple.protocol {
            protocol::TCP => (
                Transport::Tcp {
                    source_port,
                    destination_port,
                    flags: TcpFlags(flags),
                },
                Service::tcp(destination_port),
            ),
            protocol::UDP => (
                Transport::Udp {
                    source_port,
                    destination_port,
                },
                Service::udp(destination_port),
            ),
            other => (Transport::Other, Service::protocol(other)),
        };
        let ends = (tuple.remote, tuple.local);
        self.evaluate(ifindex, ends, tuple.protocol, transport, service)
    }

    fn evaluate(
        &self,
        ifindex: u32,
        (source, destination): (Addr, Addr),
        protocol: u8,
        transport: Transport,
        service: Service,
    ) -> Verdict {
        let packet = Packet::from(Facts {
            source,
            destination,
            hop_limit: 64,
            protocol,
            fragment: Fragment::Whole,
            extended: false,
            router_alert: false,
            transport,
            network_at: 0,
            transport_at: 0,
            end: 0,
        });
        evaluate_stateless(&self.tables, Arrival { ifindex }, &packet, Some(service))
    }
}

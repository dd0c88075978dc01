//! The hosts of the acceptance tests with guard on the server's interface: the loaded program, not
//! yet the command.

use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
};

use aya::programs::XdpMode;
use guard_common::abi::{reason::Reason, switch::SwitchWord};
use guard_user::{
    dataplane::{Counters, Object, Parameters},
    ruleset::{
        compile::{Host, Stamp, compile},
        model::Policy,
    },
};

use crate::netns::Topology;

/// A topology whose server is guarded.
pub struct Guarded {
    // Dropped before the hosts: a link lives as long as its object.
    _object: Object,
    counters: Counters,
    /// The hosts.
    pub hosts: Topology,
}

impl Guarded {
    /// Attaches the program with this policy to the server's interface.
    ///
    /// # Panics
    /// When a step fails.
    #[must_use]
    pub fn new(policy: &Policy, mode: XdpMode) -> Self {
        let hosts = Topology::new().expect("namespaces");
        let own = Topology::SERVER.map(|ip| ip.parse().expect("an address"));
        let host = Host {
            interfaces: Vec::new(),
            own: own.to_vec(),
        };
        let image = compile(policy, &host, Stamp::default())
            .expect("compiles")
            .words;
        let parameters = Parameters {
            slot_words: image.len() as u32,
            shards: 1,
            own_shard: false,
            seed: 7,
        };
        let mut object = Object::load(parameters, None).expect("loads");
        let slots = object.slots().expect("slots");
        let staged = slots.stage(&image);
        slots.switch_to(SwitchWord::settled(staged, staged));
        let counters = object.counters().expect("counters");
        let attach = || {
            object
                .ingress()
                .expect("program")
                .attach("eth0", mode)
                .map(|_| ())
        };
        hosts.srv.within(attach).expect("enters").expect("attaches");
        Self {
            _object: object,
            counters,
            hosts,
        }
    }

    /// Every frame that the program counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        let counters = self.counters.reasons();
        counters.iter().map(|(_, counter)| counter.packets).sum()
    }

    /// Packets that met this reason.
    #[must_use]
    pub fn packets(&self, reason: Reason) -> u64 {
        let counters = self.counters.reasons();
        let found = counters.iter().find(|(counted, _)| *counted == reason);
        found.map_or(0, |(_, counter)| counter.packets)
    }

    /// Answers every connection to these TCP ports, on both families, with one byte.
    ///
    /// # Panics
    /// When a port is taken.
    pub fn listen(&self, ports: &[u16]) {
        for port in ports {
            for any in ["0.0.0.0", "::"] {
                let address = SocketAddr::new(any.parse().expect("an address"), *port);
                let bind = || listener(address);
                let listener = self.hosts.srv.within(bind).expect("enters").expect("binds");
                thread::spawn(move || {
                    for stream in listener.incoming() {
                        let _ = stream.and_then(|mut stream| stream.write_all(b"!"));
                    }
                });
            }
        }
    }
}

/// A listener for one family only.
fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    if address.is_ipv4() {
        return TcpListener::bind(address);
    }
    leave_ipv4_alone()?;
    TcpListener::bind(address)
}

/// Lets `::` leave the IPv4 port to others, in this namespace.
fn leave_ipv4_alone() -> io::Result<()> {
    std::fs::write("/proc/sys/net/ipv6/bindv6only", "1")
}

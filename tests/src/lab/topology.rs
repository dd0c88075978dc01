//! A server, a friend and an attacker, each in a network of its own, joined by a router.

use std::net::IpAddr;

use super::{Namespace, unique_prefix, until};

/// A host: a namespace with an interface `eth0`, an address of each family and a default route.
#[derive(Debug)]
pub struct Host {
    /// Its namespace.
    pub namespace: Namespace,
    /// IPv4 address of eth0.
    pub v4: IpAddr,
    /// IPv6 address of eth0.
    pub v6: IpAddr,
}

impl std::ops::Deref for Host {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.namespace
    }
}

/// The hosts. Sources differ by network, so that a rule for one never covers another.
///
/// ```text
/// friend   198.51.100.10  2001:db8:100::10 ─┐
/// attacker 203.0.113.66   2001:db8:66::66  ─┼─ wan ─ srv 192.0.2.1 2001:db8:2::1
/// ```
#[derive(Debug)]
pub struct Topology {
    /// The server that guard protects.
    pub srv: Host,
    /// Who may come in.
    pub friend: Host,
    /// Who may not.
    pub attacker: Host,
    /// The router between them.
    pub wan: Namespace,
}

/// Role, IPv4 network, IPv4 host number, IPv6 network, IPv6 host part.
pub(super) type HostAddresses = (&'static str, &'static str, u8, &'static str, &'static str);
const SRV: HostAddresses = ("srv", "192.0.2", 1, "2001:db8:2", "1");
pub(super) const FRIEND: HostAddresses = ("friend", "198.51.100", 10, "2001:db8:100", "10");
const ATTACKER: HostAddresses = ("attacker", "203.0.113", 66, "2001:db8:66", "66");

impl Topology {
    /// Makes the hosts and returns when they reach each other.
    ///
    /// # Panics
    /// When the kernel refuses a part of it.
    #[must_use]
    pub fn new() -> Self {
        Self::named(&unique_prefix())
    }

    /// The same with a prefix for the names of the namespaces.
    ///
    /// # Panics
    /// As [`Topology::new`].
    #[must_use]
    pub fn named(prefix: &str) -> Self {
        let wan = Namespace::new(format!("{prefix}-wan"));
        wan.sysctl("net/ipv4/ip_forward", "1");
        wan.sysctl("net/ipv6/conf/all/forwarding", "1");
        // The answers of a router to a flood are not what a test looks at.
        wan.sysctl("net/ipv4/icmp_ratelimit", "0");
        let host = |place| join(prefix, &wan, place);
        let topology = Self {
            srv: host(SRV),
            friend: host(FRIEND),
            attacker: host(ATTACKER),
            wan,
        };
        for client in [&topology.friend, &topology.attacker] {
            for address in [topology.srv.v4, topology.srv.v6] {
                until(&format!("{address} to be reachable"), || {
                    client.can_ping(address)
                });
            }
        }
        topology
    }

    /// Deletes the server's eth0 and makes a new one of the same name and addresses.
    ///
    /// # Panics
    /// When the kernel refuses it.
    pub fn replace_server_interface(&self) {
        self.srv.ip("link del eth0");
        self.make_server_interface();
    }

    /// Makes the server's eth0, which it must not have.
    ///
    /// # Panics
    /// When the kernel refuses it.
    pub fn make_server_interface(&self) {
        connect(&self.srv, &self.wan, SRV);
    }

    /// Leaves everything standing when the value is dropped.
    pub fn keep(&mut self) {
        self.wan.keep();
        for host in [&mut self.srv, &mut self.friend, &mut self.attacker] {
            host.namespace.keep();
        }
    }
}

impl Default for Topology {
    fn default() -> Self {
        Self::new()
    }
}

/// A host behind an interface of the router that has the host's name.
fn join(prefix: &str, wan: &Namespace, place: HostAddresses) -> Host {
    let (role, v4_network, v4_host, v6_network, v6_host) = place;
    let host = Host {
        namespace: Namespace::new(format!("{prefix}-{role}")),
        v4: format!("{v4_network}.{v4_host}")
            .parse()
            .expect("an address"),
        v6: format!("{v6_network}::{v6_host}")
            .parse()
            .expect("an address"),
    };
    connect(&host, wan, place);
    host
}

/// The cable between a host and the router, with addresses and routes.
pub(super) fn connect(host: &Host, wan: &Namespace, place: HostAddresses) {
    let (role, v4_network, _, v6_network, _) = place;
    let (v4, v6, name) = (host.v4, host.v6, host.name());
    wan.ip_batch(&format!(
        "link add {role} type veth peer name eth0 netns {name}\n\
         addr add {v4_network}.254/24 dev {role}\n\
         addr add {v6_network}::fe/64 dev {role} nodad\n\
         link set {role} up\n"
    ));
    host.ip_batch(&format!(
        "addr add {v4}/24 dev eth0\n\
         addr add {v6}/64 dev eth0 nodad\n\
         link set eth0 up\n\
         route add default via {v4_network}.254\n\
         route add default via {v6_network}::fe\n"
    ));
}

//! Interfaces, addresses and default routes of this network namespace.

use std::{collections::BTreeSet, io, net::IpAddr};

use futures_util::TryStreamExt as _;
use ipnetwork::IpNetwork;
use netlink_packet_route::{
    address::{AddressAttribute, AddressMessage},
    link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage, LinkXdp, XdpAttached},
};
use rtnetlink::Handle;

use super::{
    link_kind::LinkKind,
    netlink,
    routes::{self, MAIN},
};

/// How an XDP program sits on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// In the kernel's receive path.
    Generic,
    /// In the network card.
    Offloaded,
}

impl XdpMode {
    /// Word for people and JSON.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offloaded => "offloaded",
        }
    }
}

/// The XDP program on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpAttachment {
    /// Where it runs.
    pub mode: XdpMode,
    /// The kernel's number of the program.
    pub program: u32,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Name.
    pub name: String,
    /// Index.
    pub index: u32,
    /// Do frames carry an Ethernet header?
    pub is_ethernet: bool,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Frames that its driver says it has received, of which XDP may have dropped some.
    pub received: u64,
    /// Bytes of them.
    pub received_bytes: u64,
    /// The address that the hardware was made with, which outlives its name; `None` where there is
    /// no hardware.
    pub hardware: Option<String>,
    /// The XDP program on it.
    pub xdp: Option<XdpAttachment>,
    /// What it is.
    pub kind: LinkKind,
    /// Is it switched on?
    pub is_up: bool,
    /// The bridge, bond or routing domain that it is part of.
    pub controller: Option<u32>,
    /// The interface whose frames it shares; only of [`LinkKind::Upon`].
    pub below: Option<u32>,
}

impl Interface {
    /// Does a program run in its driver?
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.xdp.is_some_and(|xdp| xdp.mode == XdpMode::Native)
    }
}

/// What the kernel says about this network namespace at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// All interfaces.
    pub interfaces: Vec<Interface>,
    /// Addresses of all interfaces but loopback, with the interface's index.
    pub addresses: Vec<(IpAddr, u32)>,
    /// Addresses of the loopback interface by which others may know this host.
    pub on_loopback: Vec<IpAddr>,
    /// Networks whose hosts are reached without a router, with the interface's index.
    pub on_link: Vec<(IpNetwork, u32)>,
    /// Indices of the interfaces that carry default routes.
    pub default_routes: BTreeSet<u32>,
    /// The same of every table that a rule of routing uses, and routes to a large part of the world.
    pub routed: BTreeSet<u32>,
}

impl Network {
    /// Asks the kernel.
    ///
    /// # Errors
    /// When netlink does not answer.
    pub fn read() -> io::Result<Self> {
        Self::ask(Routes::Read)
    }

    /// The same without the routes, of which a router has a million.
    ///
    /// # Errors
    /// When netlink does not answer.
    pub fn read_without_routes() -> io::Result<Self> {
        Self::ask(Routes::Leave)
    }

    fn ask(routes: Routes) -> io::Result<Self> {
        netlink::ask(async |handle| read(&handle, routes).await.map_err(io::Error::other))
    }

    /// The interface of this name.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces
            .iter()
            .find(|interface| interface.name == name)
    }

    /// The interface of this index.
    #[must_use]
    pub fn by_index(&self, index: u32) -> Option<&Interface> {
        self.interfaces
            .iter()
            .find(|interface| interface.index == index)
    }

    /// Every address of this host by which others may know it.
    pub fn own(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let others = self.addresses.iter().map(|(ip, _)| *ip);
        others.chain(self.on_loopback.iter().copied())
    }

    /// The broadcast address of every network that this host is on: an answer to it would go to all of them.
    fn broadcasts(&self) -> impl Iterator<Item = IpAddr> + '_ {
        /// A longer one has two addresses or one (RFC 3021), and nobody but hosts.
        const LONGEST: u8 = 30;
        self.on_link
            .iter()
            .filter_map(|(network, _)| match network {
                IpNetwork::V4(v4) if v4.prefix() <= LONGEST => Some(v4.broadcast().into()),
                IpNetwork::V4(_) | IpNetwork::V6(_) => None,
            })
    }

    /// An interface and those whose frames become its own: ports of a bridge, cards of a bond, what a VLAN is on.
    #[must_use]
    pub fn stack(&self, index: u32) -> BTreeSet<u32> {
        let mut stack = BTreeSet::from([index]);
        let mut left = vec![index];
        while let Some(index) = left.pop() {
            let beneath = self.beneath(index);
            left.extend(beneath.into_iter().filter(|index| stack.insert(*index)));
        }
        stack
    }

    /// The interfaces directly beneath one.
    #[must_use]
    pub fn beneath(&self, index: u32) -> Vec<u32> {
        let Some(interface) = self.by_index(index) else {
            return Vec::new();
        };
        let ports = || {
            let parts = self.interfaces.iter();
            let parts = parts.filter(move |part| part.controller == Some(index));
            parts.map(|part| part.index)
        };
        match interface.kind {
            LinkKind::Bridge | LinkKind::Bond | LinkKind::Vrf => ports().collect(),
            LinkKind::Upon => interface.below.into_iter().collect(),
            LinkKind::Card
            | LinkKind::Veth
            | LinkKind::Tap
            | LinkKind::Tunnel
            | LinkKind::Dummy => Vec::new(),
        }
    }

    /// Addresses of this host, and the broadcast addresses of its networks: no packet comes from one of them.
    #[must_use]
    pub fn never_sources(&self) -> Vec<IpAddr> {
        self.own().chain(self.broadcasts()).collect()
    }

    /// Names of the interfaces that carry default routes.
    #[must_use]
    pub fn default_interfaces(&self) -> Vec<String> {
        self.default_routes
            .iter()
            .filter_map(|index| self.by_index(*index))
            .map(|interface| interface.name.clone())
            .collect()
    }
}

/// Are routes of interest?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Routes {
    Read,
    Leave,
}

async fn read(handle: &Handle, routes: Routes) -> Result<Network, rtnetlink::Error> {
    let mut network = Network::default();
    let mut links = handle.link().get().execute();
    while let Some(message) = links.try_next().await? {
        network.interfaces.push(interface(&message));
    }
    let loopback: Vec<u32> = network
        .interfaces
        .iter()
        .filter(|interface| interface.name == "lo")
        .map(|interface| interface.index)
        .collect();

    let mut addresses = handle.address().get().execute();
    while let Some(message) = addresses.try_next().await? {
        let Some((own, on_link)) = address(&message) else {
            continue;
        };
        let index = message.header.index;
        if !loopback.contains(&index) {
            network.addresses.push((own, index));
            network.on_link.extend(on_link.map(|net| (net, index)));
        } else if !own.is_loopback() {
            network.on_loopback.push(own);
        }
    }

    if routes == Routes::Leave {
        return Ok(network);
    }
    for way in routes::wide(handle).await? {
        if way.table == MAIN && way.prefix_length == 0 {
            network.default_routes.insert(way.interface);
        }
        network.routed.insert(way.interface);
    }
    Ok(network)
}

/// An address of this host, and the network that it makes known.
fn address(message: &AddressMessage) -> Option<(IpAddr, Option<IpNetwork>)> {
    let (mut local, mut other) = (None, None);
    for attribute in &message.attributes {
        if let AddressAttribute::Local(ip) = attribute {
            local = Some(*ip);
        } else if let AddressAttribute::Address(ip) = attribute {
            other = Some(*ip);
        }
    }
    // IFA_LOCAL is ours; on point-to-point links IFA_ADDRESS is the other end.
    let on_link = other.and_then(|ip| IpNetwork::new(ip, message.header.prefix_len).ok());
    Some((local.or(other)?, on_link))
}

fn interface(message: &LinkMessage) -> Interface {
    let mut interface = Interface {
        name: String::new(),
        index: message.header.index,
        is_ethernet: message.header.link_layer_type == LinkLayerType::Ether,
        mtu: 0,
        received: 0,
        received_bytes: 0,
        hardware: None,
        xdp: None,
        kind: LinkKind::of(&message.attributes),
        is_up: message.header.flags.contains(LinkFlags::Up),
        controller: None,
        below: None,
    };
    for attribute in &message.attributes {
        if let LinkAttribute::IfName(name) = attribute {
            interface.name.clone_from(name);
        } else if let LinkAttribute::Mtu(mtu) = attribute {
            interface.mtu = *mtu;
        } else if let LinkAttribute::Stats64(stats) = attribute {
            interface.received = stats.rx_packets;
            interface.received_bytes = stats.rx_bytes;
        } else if let LinkAttribute::PermAddress(bytes) = attribute {
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            interface.hardware = Some(digits.join(":"));
        } else if let LinkAttribute::Xdp(parts) = attribute {
            interface.xdp = attachment(parts);
        } else if let LinkAttribute::Controller(index) = attribute {
            interface.controller = Some(*index);
        } else if let LinkAttribute::Link(index) = attribute {
            // Of a tunnel it is where the outer packets go, of a virtual cable the other end.
            interface.below = (interface.kind == LinkKind::Upon).then_some(*index);
        }
    }
    interface
}

fn attachment(parts: &[LinkXdp]) -> Option<XdpAttachment> {
    let mut mode = None;
    let mut program = None;
    for part in parts {
        if let LinkXdp::Attached(attached) = part {
            mode = mode_of(attached);
        } else if let LinkXdp::ProgId(id) | LinkXdp::DrvProgId(id) | LinkXdp::SkbProgId(id) = part {
            program = program.or(Some(*id));
        }
    }
    Some(XdpAttachment {
        mode: mode?,
        program: program?,
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "netlink's own enum, which may grow; an unknown attachment is none of ours"
)]
fn mode_of(attached: &XdpAttached) -> Option<XdpMode> {
    match attached {
        XdpAttached::Driver | XdpAttached::Multiple => Some(XdpMode::Native),
        XdpAttached::SocketBuffer => Some(XdpMode::Generic),
        XdpAttached::Hardware => Some(XdpMode::Offloaded),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broadcast_address_of_every_network_is_no_source() {
        let on_link = [
            "192.0.2.1/24",
            "198.51.100.5/30",
            // Two hosts and one: no broadcast address.
            "203.0.113.4/31",
            "203.0.113.9/32",
            "2001:db8::1/64",
        ]
        .map(|text| (text.parse().expect("a network"), 2));
        let network = Network {
            addresses: vec![("192.0.2.1".parse().expect("an address"), 2)],
            on_link: on_link.into(),
            ..Network::default()
        };
        let own: Vec<String> = network
            .never_sources()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(own, ["192.0.2.1", "192.0.2.255", "198.51.100.7"]);
    }
}

//! Interfaces, addresses and default routes of this network namespace.

use std::{collections::BTreeSet, io, net::IpAddr};

use futures_util::TryStreamExt as _;
use netlink_packet_route::{
    address::AddressAttribute,
    link::{LinkAttribute, LinkLayerType, LinkMessage, LinkXdp, XdpAttached},
    route::{RouteAttribute, RouteMessage},
};
use rtnetlink::{Handle, RouteMessageBuilder, new_connection};

use crate::ruleset::compile::{Host, Jiffy};

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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The address that the hardware was made with, which outlives its name; `None` where there is
    /// no hardware.
    pub hardware: Option<String>,
    /// The XDP program on it.
    pub xdp: Option<XdpAttachment>,
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
    /// Indices of the interfaces that carry default routes.
    pub default_routes: BTreeSet<u32>,
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
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        runtime.block_on(async {
            let (connection, handle, _) = new_connection()?;
            tokio::spawn(connection);
            read(&handle, routes).await.map_err(io::Error::other)
        })
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

    /// What the policy compiler must know.
    #[must_use]
    pub fn host(&self) -> Host {
        Host {
            interfaces: self
                .interfaces
                .iter()
                .map(|interface| (interface.name.clone(), interface.index))
                .collect(),
            own: self.addresses.iter().map(|(ip, _)| *ip).collect(),
            jiffy: Jiffy(super::clock::jiffy_ns()),
        }
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
        if loopback.contains(&message.header.index) {
            continue;
        }
        // IFA_LOCAL is ours; on point-to-point links IFA_ADDRESS is the other end.
        let local = message.attributes.iter().find_map(|attribute| {
            if let AddressAttribute::Local(ip) = attribute {
                Some(*ip)
            } else {
                None
            }
        });
        let address = message.attributes.iter().find_map(|attribute| {
            if let AddressAttribute::Address(ip) = attribute {
                Some(*ip)
            } else {
                None
            }
        });
        network
            .addresses
            .extend(local.or(address).map(|ip| (ip, message.header.index)));
    }

    if routes == Routes::Leave {
        return Ok(network);
    }
    let v4 = RouteMessageBuilder::<std::net::Ipv4Addr>::new().build();
    let v6 = RouteMessageBuilder::<std::net::Ipv6Addr>::new().build();
    for query in [v4, v6] {
        let mut routes = handle.route().get(query).execute();
        while let Some(route) = routes.try_next().await? {
            network.default_routes.extend(default_route(&route));
        }
    }
    Ok(network)
}

fn interface(message: &LinkMessage) -> Interface {
    let mut interface = Interface {
        name: String::new(),
        index: message.header.index,
        is_ethernet: message.header.link_layer_type == LinkLayerType::Ether,
        mtu: 0,
        received: 0,
        hardware: None,
        xdp: None,
    };
    for attribute in &message.attributes {
        if let LinkAttribute::IfName(name) = attribute {
            interface.name.clone_from(name);
        } else if let LinkAttribute::Mtu(mtu) = attribute {
            interface.mtu = *mtu;
        } else if let LinkAttribute::Stats64(stats) = attribute {
            interface.received = stats.rx_packets;
        } else if let LinkAttribute::PermAddress(bytes) = attribute {
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            interface.hardware = Some(digits.join(":"));
        } else if let LinkAttribute::Xdp(parts) = attribute {
            interface.xdp = attachment(parts);
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

/// Indices of the interfaces that a default route leaves by.
fn default_route(route: &RouteMessage) -> Vec<u32> {
    // The kernel's main table; others serve policy routing.
    const MAIN: u8 = 254;
    const UNICAST: u8 = 1;
    let is_default = route.header.destination_prefix_length == 0
        && route.header.table == MAIN
        && u8::from(route.header.kind) == UNICAST;
    if !is_default {
        return Vec::new();
    }
    let mut indices = Vec::new();
    for attribute in &route.attributes {
        if let RouteAttribute::Oif(index) = attribute {
            indices.push(*index);
        } else if let RouteAttribute::MultiPath(hops) = attribute {
            indices.extend(hops.iter().map(|hop| hop.interface_index));
        }
    }
    indices
}

//! What kind of interface one is, as far as it matters for who can come in by it.

use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo};

/// Kinds of interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkKind {
    /// A network card, or what the kernel has no word for.
    #[default]
    Card,
    /// One end of a virtual cable: the way into a container, or out of one.
    Veth,
    /// A switch in software; its ports are interfaces.
    Bridge,
    /// Several cards as one.
    Bond,
    /// Shares the frames of the interface below: VLAN, macvlan, ipvlan.
    Upon,
    /// A routing domain of its own; its interfaces keep their frames.
    Vrf,
    /// The end of a program's or of a virtual machine's cable.
    Tap,
    /// Packets come inside of others.
    Tunnel,
    /// Nothing comes in by it.
    Dummy,
}

impl LinkKind {
    /// From a message of netlink.
    pub(super) fn of(attributes: &[LinkAttribute]) -> Self {
        let mut kinds = attributes.iter().filter_map(|attribute| {
            let LinkAttribute::LinkInfo(parts) = attribute else {
                return None;
            };
            parts.iter().find_map(|part| {
                if let LinkInfo::Kind(kind) = part {
                    Some(Self::from_netlink(kind))
                } else {
                    None
                }
            })
        });
        kinds.next().unwrap_or_default()
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "netlink's own enum, which grows; what is not known may bring strangers"
    )]
    fn from_netlink(kind: &InfoKind) -> Self {
        match kind {
            InfoKind::Veth | InfoKind::Netkit => Self::Veth,
            InfoKind::Bridge => Self::Bridge,
            InfoKind::Bond | InfoKind::Team => Self::Bond,
            InfoKind::Vlan
            | InfoKind::MacVlan
            | InfoKind::MacVtap
            | InfoKind::IpVlan
            | InfoKind::IpVtap
            | InfoKind::MacSec => Self::Upon,
            InfoKind::Vrf => Self::Vrf,
            InfoKind::Tun => Self::Tap,
            InfoKind::Dummy | InfoKind::Ifb | InfoKind::Nlmon => Self::Dummy,
            InfoKind::Vxlan
            | InfoKind::GreTap
            | InfoKind::GreTap6
            | InfoKind::IpIp
            | InfoKind::Ip6Tnl
            | InfoKind::SitTun
            | InfoKind::GreTun
            | InfoKind::GreTun6
            | InfoKind::Vti
            | InfoKind::Vti6
            | InfoKind::Gtp
            | InfoKind::Wireguard
            | InfoKind::Xfrm
            | InfoKind::Geneve
            | InfoKind::BareUdp
            | InfoKind::ErSpan
            | InfoKind::Ip6ErSpan => Self::Tunnel,
            InfoKind::Other(name) if name == "openvswitch" => Self::Bridge,
            _ => Self::Card,
        }
    }
}

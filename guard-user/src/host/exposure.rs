//! By which interfaces strangers can come to this host, and which of those are not guarded. Decided by what netlink
//! says alone, so that it can be asked of any network.

use std::{collections::BTreeSet, fmt, net::IpAddr};

use super::{Interface, Network, link_kind::LinkKind};

/// An interface without guard by which strangers can come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exposure {
    /// Its name.
    pub interface: String,
    /// Why they can.
    pub why: Reach,
}

/// Why strangers can come by an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// A default route leaves by it, in whatever table of routing.
    Route,
    /// It has an address that is known in the whole world.
    Address,
    /// It is the uplink of a bridge: guests behind the bridge are reached without passing guard on the bridge.
    Guests,
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: NOT GUARDED, and strangers can get in through it: {}",
            self.interface, self.why
        )
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Route => "a default route uses it",
            Self::Address => "it has a public address",
            Self::Guests => "it connects the guests of a bridge, past the guard on the bridge",
        })
    }
}

/// The interfaces by which strangers can come, and which none of `guarded` covers. An interface is covered by
/// itself, and by those whose frames become its own, if all of them are guarded.
#[must_use]
pub fn exposures(network: &Network, guarded: &BTreeSet<u32>) -> BTreeSet<Exposure> {
    let mut found = BTreeSet::new();
    let up = network
        .interfaces
        .iter()
        .filter(|interface| interface.is_up);
    for interface in up {
        if let Some(why) = reach(network, interface)
            && !is_covered(network, interface.index, guarded)
        {
            found.insert(Exposure {
                interface: interface.name.clone(),
                why,
            });
        }
        found.extend(past_the_bridge(network, interface, guarded));
    }
    found
}

/// Can strangers come by it, and why?
fn reach(network: &Network, interface: &Interface) -> Option<Reach> {
    match interface.kind {
        // What a routing domain or a bridge takes, it takes from its ports; a dummy takes nothing.
        LinkKind::Dummy => return None,
        LinkKind::Card
        | LinkKind::Veth
        | LinkKind::Bridge
        | LinkKind::Bond
        | LinkKind::Upon
        | LinkKind::Vrf
        | LinkKind::Tap
        | LinkKind::Tunnel => {}
    }
    if network.routed.contains(&interface.index) {
        return Some(Reach::Route);
    }
    let is_inside = interface.kind == LinkKind::Bridge && uplinks(network, interface).is_empty();
    let mut own = network.addresses.iter();
    let is_public = own.any(|(ip, index)| *index == interface.index && is_public(*ip));
    (is_public && !is_inside).then_some(Reach::Address)
}

/// Is everything guarded that comes by it?
fn is_covered(network: &Network, index: u32, guarded: &BTreeSet<u32>) -> bool {
    if guarded.contains(&index) {
        return true;
    }
    let Some(interface) = network.by_index(index) else {
        return false;
    };
    let beneath = match interface.kind {
        // Guests are inside; frames of theirs are no strangers'. Where a virtual cable is the uplink, as within a
        // container, it is the one that is guarded.
        LinkKind::Bridge => {
            let uplinks = uplinks(network, interface);
            if uplinks.is_empty() {
                let ports = network.beneath(index).into_iter();
                ports.filter(|port| guarded.contains(port)).collect()
            } else {
                uplinks
            }
        }
        LinkKind::Bond | LinkKind::Vrf | LinkKind::Upon => network.beneath(index),
        LinkKind::Card | LinkKind::Veth | LinkKind::Tap | LinkKind::Tunnel | LinkKind::Dummy => {
            return false;
        }
    };
    !beneath.is_empty()
        && beneath
            .iter()
            .all(|part| is_covered(network, *part, guarded))
}

/// Uplinks of a guarded bridge that has guests: frames to those never pass the guard on the bridge itself.
fn past_the_bridge(
    network: &Network,
    bridge: &Interface,
    guarded: &BTreeSet<u32>,
) -> Vec<Exposure> {
    if bridge.kind != LinkKind::Bridge || !guarded.contains(&bridge.index) {
        return Vec::new();
    }
    let uplinks = uplinks(network, bridge);
    if network.beneath(bridge.index).len() == uplinks.len() {
        return Vec::new();
    }
    let open = uplinks
        .into_iter()
        .filter(|index| !is_covered(network, *index, guarded));
    let open = open.filter_map(|index| network.by_index(index));
    open.map(|interface| Exposure {
        interface: interface.name.clone(),
        why: Reach::Guests,
    })
    .collect()
}

/// Guests of a bridge that has an uplink: who is behind it, with addresses of their own that this host does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guests {
    /// The bridge.
    pub bridge: String,
    /// Its ports that lead to guests.
    pub ports: Vec<String>,
    /// Uplinks by which frames come to them past guard; none, and all of it is looked at.
    pub past: Vec<String>,
}

/// The guests of every bridge with an uplink.
#[must_use]
pub fn guests(network: &Network, guarded: &BTreeSet<u32>) -> Vec<Guests> {
    let bridges = network
        .interfaces
        .iter()
        .filter(|interface| interface.kind == LinkKind::Bridge && interface.is_up);
    let guests = bridges.filter_map(|bridge| {
        let uplinks = uplinks(network, bridge);
        let mut ports = network.beneath(bridge.index);
        ports.retain(|port| !uplinks.contains(port));
        if uplinks.is_empty() || ports.is_empty() {
            return None;
        }
        let name = |index: u32| Some(network.by_index(index)?.name.clone());
        let past = uplinks.into_iter();
        let past = past.filter(|uplink| !is_covered(network, *uplink, guarded));
        Some(Guests {
            bridge: bridge.name.clone(),
            ports: ports.into_iter().filter_map(name).collect(),
            past: past.filter_map(name).collect(),
        })
    });
    guests.collect()
}

/// The ports of a bridge that lead outside; virtual cables and taps lead to guests.
fn uplinks(network: &Network, bridge: &Interface) -> Vec<u32> {
    let is_uplink = |index: &u32| {
        let kind = network.by_index(*index).map(|port| port.kind);
        match kind {
            Some(LinkKind::Veth | LinkKind::Tap | LinkKind::Dummy) | None => false,
            Some(
                LinkKind::Card
                | LinkKind::Bridge
                | LinkKind::Bond
                | LinkKind::Upon
                | LinkKind::Vrf
                | LinkKind::Tunnel,
            ) => true,
        }
    };
    let mut ports = network.beneath(bridge.index);
    ports.retain(is_uplink);
    ports
}

/// Is it an address by which the whole world may know a host?
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_shared)
        }
        // 2000::/3
        IpAddr::V6(v6) => v6.segments()[0] >> 13 == 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: u32 = 2;
    const SECOND: u32 = 3;
    const BRIDGE: u32 = 4;
    const GUEST: u32 = 5;
    const OTHER: u32 = 6;

    /// Interfaces with kind, controller and what they are on; addresses; who carries default routes.
    fn network(
        links: &[(u32, LinkKind, Option<u32>, Option<u32>)],
        addresses: &[(&str, u32)],
        routed: &[u32],
    ) -> Network {
        let interface = |(index, kind, controller, below): &(u32, _, _, _)| Interface {
            name: format!("if{index}"),
            index: *index,
            is_ethernet: true,
            mtu: 1500,
            kind: *kind,
            is_up: true,
            controller: *controller,
            below: *below,
            ..Interface::default()
        };
        let address = |(ip, index): &(&str, u32)| (ip.parse().expect("an address"), *index);
        Network {
            interfaces: links.iter().map(interface).collect(),
            addresses: addresses.iter().map(address).collect(),
            routed: routed.iter().copied().collect(),
            ..Network::default()
        }
    }

    #[test]
    fn guests_of_a_bridge_with_an_uplink_are_listed_with_the_way_past_guard() {
        let links = [
            (CARD, LinkKind::Card, Some(BRIDGE), None),
            (BRIDGE, LinkKind::Bridge, None, None),
            (GUEST, LinkKind::Tap, Some(BRIDGE), None),
        ];
        let with_uplink = network(&links, &[], &[]);
        let of = |guarded: &[u32]| guests(&with_uplink, &guarded.iter().copied().collect());
        let expected = |past: &[&str]| {
            vec![Guests {
                bridge: "if4".to_owned(),
                ports: vec!["if5".to_owned()],
                past: past.iter().map(|name| (*name).to_owned()).collect(),
            }]
        };
        assert_eq!(of(&[CARD]), expected(&[]));
        assert_eq!(of(&[BRIDGE]), expected(&["if2"]));
        assert_eq!(of(&[]), expected(&["if2"]));
        // A bridge of containers has no uplink, and one without guests none.
        let inside = network(&links[1..], &[], &[]);
        assert_eq!(guests(&inside, &BTreeSet::new()), []);
        let alone = network(&links[..2], &[], &[]);
        assert_eq!(guests(&alone, &BTreeSet::new()), []);
    }

    #[track_caller]
    fn assert_exposed(network: &Network, guarded: &[u32], expected: &[(u32, Reach)]) {
        let guarded = guarded.iter().copied().collect();
        let expected: BTreeSet<Exposure> = expected
            .iter()
            .map(|(index, why)| Exposure {
                interface: format!("if{index}"),
                why: *why,
            })
            .collect();
        assert_eq!(exposures(network, &guarded), expected, "{network:?}");
    }

    #[test]
    fn a_card_is_exposed_by_a_route_or_by_a_public_address() {
        let card = (CARD, LinkKind::Card, None, None);
        let second = (SECOND, LinkKind::Card, None, None);
        let both = |address, routed: &[u32]| {
            network(
                &[card, second],
                &[("192.0.2.1", CARD), (address, SECOND)],
                routed,
            )
        };
        for (address, why) in [
            ("203.0.113.1", Some(Reach::Address)),
            ("2001:db8::1", Some(Reach::Address)),
            ("10.0.0.1", None),
            ("100.64.0.1", None),
            ("fe80::1", None),
            ("fd00::1", None),
        ] {
            let expected: Vec<_> = why.map(|why| (SECOND, why)).into_iter().collect();
            assert_exposed(&both(address, &[CARD]), &[CARD], &expected);
            assert_exposed(&both(address, &[CARD]), &[CARD, SECOND], &[]);
        }
        // A table of its own for the second card.
        assert_exposed(
            &both("10.0.0.1", &[CARD, SECOND]),
            &[CARD],
            &[(SECOND, Reach::Route)],
        );
    }

    #[test]
    fn a_tunnel_with_a_default_route_or_a_public_address_is_exposed() {
        let links = [
            (CARD, LinkKind::Card, None, None),
            (OTHER, LinkKind::Tunnel, None, None),
        ];
        let private = network(&links, &[("10.8.0.1", OTHER)], &[CARD]);
        assert_exposed(&private, &[CARD], &[]);
        let route = network(&links, &[], &[CARD, OTHER]);
        assert_exposed(&route, &[CARD], &[(OTHER, Reach::Route)]);
        let address = network(&links, &[("2001:db8::2", OTHER)], &[CARD]);
        assert_exposed(&address, &[CARD], &[(OTHER, Reach::Address)]);
    }

    #[test]
    fn a_bridge_of_containers_is_inside_and_one_with_an_uplink_is_not() {
        let docker = [
            (CARD, LinkKind::Card, None, None),
            (BRIDGE, LinkKind::Bridge, None, None),
            (GUEST, LinkKind::Veth, Some(BRIDGE), None),
        ];
        let addresses = [("172.17.0.1", BRIDGE), ("2001:db8:17::1", BRIDGE)];
        assert_exposed(&network(&docker, &addresses, &[CARD]), &[CARD], &[]);

        let uplink = [
            (CARD, LinkKind::Card, Some(BRIDGE), None),
            (BRIDGE, LinkKind::Bridge, None, None),
            (GUEST, LinkKind::Tap, Some(BRIDGE), None),
        ];
        let host = network(&uplink, &[("192.0.2.1", BRIDGE)], &[BRIDGE]);
        assert_exposed(&host, &[CARD], &[]);
        assert_exposed(&host, &[BRIDGE], &[(CARD, Reach::Guests)]);
        assert_exposed(&host, &[BRIDGE, CARD], &[]);
        assert_exposed(&host, &[], &[(BRIDGE, Reach::Route)]);
        let nested = [
            (CARD, LinkKind::Veth, Some(BRIDGE), None),
            (BRIDGE, LinkKind::Bridge, None, None),
            (GUEST, LinkKind::Veth, Some(BRIDGE), None),
        ];
        let nested = network(&nested, &[("192.0.2.1", BRIDGE)], &[BRIDGE]);
        assert_exposed(&nested, &[CARD], &[]);
        assert_exposed(&nested, &[], &[(BRIDGE, Reach::Route)]);
        let without_guests = network(&uplink[..2], &[("192.0.2.1", BRIDGE)], &[BRIDGE]);
        assert_exposed(&without_guests, &[BRIDGE], &[]);
    }

    #[test]
    fn what_is_upon_others_is_covered_when_all_of_them_are() {
        let bond = [
            (CARD, LinkKind::Card, Some(OTHER), None),
            (SECOND, LinkKind::Card, Some(OTHER), None),
            (OTHER, LinkKind::Bond, None, None),
        ];
        let bonded = network(&bond, &[("192.0.2.1", OTHER)], &[OTHER]);
        for (guarded, expected) in [
            (&[OTHER][..], &[][..]),
            (&[CARD, SECOND], &[]),
            (&[CARD], &[(OTHER, Reach::Route)]),
        ] {
            assert_exposed(&bonded, guarded, expected);
        }
        let upon = [
            (CARD, LinkKind::Card, None, None),
            (OTHER, LinkKind::Upon, None, Some(CARD)),
        ];
        let tagged = network(&upon, &[("192.0.2.1", OTHER)], &[OTHER]);
        assert_exposed(&tagged, &[CARD], &[]);
        assert_exposed(&tagged, &[OTHER], &[]);
        assert_exposed(&tagged, &[], &[(OTHER, Reach::Route)]);
    }

    #[test]
    fn what_is_down_lets_nobody_in() {
        let mut network = network(&[(CARD, LinkKind::Card, None, None)], &[], &[CARD]);
        assert_exposed(&network, &[], &[(CARD, Reach::Route)]);
        network.interfaces[0].is_up = false;
        assert_exposed(&network, &[], &[]);
    }
}

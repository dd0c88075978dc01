//! Which conversations of this host pass an interface that guard filters. Those between the host and its
//! own containers do not, and would fill the flow table for nothing.

use std::{collections::BTreeSet, net::IpAddr};

use crate::host::Network;

/// Indices of the interfaces that guard filters.
#[derive(Clone, Debug, Default)]
pub(super) struct Guarded(pub(super) BTreeSet<u32>);

impl Guarded {
    /// Do packets from this address come in by one of them? Only of a neighbour on another interface is it
    /// known that they do not.
    pub(super) fn sees(&self, network: &Network, remote: IpAddr) -> bool {
        let neighbours = network.on_link.iter();
        let nearest = neighbours
            .filter(|(net, _)| net.contains(remote))
            .max_by_key(|(net, _)| net.prefix());
        let Some((_, index)) = nearest else {
            return true;
        };
        // Who is a neighbour on a bridge comes in by one of its ports.
        network
            .stack(*index)
            .iter()
            .any(|below| self.0.contains(below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Interface, link_kind::LinkKind};

    #[test]
    fn a_neighbour_on_another_interface_is_not_seen() {
        let interface = |name: &str, index, kind, controller| Interface {
            name: name.to_owned(),
            index,
            kind,
            controller,
            ..Interface::default()
        };
        let net = |text: &str, index| (text.parse().expect("a network"), index);
        let network = Network {
            interfaces: vec![
                interface("eth0", 2, LinkKind::Card, Some(5)),
                interface("eth1", 3, LinkKind::Card, None),
                interface("docker0", 4, LinkKind::Bridge, None),
                interface("br0", 5, LinkKind::Bridge, None),
                interface("veth1", 6, LinkKind::Veth, Some(4)),
            ],
            on_link: vec![
                net("192.0.2.0/24", 5),
                net("172.17.0.0/16", 4),
                net("172.17.9.0/24", 3),
                net("2001:db8:17::/64", 4),
            ],
            ..Network::default()
        };
        let cases = [
            // Behind a router.
            ("198.51.100.7", true),
            ("2001:db8:99::7", true),
            // On a bridge of which a guarded card is a port.
            ("192.0.2.7", true),
            ("172.17.0.2", false),
            ("2001:db8:17::2", false),
            // The longest network decides.
            ("172.17.9.2", false),
        ];
        let guarded = Guarded(BTreeSet::from([2]));
        for (remote, expected) in cases {
            let remote: IpAddr = remote.parse().expect("an address");
            assert_eq!(guarded.sees(&network, remote), expected, "{remote}");
        }
        let guarded = Guarded(BTreeSet::from([3]));
        assert!(guarded.sees(&network, "172.17.9.2".parse().expect("an address")));
    }
}

//! The fewest prefixes that hold the same addresses.

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};

/// Sorts, leaves out what another one holds, and makes one of two halves.
pub(super) fn merge(mut networks: Vec<IpNetwork>) -> Vec<IpNetwork> {
    networks
        .sort_unstable_by_key(|network| (network.is_ipv6(), network.network(), network.prefix()));
    let mut merged = Vec::<IpNetwork>::with_capacity(networks.len());
    for network in networks {
        if merged.last().is_some_and(|last| holds(last, &network)) {
            continue;
        }
        let mut network = network;
        while let Some(parent) = merged.last().and_then(|last| parent(last, &network)) {
            merged.pop();
            network = parent;
        }
        merged.push(network);
    }
    merged
}

fn holds(wide: &IpNetwork, network: &IpNetwork) -> bool {
    wide.is_ipv4() == network.is_ipv4()
        && wide.prefix() <= network.prefix()
        && wide.contains(network.network())
}

/// The prefix whose lower and upper half these are.
fn parent(low: &IpNetwork, high: &IpNetwork) -> Option<IpNetwork> {
    if low.prefix() != high.prefix() || low.prefix() == 0 {
        return None;
    }
    let len = low.prefix() - 1;
    match (low, high) {
        (IpNetwork::V4(low), IpNetwork::V4(high)) => {
            let bit = 1 << (31 - len);
            let (low, high) = (low.network().to_bits(), high.network().to_bits());
            let is_pair = low & bit == 0 && low | bit == high;
            let parent = is_pair.then(|| Ipv4Network::new(low.into(), len).ok());
            parent.flatten().map(IpNetwork::V4)
        }
        (IpNetwork::V6(low), IpNetwork::V6(high)) => {
            let bit = 1 << (127 - len);
            let (low, high) = (low.network().to_bits(), high.network().to_bits());
            let is_pair = low & bit == 0 && low | bit == high;
            let parent = is_pair.then(|| Ipv6Network::new(low.into(), len).ok());
            parent.flatten().map(IpNetwork::V6)
        }
        (IpNetwork::V4(_), IpNetwork::V6(_)) | (IpNetwork::V6(_), IpNetwork::V4(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(networks: &[&str]) -> Vec<String> {
        let networks = networks.iter().map(|net| net.parse().expect("a prefix"));
        merge(networks.collect())
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn halves_become_one_prefix_and_no_address_more() {
        for (networks, expected) in [
            (
                &["192.0.2.0/25", "192.0.2.128/25"][..],
                &["192.0.2.0/24"][..],
            ),
            // Neighbours that are no halves of one prefix.
            (
                &["192.0.1.0/24", "192.0.2.0/24"],
                &["192.0.1.0/24", "192.0.2.0/24"],
            ),
            // Up and up again, whatever the order.
            (
                &["10.0.3.0/24", "10.0.2.0/24", "10.0.0.0/24", "10.0.1.0/24"],
                &["10.0.0.0/22"],
            ),
            (
                &["10.0.0.0/8", "10.1.2.0/24", "10.1.2.3/32"],
                &["10.0.0.0/8"],
            ),
            (&["0.0.0.0/1", "128.0.0.0/1"], &["0.0.0.0/0"]),
            (&["2001:db8::/33", "2001:db8:8000::/33"], &["2001:db8::/32"]),
            (&["::/1", "8000::/1", "0.0.0.0/1"], &["0.0.0.0/1", "::/0"]),
            (&["192.0.2.1/32", "192.0.2.1/32"], &["192.0.2.1/32"]),
            // A half that comes of merging holds nothing of its neighbour.
            (
                &["10.0.0.0/25", "10.0.0.128/26", "10.0.0.192/26"],
                &["10.0.0.0/24"],
            ),
            (&[], &[]),
        ] {
            assert_eq!(merged(networks), expected, "{networks:?}");
        }
    }
}

//! Who this host cannot do without: next hops of its routes and its name servers.

use std::{collections::BTreeSet, env, fs, io, net::IpAddr};

use futures_util::TryStreamExt as _;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteVia};
use rtnetlink::RouteMessageBuilder;

use super::netlink;

/// Where the name servers stand; systemd-resolved hides the real ones behind a local one.
const RESOLVERS: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// Next hops of all routes in this network namespace.
///
/// # Errors
/// When netlink does not answer.
pub fn gateways() -> io::Result<BTreeSet<IpAddr>> {
    netlink::ask(async |handle| {
        let v4 = RouteMessageBuilder::<std::net::Ipv4Addr>::new().build();
        let v6 = RouteMessageBuilder::<std::net::Ipv6Addr>::new().build();
        let mut gateways = BTreeSet::new();
        for query in [v4, v6] {
            let mut routes = handle.route().get(query).execute();
            while let Some(route) = routes.try_next().await.map_err(io::Error::other)? {
                add_next_hops(&route, &mut gateways);
            }
        }
        Ok(gateways)
    })
}

fn add_next_hops(route: &RouteMessage, gateways: &mut BTreeSet<IpAddr>) {
    for attribute in &route.attributes {
        gateways.extend(next_hop(attribute));
        if let RouteAttribute::MultiPath(hops) = attribute {
            for hop in hops {
                gateways.extend(hop.attributes.iter().filter_map(next_hop));
            }
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "netlink's own enums, which may grow; other attributes are no next hops"
)]
fn next_hop(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(v4)) => Some(IpAddr::V4(*v4)),
        RouteAttribute::Gateway(RouteAddress::Inet6(v6)) => Some(IpAddr::V6(*v6)),
        RouteAttribute::Via(RouteVia::Inet(v4)) => Some(IpAddr::V4(*v4)),
        RouteAttribute::Via(RouteVia::Inet6(v6)) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}

/// The name servers of this host (`GUARD_RESOLV_CONF` names another file than those of the system). A
/// file that cannot be read names none.
#[must_use]
pub fn resolvers() -> BTreeSet<IpAddr> {
    let other = env::var_os("GUARD_RESOLV_CONF").filter(|path| !path.is_empty());
    let texts: Vec<String> = match other {
        Some(path) => fs::read_to_string(path).into_iter().collect(),
        None => RESOLVERS.iter().flat_map(fs::read_to_string).collect(),
    };
    texts.iter().flat_map(|text| name_servers(text)).collect()
}

fn name_servers(text: &str) -> impl Iterator<Item = IpAddr> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver");
        address?;
        words.next()?.split('%').next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_as_the_resolver_reads_them() {
        let text = "# x\nsearch example.org\nnameserver 9.9.9.9\n nameserver\tfe80::1%eth0\n\
                    nameserver\nnameserver x\noptions ndots:1\n";
        let found: Vec<String> = name_servers(text).map(|ip| ip.to_string()).collect();
        assert_eq!(found, ["9.9.9.9", "fe80::1"]);
    }
}

//! Routes that lead to a large part of the world, of every table that a rule of routing uses.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
};

use futures_util::TryStreamExt as _;
use netlink_packet_route::{
    route::{RouteAttribute, RouteMessage},
    rule::{RuleAttribute, RuleMessage},
};
use rtnetlink::{Handle, IpVersion, RouteMessageBuilder};

/// The kernel's main table.
pub(super) const MAIN: u32 = 254;
/// The table behind it, which is asked last.
const DEFAULT: u32 = 253;
/// A route to so much is as good as a default route: `0.0.0.0/1` beside `128.0.0.0/1`, `2000::/3`.
const LONGEST: u8 = 3;
const UNICAST: u8 = 1;

/// A route.
pub(super) struct Route {
    /// The table that it stands in.
    pub(super) table: u32,
    /// 0 for a default route.
    pub(super) prefix_length: u8,
    /// The interface that it leaves by.
    pub(super) interface: u32,
}

/// The tables that rules use.
enum Used {
    /// These.
    These(BTreeSet<u32>),
    /// Routing domains have tables of their own.
    All,
}

impl Used {
    fn has(&self, table: u32) -> bool {
        match self {
            Self::These(tables) => tables.contains(&table),
            Self::All => true,
        }
    }
}

/// The wide routes of both families.
pub(super) async fn wide(handle: &Handle) -> Result<Vec<Route>, rtnetlink::Error> {
    let mut ways = Vec::new();
    let v4 = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let v6 = RouteMessageBuilder::<Ipv6Addr>::new().build();
    for (version, query) in [(IpVersion::V4, v4), (IpVersion::V6, v6)] {
        let mut rules = handle.rule().get(version).execute();
        let mut tables = Used::These(BTreeSet::from([MAIN, DEFAULT]));
        loop {
            match rules.try_next().await {
                Ok(Some(rule)) => add_table(&rule, &mut tables),
                Ok(None) => break,
                // A kernel without policy routing has these two tables.
                Err(_) => break,
            }
        }
        let mut routes = handle.route().get(query).execute();
        while let Some(route) = routes.try_next().await? {
            ways.extend(
                wide_ways(&route)
                    .into_iter()
                    .filter(|way| tables.has(way.table)),
            );
        }
    }
    Ok(ways)
}

fn add_table(rule: &RuleMessage, tables: &mut Used) {
    let is_domain = |attribute: &RuleAttribute| matches!(attribute, RuleAttribute::L3MDev(true));
    if rule.attributes.iter().any(is_domain) {
        *tables = Used::All;
    }
    if let Used::These(tables) = tables {
        let named = rule.attributes.iter().find_map(|attribute| {
            if let RuleAttribute::Table(table) = attribute {
                Some(*table)
            } else {
                None
            }
        });
        tables.insert(named.unwrap_or_else(|| rule.header.table.into()));
    }
}

fn wide_ways(route: &RouteMessage) -> Vec<Route> {
    let prefix_length = route.header.destination_prefix_length;
    if prefix_length > LONGEST || u8::from(route.header.kind) != UNICAST {
        return Vec::new();
    }
    let mut table = route.header.table.into();
    let mut interfaces = Vec::new();
    for attribute in &route.attributes {
        if let RouteAttribute::Oif(index) = attribute {
            interfaces.push(*index);
        } else if let RouteAttribute::MultiPath(hops) = attribute {
            interfaces.extend(hops.iter().map(|hop| hop.interface_index));
        } else if let RouteAttribute::Table(number) = attribute {
            table = *number;
        }
    }
    let way = |interface| Route {
        table,
        prefix_length,
        interface,
    };
    interfaces.into_iter().map(way).collect()
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::route::RouteType;

    use super::*;

    fn route(prefix_length: u8, table: u8, attributes: Vec<RouteAttribute>) -> RouteMessage {
        let mut route = RouteMessage::default();
        route.header.destination_prefix_length = prefix_length;
        route.header.table = table;
        route.header.kind = RouteType::Unicast;
        route.attributes = attributes;
        route
    }

    #[test]
    fn a_route_is_wide_by_its_length_in_whatever_table() {
        for (length, table, attributes, expected) in [
            (0, 254, vec![RouteAttribute::Oif(2)], vec![(254, 2)]),
            (1, 254, vec![RouteAttribute::Oif(3)], vec![(254, 3)]),
            (3, 254, vec![RouteAttribute::Oif(3)], vec![(254, 3)]),
            (4, 254, vec![RouteAttribute::Oif(3)], vec![]),
            (24, 254, vec![RouteAttribute::Oif(3)], vec![]),
            // A large number does not fit the header.
            (
                0,
                252,
                vec![RouteAttribute::Oif(4), RouteAttribute::Table(51820)],
                vec![(51820, 4)],
            ),
            (0, 254, vec![], vec![]),
        ] {
            let found: Vec<_> = wide_ways(&route(length, table, attributes))
                .into_iter()
                .map(|way| (way.table, way.interface))
                .collect();
            assert_eq!(found, expected, "/{length} in {table}");
        }
        let mut blackhole = route(0, 254, vec![RouteAttribute::Oif(2)]);
        blackhole.header.kind = RouteType::BlackHole;
        assert!(wide_ways(&blackhole).is_empty());
    }

    #[test]
    fn tables_are_those_of_the_rules_and_all_of_them_beside_routing_domains() {
        let rule = |table: u8, attributes| {
            let mut rule = RuleMessage::default();
            rule.header.table = table;
            rule.attributes = attributes;
            rule
        };
        let mut tables = Used::These(BTreeSet::from([MAIN]));
        add_table(&rule(200, vec![]), &mut tables);
        add_table(&rule(252, vec![RuleAttribute::Table(51820)]), &mut tables);
        for (table, is_used) in [(254, true), (200, true), (51820, true), (252, false)] {
            assert_eq!(tables.has(table), is_used, "{table}");
        }
        add_table(&rule(0, vec![RuleAttribute::L3MDev(true)]), &mut tables);
        assert!(tables.has(1001));
    }
}

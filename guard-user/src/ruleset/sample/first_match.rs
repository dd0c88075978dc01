//! First match over the rules as they are written: one rule after the other, every condition by
//! itself. Shares nothing with the compiler or the classifier.

use std::net::IpAddr;

use super::described::{Described, SampleService};
use crate::ruleset::model::{DefaultAction, Policy, PortRange, Prefixes, Rule, Traffic, Transport};

/// What becomes of a packet, and the place of the rule that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstMatch {
    /// The source is an address of the host.
    Own,
    /// A rule decides.
    Rule {
        /// Its place, from 0.
        ordinal: u32,
        /// Does it let the packet in?
        allows: bool,
    },
    /// No rule matches.
    Default {
        /// Does the default let the packet in?
        allows: bool,
    },
}

/// What the policy says about the packet, at this second after boot.
#[must_use]
pub fn answer_at(policy: &Policy, own: &[IpAddr], packet: &Described, second: u64) -> FirstMatch {
    // A SYN to a TCP port that nothing can open is dropped before anything else is asked.
    if packet_is_syn(packet) && !can_be_opened(policy, packet) {
        return FirstMatch::Default { allows: false };
    }
    if own.contains(&packet.source) {
        return FirstMatch::Own;
    }
    for (ordinal, rule) in policy.rules.iter().enumerate() {
        let is_over = rule.until.is_some_and(|until| until.seconds() <= second);
        if rule.is_enabled && !is_over && matches(rule, packet) {
            return FirstMatch::Rule {
                ordinal: ordinal as u32,
                allows: rule.action.allows(),
            };
        }
    }
    FirstMatch::Default {
        allows: policy.default == DefaultAction::Allow,
    }
}

/// The same of a policy whose rules do not end.
#[must_use]
pub fn answer(policy: &Policy, own: &[IpAddr], packet: &Described) -> FirstMatch {
    answer_at(policy, own, packet, 0)
}

fn packet_is_syn(packet: &Described) -> bool {
    matches!(packet.asked, SampleService::Tcp { is_syn: true, .. })
}

fn can_be_opened(policy: &Policy, packet: &Described) -> bool {
    policy.default == DefaultAction::Allow
        || policy.enabled_rules().any(|rule| match rule.traffic {
            Traffic::Any => rule.action.allows(),
            Traffic::Ports(..) | Traffic::Protocol(_) | Traffic::Icmp(_) => {
                covers(&rule.traffic, packet)
            }
        })
}

fn matches(rule: &Rule, packet: &Described) -> bool {
    let on = rule.interface.as_deref();
    covers(&rule.traffic, packet)
        && holds(&rule.source, packet.source)
        && holds_port(&rule.source_ports, packet.source_port)
        && holds(&rule.destination, packet.destination)
        && on.is_none_or(|name| name == packet.interface.0)
}

fn covers(traffic: &Traffic, packet: &Described) -> bool {
    let number = match packet.asked {
        SampleService::Tcp { .. } => 6,
        SampleService::Udp(_) => 17,
        SampleService::Icmp(_) if packet.source.is_ipv4() => 1,
        SampleService::Icmp(_) => 58,
        SampleService::Protocol(number) => number,
    };
    match traffic {
        Traffic::Any => true,
        Traffic::Icmp(wanted) => {
            let wanted = if packet.source.is_ipv4() {
                wanted.v4
            } else {
                wanted.v6
            };
            wanted.is_some_and(|kind| packet.asked == SampleService::Icmp(kind))
        }
        Traffic::Protocol(wanted) => *wanted == number,
        Traffic::Ports(transport, ranges) => {
            let port = match (packet.asked, transport) {
                (SampleService::Tcp { port, .. }, Transport::Tcp | Transport::Both)
                | (SampleService::Udp(port), Transport::Udp | Transport::Both) => port,
                _ => return false,
            };
            ranges
                .iter()
                .any(|range| range.first <= port && port <= range.last)
        }
    }
}

fn holds_port(ranges: &[PortRange], port: u16) -> bool {
    let mut all = ranges.iter();
    ranges.is_empty() || all.any(|range| range.first <= port && port <= range.last)
}

fn holds(prefixes: &Prefixes, ip: IpAddr) -> bool {
    let is_any = prefixes.prefixes.is_empty() && prefixes.sets.is_empty();
    is_any || prefixes.prefixes.iter().any(|prefix| prefix.contains(ip))
}

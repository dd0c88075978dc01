//! A policy made of the bytes at the beginning of an input: rules of few prefixes, nested in one another,
//! and few ports, so that they overlap in every way.

use arbitrary::{Result, Unstructured};
use guard_user::ruleset::{
    ceiling::Ceiling,
    limit::{Limit, Rate},
    model::{DefaultAction, Policy, PortRange, RuleAction, Traffic, Transport},
    sample::{ICMP_TYPES, NESTED, SampleDraft, allow, deny, policy},
};

/// Bytes of an input that are its policy.
pub(super) const HEADER_BYTES: usize = 96;
/// Rules of a policy.
const MOST_RULES: u8 = 10;

/// Reads a policy.
pub(super) fn read(input: &mut Unstructured<'_>) -> Result<Policy> {
    let mut policy = policy([]);
    policy.default = *input.choose(&[
        DefaultAction::Deny,
        DefaultAction::Deny,
        DefaultAction::Allow,
        DefaultAction::Monitor,
    ])?;
    policy.ceiling = match input.int_in_range(0..=2u8)? {
        0 => Ceiling::Off,
        1 => Ceiling::default(),
        _ => Ceiling::per_second(1),
    };
    if input.ratio(1u8, 4u8)? {
        let never = input.choose(NESTED.sources)?;
        policy.never.push(never.parse().expect("a prefix"));
    }
    for _ in 0..input.int_in_range(0..=MOST_RULES)? {
        policy.rules.push(rule(input)?.0);
    }
    Ok(policy)
}

fn rule(input: &mut Unstructured<'_>) -> Result<SampleDraft> {
    let kind = input.int_in_range(0..=3u8)?;
    let mut rule = if kind == 0 { deny() } else { allow() };
    rule = rule.traffic(traffic(input)?);
    for _ in 0..input.int_in_range(0..=2u8)? {
        rule = rule.from(input.choose(NESTED.sources)?);
    }
    let restriction: u8 = input.int_in_range(0..=11)?;
    match restriction {
        0 => rule = rule.to(input.choose(NESTED.destinations)?),
        1 => rule = rule.on(input.choose(NESTED.interfaces)?),
        2 => rule = rule.from_set("empty", &[]),
        3 => rule = rule.to_set("empty", &[]),
        _ => {}
    }
    let has_connections = matches!(rule.0.traffic, Traffic::Ports(..));
    if kind == 1 && has_connections {
        let rate = Rate {
            count: input.int_in_range(1..=20)?,
            seconds: input.int_in_range(1..=10)?,
        };
        let burst = input.int_in_range(1..=4)?;
        rule.0.action = RuleAction::Limit(Limit {
            rate,
            burst,
            ..Limit::default()
        });
    }
    Ok(rule)
}

fn traffic(input: &mut Unstructured<'_>) -> Result<Traffic> {
    Ok(match input.int_in_range(0..=9u8)? {
        0 => Traffic::Any,
        1 => Traffic::Icmp(*input.choose(&ICMP_TYPES)?),
        2 => Traffic::Protocol(*input.choose(NESTED.protocols)?),
        kind => {
            let transport = [Transport::Tcp, Transport::Udp, Transport::Both];
            let transport = *input.choose(&transport)?;
            let first = *input.choose(NESTED.ports)?;
            let range = match kind {
                3 => PortRange::ALL,
                4 | 5 => {
                    let last = *input.choose(NESTED.ports)?;
                    PortRange {
                        first: first.min(last),
                        last: first.max(last),
                    }
                }
                _ => PortRange::single(first),
            };
            Traffic::Ports(transport, vec![range])
        }
    })
}

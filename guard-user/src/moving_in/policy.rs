//! Rules that were flattened become a policy: IPv4 and IPv6 twins in one rule, what can never match left out, the
//! last word as the default; and its text, which is read back.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use ipnetwork::IpNetwork;

use super::{
    condition::Condition,
    flatten::{Flat, FlatRule},
};
use crate::{
    failure::{Exit, Failure},
    ruleset::{
        describe, edit,
        icmp::IcmpType,
        labels::Labels,
        limit::Counts,
        model::{DefaultAction, Policy, PortRange, Prefixes, Rule, RuleAction, Traffic, Transport},
        names::Names,
        shadow,
        source::{MAIN_FILE, Source},
    },
    text::files::Overlay,
};

/// Most characters of a comment.
const COMMENT_CHARS: usize = 200;

/// The policy that says the same.
#[must_use]
pub fn policy_of(flat: &Flat) -> Policy {
    let mut rules = twins_merged(&flat.rules);
    let default = default_of(&mut rules);
    let mut rules: Vec<Rule> = rules.iter().filter_map(rule_of).collect();
    let never: Vec<usize> = shadow::find(&rules)
        .iter()
        .map(|shadow| shadow.rule)
        .collect();
    let mut index = 0;
    rules.retain(|_| {
        index += 1;
        !never.contains(&(index - 1))
    });
    let says_default = |rule: &Rule| match rule.action {
        RuleAction::Allow => default == DefaultAction::Allow,
        RuleAction::Deny => default == DefaultAction::Deny,
        RuleAction::Limit(_) => false,
    };
    while rules.last().is_some_and(says_default) {
        rules.pop();
    }
    Policy {
        default,
        rules,
        ..Policy::default()
    }
}

/// Rules of one family do not see packets of the other: those that stand apart can be brought together.
fn twins_merged(rules: &[FlatRule]) -> Vec<FlatRule> {
    let mut merged = Vec::with_capacity(rules.len());
    let (mut v4, mut v6): (Vec<&FlatRule>, Vec<&FlatRule>) = (Vec::new(), Vec::new());
    for rule in rules {
        match (rule.when.v4, rule.when.v6) {
            (true, false) => v4.push(rule),
            (false, true) => v6.push(rule),
            (true, true) | (false, false) => {
                merge(&mut v4, &mut v6, &mut merged);
                merged.push(rule.clone());
            }
        }
    }
    merge(&mut v4, &mut v6, &mut merged);
    merged
}

fn merge(v4: &mut Vec<&FlatRule>, v6: &mut Vec<&FlatRule>, merged: &mut Vec<FlatRule>) {
    let mut next = 0;
    for rule in v4.drain(..) {
        // Far ahead there is no twin, but another rule that says the same.
        let rest = v6.get(next..).unwrap_or_default();
        let found = rest
            .iter()
            .take(64)
            .enumerate()
            .find_map(|(at, other)| Some((at, twin(rule, other)?)));
        match found {
            Some((at, twin)) => {
                merged.extend(rest.iter().take(at).map(|rule| (*rule).clone()));
                merged.push(twin);
                next += at + 1;
            }
            None => merged.push(rule.clone()),
        }
    }
    merged.extend(v6.drain(..).skip(next).cloned());
}

/// The rule that says what a rule of IPv4 and one of IPv6 say together.
fn twin(v4: &FlatRule, v6: &FlatRule) -> Option<FlatRule> {
    let (left, right) = (&v4.when, &v6.when);
    let is_same = v4.action == v6.action
        && v4.comment == v6.comment
        && left.source_ports == right.source_ports
        && left.interface == right.interface;
    let traffic = match (&left.traffic, &right.traffic) {
        (Traffic::Icmp(one), Traffic::Icmp(two)) => {
            let both = IcmpType {
                v4: one.v4,
                v6: two.v6,
            };
            (both == IcmpType::PING).then_some(Traffic::Icmp(both))
        }
        (one, two) => (one == two).then(|| one.clone()),
    }?;
    // Addresses of both families in one rule read as one thing only where somebody has said that they are one.
    let is_one = v4.comment.is_some()
        || left.source.is_some() == right.source.is_some()
            && left.destination.is_some() == right.destination.is_some()
            && left.source.is_none();
    if !is_same || !is_one {
        return None;
    }
    let both = |one: &Option<Vec<IpNetwork>>, two: &Option<Vec<IpNetwork>>| {
        let whole = |networks: &Option<Vec<IpNetwork>>, is_v4| match networks {
            Some(networks) => networks.clone(),
            None => vec![everybody(is_v4)],
        };
        let mut all = whole(one, true);
        all.extend(whole(two, false));
        Some(all)
    };
    let when = Condition {
        v4: true,
        v6: true,
        source: both(&left.source, &right.source),
        destination: both(&left.destination, &right.destination),
        traffic,
        source_ports: left.source_ports.clone(),
        interface: left.interface.clone(),
    };
    Some(FlatRule {
        when: when.tidied()?,
        ..v4.clone()
    })
}

/// Every address of a family.
fn everybody(is_v4: bool) -> IpNetwork {
    let first: IpAddr = if is_v4 {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    // Length 0 is right for both; the other arm is what is left when it were not.
    IpNetwork::new(first, 0).unwrap_or_else(|_| IpNetwork::from(first))
}

/// What becomes of the rest, which needs no rule; what comes behind it is cut off.
fn default_of(rules: &mut Vec<FlatRule>) -> DefaultAction {
    let everything = Condition::default();
    let Some(last) = rules
        .iter()
        .position(|rule| rule.when == everything && !matches!(rule.action, RuleAction::Limit(_)))
    else {
        return DefaultAction::Deny;
    };
    let allows = rules[last].action.allows();
    rules.truncate(last);
    if !allows {
        return DefaultAction::Deny;
    }
    // Only one family is filtered: the same the other way round, so that what nobody thought of is closed.
    let closed = rules.last().filter(|rule| {
        let is_family = [true, false]
            .iter()
            .any(|is_v4| rule.when == Condition::of_family(*is_v4));
        rule.action == RuleAction::Deny && is_family
    });
    let Some(closed) = closed.cloned() else {
        return DefaultAction::Allow;
    };
    // A rule may say what the policy of the chain says once more.
    while rules
        .last()
        .is_some_and(|rule| rule.when == closed.when && rule.action == RuleAction::Deny)
    {
        rules.pop();
    }
    rules.push(FlatRule {
        when: Condition::of_family(!closed.when.v4),
        action: RuleAction::Allow,
        place: None,
        comment: Some("nothing of this family is filtered".to_owned()),
    });
    DefaultAction::Deny
}

/// The rule as guard has it; `None` for one about port 0 alone, which no rule of guard's is about.
fn rule_of(flat: &FlatRule) -> Option<Rule> {
    let when = &flat.when;
    let mut source_ports = ports(when.source_ports.as_deref().unwrap_or_default());
    if source_ports == [PortRange::ALL] {
        source_ports.clear();
    } else if when.source_ports.is_some() && source_ports.is_empty() {
        return None;
    }
    let mut traffic = match &when.traffic {
        Traffic::Ports(transport, ranges) => {
            let ranges = ports(ranges);
            if ranges.is_empty() {
                return None;
            }
            Traffic::Ports(*transport, ranges)
        }
        Traffic::Any | Traffic::Protocol(_) | Traffic::Icmp(_) => when.traffic.clone(),
    };
    if let (Traffic::Any, false) = (&traffic, source_ports.is_empty()) {
        traffic = Traffic::Ports(Transport::Both, vec![PortRange::ALL]);
    }
    if let RuleAction::Limit(limit) = flat.action
        && limit.counts == Counts::Connections
    {
        match traffic {
            Traffic::Any => traffic = Traffic::Ports(Transport::Both, vec![PortRange::ALL]),
            Traffic::Ports(..) => {}
            Traffic::Protocol(_) | Traffic::Icmp(_) => return None,
        }
    }
    let is_of_one_family = when.v4 != when.v6;
    let says_family =
        when.source.is_some() || when.destination.is_some() || matches!(traffic, Traffic::Icmp(_));
    let source = match &when.source {
        None if is_of_one_family && !says_family => vec![everybody(when.v4)],
        source => source.clone().unwrap_or_default(),
    };
    Some(Rule {
        action: flat.action,
        traffic,
        source: inline(source),
        source_ports,
        destination: inline(when.destination.clone().unwrap_or_default()),
        interface: when.interface.clone(),
        until: None,
        comment: flat.comment.as_deref().and_then(plain),
        labels: Labels::default(),
        is_enabled: true,
        origin: None,
    })
}

fn inline(prefixes: Vec<IpNetwork>) -> Prefixes {
    Prefixes {
        inline: prefixes.len(),
        prefixes,
        sets: Vec::new(),
    }
}

/// Sorted, joined, and without port 0, which only stands for a whole transport.
fn ports(ranges: &[PortRange]) -> Vec<PortRange> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let mut joined: Vec<PortRange> = Vec::new();
    for range in sorted {
        match joined.last_mut() {
            Some(last) if u32::from(range.first) <= u32::from(last.last) + 1 => {
                last.last = last.last.max(range.last);
            }
            Some(_) | None => joined.push(range),
        }
    }
    if joined == [PortRange::ALL] {
        return joined;
    }
    joined.retain(|range| range.last > 0);
    for range in &mut joined {
        range.first = range.first.max(1);
    }
    joined
}

/// A comment that a policy may have.
fn plain(text: &str) -> Option<String> {
    let text: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(COMMENT_CHARS)
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The policy as a file.
#[must_use]
pub fn text_of(policy: &Policy) -> String {
    let default = match policy.default {
        DefaultAction::Deny => "deny",
        DefaultAction::Allow => "allow",
        DefaultAction::Monitor => "monitor",
    };
    let mut text = format!("default = \"{default}\"\n");
    for rule in &policy.rules {
        text.push('\n');
        text.push_str(&edit::table(rule));
    }
    text
}

/// What guard would not read back as what was meant is not written.
pub fn read_back(text: &str, policy: &Policy) -> Result<(), Failure> {
    let bug = |what: String| {
        Failure::new(
            Exit::Failed,
            format!(
                "the policy made of these rules cannot be read back; nothing was written\n{what}"
            ),
        )
        .help("this is a bug in guard: write the policy by hand, and report it")
    };
    let file = Path::new("/").join(MAIN_FILE);
    let mut overlay = Overlay::default();
    overlay.insert(file.clone(), text.to_owned());
    let names = Names::embedded();
    let loaded = Source::new(Path::new("/"))
        .with_names(&names)
        .with_overlay(overlay)
        .check(&file)
        .map_err(|problems| bug(problems.to_string()))?;
    let read = &loaded.policy;
    let is_same = read.default == policy.default
        && read.rules.len() == policy.rules.len()
        && read
            .rules
            .iter()
            .zip(&policy.rules)
            .all(|(read, meant)| describe::same_rule(read, meant));
    match is_same {
        true => Ok(()),
        false => Err(bug("a rule reads as another one".to_owned())),
    }
}

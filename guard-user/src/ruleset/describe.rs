//! The text of a rule: columns as ufw prints them, and the words that [`super::words`] reads back.

use std::fmt::Write as _;

use super::{
    model::{self, PortRange, Prefixes, Rule, RuleAction, Traffic, Transport},
    protocol,
};
use crate::text::address;

/// A rule as a row of `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// What it is about: `22/tcp`, `192.0.2.1 80 on eth0`, `Anywhere`, `ping`.
    pub to: String,
    /// `ALLOW IN`, `DENY IN` or `LIMIT IN`.
    pub action: &'static str,
    /// Where packets come from.
    pub from: String,
    /// Free text of the operator.
    pub comment: Option<String>,
}

/// The columns of a rule.
#[must_use]
pub fn columns(rule: &Rule) -> Columns {
    let mut to = Vec::new();
    if !rule.destination.is_any() {
        to.push(addresses(&rule.destination));
    }
    match &rule.traffic {
        Traffic::Any if to.is_empty() => to.push("Anywhere".to_owned()),
        Traffic::Any => {}
        Traffic::Ports(..) | Traffic::Protocol(_) | Traffic::Icmp(_) => {
            to.push(short_traffic(&rule.traffic));
        }
    }
    if let Some(interface) = &rule.interface {
        to.push(format!("on {interface}"));
    }
    Columns {
        to: to.join(" "),
        action: match rule.action {
            RuleAction::Allow => "ALLOW IN",
            RuleAction::Deny => "DENY IN",
            RuleAction::Limit(_) => "LIMIT IN",
        },
        from: from_column(rule),
        comment: rule.comment.clone(),
    }
}

fn from_column(rule: &Rule) -> String {
    let source = if rule.source.is_any() {
        "Anywhere".to_owned()
    } else {
        addresses(&rule.source)
    };
    match ports(&rule.source_ports) {
        Some(ports) if !ports.is_empty() => format!("{source} port {ports}"),
        Some(_) | None => source,
    }
}

/// The columns of a rule in one line.
#[must_use]
pub fn line(rule: &Rule) -> String {
    let Columns {
        to,
        action,
        from,
        comment,
    } = columns(rule);
    let mut text = format!("{to:<26} {action:<12}{from:<26}");
    if let Some(comment) = comment {
        let _ = write!(text, " # {comment}");
    }
    text.trim_end().to_owned()
}

/// The words that mean this rule, beginning with the action; `words::parse` reads them back.
#[must_use]
pub fn words(rule: &Rule) -> Vec<String> {
    let mut words = Vec::new();
    words.push(action_word(rule.action).to_owned());
    if let Some(interface) = &rule.interface {
        words.extend(["on".to_owned(), interface.clone()]);
    }
    if rule.source.is_any() && rule.destination.is_any() && rule.source_ports.is_empty() {
        match &rule.traffic {
            Traffic::Any => words.extend(["from".to_owned(), "any".to_owned()]),
            Traffic::Ports(..) | Traffic::Protocol(_) | Traffic::Icmp(_) => {
                words.extend(short_traffic(&rule.traffic).split(' ').map(str::to_owned));
            }
        }
    } else {
        words.extend(long_form(rule));
    }
    if let RuleAction::Limit(limit) = rule.action {
        words.extend(limit.words());
    }
    if let Some(until) = rule.until {
        words.extend(["--until".to_owned(), until.to_string()]);
    }
    if let Some(name) = &rule.labels.name {
        words.extend(["--name".to_owned(), name.clone()]);
    }
    for tag in &rule.labels.tags {
        words.extend(["--tag".to_owned(), tag.clone()]);
    }
    if let Some(comment) = &rule.comment {
        words.extend(["comment".to_owned(), comment.clone()]);
    }
    words
}

/// The words of a rule as one line for a shell.
#[must_use]
pub fn command(rule: &Rule) -> String {
    let words = words(rule);
    let quoted: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
    quoted.join(" ")
}

/// `1 rule`, `12 rules`.
#[must_use]
pub fn rule_count(count: usize) -> String {
    match count {
        1 => "1 rule".to_owned(),
        _ => format!("{count} rules"),
    }
}

/// How messages call a rule: its name, its comment, or its words.
#[must_use]
pub fn name(rule: &Rule) -> String {
    match (&rule.labels.name, &rule.comment) {
        (Some(name), _) => crate::text::value::quoted(name),
        (None, Some(comment)) if !comment.is_empty() => crate::text::value::quoted(comment),
        (None, Some(_) | None) => crate::text::value::quoted(&command(&rule.bare())),
    }
}

/// Do two rules mean the same, whatever they are called, enabled or not, however long they last, and wherever they stand?
#[must_use]
pub fn same_rule(left: &Rule, right: &Rule) -> bool {
    left.action == right.action && same_match(left, right)
}

/// Do two rules match the same packets, as they are written?
#[must_use]
pub fn same_match(left: &Rule, right: &Rule) -> bool {
    left.traffic == right.traffic
        && left.source_ports == right.source_ports
        && left.interface == right.interface
        && same_addresses(&left.source, &right.source)
        && same_addresses(&left.destination, &right.destination)
}

fn same_addresses(left: &Prefixes, right: &Prefixes) -> bool {
    let inline = |of: &Prefixes| {
        let mut inline: Vec<_> = of.prefixes.iter().take(of.inline).copied().collect();
        inline.sort_unstable();
        inline
    };
    let sets = |of: &Prefixes| {
        let mut sets = of.sets.clone();
        sets.sort_unstable();
        sets
    };
    sets(left) == sets(right) && inline(left) == inline(right)
}

/// `allow`, `deny` or `limit`.
#[must_use]
pub fn action_word(action: RuleAction) -> &'static str {
    match action {
        RuleAction::Allow => "allow",
        RuleAction::Deny => "deny",
        RuleAction::Limit(_) => "limit",
    }
}

/// Inline prefixes, then sets, separated by commas.
#[must_use]
pub fn addresses(prefixes: &Prefixes) -> String {
    if prefixes.is_any() {
        return "any".to_owned();
    }
    address_texts(prefixes).join(",")
}

/// Inline prefixes, then sets.
#[must_use]
pub fn address_texts(prefixes: &Prefixes) -> Vec<String> {
    let inline = prefixes.prefixes.iter().take(prefixes.inline);
    let sets = prefixes.sets.iter().map(|name| model::set_word(name));
    inline.map(address::show).chain(sets).collect()
}

/// The ports of a rule, `None` for all of a transport.
#[must_use]
pub fn ports(ranges: &[PortRange]) -> Option<String> {
    if ranges == [PortRange::ALL] {
        return None;
    }
    let texts: Vec<String> = ranges.iter().map(PortRange::to_string).collect();
    Some(texts.join(","))
}

/// The protocol word of some traffic, if it needs one.
#[must_use]
pub fn protocol_word(traffic: &Traffic) -> Option<String> {
    match traffic {
        Traffic::Any => None,
        Traffic::Ports(Transport::Tcp, _) => Some("tcp".to_owned()),
        Traffic::Ports(Transport::Udp, _) => Some("udp".to_owned()),
        Traffic::Ports(Transport::Both, ranges) => {
            (ranges == &[PortRange::ALL]).then(|| "tcp,udp".to_owned())
        }
        Traffic::Protocol(number) => {
            Some(protocol::name(*number).map_or_else(|| number.to_string(), str::to_owned))
        }
        Traffic::Icmp(kind) => Some(kind.protocol().to_owned()),
    }
}

/// `22/tcp`, `80,443`, `proto gre`, `ping`, `icmp type time-exceeded`.
#[must_use]
pub fn short_traffic(traffic: &Traffic) -> String {
    let protocol = protocol_word(traffic);
    match traffic {
        Traffic::Any => "Anywhere".to_owned(),
        Traffic::Icmp(kind) => match kind.name() {
            Some(name) => format!("{} type {name}", kind.protocol()),
            None => kind.protocol().to_owned(),
        },
        Traffic::Protocol(_) => format!("proto {}", protocol.unwrap_or_default()),
        Traffic::Ports(_, ranges) => match (ports(ranges), protocol) {
            (Some(ports), Some(protocol)) => format!("{ports}/{protocol}"),
            (Some(ports), None) => ports,
            (None, protocol) => format!("proto {}", protocol.unwrap_or_default()),
        },
    }
}

fn long_form(rule: &Rule) -> Vec<String> {
    let mut words = Vec::new();
    let mut say = |keyword: &str, value: String| words.extend([keyword.to_owned(), value]);
    let ports = match &rule.traffic {
        Traffic::Ports(_, ranges) => ports(ranges),
        Traffic::Any | Traffic::Protocol(_) | Traffic::Icmp(_) => None,
    };
    say("from", addresses(&rule.source));
    if let Some(ports) =
        super::describe::ports(&rule.source_ports).filter(|ports| !ports.is_empty())
    {
        say("port", ports);
    }
    if ports.is_some() || !rule.destination.is_any() || !rule.source_ports.is_empty() {
        say("to", addresses(&rule.destination));
    }
    if let Some(ports) = ports {
        say("port", ports);
    }
    if let Some(protocol) = protocol_word(&rule.traffic) {
        say("proto", protocol);
    }
    if let Traffic::Icmp(kind) = &rule.traffic
        && let Some(name) = kind.name()
    {
        say("type", name);
    }
    words
}

fn shell_word(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "@%_-+=:,./".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

//! Values and rules as TOML text.

use crate::{
    ruleset::{
        describe,
        limit::{Counts, Rate},
        model::{PortRange, Rule, RuleAction, Traffic},
    },
    text::splice::basic_string,
};

/// A list of texts.
pub(super) fn list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| basic_string(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// Words by name, as an inline table.
pub(super) fn words<'t>(words: impl Iterator<Item = (&'t String, &'t str)>) -> String {
    let pairs: Vec<String> = words
        .map(|(name, word)| format!("{} = {}", basic_string(name), basic_string(word)))
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// A rule as a table of its own, with a closing line end.
pub(super) fn table(rule: &Rule) -> String {
    let mut text = String::from("[[rule]]\n");
    for (key, value) in fields(rule) {
        text.push_str(&format!("{key} = {value}\n"));
    }
    text
}

/// A rule as an inline table.
pub(super) fn inline_table(rule: &Rule) -> String {
    let fields: Vec<String> = fields(rule)
        .iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    format!("{{ {} }}", fields.join(", "))
}

fn fields(rule: &Rule) -> Vec<(&'static str, String)> {
    let mut fields = vec![("action", basic_string(describe::action_word(rule.action)))];
    if let RuleAction::Limit(limit) = rule.action {
        if let Counts::Packets = limit.counts {
            fields.push(("packets", basic_string(&limit.rate.to_string())));
        } else if limit.rate != Rate::DEFAULT {
            fields.push(("rate", basic_string(&limit.rate.to_string())));
        }
        if limit.burst != limit.rate.count {
            fields.push(("burst", limit.burst.to_string()));
        }
        if let Some(block) = limit.block {
            fields.push(("block", basic_string(&block.to_string())));
        }
        if let Some(ban) = limit.on_excess {
            fields.push(("on-excess", basic_string(&ban.to_string())));
        }
    }
    if let Traffic::Ports(_, ranges) = &rule.traffic
        && let Some(ports) = describe::ports(ranges)
    {
        let is_number = matches!(ranges.as_slice(), [PortRange { first, last }] if first == last);
        fields.push((
            "port",
            if is_number {
                ports
            } else {
                basic_string(&ports)
            },
        ));
    }
    if let Some(protocol) = describe::protocol_word(&rule.traffic) {
        let is_number = protocol.bytes().all(|byte| byte.is_ascii_digit());
        fields.push((
            "proto",
            if is_number {
                protocol
            } else {
                basic_string(&protocol)
            },
        ));
    }
    if let Traffic::Icmp(kind) = &rule.traffic
        && let Some(name) = kind.name()
    {
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
        let text = if is_number { name } else { basic_string(&name) };
        fields.push(("icmp-type", text));
    }
    if let Some(ports) = describe::ports(&rule.source_ports).filter(|ports| !ports.is_empty()) {
        fields.push(("sport", basic_string(&ports)));
    }
    for (key, end) in [("from", &rule.source), ("to", &rule.destination)] {
        match describe::address_texts(end).as_slice() {
            [] => {}
            [one] => fields.push((key, basic_string(one))),
            several => fields.push((key, list(several))),
        }
    }
    if let Some(interface) = &rule.interface {
        fields.push(("on", basic_string(interface)));
    }
    if let Some(until) = rule.until {
        fields.push(("until", basic_string(&until.to_string())));
    }
    if let Some(name) = &rule.labels.name {
        fields.push(("name", basic_string(name)));
    }
    if !rule.labels.tags.is_empty() {
        fields.push(("tags", list(&rule.labels.tags)));
    }
    if !rule.is_enabled {
        fields.push(("enabled", "false".to_owned()));
    }
    if let Some(comment) = &rule.comment {
        fields.push(("comment", basic_string(comment)));
    }
    fields
}

//! The `[[rule]]` tables of a policy file.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::{Located, Reader, RuleDraft, Value, keys};
use crate::{
    ruleset::{
        labels,
        limit::{self, Block, Counts, Extras, Limit, Rate},
        model::{PortRange, RuleAction, Traffic},
        on_excess::ExcessBan,
        protocol::Protocol,
        traffic::{self, PortItem},
        until::Until,
    },
    text::{
        address::AddressItem,
        value::{self, BadValue, quoted},
    },
};

/// What a rule says beside the rate of its limit, each with its key.
#[derive(Default)]
struct LimitKeys {
    burst: Option<(u32, Range<usize>)>,
    block: Option<(Block, Range<usize>)>,
    on_excess: Option<(ExcessBan, Range<usize>)>,
}

impl LimitKeys {
    /// The first of them that was given.
    fn first(self) -> Option<Range<usize>> {
        let burst = self.burst.map(|(_, key)| key);
        let block = self.block.map(|(_, key)| key);
        burst.or(block).or(self.on_excess.map(|(_, key)| key))
    }

    /// What they say, and where `block` and `on-excess` stand.
    fn split(self) -> (Extras, Option<Range<usize>>, Option<Range<usize>>) {
        let (block, block_at) = self.block.unzip();
        let (on_excess, ban_at) = self.on_excess.unzip();
        let extras = Extras {
            burst: self.burst.map(|(burst, _)| burst),
            block,
            on_excess,
        };
        (extras, block_at, ban_at)
    }
}

/// Largest number of ports and ranges in one rule.
const MAX_PORT_ITEMS: usize = 1024;

impl Reader<'_, '_> {
    pub(super) fn rules(&mut self, value: &Value<'_>) -> Vec<Option<RuleDraft>> {
        let DeValue::Array(array) = value.get_ref() else {
            if value.get_ref().is_table() {
                let bad = BadValue::new("[rule] is a single table, rules are a list")
                    .help("write [[rule]] with two brackets");
                self.error(value.span(), bad);
            } else {
                self.wrong_type(value, "a list of tables, [[rule]]");
            }
            return Vec::new();
        };
        array
            .iter()
            .map(|element| match element.get_ref() {
                DeValue::Table(table) => self.rule(table, element.span()),
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_) => {
                    self.wrong_type(element, "a table, [[rule]]");
                    None
                }
            })
            .collect()
    }

    fn rule(&mut self, table: &DeTable<'_>, span: std::ops::Range<usize>) -> Option<RuleDraft> {
        let errors_before = self.problems.error_count();
        let mut action = None;
        let mut ports = Vec::new();
        let mut port_span = None;
        let mut protocol = Protocol::Any;
        let mut proto_span = None;
        let mut icmp_type = None;
        let mut source_ports = None;
        let (mut source, mut destination) = (Vec::new(), Vec::new());
        let (mut interface, mut comment, mut until) = (None, None, None);
        let (mut name, mut tags, mut is_enabled) = (None, Vec::new(), true);
        let (mut rate, mut packets, mut limit) = (None, None, LimitKeys::default());
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "action" => action = self.action(value),
                "port" => {
                    ports = self.ports(value).unwrap_or_default();
                    port_span = Some(value.span());
                }
                "proto" => {
                    protocol = self.protocol(value).unwrap_or(Protocol::Any);
                    proto_span = Some(value.span());
                }
                "icmp-type" => icmp_type = self.icmp_type(value).map(|text| (text, value.span())),
                "sport" => source_ports = self.ports(value).map(|ports| (ports, value.span())),
                "from" => source = self.end(value),
                "to" => destination = self.end(value),
                "on" => interface = self.checked(value, "an interface name", value::interface_name),
                "rate" => rate = self.rate(value).map(|rate| (rate, key.span())),
                "packets" => packets = self.rate(value).map(|rate| (rate, key.span())),
                "burst" => limit.burst = self.burst(value).map(|burst| (burst, key.span())),
                "block" => limit.block = self.block(value).map(|block| (block, key.span())),
                "on-excess" => {
                    limit.on_excess = self.on_excess(value).map(|ban| (ban, key.span()));
                }
                "until" => until = self.until(value),
                "comment" => comment = self.checked(value, "a text in quotes", value::comment),
                "name" => {
                    name = self
                        .checked(value, "a name in quotes", labels::rule_name)
                        .map(|name| self.located(name, value.span()));
                }
                "tags" => tags = self.tags(value),
                "enabled" => is_enabled = self.enabled(value),
                unknown => self.error(key.span(), keys::unknown_in_rule(unknown)),
            }
        }
        if action.is_none() && !table.contains_key("action") {
            let bad = BadValue::new("the rule has no action")
                .help("write action = \"allow\", \"deny\" or \"limit\"");
            self.error(span.clone(), bad);
        }
        // A value that was refused above must not be read as "not given".
        if self.problems.error_count() > errors_before {
            return None;
        }
        if let Some((text, span)) = icmp_type {
            protocol = self.message(protocol, &text, span)?;
        }
        let mut traffic = traffic::resolve(&ports, protocol);
        if let Some((_, at)) = &source_ports {
            traffic = traffic.and_then(traffic::with_source_ports);
            if traffic.is_err() {
                port_span = Some(at.clone());
            }
        }
        let source_ports = source_ports.map(|(ports, _)| traffic::source_ranges(&ports));
        let action = match (action?, &traffic) {
            (RuleAction::Limit(_), Ok(traffic)) => {
                let traffic_span = port_span.clone().or(proto_span.clone());
                let at = traffic_span.unwrap_or(span.clone());
                if let (Some(_), Some((_, key))) = (&rate, &packets) {
                    self.error(key.clone(), keys::rate_and_packets());
                    return None;
                }
                let counts = if packets.is_some() {
                    Counts::Packets
                } else {
                    Counts::Connections
                };
                self.limit(traffic, at, (counts, rate.or(packets)), limit)?
            }
            (action, _) => {
                let extra = rate.or(packets).map(|(_, key)| key);
                let extra = extra.or(limit.first());
                if let Some(key) = extra {
                    self.error(key, keys::only_with_limit());
                    return None;
                }
                action
            }
        };
        match traffic {
            Ok(traffic) => Some(RuleDraft {
                at: self.lines.position(span.start),
                action,
                traffic,
                source,
                source_ports: source_ports.unwrap_or_default(),
                destination,
                interface,
                until,
                comment,
                name,
                tags,
                is_enabled,
            }),
            Err(bad) => {
                self.error(port_span.or(proto_span).unwrap_or(span), bad);
                None
            }
        }
    }

    fn action(&mut self, value: &Value<'_>) -> Option<RuleAction> {
        match self.string(value, "\"allow\", \"deny\" or \"limit\"")? {
            "allow" => Some(RuleAction::Allow),
            "deny" => Some(RuleAction::Deny),
            // What rate and burst say comes later.
            "limit" => Some(RuleAction::Limit(Limit::default())),
            other => {
                self.error(value.span(), keys::unknown_action(other));
                None
            }
        }
    }

    /// The limit that a rule's keys say.
    fn limit(
        &mut self,
        traffic: &Traffic,
        at: Range<usize>,
        (counts, rate): (Counts, Option<(Rate, Range<usize>)>),
        keys: LimitKeys,
    ) -> Option<RuleAction> {
        let checked = traffic.may_be_limited(counts);
        if let Err(bad) = checked {
            self.error(at, bad);
            return None;
        }
        let place = keys.burst.as_ref().map(|(_, key)| key.clone());
        let place = place.or(rate.as_ref().map(|(_, key)| key.clone()));
        let rate = rate.map(|(rate, _)| rate);
        let (extras, block_at, ban_at) = keys.split();
        let limit = match Limit::of(counts, rate, extras) {
            Ok(limit) => limit,
            Err(bad) => {
                self.error(place.unwrap_or(at), bad);
                return None;
            }
        };
        if let Err(bad) = traffic.may_block(limit) {
            self.error(block_at.unwrap_or(at), bad);
            return None;
        }
        if let Err(bad) = traffic.may_ban(limit) {
            self.error(ban_at.unwrap_or(at), bad);
            return None;
        }
        Some(RuleAction::Limit(limit))
    }

    fn rate(&mut self, value: &Value<'_>) -> Option<Rate> {
        let text = self.string(value, "connections per time such as \"20/s\"")?;
        Rate::parse(text)
            .map_err(|bad| self.error(value.span(), bad))
            .ok()
    }

    fn burst(&mut self, value: &Value<'_>) -> Option<u32> {
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(value, "a number of connections such as 10");
            return None;
        };
        limit::burst(integer.as_str())
            .map_err(|bad| self.error(value.span(), bad))
            .ok()
    }

    fn block(&mut self, value: &Value<'_>) -> Option<Block> {
        let text = self.string(value, "a length of time such as \"60s\"")?;
        Block::parse(text)
            .map_err(|bad| self.error(value.span(), bad))
            .ok()
    }

    fn on_excess(&mut self, value: &Value<'_>) -> Option<ExcessBan> {
        let text = self.string(value, "what to do such as \"ban 60s\"")?;
        ExcessBan::parse(text)
            .map_err(|bad| self.error(value.span(), bad))
            .ok()
    }

    /// The addresses of one end; empty means any.
    fn end(&mut self, value: &Value<'_>) -> Vec<Located<AddressItem>> {
        let Some(items) = self.addresses(value) else {
            return Vec::new();
        };
        if items.is_empty() {
            let bad = BadValue::new("an empty list of addresses matches nothing")
                .help("write \"any\" for every address, or delete the rule");
            self.error(value.span(), bad);
        }
        let has_any = items.iter().any(|item| item.value == AddressItem::Any);
        if has_any && items.len() > 1 {
            let bad = BadValue::new("\"any\" makes the rest of the list pointless")
                .help("write only \"any\", or only the rest");
            self.error(value.span(), bad);
        }
        if has_any { Vec::new() } else { items }
    }

    fn ports(&mut self, value: &Value<'_>) -> Option<Vec<PortItem>> {
        let DeValue::Array(array) = value.get_ref() else {
            return self.port(value);
        };
        if array.is_empty() {
            let bad = BadValue::new("an empty list of ports matches nothing")
                .help("leave the port out for every port, or delete the rule");
            self.error(value.span(), bad);
        }
        let items: Vec<PortItem> = array
            .iter()
            .filter_map(|element| self.port(element))
            .flatten()
            .collect();
        if items.len() > MAX_PORT_ITEMS {
            let bad = BadValue::new(format!(
                "{} ports in one rule; the limit is {MAX_PORT_ITEMS}",
                items.len()
            ))
            .help("write ranges such as \"6000:6007\", or several rules");
            self.error(value.span(), bad);
        }
        Some(items)
    }

    fn port(&mut self, value: &Value<'_>) -> Option<Vec<PortItem>> {
        let read = match value.get_ref() {
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .map_err(|_| {
                    let text = quoted(integer.as_str());
                    BadValue::new(format!(
                        "port {} is out of range (1-65535)",
                        text.trim_matches('"')
                    ))
                })
                .and_then(traffic::port_number)
                .map(|port| vec![PortItem::Range(PortRange::single(port))]),
            DeValue::String(text) => traffic::parse_ports(text, &self.names.services),
            DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.wrong_type(value, "a port, \"80,443\", \"6000:6007\" or a service name");
                return None;
            }
        };
        read.map_err(|bad| self.error(value.span(), bad)).ok()
    }

    fn protocol(&mut self, value: &Value<'_>) -> Option<Protocol> {
        let read = match value.get_ref() {
            DeValue::Integer(integer) => self.names.protocols.parse(integer.as_str()),
            DeValue::String(text) => self.names.protocols.parse(text),
            DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.wrong_type(value, "a protocol such as \"tcp\", \"gre\" or 47");
                return None;
            }
        };
        read.map_err(|bad| self.error(value.span(), bad)).ok()
    }

    fn icmp_type(&mut self, value: &Value<'_>) -> Option<String> {
        match value.get_ref() {
            DeValue::Integer(integer) => Some(integer.as_str().to_owned()),
            DeValue::String(text) => Some(text.as_ref().to_owned()),
            DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.wrong_type(value, "a type of ICMP such as \"time-exceeded\" or 11");
                None
            }
        }
    }

    /// The messages of one type, of the ICMP that the rule names.
    fn message(&mut self, protocol: Protocol, text: &str, span: Range<usize>) -> Option<Protocol> {
        protocol
            .of_type(text)
            .map_err(|bad| self.error(span, bad))
            .ok()
    }

    fn until(&mut self, value: &Value<'_>) -> Option<Until> {
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(time) => time.to_string(),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.wrong_type(value, "a time such as \"2026-12-01T12:00:00Z\"");
                return None;
            }
        };
        Until::parse(&text)
            .map_err(|bad| self.error(value.span(), bad))
            .ok()
    }

    fn tags(&mut self, value: &Value<'_>) -> Vec<String> {
        let mut tags = Vec::new();
        for (text, span) in self.strings(value, "tags in quotes").unwrap_or_default() {
            if let Err(bad) = labels::add_tag(&mut tags, text) {
                self.error(span, bad);
            }
        }
        tags
    }

    fn enabled(&mut self, value: &Value<'_>) -> bool {
        let DeValue::Boolean(is_enabled) = value.get_ref() else {
            self.wrong_type(value, "true or false, without quotes");
            return true;
        };
        *is_enabled
    }

    fn checked(
        &mut self,
        value: &Value<'_>,
        expected: &str,
        check: fn(&str) -> Result<String, BadValue>,
    ) -> Option<String> {
        let text = self.string(value, expected)?;
        check(text)
            .map_err(|bad| self.error(value.span(), bad))
            .ok()
    }
}

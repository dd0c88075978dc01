//! The `[limits]` table of a policy file: which addresses count as one source, and the ceilings of all.

use std::ops::RangeInclusive;

use toml::de::DeValue;

use super::{Located, Reader, Value, keys};
use crate::{
    ruleset::{
        ceiling::Ceiling, flow_table::FlowTableSize, limit::SourcePrefixes, strangers::Strangers,
    },
    text::value::BadValue,
};

/// What the table says.
#[derive(Clone, Copy, Debug)]
pub(in crate::ruleset) struct Limits {
    pub(in crate::ruleset) sources: SourcePrefixes,
    pub(in crate::ruleset) ceiling: Ceiling,
    pub(in crate::ruleset) out_of_state: Strangers,
    pub(in crate::ruleset) udp: Strangers,
    pub(in crate::ruleset) flow_table: FlowTableSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sources: SourcePrefixes::default(),
            ceiling: Ceiling::default(),
            out_of_state: Strangers::OUT_OF_STATE,
            udp: Strangers::UDP,
            flow_table: FlowTableSize::default(),
        }
    }
}

impl Reader<'_, '_> {
    pub(super) fn limits(&mut self, value: &Value<'_>) -> Option<Located<Limits>> {
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_type(value, "a table, [limits]");
            return None;
        };
        let mut limits = Limits::default();
        let prefixes = &mut limits.sources;
        for (key, value) in table.iter() {
            let (length, known) = match key.get_ref().as_ref() {
                "ipv4-prefix" => (&mut prefixes.v4, SourcePrefixes::V4),
                "ipv6-prefix" => (&mut prefixes.v6, SourcePrefixes::V6),
                "ceiling" => {
                    if let Some(given) = self.ceiling(value) {
                        limits.ceiling = given;
                    }
                    continue;
                }
                "out-of-state" => {
                    if let Some(given) = self.strangers(value) {
                        limits.out_of_state = given;
                    }
                    continue;
                }
                "udp" => {
                    if let Some(given) = self.strangers(value) {
                        limits.udp = given;
                    }
                    continue;
                }
                "flow-table" => {
                    if let Some(given) = self.flow_table(value) {
                        limits.flow_table = given;
                    }
                    continue;
                }
                unknown => {
                    self.error(key.span(), keys::unknown_in_limits(unknown));
                    continue;
                }
            };
            if let Some(given) = self.prefix_length(key.get_ref(), value, &known) {
                *length = given;
            }
        }
        Some(self.located(limits, value.span()))
    }

    fn ceiling(&mut self, value: &Value<'_>) -> Option<Ceiling> {
        let text = self.string(value, "a rate like \"1000/s\", or \"off\"")?;
        match Ceiling::parse(text) {
            Ok(ceiling) => Some(ceiling),
            Err(bad) => {
                self.error(value.span(), bad);
                None
            }
        }
    }

    fn strangers(&mut self, value: &Value<'_>) -> Option<Strangers> {
        let text = self.string(value, "a rate like \"200/s\", \"0\" or \"off\"")?;
        match Strangers::parse(text) {
            Ok(given) => Some(given),
            Err(bad) => {
                self.error(value.span(), bad);
                None
            }
        }
    }

    fn flow_table(&mut self, value: &Value<'_>) -> Option<FlowTableSize> {
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(value, "a number of flows");
            return None;
        };
        let text = integer.as_str();
        // What no number of 64 bits holds is too many as well.
        let flows = u64::from_str_radix(text, integer.radix());
        match FlowTableSize::for_flows(flows.unwrap_or(u64::MAX), text) {
            Ok(size) => Some(size),
            Err(bad) => {
                self.error(value.span(), bad);
                None
            }
        }
    }

    fn prefix_length(
        &mut self,
        key: &str,
        value: &Value<'_>,
        known: &RangeInclusive<u8>,
    ) -> Option<u8> {
        let (first, last) = (known.start(), known.end());
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(value, "a number of bits");
            return None;
        };
        let given = u8::from_str_radix(integer.as_str(), integer.radix());
        match given {
            Ok(length) if known.contains(&length) => Some(length),
            Ok(_) | Err(_) => {
                let bad = BadValue::new(format!(
                    "{key} {} is out of range ({first}-{last})",
                    integer.as_str()
                ));
                let default = SourcePrefixes::default();
                let default = if key == "ipv4-prefix" {
                    default.v4
                } else {
                    default.v6
                };
                let help = format!(
                    "a wider prefix would make strangers share one limit; {default} is the default"
                );
                self.error(value.span(), bad.help(help));
                None
            }
        }
    }
}

//! The addresses and sets of one end of a rule, collected, and of both ends, compared.

use std::{collections::HashSet, sync::Arc};

use ipnetwork::IpNetwork;

use super::model::Prefixes;
use crate::text::value::BadValue;

/// Addresses and sets of one end of a rule.
#[derive(Default)]
pub(super) struct PrefixList {
    inline: Vec<IpNetwork>,
    seen: HashSet<IpNetwork>,
    sets: Vec<String>,
    contents: Vec<IpNetwork>,
}

impl PrefixList {
    pub(super) fn add_network(&mut self, network: IpNetwork) {
        if self.seen.insert(network) {
            self.inline.push(network);
        }
    }

    pub(super) fn add_set(&mut self, name: String, content: Option<&Arc<[IpNetwork]>>) {
        if !self.sets.contains(&name) {
            self.sets.push(name);
            self.contents
                .extend(content.iter().flat_map(|content| content.iter()));
        }
    }

    pub(super) fn finish(self) -> Prefixes {
        let inline = self.inline.len();
        let mut prefixes = self.inline;
        prefixes.extend(self.contents);
        Prefixes {
            prefixes,
            inline,
            sets: self.sets,
        }
    }
}

/// Refuses a rule whose source and destination can never be of one family. Only inline prefixes
/// count: the content of a set may change.
pub(super) fn check_families(source: &Prefixes, destination: &Prefixes) -> Result<(), BadValue> {
    let family = |prefixes: &Prefixes| {
        let first = prefixes.prefixes.first()?.is_ipv4();
        let inline = prefixes.sets.is_empty();
        (inline && prefixes.prefixes.iter().all(|net| net.is_ipv4() == first)).then_some(first)
    };
    let name = |is_ipv4| if is_ipv4 { "IPv4" } else { "IPv6" };
    match (family(source), family(destination)) {
        (Some(from), Some(to)) if from != to => Err(BadValue::new(format!(
            "the rule can never match: its source is {}, its destination {}",
            name(from),
            name(to)
        ))
        .help("give both of one family, or leave one out")),
        _ => Ok(()),
    }
}

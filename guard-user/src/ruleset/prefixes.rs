//! Collects the addresses and sets of one end of a rule.

use std::{collections::HashSet, sync::Arc};

use ipnetwork::IpNetwork;

use super::model::Prefixes;

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

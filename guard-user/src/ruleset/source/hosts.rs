//! Names of hosts, while a policy is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use super::{Reading, assemble::ReadSet};
use crate::{
    ruleset::{
        host_names::{self, MOST_NAMES, NotResolved, no_address, too_many},
        schema::{PolicyDraft, SetContent},
    },
    text::{address::AddressItem, diagnostic::Position},
};

/// Below the folder of the policy, where no file is: what a copy of the policy calls the addresses of names.
const KEPT_AS: &str = ".host-names";

impl Reading<'_> {
    /// A set of each name.
    pub(super) fn hosts(
        &mut self,
        drafts: &[(Arc<PathBuf>, PolicyDraft)],
    ) -> BTreeMap<String, ReadSet> {
        let mut places = BTreeMap::new();
        for (file, draft) in drafts {
            for (name, at) in named(draft) {
                places.entry(name.clone()).or_insert((file.clone(), at));
            }
        }
        let names: BTreeSet<String> = places.keys().cloned().collect();
        if let Some((file, at)) = places.values().next()
            && names.len() > MOST_NAMES
        {
            self.error(file, *at, too_many(names.len()));
            return BTreeMap::new();
        }
        let mut found = self.kept(&names);
        let asked: BTreeSet<String> = names
            .iter()
            .filter(|name| !found.contains_key(*name))
            .cloned()
            .collect();
        if !asked.is_empty() {
            found.extend(self.source.hosts.look_up(&asked));
        }
        let mut sets = BTreeMap::new();
        for (name, (file, at)) in places {
            let content = match found.remove(&name) {
                Some(Ok(addresses)) => {
                    self.note_name(&name, &host_names::to_text(&addresses));
                    Some(host_names::networks(&addresses).into())
                }
                Some(Err(why)) => {
                    self.error(&file, at, no_address(&name, &why.0));
                    None
                }
                None => {
                    self.error(&file, at, no_address(&name, "does not resolve"));
                    None
                }
            };
            sets.insert(name, ReadSet { content, file, at });
        }
        sets
    }

    /// What a copy of the policy has kept of these names.
    fn kept(&self, names: &BTreeSet<String>) -> host_names::Found {
        let of_name = |name: &String| {
            let text = self.source.overlay.text(&self.kept_as(name))?;
            let addresses = text.lines().map(str::parse).collect::<Result<Vec<_>, _>>();
            let addresses =
                addresses.map_err(|_| NotResolved("is not what was kept of it".to_owned()));
            Some((name.clone(), addresses))
        };
        names.iter().filter_map(of_name).collect()
    }

    fn kept_as(&self, name: &str) -> PathBuf {
        self.source.etc.join(KEPT_AS).join(name)
    }

    /// The digest of a policy has the addresses of its names.
    fn note_name(&mut self, name: &str, text: &str) {
        self.digest.add(KEPT_AS.as_bytes());
        self.digest.add(name.as_bytes());
        self.digest.add(text.as_bytes());
        let kept = (self.kept_as(name), text.into());
        self.extracts.push(kept);
    }
}

/// The names of a file, each with its place.
fn named(draft: &PolicyDraft) -> impl Iterator<Item = (&String, Position)> {
    let of_rules = draft.rules.iter().flatten();
    let ends = of_rules.flat_map(|rule| rule.source.iter().chain(&rule.destination));
    let items = ends
        .chain(&draft.never)
        .filter_map(|item| match &item.value {
            AddressItem::Name(name) => Some((name, item.at)),
            AddressItem::Any | AddressItem::Network(_) | AddressItem::Set(_) => None,
        });
    let of_sets = draft.sets.iter().flat_map(|set| match &set.content {
        Some(SetContent::Inline { names, .. }) => names.as_slice(),
        Some(SetContent::File(_) | SetContent::Database(..)) | None => &[],
    });
    items.chain(of_sets.map(|name| (&name.value, name.at)))
}

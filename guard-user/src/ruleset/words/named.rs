//! The names of hosts in a rule that was typed: they are asked for before it is read.

use std::collections::BTreeSet;

use crate::text::address::{self, AddressItem};

/// The names of hosts where a rule has addresses.
#[must_use]
pub fn host_names(words: &[String]) -> BTreeSet<String> {
    // What stands after these is a text of the operator.
    let is_text = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| words.get(before));
        before.is_some_and(|word| {
            ["comment", "--name", "--tag", "on", "app"].contains(&word.as_str())
        })
    };
    let addresses = words.iter().enumerate().filter(|(at, _)| !is_text(*at));
    addresses
        .flat_map(|(_, word)| word.split(','))
        .filter_map(|part| match address::parse_item(part) {
            Ok((AddressItem::Name(name), _)) => Some(name),
            Ok(_) | Err(_) => None,
        })
        .collect()
}

//! Databases of countries and networks: whatever stands in the file, a set gets whole prefixes out of it or an error, and
//! soon.

use std::fmt::Debug;

use guard_user::ruleset::mmdb::{Selector, extract};

/// A database has one byte to choose what is asked of it, then its own.
pub(crate) fn run(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else {
        return;
    };
    let selector = match choice % 3 {
        0 => Selector::Countries(vec!["DE".to_owned()]),
        1 => Selector::Continents(vec!["EU".to_owned()]),
        _ => Selector::Networks(vec![64496, 64511]),
    };
    let Ok(found) = extract(bytes, &selector) else {
        return;
    };
    assert!(!found.networks.is_empty(), "an empty set is an error");
    assert!(!found.kind.contains(char::is_control), "{:?}", found.kind);
    for pair in found.networks.windows(2) {
        let [low, high] = pair else { continue };
        expect(low.is_ipv4() >= high.is_ipv4(), pair);
        if low.is_ipv4() == high.is_ipv4() {
            expect(low.broadcast() < high.network(), pair);
        }
    }
    for network in found.networks.iter() {
        expect(network.ip() == network.network(), network);
    }
}

fn expect(is_right: bool, what: impl Debug) {
    assert!(is_right, "{what:?}");
}

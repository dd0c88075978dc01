//! Names of hosts in rules: each is a set, of the addresses that it had when somebody asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};

use ipnetwork::IpNetwork;

use crate::text::value::{BadValue, quoted};

/// Most names in one policy: each is asked for again every minute.
pub const MOST_NAMES: usize = 128;

/// Why a name has no addresses, as it follows the name in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotResolved(pub String);

/// Addresses by name, or why there are none.
pub type Found = BTreeMap<String, Result<Vec<IpAddr>, NotResolved>>;

/// Who knows what addresses a name has.
pub trait HostNames: fmt::Debug + Send + Sync {
    /// Answers for each of the names.
    fn look_up(&self, names: &BTreeSet<String>) -> Found;
}

/// Nobody does: for reading a policy without the host that it is for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unknown;

impl HostNames for Unknown {
    fn look_up(&self, names: &BTreeSet<String>) -> Found {
        let unknown = |name: &String| {
            (
                name.clone(),
                Err(NotResolved("nobody was asked for it".to_owned())),
            )
        };
        names.iter().map(unknown).collect()
    }
}

/// A table that stands still.
impl HostNames for BTreeMap<String, Vec<IpAddr>> {
    fn look_up(&self, names: &BTreeSet<String>) -> Found {
        let answer = |name: &String| {
            let known = self.get(name).cloned();
            let found = known.ok_or_else(|| NotResolved("does not resolve".to_owned()));
            (name.clone(), found)
        };
        names.iter().map(answer).collect()
    }
}

/// One address a line, as a copy of a policy keeps them.
#[must_use]
pub fn to_text(addresses: &[IpAddr]) -> String {
    addresses
        .iter()
        .map(|address| format!("{address}\n"))
        .collect()
}

/// The networks of some addresses.
#[must_use]
pub fn networks(addresses: &[IpAddr]) -> Vec<IpNetwork> {
    addresses
        .iter()
        .map(|address| IpNetwork::from(*address))
        .collect()
}

/// A name whose addresses nobody knows.
pub(super) fn unknown(name: &str) -> BadValue {
    no_address(name, "nobody was asked for its addresses")
}

/// A name that has no addresses, and why.
pub(super) fn no_address(name: &str, why: &str) -> BadValue {
    BadValue::new(format!("{} {why}", quoted(name)))
        .help("correct the name, or write the addresses; `getent ahosts NAME` asks as guard does")
}

/// More names than anybody wants to ask for every minute.
pub(super) fn too_many(count: usize) -> BadValue {
    BadValue::new(format!(
        "the policy has {count} names of hosts; {MOST_NAMES} are possible"
    ))
    .help("write addresses or prefixes for some of them")
}

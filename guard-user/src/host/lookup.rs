//! What the resolver of the system says of a name, and what of it may stand in a rule. Its cache keeps answers as long
//! as their publishers say, so asking it often costs little.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, ToSocketAddrs},
    path::Path,
};

use super::hosts_file;
use crate::state_file;

const HOSTS: &str = "/etc/hosts";
/// Most addresses of one name: more is no host, and perhaps an attack on the tables.
pub const MOST_ADDRESSES: usize = 64;

/// Why a name has no addresses that could be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolveError {
    /// The resolver says so.
    Refused(String),
    /// It did not answer in time.
    Late,
    /// It answers with this many addresses.
    TooMany(usize),
    /// It answers, with addresses that no packet of a stranger comes from.
    Unusable(IpAddr),
    /// No question could be put.
    Busy(String),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "does not resolve: {why}"),
            Self::Late => write!(f, "does not resolve: the resolver does not answer"),
            Self::TooMany(count) => write!(
                f,
                "has {count} addresses, and a name may have {MOST_ADDRESSES} at most"
            ),
            Self::Unusable(address) => {
                write!(f, "resolves to {address}, from where no packet comes")
            }
            Self::Busy(why) => write!(f, "cannot be resolved now: {why}"),
        }
    }
}

/// What a resolver said of a name, sorted, each address once.
pub type Answer = Result<Vec<IpAddr>, ResolveError>;

/// What the resolver of the system says of a name, or what is wrong.
pub(super) fn addresses(name: &str) -> Result<Vec<IpAddr>, ResolveError> {
    // As nsswitch.conf has it everywhere; the resolver compares the dot below with what stands there.
    let text = state_file::read_text(Path::new(HOSTS)).unwrap_or_default();
    let in_file = hosts_file::addresses(&text, name);
    if !in_file.is_empty() {
        return Ok(in_file);
    }
    // With a dot at its end no search list of the resolver is tried: another name could answer.
    let found = (format!("{name}."), 0_u16).to_socket_addrs();
    let found = found.map_err(|error| ResolveError::Refused(error.to_string()))?;
    Ok(found.map(|address| address.ip()).collect())
}

/// What of an answer may stand in a rule.
pub(super) fn checked(found: impl Iterator<Item = IpAddr>) -> Answer {
    let mut addresses = BTreeSet::new();
    let mut unusable = None;
    for address in found.map(|address| address.to_canonical()) {
        if may_send(address) {
            addresses.insert(address);
        } else {
            unusable = Some(address);
        }
    }
    match (addresses.len(), unusable) {
        (0, Some(address)) => Err(ResolveError::Unusable(address)),
        (0, None) => Err(ResolveError::Refused("it has no address".to_owned())),
        (count, _) if count > MOST_ADDRESSES => Err(ResolveError::TooMany(count)),
        (_, _) => Ok(addresses.into_iter().collect()),
    }
}

/// Can a packet of somebody else come from there?
fn may_send(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !v4.is_loopback() && !v4.is_multicast() && !v4.is_broadcast() && v4.octets()[0] != 0
        }
        IpAddr::V6(v6) => {
            // Link-local addresses mean another host on each link.
            !v6.is_loopback()
                && !v6.is_multicast()
                && !v6.is_unspecified()
                && !v6.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn of(texts: &[&str]) -> Answer {
        checked(texts.iter().map(|text| text.parse().expect("an address")))
    }

    #[test]
    fn an_answer_is_sorted_and_has_each_address_once() {
        let sorted = of(&["2001:db8::2", "192.0.2.9", "::ffff:192.0.2.9", "192.0.2.1"]);
        let expected = ["192.0.2.1", "192.0.2.9", "2001:db8::2"];
        let expected: Vec<IpAddr> = expected
            .iter()
            .map(|text| text.parse().expect("one"))
            .collect();
        assert_eq!(sorted, Ok(expected));
    }

    #[test]
    fn addresses_that_send_nothing_are_left_out_and_alone_they_are_an_error() {
        assert_eq!(of(&["127.0.0.1", "192.0.2.1"]), of(&["192.0.2.1"]));
        for text in [
            "127.0.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "ff02::1",
            "fe80::1",
        ] {
            let address = text.parse().expect(text);
            assert_eq!(of(&[text]), Err(ResolveError::Unusable(address)));
        }
        assert!(matches!(of(&[]), Err(ResolveError::Refused(_))));
    }

    #[test]
    fn too_many_addresses_are_none() {
        let many =
            |count: u32| checked((0..count).map(|at| Ipv4Addr::from_bits(0xc000_0200 + at).into()));
        assert_eq!(many(64).map(|all| all.len()), Ok(64));
        assert_eq!(many(65), Err(ResolveError::TooMany(65)));
        assert_eq!(many(10_000), Err(ResolveError::TooMany(10_000)));
    }
}

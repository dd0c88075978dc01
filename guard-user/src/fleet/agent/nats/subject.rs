//! Subjects of NATS and what they mean: who banned what. The server vouches for the names in them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

use crate::fleet::Member;

/// What a stored or republished message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet::agent) enum About {
    /// A ban of this member.
    Ban(Member, IpNetwork),
    /// Operators lift it everywhere.
    Lift(IpNetwork),
}

/// `$KV.guard.` and `fleet.ev.` lead to the same.
pub(in crate::fleet::agent) const STORED: &str = "$KV.guard.";
pub(in crate::fleet::agent) const REPUBLISHED: &str = "fleet.ev.";
pub(in crate::fleet::agent) const UNSTORED: &str = "fleet.now.";
/// Where the policy of a group is stored, and heard.
pub(in crate::fleet::agent) const STORED_POLICY: &str = "$KV.policy.";
pub(in crate::fleet::agent) const HEARD_POLICY: &str = "fleet.policy.";

/// Where a ban of this member is stored, after one of the beginnings above.
pub(in crate::fleet::agent) fn of_ban(member: &Member, network: IpNetwork) -> String {
    format!("ban.{}.{}.{}", member.group(), member.host(), key(network))
}

/// Where a lift is stored.
pub(in crate::fleet::agent) fn of_lift(network: IpNetwork) -> String {
    format!("lift.{}", key(network))
}

/// What follows one of the beginnings.
pub(in crate::fleet::agent) fn read(subject: &str) -> Option<About> {
    let words: Vec<&str> = subject.split('.').collect();
    match words.as_slice() {
        ["ban", group, host, key] => {
            let member = Member::new(group, host).ok()?;
            Some(About::Ban(member, read_key(key)?))
        }
        ["lift", key] => Some(About::Lift(read_key(key)?)),
        _ => None,
    }
}

/// `4-cb007107-32`, `6-20010db8…-64`: the network, the same for everybody who names it.
fn key(network: IpNetwork) -> String {
    let length = network.prefix();
    match network.network() {
        IpAddr::V4(v4) => format!("4-{:08x}-{length}", v4.to_bits()),
        IpAddr::V6(v6) => format!("6-{:032x}-{length}", v6.to_bits()),
    }
}

fn read_key(text: &str) -> Option<IpNetwork> {
    let mut parts = text.split('-');
    let (family, bits, length) = (parts.next()?, parts.next()?, parts.next()?);
    let address: IpAddr = match family {
        "4" if bits.len() == 8 => Ipv4Addr::from(u32::from_str_radix(bits, 16).ok()?).into(),
        "6" if bits.len() == 32 => Ipv6Addr::from(u128::from_str_radix(bits, 16).ok()?).into(),
        _ => return None,
    };
    let network = IpNetwork::new(address, length.parse().ok()?).ok()?;
    // One network has one key, or a member could ban it many times.
    (key(network) == text).then_some(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_one_key() {
        let member = Member::new("web", "a").expect("a member");
        for (text, subject) in [
            ("203.0.113.7/32", "ban.web.a.4-cb007107-32"),
            (
                "2001:db8::/64",
                "ban.web.a.6-20010db8000000000000000000000000-64",
            ),
        ] {
            let network: IpNetwork = text.parse().expect("a network");
            assert_eq!(of_ban(&member, network), subject);
            assert_eq!(read(subject), Some(About::Ban(member.clone(), network)));
        }
        let lifted: IpNetwork = "203.0.113.0/24".parse().expect("a network");
        assert_eq!(read(&of_lift(lifted)), Some(About::Lift(lifted)));
    }

    #[test]
    fn what_is_no_subject_of_ours_is_nothing() {
        for subject in [
            "",
            "ban",
            "ban.web.a",
            "ban.web.a.4-cb007107-33",
            "ban.web.a.4-cb007107-24",
            "ban.web.a.4-CB007107-32",
            "ban.web.a.4-cb007107-032",
            "ban.web.a.4-7-32",
            "ban.web.a.5-cb007107-32",
            "ban.Web.a.4-cb007107-32",
            "ban.web.a.4-cb007107-32.more",
            "lift",
            "lift.4-cb007107-32-1",
            "lift.4-00000000-+0",
            "lift.4-cb007107- 32",
            "lift.4-+b007107-32",
            "lift.6-20010db800000000000000000000000-64",
            "lift.6-20010db8000000000000000000000001-64",
            "ban.web.a.6-\u{1b}[2J-64",
            "ban.web..4-cb007107-32",
            "BAN.web.a.4-cb007107-32",
        ] {
            let found = read(subject);
            assert!(found.is_none(), "{subject}: {found:?}");
        }
    }
}

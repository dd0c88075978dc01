//! Could every operator log in again under this policy? Asked of the model before anything changes,
//! with a new connection from where each session comes: what is established survives a change.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use crate::{
    failure::{Exit, Failure},
    host::{
        Network, clock,
        sessions::{Evidence, Session},
    },
    ruleset::{compile::Image, probe::Model},
};
use guard_common::abi::reason::Action;

/// Sessions whose operators a policy would shut out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtRisk {
    /// The sessions, each with an interface by which it may come, and what could become of it there.
    ways: BTreeMap<(Session, u32), Risk>,
}

/// What a policy could do to an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Risk {
    /// Shut him out for a while, when his session exceeds a limit.
    Blocked,
    /// Drop his new connection.
    Dropped,
}

/// From which port an operator comes next time nobody knows: a rule for some of them lets nobody in for sure.
const CLIENT_PORTS: [u16; 2] = [40_000, 61_000];

/// The sessions of operators, and the guarded interfaces by which their next ones would come.
#[derive(Clone, Debug, Default)]
pub struct Ways(Vec<(Session, u32)>);

impl Ways {
    /// Of these sessions.
    #[must_use]
    pub fn of(operators: &BTreeSet<Session>, network: &Network, interfaces: &[String]) -> Self {
        let guarded: BTreeSet<u32> = interfaces
            .iter()
            .filter_map(|name| network.interface(name))
            .map(|interface| interface.index)
            .collect();
        let ways = operators.iter().flat_map(|session| {
            let ways = ways_of(session, network, &guarded);
            ways.into_iter().map(|index| (*session, index))
        });
        Self(ways.collect())
    }

    /// The sessions.
    pub(in crate::controller) fn sessions(&self) -> BTreeSet<Session> {
        self.0.iter().map(|(session, _)| *session).collect()
    }
}

impl AtRisk {
    /// Whose new connections this policy would drop.
    #[must_use]
    pub fn under(image: &Image, ways: &Ways) -> Self {
        Self::at(image, ways, clock::boot_time_ns())
    }

    /// The same at another time.
    pub(in crate::controller) fn at(image: &Image, ways: &Ways, boot_ns: u64) -> Self {
        if image.is_monitor() || ways.0.is_empty() {
            return Self::default();
        }
        let model = Model::at(image, boot_ns);
        let at_risk = ways.0.iter().filter_map(|(session, index)| {
            let risk = CLIENT_PORTS.into_iter().filter_map(|port| {
                let remote = SocketAddr::new(session.remote.ip(), port);
                let verdict = model.new_connection(*index, remote, session.local);
                if verdict.action == Action::Drop {
                    Some(Risk::Dropped)
                } else {
                    model.may_block(verdict).then_some(Risk::Blocked)
                }
            });
            Some(((*session, *index), risk.max()?))
        });
        Self {
            ways: at_risk.collect(),
        }
    }

    /// The sessions whose new connections would be dropped.
    pub(in crate::controller) fn dropped(&self) -> BTreeSet<Session> {
        let ways = self.ways.iter();
        ways.filter(|(_, risk)| **risk == Risk::Dropped)
            .map(|((session, _), _)| *session)
            .collect()
    }

    /// The sessions that are at risk here and were not there: those of the change's doing.
    #[must_use]
    pub fn beyond(mut self, before: &Self) -> Self {
        self.ways
            .retain(|way, risk| before.ways.get(way).is_none_or(|before| before < risk));
        self
    }

    /// Does nobody lose anything?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ways.is_empty()
    }

    /// The refusal.
    ///
    /// # Errors
    /// Exit 7 naming the sessions and the rule that would let their operators in.
    pub fn refuse(&self) -> Result<(), Failure> {
        // Who is shut out at once is named before who may be.
        let Some(worst) = self.ways.values().max().copied() else {
            return Ok(());
        };
        let sessions: BTreeSet<Session> = self
            .ways
            .iter()
            .filter(|(_, risk)| **risk == worst)
            .map(|((session, _), _)| *session)
            .collect();
        let is_known = |session: &&Session| session.evidence == Evidence::Server;
        let Some(first) = sessions.iter().find(is_known).or(sessions.first()) else {
            return Ok(());
        };
        let addresses: BTreeSet<String> = sessions
            .iter()
            .map(|session| session.remote.ip().to_string())
            .collect();
        let addresses: Vec<String> = addresses.into_iter().collect();
        let texts: Vec<String> = sessions
            .iter()
            .map(|session| format!("{} -> {}", session.remote, session.local))
            .collect();
        if worst == Risk::Blocked {
            let message = format!(
                "you could be shut out from {}: the rule that lets you in blocks whoever exceeds its limit, as a download \
                 over ssh may (session {})",
                addresses.join(", "),
                texts.join(", ")
            );
            return Err(Failure::new(Exit::Refused, message).help(format!(
                "exempt it first: `guardctl never add {}`, or leave `block` out, or add --force",
                first.remote.ip()
            )));
        }
        let allow = format!(
            "`guardctl allow {} {}/tcp`",
            first.remote.ip(),
            first.local.port()
        );
        let (message, help) = match first.evidence {
            Evidence::Server => (
                format!(
                    "you could not log in again from {}: a new connection would be dropped (session {})",
                    addresses.join(", "),
                    texts.join(", ")
                ),
                format!("allow it first: {allow}, or add --force"),
            ),
            Evidence::Unidentified => (
                format!(
                    "somebody may be logged in from {}, and a new connection would be dropped (session {}): \
                     which program serves it cannot be determined without CAP_SYS_PTRACE",
                    addresses.join(", "),
                    texts.join(", ")
                ),
                format!(
                    "if it is a login, allow it first: {allow}; else `guardctl reload` as root, which sees the \
                     program, or `guardctl reload --force`"
                ),
            ),
        };
        Err(Failure::new(Exit::Refused, message).help(help))
    }
}

/// The guarded interfaces by which the packets of a session may come: none for a session that surely avoids them.
fn ways_of(session: &Session, network: &Network, guarded: &BTreeSet<u32>) -> BTreeSet<u32> {
    let remote = session.remote.ip();
    if remote.is_loopback() || network.own().any(|own| own == remote) {
        return BTreeSet::new();
    }
    let stacks = |indices: &mut dyn Iterator<Item = u32>| -> BTreeSet<u32> {
        let stacks = indices.flat_map(|index| network.stack(index));
        stacks.filter(|index| guarded.contains(index)).collect()
    };
    // A neighbour comes by the cable that both are on, whatever address of ours it talks to.
    let mut neighbours = network
        .on_link
        .iter()
        .filter(|(net, _)| is_neighbour(net, remote));
    if neighbours.clone().next().is_some() {
        return stacks(&mut neighbours.by_ref().map(|(_, index)| *index));
    }
    // Any interface takes packets to any address of this host.
    let local = session.local.ip();
    let owners = network.addresses.iter().filter(|(ip, _)| *ip == local);
    let owners = owners.map(|(_, index)| *index);
    let ways = stacks(&mut owners.chain(network.routed.iter().copied()));
    if ways.is_empty() {
        guarded.clone()
    } else {
        ways
    }
}

/// A point-to-point route to everybody makes nobody a neighbour.
fn is_neighbour(net: &ipnetwork::IpNetwork, remote: IpAddr) -> bool {
    net.prefix() > 0 && net.contains(remote)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Interface, link_kind::LinkKind};

    const CARD: u32 = 2;
    const SECOND: u32 = 3;
    const BRIDGE: u32 = 4;
    const PORT: u32 = 5;
    const TUNNEL: u32 = 6;

    fn network() -> Network {
        let interface = |index, kind, controller| Interface {
            name: format!("if{index}"),
            index,
            is_ethernet: true,
            mtu: 1500,
            kind,
            is_up: true,
            controller,
            ..Interface::default()
        };
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let net = |text: &str| text.parse().expect("a network");
        Network {
            interfaces: vec![
                interface(CARD, LinkKind::Card, None),
                interface(SECOND, LinkKind::Card, None),
                interface(BRIDGE, LinkKind::Bridge, None),
                interface(PORT, LinkKind::Card, Some(BRIDGE)),
                interface(TUNNEL, LinkKind::Tunnel, None),
            ],
            addresses: vec![
                (ip("192.0.2.1"), CARD),
                (ip("10.0.0.1"), SECOND),
                (ip("203.0.113.1"), BRIDGE),
                (ip("10.8.0.1"), TUNNEL),
            ],
            on_loopback: vec![ip("192.0.2.77")],
            on_link: vec![
                (net("192.0.2.0/24"), CARD),
                (net("10.0.0.0/24"), SECOND),
                (net("203.0.113.0/24"), BRIDGE),
                (net("10.8.0.0/24"), TUNNEL),
            ],
            default_routes: BTreeSet::from([CARD]),
            routed: BTreeSet::from([CARD]),
        }
    }

    #[test]
    fn a_session_counts_unless_it_surely_avoids_every_guarded_interface() {
        let cases: [(&str, &str, &[u32], &[u32]); 10] = [
            // From afar, to whatever address of ours.
            ("198.51.100.10:5", "192.0.2.1:22", &[CARD], &[CARD]),
            ("198.51.100.10:5", "192.0.2.77:22", &[CARD], &[CARD]),
            ("198.51.100.10:5", "10.0.0.1:22", &[CARD], &[CARD]),
            (
                "198.51.100.10:5",
                "10.0.0.1:22",
                &[CARD, SECOND],
                &[CARD, SECOND],
            ),
            // An address that is gone, and no default route by what is guarded.
            ("198.51.100.10:5", "192.0.2.99:22", &[SECOND], &[SECOND]),
            // A neighbour, on a cable without guard, in a tunnel, and behind a bridge.
            ("10.0.0.9:5", "192.0.2.1:22", &[CARD], &[]),
            ("10.8.0.9:5", "10.8.0.1:22", &[CARD], &[]),
            ("203.0.113.9:5", "203.0.113.1:22", &[PORT], &[PORT]),
            ("192.0.2.9:5", "10.0.0.1:22", &[CARD, SECOND], &[CARD]),
            // This host itself.
            ("192.0.2.77:5", "192.0.2.1:22", &[CARD], &[]),
        ];
        for (remote, local, guarded, expected) in cases {
            let session = Session {
                remote: remote.parse().expect("an address"),
                local: local.parse().expect("an address"),
                evidence: Evidence::Server,
            };
            let guarded = guarded.iter().copied().collect();
            let found = ways_of(&session, &network(), &guarded);
            let expected: BTreeSet<u32> = expected.iter().copied().collect();
            assert_eq!(found, expected, "{remote} -> {local} with {guarded:?}");
        }
    }

    #[test]
    fn what_a_program_is_that_cannot_be_seen_is_said_so() {
        let session = |evidence| Session {
            remote: "198.51.100.10:5".parse().expect("an address"),
            local: "192.0.2.1:2222".parse().expect("an address"),
            evidence,
        };
        let refused = |sessions: &[Session]| {
            let ways = sessions
                .iter()
                .map(|session| ((*session, CARD), Risk::Dropped));
            let ways = ways.collect();
            AtRisk { ways }.refuse().expect_err("refused").message
        };
        let mut known = session(Evidence::Server);
        known.remote.set_port(9);
        let unknown = session(Evidence::Unidentified);
        assert!(refused(&[unknown]).contains("cannot be determined"));
        assert!(refused(&[known]).contains("you could not log in again"));
        assert!(refused(&[unknown, known]).contains("you could not log in again"));
    }
}

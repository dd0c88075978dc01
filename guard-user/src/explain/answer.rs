//! The answer: verdict, reason, rule, and what would let the packet in.

use std::net::SocketAddr;

use guard_common::abi::reason::{Action, Reason};

use super::question::Transport;
use crate::ruleset::icmp::{self, IcmpType};

/// What guard says of a packet.
#[derive(Clone, Debug, PartialEq)]
pub enum Explained {
    /// What becomes of it.
    Evaluated(Box<Explanation>),
    /// It never meets guard.
    Unfiltered {
        /// The packet in words.
        packet: String,
        /// The interface that it arrives on.
        interface: String,
    },
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The packet in words.
    pub packet: String,
    /// The interface that it arrives on.
    pub interface: String,
    /// Why.
    pub reason: Reason,
    /// What happens, monitor mode taken into account.
    pub action: Action,
    /// Number of the rule that decided, from 1.
    pub rule: Option<usize>,
    /// That rule in words, if they are known.
    pub rule_words: Option<String>,
    /// When it ends, and how much time is left, in words.
    pub rule_end: Option<String>,
    /// What commands call it.
    pub rule_name: Option<String>,
    /// What becomes of who goes on above its limit: `ban 60s`.
    pub on_excess: Option<String>,
    /// What the limit of that rule leaves to the source now, if it has one.
    pub left: Option<Left>,
    /// Of a TCP segment that the rules let in: is it part of a session? Of a datagram: of a conversation?
    pub session: Option<Session>,
    /// What would change a drop.
    pub way_in: Option<WayIn>,
}

/// Is a segment part of a session, a datagram of a conversation?
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Session {
    /// It is.
    Known,
    /// It is not: so many per second pass, at its port and of all sources together.
    Unknown {
        /// 0 = none.
        passing: f64,
    },
    /// This host has a conversation with the sender of the datagram, of whom so many per second pass without an answer.
    Conversation {
        /// Per second.
        passing: f64,
    },
    /// It has none: so many per second pass, at its port and of all such senders together, and of those that repeat
    /// themselves.
    Stranger {
        /// 0 = none.
        passing: f64,
    },
}

/// New connections, or datagrams that begin a conversation, that a limit leaves to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// At this moment.
    pub now: u64,
    /// When it has been silent for long enough.
    pub at_most: u64,
    /// Seconds for which the source is still blocked; 0 = it is not.
    pub blocked: u64,
}

/// What would let a packet in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayIn {
    /// A command.
    Command(String),
    /// Nothing would: the packet itself is the matter.
    Nothing,
}

impl WayIn {
    /// For a packet that is dropped for this reason, by this rule if one did it.
    pub(crate) fn of(
        reason: Reason,
        rule: Option<usize>,
        source: SocketAddr,
        destination: SocketAddr,
        transport: Transport,
    ) -> Option<Self> {
        if let Action::Pass = reason.action() {
            return None;
        }
        if let Reason::Limited = reason {
            return Some(Self::Command(format!("guardctl never add {}", source.ip())));
        }
        let is_rules = matches!(
            reason,
            Reason::DefaultDrop | Reason::RuleDeny | Reason::IcmpUnrelated
        );
        if !is_rules {
            return Some(Self::Nothing);
        }
        let what = match transport {
            Transport::Tcp(_) => format!("to any port {} proto tcp", destination.port()),
            Transport::Udp => format!("to any port {} proto udp", destination.port()),
            Transport::Icmp(kind) => match message(kind, source.is_ipv4()) {
                message if message == "ping" => "proto ping".to_owned(),
                message => format!("proto {message}"),
            },
            Transport::Other(number) => format!("proto {number}"),
        };
        let from = source.ip();
        Some(Self::Command(match rule {
            Some(number) => format!("guardctl insert {number} allow from {from} {what}"),
            None => format!("guardctl allow from {from} {what}"),
        }))
    }
}

/// `ping`, `icmp type time-exceeded`: as rules name it.
fn message(kind: u8, is_v4: bool) -> String {
    let (v4, v6) = if is_v4 {
        (Some(kind), None)
    } else {
        (None, Some(kind))
    };
    let message = IcmpType { v4, v6 };
    if IcmpType::PING.covers(message) {
        return IcmpType::PING.protocol().to_owned();
    }
    let name = icmp::message_name(!is_v4, kind).map_or_else(|| kind.to_string(), str::to_owned);
    format!("{} type {name}", message.protocol())
}

/// `tcp 203.0.113.7:40000 -> 192.0.2.1:22 (syn)`.
pub(crate) fn in_words(
    source: SocketAddr,
    destination: SocketAddr,
    transport: Transport,
) -> String {
    match transport {
        Transport::Tcp(flags) => {
            let names = ["fin", "syn", "rst", "psh", "ack", "urg"];
            let set: Vec<&str> = names
                .into_iter()
                .enumerate()
                .filter(|(bit, _)| flags.0 >> bit & 1 == 1)
                .map(|(_, name)| name)
                .collect();
            let set = if set.is_empty() {
                "no flags".to_owned()
            } else {
                set.join(",")
            };
            format!("tcp {source} -> {destination} ({set})")
        }
        Transport::Udp => format!("udp {source} -> {destination}"),
        Transport::Icmp(kind) => {
            let message = message(kind, source.is_ipv4());
            format!("{message} {} -> {}", source.ip(), destination.ip())
        }
        Transport::Other(number) => {
            format!("protocol {number} {} -> {}", source.ip(), destination.ip())
        }
    }
}

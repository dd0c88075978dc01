//! What a policy means, free of files and of kernels: the input of the compiler and of every
//! listing. Values here are valid by construction of `source` and `words`; nothing is resolved later.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use super::{
    ceiling::Ceiling, flow_table::FlowTableSize, icmp::IcmpType, labels::Labels, mmdb::DatabaseSet,
    strangers::Strangers, until::Until,
};

use super::limit::{Counts, Limit, Rate, SourcePrefixes};
use super::{drop_log::DropLog, listen::Listen, on_excess::LEAST_PER_SECOND};
use crate::{
    bans::settings::{Feed, Settings},
    text::value::BadValue,
};

/// What a rule does with a packet that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleAction {
    /// Let it in.
    Allow,
    /// Drop it.
    Deny,
    /// Let it in, but only so many new connections of each source.
    Limit(Limit),
}

impl RuleAction {
    /// Does it let packets in?
    #[must_use]
    pub const fn allows(self) -> bool {
        match self {
            Self::Allow | Self::Limit(_) => true,
            Self::Deny => false,
        }
    }
}

/// Where the program shall run on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModeChoice {
    /// In the driver where that works, else in the kernel's receive path.
    #[default]
    Auto,
    /// In the driver.
    Native,
    /// In the kernel's receive path.
    Generic,
}

impl ModeChoice {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Native, Self::Generic];

    /// Word of files and commands.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

/// What happens to a packet that no rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DefaultAction {
    /// Drop it.
    #[default]
    Deny,
    /// Let it in.
    Allow,
    /// Drop nothing at all, and count what `Deny` would drop.
    Monitor,
}

/// Inclusive range of ports; `first <= last`, `first >= 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// Lowest port.
    pub first: u16,
    /// Highest port.
    pub last: u16,
}

/// Which transports a port rule covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP only.
    Tcp,
    /// UDP only.
    Udp,
    /// TCP and UDP: one rule, one number.
    Both,
}

/// The traffic that a rule is about, before addresses are asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Traffic {
    /// Every protocol and port.
    Any,
    /// Destination ports of TCP, UDP or both. Sorted, disjoint, never empty; a whole transport is
    /// the range 0-65535, the only one that may begin at 0.
    Ports(Transport, Vec<PortRange>),
    /// An IP protocol by number, with all its ports and types (`proto gre`; never 6 or 17, which
    /// are `Ports`).
    Protocol(u8),
    /// Messages of ICMP of one type; of both families [`IcmpType::PING`].
    Icmp(IcmpType),
}

/// Where a rule was written: for messages and for editing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleOrigin {
    /// The file as it was opened.
    pub file: Arc<PathBuf>,
    /// Line of the rule's `[[rule]]`, from 1.
    pub line: usize,
    /// Index of the rule within its file, from 0.
    pub index: usize,
}

/// Source prefixes of a rule, with the named sets they came from.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Prefixes {
    /// Every prefix, host bits masked off, inline ones first. Empty = any address, unless `sets`
    /// is not empty (an empty set matches nothing).
    pub prefixes: Vec<IpNetwork>,
    /// How many of `prefixes` were written inline.
    pub inline: usize,
    /// Names of the sets whose content follows the inline prefixes. The name of a host is one, too: it has a
    /// dot, which no other set has.
    pub sets: Vec<String>,
}

/// What stands for a set in a rule: `@office`, or the name of a host.
#[must_use]
pub fn set_word(name: &str) -> String {
    if is_host_name(name) {
        name.to_owned()
    } else {
        format!("@{name}")
    }
}

/// Is this set the addresses of a host?
#[must_use]
pub fn is_host_name(set: &str) -> bool {
    set.contains('.')
}

impl Prefixes {
    /// Does this mean "any address"?
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.prefixes.is_empty() && self.sets.is_empty()
    }
}

/// One rule. Its number is its place in [`Policy::rules`], from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Allow, deny or limit.
    pub action: RuleAction,
    /// Protocols and ports.
    pub traffic: Traffic,
    /// Source prefixes.
    pub source: Prefixes,
    /// Ports of the sender, sorted and disjoint; empty = any. Only with [`Traffic::Ports`].
    pub source_ports: Vec<PortRange>,
    /// Destination prefixes.
    pub destination: Prefixes,
    /// Only packets that arrive on this interface.
    pub interface: Option<String>,
    /// When it ends; `None` = when somebody deletes it.
    pub until: Option<Until>,
    /// Free text of the operator.
    pub comment: Option<String>,
    /// What commands call it.
    pub labels: Labels,
    /// Does it act? One that does not keeps its place and its number, and matches nothing.
    pub is_enabled: bool,
    /// Where it is written; `None` for a rule that is not in a file yet.
    pub origin: Option<RuleOrigin>,
}

impl Rule {
    /// What it does, without what people call it, and without its end: as nobody has named, tagged or commented it.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self {
            until: None,
            comment: None,
            labels: Labels::default(),
            ..self.clone()
        }
    }
}

/// A whole policy: guard.toml and guard.d/*.toml, in order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Policy {
    /// Interfaces to protect; empty = those that carry the default routes.
    pub interfaces: Vec<String>,
    /// Interfaces that are left without guard on purpose, although strangers can come by them.
    pub unguarded: Vec<String>,
    /// Where the program shall run on them; those that are not named: [`ModeChoice::Auto`].
    pub modes: BTreeMap<String, ModeChoice>,
    /// What happens when no rule matches.
    pub default: DefaultAction,
    /// Rules, first match wins.
    pub rules: Vec<Rule>,
    /// Sources that are never banned and never rate-limited. Opens no port.
    pub never: Vec<IpNetwork>,
    /// Sizes of the ban tables, and how long a ban holds.
    pub bans: Settings,
    /// Files whose networks are banned.
    pub feeds: Vec<Feed>,
    /// Where metrics are served.
    pub metrics: Option<Listen>,
    /// What is logged of dropped packets.
    pub drop_log: Option<DropLog>,
    /// Sets whose content comes from databases.
    pub databases: Vec<DatabaseSet>,
    /// Most new connections per port.
    pub ceiling: Ceiling,
    /// Most segments per port that are part of no session.
    pub out_of_state: Strangers,
    /// Most datagrams per port from sources that this host has not answered.
    pub udp: Strangers,
    /// How many flows are remembered.
    pub flow_table: FlowTableSize,
    /// Which addresses count as one source for limits.
    pub sources: SourcePrefixes,
}

impl Policy {
    /// The rules that act, in order.
    pub fn enabled_rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.is_enabled)
    }
}

impl Traffic {
    /// Refuses a limit on what has nothing that it could count.
    pub(super) fn may_be_limited(&self, counts: Counts) -> Result<(), BadValue> {
        match (self, counts) {
            (Self::Ports(..), _) | (Self::Icmp(_), Counts::Packets) => Ok(()),
            (Self::Any | Self::Protocol(_), Counts::Packets) => Err(BadValue::new(
                "a limit of packets is about ports or types of ICMP, and this rule is about neither",
            )
            .help("say which, e.g. `limit 27015/udp packets 300/s`")),
            (Self::Icmp(_), Counts::Connections) => Err(BadValue::new(
                "a limit counts new connections of TCP and UDP; ICMP has none",
            )
            .help("count its packets, e.g. `limit ping packets 10/s`")),
            (Self::Any, Counts::Connections) => Err(BadValue::new(
                "a limit counts new connections, and this rule is about all traffic",
            )
            .help("say which, e.g. `limit from 10.0.0.0/8 to any port 22` or `proto tcp`")),
            (Self::Protocol(_), Counts::Connections) => Err(BadValue::new(
                "a limit counts new connections of TCP and UDP; other protocols have none",
            )
            .help("use `allow` or `deny`, or name a port")),
        }
    }
}

impl Traffic {
    /// Refuses to block whoever exceeds a limit where a forged packet could exceed it.
    pub(super) fn may_block(&self, limit: Limit) -> Result<(), BadValue> {
        let holds_sessions = matches!(self, Self::Ports(Transport::Tcp, _));
        if limit.block.is_none() || holds_sessions && limit.counts == Counts::Packets {
            return Ok(());
        }
        Err(BadValue::new(
            "only who holds a TCP session may be blocked, for anybody can forge the source of anything else",
        )
        .help("count packets of a TCP port, e.g. `limit 443/tcp packets 5000/s block 60s`"))
    }

    /// Refuses to ban whoever exceeds a limit where a forged packet could exceed it.
    pub(super) fn may_ban(&self, limit: Limit) -> Result<(), BadValue> {
        if limit.on_excess.is_none() {
            return Ok(());
        }
        let holds_sessions = matches!(self, Self::Ports(Transport::Tcp, _));
        if !holds_sessions || limit.counts != Counts::Packets {
            return Err(BadValue::new(
                "only who holds a TCP session may be banned, for anybody can forge the source of anything else",
            )
            .help("count packets of a TCP port, e.g. `limit 443/tcp packets 5000/s on-excess \"ban 60s\"`"));
        }
        let Rate { count, seconds } = limit.rate;
        if u64::from(count) < u64::from(seconds) * u64::from(LEAST_PER_SECOND) {
            return Err(BadValue::new(format!(
                "packets {} is slower than {LEAST_PER_SECOND}/s: forged segments that try every source port could have \
                 somebody else banned",
                limit.rate
            ))
            .help(format!(
                "write {LEAST_PER_SECOND}/s or more, or `block` instead of on-excess"
            )));
        }
        Ok(())
    }
}

impl PortRange {
    /// Every port of a transport.
    pub const ALL: Self = Self {
        first: 0,
        last: u16::MAX,
    };

    /// A single port.
    #[must_use]
    pub const fn single(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}:{}", self.first, self.last)
        }
    }
}

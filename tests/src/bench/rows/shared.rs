//! What guard and xdp-filter can both do: the same packets, the same outcome. Sources are banned, as a
//! feed or fail2ban would have it; ports are opened or closed by rules.

use guard_common::{packet::TcpFlags, testing::packet};
use guard_user::ruleset::model::{DefaultAction, Policy, RuleAction};

use super::{
    Before, Case, Draw, FIRST_SOURCE, SOURCE_STEP, STRANGERS, bans, open, policy as policy_of, rule,
};

/// Entries of xdp-filter's table of addresses: more it cannot hold.
const ITS_CAPACITY: u32 = 10_000;
/// Number of addresses that only guard holds.
const BEYOND: u32 = 100_000;

/// A program of xdp-filter: what its tool is told.
#[derive(Clone, Debug)]
pub struct Its {
    /// `--features`: one, for a program that can do nothing else, or `all`.
    pub features: &'static str,
    /// `--policy`
    pub policy: &'static str,
    /// Commands that fill its tables.
    pub entries: Vec<String>,
}

/// A row of guard beside programs of xdp-filter.
#[derive(Clone, Debug)]
pub struct Shared {
    /// guard's side.
    pub case: Case,
    /// xdp-filter's; empty when it cannot do the job.
    pub theirs: Vec<Its>,
}

/// All rows; `is_long` adds the one for which its tool is started ten thousand times.
#[must_use]
pub fn rows(is_long: bool) -> Vec<Shared> {
    let mut counts = vec![1, 1000];
    counts.extend(is_long.then_some(ITS_CAPACITY));
    counts.push(BEYOND);
    let mut rows: Vec<Shared> = counts.iter().map(|count| listed_source(*count)).collect();
    rows.push(unlisted_source());
    rows.extend(ports());
    rows
}

fn listed_source(count: u32) -> Shared {
    let (name, packets) = match count {
        1 => ("drop one source", "fixed"),
        1000 => ("drop 1 000 sources", "random listed source"),
        ITS_CAPACITY => ("drop 10 000 sources", "random listed source"),
        _ => ("drop 100 000 sources", "random listed source"),
    };
    let draw = Draw {
        sources: if count == 1 { 0 } else { count },
        first_source: FIRST_SOURCE,
        source_step: step(count),
        ..Draw::default()
    };
    let theirs = if count > ITS_CAPACITY {
        Vec::new()
    } else {
        programs("ipv4", "allow", addresses(count))
    };
    let case = case(name, packets, policy_of(1, |_| open(22)), 22, draw, false);
    Shared {
        case: Case {
            before: bans::DRAWN,
            ..case
        },
        theirs,
    }
}

fn unlisted_source() -> Shared {
    let policy = policy_of(1, |_| open(22));
    let name = "pass beside 1 000 sources";
    let case = case(name, "random other source", policy, 22, STRANGERS, true);
    Shared {
        case: Case {
            before: bans::LISTED,
            ..case
        },
        theirs: programs("ipv4", "allow", addresses(1000)),
    }
}

fn ports() -> Vec<Shared> {
    let web = policy_of(3, |n| open([22, 80, 443][n as usize]));
    let web_ports = || {
        [
            "port -p tcp -m dst 22",
            "port -p tcp -m dst 80",
            "port -p tcp -m dst 443",
        ]
    };
    let entries = || web_ports().map(str::to_owned).to_vec();
    let closed_ports = Draw {
        ports: 8192,
        first_port: 40_000,
        ..STRANGERS
    };
    let closed = Policy {
        default: DefaultAction::Allow,
        rules: vec![rule(RuleAction::Deny, Some(9000), Vec::new())],
        ..policy_of(0, |_| open(22))
    };
    vec![
        Shared {
            case: case(
                "drop all but 3 ports",
                "random source and port",
                web.clone(),
                9000,
                closed_ports,
                false,
            ),
            theirs: programs("tcp", "deny", entries()),
        },
        Shared {
            case: case(
                "pass an allowed port",
                "random source",
                web,
                80,
                STRANGERS,
                true,
            ),
            theirs: programs("tcp", "deny", entries()),
        },
        Shared {
            case: case(
                "drop one port",
                "random source",
                closed,
                9000,
                STRANGERS,
                false,
            ),
            theirs: programs("tcp", "allow", vec!["port -p tcp -m dst 9000".to_owned()]),
        },
    ]
}

/// Its program for this one feature, and the one that it loads by default, with all of them.
fn programs(feature: &'static str, policy: &'static str, entries: Vec<String>) -> Vec<Its> {
    let program = |features| Its {
        features,
        policy,
        entries: entries.clone(),
    };
    vec![program(feature), program("all")]
}

fn case(
    name: &'static str,
    packets: &'static str,
    policy: Policy,
    port: u16,
    draw: Draw,
    passes: bool,
) -> Case {
    Case {
        name,
        packets,
        policy,
        frame: packet().from("10.0.0.7").tcp(port, TcpFlags::SYN).build(),
        draw,
        passes,
        before: Before::NOTHING,
    }
}

fn addresses(count: u32) -> Vec<String> {
    let entry = |n| format!("ip -m src {}", address(n, count));
    (0..count).map(entry).collect()
}

fn address(n: u32, count: u32) -> std::net::IpAddr {
    std::net::Ipv4Addr::from_bits(FIRST_SOURCE + n * step(count)).into()
}

/// 100 000 sources are nearer to each other, or they would leave 10.0.0.0/8.
fn step(count: u32) -> u32 {
    if count == BEYOND { 160 } else { SOURCE_STEP }
}

//! Rules as expressions, and random policies that provoke every way in which rules overlap: few
//! prefixes, nested in one another, few ports, ranges across each other, both families.

pub mod described;
pub mod first_match;
pub mod frames;
pub mod traffic;

use guard_common::testing::random::Random;
use ipnetwork::IpNetwork;

use super::{
    icmp::IcmpType,
    labels::Labels,
    limit::{Block, Counts, Limit, Rate},
    model::{DefaultAction, Policy, PortRange, Prefixes, Rule, RuleAction, Traffic, Transport},
    until::Until,
};

/// A rule under construction: any traffic from anywhere, until told otherwise.
#[derive(Clone, Debug)]
pub struct SampleDraft(pub Rule);

/// An allow rule.
#[must_use]
pub fn allow() -> SampleDraft {
    SampleDraft::new(RuleAction::Allow)
}

/// A deny rule.
#[must_use]
pub fn deny() -> SampleDraft {
    SampleDraft::new(RuleAction::Deny)
}

/// A limit: `rate` as in `20/s`, and how many at once.
///
/// # Panics
/// When the rate is none.
#[must_use]
pub fn limit(rate: &str, burst: u32) -> SampleDraft {
    let rate = Rate::parse(rate).expect("a rate");
    SampleDraft::new(RuleAction::Limit(Limit {
        counts: Counts::Connections,
        rate,
        burst,
        block: None,
        on_excess: None,
    }))
}

/// The same of packets.
///
/// # Panics
/// When the rate is none.
#[must_use]
pub fn limit_packets(rate: &str, burst: u32) -> SampleDraft {
    let rate = Rate::parse(rate).expect("a rate");
    SampleDraft::new(RuleAction::Limit(Limit {
        counts: Counts::Packets,
        rate,
        burst,
        block: None,
        on_excess: None,
    }))
}

/// The same, and who exceeds it is blocked.
///
/// # Panics
/// When the rate or the time is none.
#[must_use]
pub fn limit_packets_or_block(rate: &str, burst: u32, block: &str) -> SampleDraft {
    let rate = Rate::parse(rate).expect("a rate");
    SampleDraft::new(RuleAction::Limit(Limit {
        counts: Counts::Packets,
        rate,
        burst,
        block: Some(Block::parse(block).expect("a length of time")),
        on_excess: None,
    }))
}

/// A policy of these rules that denies by default.
pub fn policy(rules: impl IntoIterator<Item = SampleDraft>) -> Policy {
    Policy {
        rules: rules.into_iter().map(|draft| draft.0).collect(),
        ..Policy::default()
    }
}

/// The same, but it allows by default.
pub fn open_policy(rules: impl IntoIterator<Item = SampleDraft>) -> Policy {
    Policy {
        default: DefaultAction::Allow,
        ..policy(rules)
    }
}

impl SampleDraft {
    fn new(action: RuleAction) -> Self {
        Self(Rule {
            action,
            traffic: Traffic::Any,
            source: Prefixes::default(),
            source_ports: Vec::new(),
            destination: Prefixes::default(),
            interface: None,
            until: None,
            comment: None,
            labels: Labels::default(),
            is_enabled: true,
            origin: None,
        })
    }

    /// Out of force, in its place.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.0.is_enabled = false;
        self
    }

    /// Ends at this second of 1970; for a [`super::compile::Host`] that says nothing of its clocks, so many seconds
    /// after boot.
    #[must_use]
    pub fn until(mut self, second: u64) -> Self {
        self.0.until = Some(Until::from_seconds(second));
        self
    }

    /// From this range of ports of the sender; for rules about ports.
    #[must_use]
    pub fn from_ports(mut self, first: u16, last: u16) -> Self {
        self.0.source_ports.push(PortRange { first, last });
        self
    }

    /// A TCP port.
    #[must_use]
    pub fn tcp(self, port: u16) -> Self {
        self.ports(Transport::Tcp, &[(port, port)])
    }

    /// A UDP port.
    #[must_use]
    pub fn udp(self, port: u16) -> Self {
        self.ports(Transport::Udp, &[(port, port)])
    }

    /// Ranges of ports, sorted and disjoint.
    #[must_use]
    pub fn ports(self, transport: Transport, ranges: &[(u16, u16)]) -> Self {
        let ranges = ranges
            .iter()
            .map(|&(first, last)| PortRange { first, last })
            .collect();
        self.traffic(Traffic::Ports(transport, ranges))
    }

    /// A protocol by number.
    #[must_use]
    pub fn protocol(self, number: u8) -> Self {
        self.traffic(Traffic::Protocol(number))
    }

    /// Echo requests of both families.
    #[must_use]
    pub fn ping(self) -> Self {
        self.traffic(Traffic::Icmp(IcmpType::PING))
    }

    /// Any of the model's kinds of traffic.
    #[must_use]
    pub fn traffic(mut self, traffic: Traffic) -> Self {
        self.0.traffic = traffic;
        self
    }

    /// One more source prefix.
    #[must_use]
    pub fn from(mut self, prefix: &str) -> Self {
        add(&mut self.0.source, prefix);
        self
    }

    /// The prefixes of a named set as further sources.
    #[must_use]
    pub fn from_set(mut self, name: &str, prefixes: &[&str]) -> Self {
        self.0.source.sets.push(name.to_owned());
        self.0
            .source
            .prefixes
            .extend(prefixes.iter().map(|text| network(text)));
        self
    }

    /// One more destination prefix.
    #[must_use]
    pub fn to(mut self, prefix: &str) -> Self {
        add(&mut self.0.destination, prefix);
        self
    }

    /// The prefixes of a named set as further destinations.
    #[must_use]
    pub fn to_set(mut self, name: &str, prefixes: &[&str]) -> Self {
        let destination = &mut self.0.destination;
        destination.sets.push(name.to_owned());
        destination
            .prefixes
            .extend(prefixes.iter().map(|text| network(text)));
        self
    }

    /// Only on this interface.
    #[must_use]
    pub fn on(mut self, interface: &str) -> Self {
        self.0.interface = Some(interface.to_owned());
        self
    }
}

fn add(prefixes: &mut Prefixes, text: &str) {
    prefixes.prefixes.insert(prefixes.inline, network(text));
    prefixes.inline += 1;
}

fn network(text: &str) -> IpNetwork {
    text.parse().expect("a prefix")
}

/// What random policies and the packets that meet them are made of.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    /// Prefixes of sources.
    pub sources: &'static [&'static str],
    /// Prefixes of destinations.
    pub destinations: &'static [&'static str],
    /// Ends of port ranges.
    pub ports: &'static [u16],
    /// Protocol numbers.
    pub protocols: &'static [u8],
    /// Names of interfaces.
    pub interfaces: &'static [&'static str],
}

/// Prefixes that nest as deep as they can, with siblings on both sides.
pub const NESTED: Palette = Palette {
    sources: &[
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.0.0.0/9",
        "10.1.0.0/16",
        "10.1.2.0/23",
        "10.1.2.0/24",
        "10.1.2.128/25",
        "10.1.2.3/32",
        "10.1.2.131/32",
        "10.1.3.0/24",
        "10.128.0.0/9",
        "11.0.0.0/8",
        "128.0.0.0/1",
        "203.0.113.0/31",
        "203.0.113.1/32",
        "::/0",
        "2001:db8::/29",
        "2001:db8::/32",
        "2001:db8::/33",
        "2001:db8:0:1::/64",
        "2001:db8:0:1::/65",
        "2001:db8:0:1::3/128",
        "2001:db8:8000::/33",
        "2001:db8:1::/48",
        "2000::/3",
        "fd00::/8",
        "fd00::1/128",
    ],
    destinations: &[
        "192.0.2.0/24",
        "192.0.2.1/32",
        "192.0.2.2/32",
        "0.0.0.0/0",
        "198.51.100.0/25",
        "2001:db8:2::/48",
        "2001:db8:2::1/128",
        "2001:db8:2::/64",
        "::/0",
    ],
    ports: &[1, 22, 53, 80, 81, 443, 1000, 1023, 8080, 65534, 65535],
    protocols: &[1, 2, 41, 47, 50, 58, 132],
    interfaces: &["lo", "eth0", "eth1"],
};

/// How often rules of a random policy ask for something.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Rules.
    pub rules: usize,
    /// One rule in so many names a destination; 0 = none does.
    pub destination_in: usize,
    /// One rule in so many names an interface; 0 = none does.
    pub interface_in: usize,
    /// One rule in so many is about any traffic.
    pub any_in: usize,
    /// One rule in so many takes any source.
    pub any_source_in: usize,
}

/// A random policy.
pub fn random_policy(random: &mut Random, palette: &Palette, shape: Shape) -> Policy {
    let rules = (0..shape.rules).map(|_| random_rule(random, palette, shape));
    let mut policy = policy(rules.collect::<Vec<_>>());
    if random.once_in(3) {
        policy.default = DefaultAction::Allow;
    }
    if random.once_in(3) {
        policy.never.push(network(random.pick(palette.sources)));
    }
    policy
}

fn random_rule(random: &mut Random, palette: &Palette, shape: Shape) -> SampleDraft {
    let mut rule = if random.once_in(2) { allow() } else { deny() };
    if !random.once_in(shape.any_in) {
        rule = rule.traffic(random_traffic(random, palette));
    }
    if !random.once_in(shape.any_source_in) {
        for _ in 0..=random.below(3) {
            rule = rule.from(random.pick(palette.sources));
        }
        if random.once_in(6) {
            rule = rule.from_set("feed", &[random.pick(palette.sources)]);
        }
    } else if random.once_in(10) {
        rule = rule.from_set("empty", &[]);
    }
    if shape.destination_in > 0 && random.once_in(shape.destination_in) {
        rule = match random.below(8) {
            0 => rule.to_set("empty", &[]),
            _ => rule.to(random.pick(palette.destinations)),
        };
        if random.once_in(4) {
            rule = rule.to(random.pick(palette.destinations));
        }
    }
    if shape.interface_in > 0 && random.once_in(shape.interface_in) {
        rule = rule.on(random.pick(palette.interfaces));
    }
    if random.once_in(12) {
        rule = rule.disabled();
    }
    rule
}

/// Types that the packets have too: none is essential, none an error.
pub const ICMP_TYPES: [IcmpType; 5] = [
    IcmpType::PING,
    IcmpType::PING,
    IcmpType {
        v4: Some(0),
        v6: Some(129),
    },
    IcmpType {
        v4: Some(13),
        v6: None,
    },
    IcmpType {
        v4: None,
        v6: Some(139),
    },
];

fn random_traffic(random: &mut Random, palette: &Palette) -> Traffic {
    match random.below(8) {
        0 => Traffic::Icmp(random.pick(&ICMP_TYPES)),
        1 => Traffic::Protocol(random.pick(palette.protocols)),
        _ => {
            let transport = random.pick(&[Transport::Tcp, Transport::Udp, Transport::Both]);
            Traffic::Ports(transport, random_ranges(random, palette.ports))
        }
    }
}

fn random_ranges(random: &mut Random, ports: &[u16]) -> Vec<PortRange> {
    if random.once_in(8) {
        return vec![PortRange::ALL];
    }
    let mut ends: Vec<u16> = (0..2 * (1 + random.below(2)))
        .map(|_| random.pick(ports))
        .collect();
    ends.sort_unstable();
    if random.once_in(2) {
        return vec![PortRange::single(ends[0])];
    }
    let mut ranges: Vec<PortRange> = Vec::new();
    for pair in ends.chunks(2) {
        // Disjoint: a range that begins where the last one ended is left out.
        if ranges.last().is_none_or(|last| last.last < pair[0]) {
            ranges.push(PortRange {
                first: pair[0],
                last: pair[1],
            });
        }
    }
    ranges
}

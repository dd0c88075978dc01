//! Dropped packets as lines of the system's log, in the words that readers of ufw's log know. All that an attacker has
//! in such a line are numbers and addresses: nothing that he sends can end it or look like another.

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use guard_common::abi::{
    reason::{Action, Reason},
    service::Service,
};

use super::packet::Packet;

/// A source and a service that were logged are not logged again for so long, which is as long as jails look back: who
/// repeats a packet is one line, and who tries port after port is a line for each.
pub const ONCE_IN: Duration = Duration::from_secs(600);
/// Sources and services that are remembered; more of them at a time are a flood, and all lines are new.
const MOST_KNOWN: usize = 8192;
/// How much more may come at once than in a second, as times of it.
const BURST_SECONDS: f64 = 5.0;

/// A packet that is to be logged.
#[derive(Clone, Debug)]
pub struct Dropped {
    /// Why.
    pub reason: Reason,
    /// What became of it.
    pub action: Action,
    /// What it asked for.
    pub service: Option<Service>,
    /// Name of the interface that it came in by.
    pub interface: String,
    /// Length of the frame in bytes.
    pub frame_len: u32,
    /// What its headers say.
    pub packet: Packet,
    /// Number of the rule that decided.
    pub rule: Option<usize>,
}

impl Dropped {
    /// What the line begins with.
    fn tag(&self) -> &'static str {
        match self.action {
            Action::Answer => "[GUARD ANSWER]",
            Action::Drop => "[GUARD DROP]",
            Action::Pass => "[GUARD MONITOR]",
        }
    }

    /// The fields of the journal beside the line, by name.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let packet = &self.packet;
        let mut fields = vec![
            ("GUARD_ACTION", self.action.label().to_owned()),
            ("GUARD_REASON", self.reason.label().to_owned()),
            ("GUARD_INTERFACE", self.interface.clone()),
            ("GUARD_LENGTH", self.frame_len.to_string()),
            ("GUARD_PROTOCOL", packet.protocol_name()),
        ];
        let mut add = |name, value: Option<String>| {
            fields.extend(value.map(|value| (name, value)));
        };
        add("GUARD_SOURCE", packet.source.map(|ip| ip.to_string()));
        add(
            "GUARD_DESTINATION",
            packet.destination.map(|ip| ip.to_string()),
        );
        add(
            "GUARD_SOURCE_PORT",
            packet.ports.map(|(from, _)| from.to_string()),
        );
        add("GUARD_PORT", packet.ports.map(|(_, to)| to.to_string()));
        add("GUARD_RULE", self.rule.map(|number| number.to_string()));
        fields
    }
}

impl fmt::Display for Dropped {
    /// `[GUARD DROP] IN=eth0 OUT= SRC=203.0.113.7 DST=192.0.2.1 LEN=74 PROTO=TCP SPT=51234 DPT=23 SYN REASON=default-drop`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packet = &self.packet;
        write!(f, "{} IN={} OUT=", self.tag(), self.interface)?;
        if let (Some(source), Some(destination)) = (packet.source, packet.destination) {
            write!(f, " SRC={source} DST={destination}")?;
        }
        let protocol = match packet.protocol_name() {
            // As netfilter writes it.
            name if name == "icmpv6" => "ICMPv6".to_owned(),
            name => name.to_uppercase().replace(' ', "-"),
        };
        write!(f, " LEN={} PROTO={protocol}", self.frame_len)?;
        if let Some((from, to)) = packet.ports {
            write!(f, " SPT={from} DPT={to}")?;
        }
        if let Some((kind, code)) = packet.icmp {
            write!(f, " TYPE={kind} CODE={code}")?;
        }
        for flag in &packet.flags {
            f.write_char(' ')?;
            f.write_str(flag)?;
        }
        write!(f, " REASON={}", self.reason.label())?;
        match self.rule {
            Some(number) => write!(f, " RULE={number}"),
            None => Ok(()),
        }
    }
}

/// Which packets become lines. Of fixed size, whoever sends what.
#[derive(Debug)]
pub struct Admittance {
    /// When each was logged, by source (of IPv6 its /64) and service.
    known: HashMap<(Option<IpAddr>, Option<Service>, Reason), Duration>,
    tokens: f64,
    per_second: f64,
    last: Duration,
    left_out: u64,
}

impl Admittance {
    /// So many lines a second.
    #[must_use]
    pub fn new(per_second: f64) -> Self {
        Self {
            known: HashMap::new(),
            tokens: per_second * BURST_SECONDS,
            per_second,
            last: Duration::ZERO,
            left_out: 0,
        }
    }

    /// Is this packet, at this time since the boot, to be a line?
    pub fn admits(
        &mut self,
        now: Duration,
        source: Option<IpAddr>,
        service: Option<Service>,
        reason: Reason,
    ) -> bool {
        let key = (source.map(of_customer), service, reason);
        let is_recent = |at: &Duration| now.saturating_sub(*at) < ONCE_IN;
        if self.known.get(&key).is_some_and(is_recent) {
            return false;
        }
        let passed = now.saturating_sub(self.last).as_secs_f64();
        self.last = self.last.max(now);
        let most = (self.per_second * BURST_SECONDS).max(1.0);
        self.tokens = (self.tokens + passed * self.per_second).min(most);
        if self.tokens < 1.0 {
            self.left_out += 1;
            return false;
        }
        self.tokens -= 1.0;
        if self.known.len() >= MOST_KNOWN {
            self.known.retain(|_, at| is_recent(at));
        }
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(key, now);
        true
    }

    /// Packets that would have been lines, had there not been too many of them, since this was asked the last time.
    pub fn left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

/// Who has one address of IPv6 has the rest of its /64.
fn of_customer(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(ip) => {
            let network = ip.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(network).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(port: u16) -> Packet {
        Packet {
            ether_type: Some(0x0800),
            source: "203.0.113.7".parse().ok(),
            destination: "192.0.2.1".parse().ok(),
            protocol: Some(6),
            ports: Some((51234, port)),
            flags: vec!["SYN"],
            ..Packet::default()
        }
    }

    fn dropped(packet: Packet) -> Dropped {
        Dropped {
            reason: Reason::DefaultDrop,
            action: Action::Drop,
            service: Some(Service::tcp(23)),
            interface: "eth0".to_owned(),
            frame_len: 74,
            packet,
            rule: None,
        }
    }

    #[test]
    fn a_line_reads_like_that_of_ufw() {
        assert_eq!(
            dropped(tcp(23)).to_string(),
            "[GUARD DROP] IN=eth0 OUT= SRC=203.0.113.7 DST=192.0.2.1 LEN=74 PROTO=TCP SPT=51234 DPT=23 SYN \
             REASON=default-drop"
        );
        let ruled = Dropped {
            rule: Some(3),
            reason: Reason::RuleDeny,
            action: Action::Pass,
            ..dropped(tcp(23))
        };
        let line = ruled.to_string();
        assert!(line.starts_with("[GUARD MONITOR] "), "{line}");
        assert!(line.ends_with(" REASON=rule-deny RULE=3"), "{line}");
        let fields = ruled.fields();
        let of = |name| {
            let found = fields.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(of("GUARD_PORT"), Some("23"));
        assert_eq!(of("GUARD_RULE"), Some("3"));
        assert_eq!(of("GUARD_SOURCE"), Some("203.0.113.7"));
    }

    #[test]
    fn whatever_a_frame_holds_is_one_line_of_plain_characters() {
        let mut random = guard_common::testing::random::Random::new(7);
        for _ in 0..20_000 {
            let mut frame: Vec<u8> = (0..random.below(128))
                .map(|_| random.number() as u8)
                .collect();
            if frame.len() > 24 && random.below(2) == 0 {
                frame[12..15].copy_from_slice(&[0x08, 0x00, 0x45]);
            }
            let packet = Packet::read(&frame);
            let dropped = dropped(packet);
            let line = dropped.to_string();
            assert!(
                line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{line:?}"
            );
            for (name, value) in dropped.fields() {
                assert!(
                    value.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                    "{name}={value:?}"
                );
            }
        }
    }

    #[test]
    fn who_repeats_a_packet_is_one_line_and_who_tries_all_ports_is_one_for_each() {
        let mut admittance = Admittance::new(10.0);
        let source = "203.0.113.7".parse().ok();
        let second = Duration::from_secs(1);
        let mut lines = |now: Duration, port| {
            admittance.admits(now, source, Some(Service::tcp(port)), Reason::DefaultDrop)
        };
        assert!(lines(second, 22));
        assert!((0..50).all(|_| !lines(second * 3, 22)));
        assert!((1000..1020).all(|port| lines(second * 4, port)));
        assert!(lines(second * 601, 22), "ten minutes later");
    }

    #[test]
    fn a_flood_of_random_sources_is_as_many_lines_as_were_asked_for() {
        let mut admittance = Admittance::new(10.0);
        let mut lines = 0;
        for n in 0..200_000u32 {
            let source = Some(IpAddr::from(n.wrapping_mul(0x9e37_79b9).to_be_bytes()));
            let now = Duration::from_micros(u64::from(n) * 50);
            lines += u64::from(admittance.admits(
                now,
                source,
                Some(Service::tcp(22)),
                Reason::DefaultDrop,
            ));
        }
        // Ten seconds, and five more to begin with.
        assert!((140..=151).contains(&lines), "{lines}");
        assert_eq!(admittance.left_out() + lines, 200_000);
        assert_eq!(admittance.left_out(), 0);
        assert!(admittance.known.len() <= MOST_KNOWN);
    }

    #[test]
    fn the_addresses_of_one_customer_are_one_source() {
        let mut admittance = Admittance::new(10.0);
        let mut lines = |source: &str| {
            admittance.admits(
                Duration::from_secs(1),
                source.parse().ok(),
                None,
                Reason::DefaultDrop,
            )
        };
        assert!(lines("2001:db8:1:1::1"));
        assert!(!lines("2001:db8:1:1:ffff::7"));
        assert!(lines("2001:db8:1:2::1"));
    }
}

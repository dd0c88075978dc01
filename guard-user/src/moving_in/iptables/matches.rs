//! One rule of iptables: what it asks of a packet, and what it does. Whatever is not understood is kept as such.

use guard_common::{abi::service::protocol, packet::TcpFlags};

use super::{
    super::{
        chains::{ChainRule, SourceLine, Target},
        condition::Condition,
    },
    values,
};
use crate::ruleset::{
    icmp::IcmpType,
    model::{PortRange, Traffic, Transport},
    protocol::{Protocol, Protocols},
};
use crate::text::value::{self, BadValue};

/// Options that say how something is done, not what a packet must be; with how many words they take.
const MANNERS: &[(&str, usize)] = &[
    ("--reject-with", 1),
    ("--log-prefix", 1),
    ("--log-level", 1),
    ("--log-tcp-sequence", 0),
    ("--log-tcp-options", 0),
    ("--log-ip-options", 0),
    ("--log-uid", 0),
    ("--nflog-group", 1),
    ("--nflog-prefix", 1),
    ("--nflog-threshold", 1),
    ("--set-xmark", 1),
    ("--set-mark", 1),
    ("--save-mark", 0),
    ("--restore-mark", 0),
    ("--nfmask", 1),
    ("--ctmask", 1),
    ("--clamp-mss-to-pmtu", 0),
    ("--set-mss", 1),
    ("--notrack", 0),
    ("--helper", 1),
    ("-c", 2),
    ("--set-counters", 2),
];

/// Where packets for many go.
const GROUPS: [&str; 2] = ["224.0.0.0/4", "ff00::/8"];
const EVERYBODY_NEAR: &str = "255.255.255.255/32";

/// A rule under construction.
struct Reading<'r> {
    words: std::iter::Peekable<std::slice::Iter<'r, String>>,
    is_v4: bool,
    rule: ChainRule,
    transport: Option<Transport>,
    ports: Option<Vec<PortRange>>,
    never: bool,
}

/// Reads the words behind the name of the chain.
pub(in super::super) fn read(
    place: &SourceLine,
    line: &str,
    words: &[String],
    is_v4: bool,
) -> Result<ChainRule, BadValue> {
    let mut reading = Reading {
        words: words.iter().peekable(),
        is_v4,
        rule: ChainRule::new(place.clone(), line, Target::Continue)
            .when(Condition::of_family(is_v4)),
        transport: None,
        ports: None,
        never: false,
    };
    let mut is_negated = false;
    let mut has_target = false;
    while let Some(word) = reading.words.next() {
        if word == "!" {
            is_negated = true;
            continue;
        }
        match word.as_str() {
            "-j" | "--jump" => {
                has_target = true;
                let name = reading.value(word)?;
                reading.rule.target = target(&name);
            }
            "-g" | "--goto" => {
                has_target = true;
                let name = reading.value(word)?;
                reading.rule.target = Target::Goto(name);
            }
            _ => reading.option(word, is_negated)?,
        }
        is_negated = false;
    }
    if is_negated {
        return Err(BadValue::new("\"!\" with nothing behind it"));
    }
    // A rule without a target only counts.
    let counts = !has_target;
    let mut rule = reading.finish();
    if counts {
        rule.when = never();
    }
    Ok(rule)
}

/// What no packet meets.
fn never() -> Condition {
    Condition {
        v4: false,
        v6: false,
        ..Condition::default()
    }
}

fn target(name: &str) -> Target {
    match name {
        "ACCEPT" => Target::Accept,
        "DROP" | "REJECT" | "TARPIT" => Target::Drop,
        "RETURN" => Target::Return,
        "LOG" | "NFLOG" | "ULOG" | "MARK" | "CONNMARK" | "TCPMSS" | "SECMARK" | "CONNSECMARK"
        | "TRACE" | "AUDIT" | "CT" | "NOTRACK" | "CLASSIFY" | "DSCP" | "TOS" | "TTL" | "HL"
        | "SET" | "CHECKSUM" | "LED" | "RATEEST" => Target::Continue,
        "NFQUEUE" | "QUEUE" | "SYNPROXY" | "TPROXY" | "TEE" | "IDLETIMER" => Target::Unclear,
        chain => Target::Jump(chain.to_owned()),
    }
}

impl Reading<'_> {
    fn value(&mut self, option: &str) -> Result<String, BadValue> {
        let value = self.words.next().cloned();
        value.ok_or_else(|| BadValue::new(format!("{option} has no value")))
    }

    fn option(&mut self, option: &str, is_negated: bool) -> Result<(), BadValue> {
        match option {
            "-m" | "--match" => {
                self.value(option)?;
                Ok(())
            }
            "-p" | "--protocol" | "--proto" => self.asked(option, is_negated, Self::protocol),
            "-s" | "--source" | "--src" => self.asked(option, is_negated, Self::source),
            "-d" | "--destination" | "--dst" => self.asked(option, is_negated, Self::destination),
            "--src-range" => self.asked(option, is_negated, Self::source_range),
            "--dst-range" => self.asked(option, is_negated, Self::destination_range),
            "-i" | "--in-interface" => self.asked(option, is_negated, Self::interface),
            "--dport" | "--dports" | "--destination-port" | "--destination-ports" => {
                self.asked(option, is_negated, Self::port)
            }
            "--sport" | "--sports" | "--source-port" | "--source-ports" => {
                self.asked(option, is_negated, Self::source_port)
            }
            "--icmp-type" | "--icmpv6-type" => self.asked(option, is_negated, Self::icmp),
            "--state" | "--ctstate" => self.asked(option, is_negated, Self::state),
            "--dst-type" => self.asked(option, is_negated, Self::kind_of_destination),
            "--rt-type" => {
                // Of plain packets, none has a routing header.
                self.value(option)?;
                self.never |= !is_negated;
                Ok(())
            }
            "--syn" => {
                self.never |= is_negated;
                self.transport.get_or_insert(Transport::Tcp);
                Ok(())
            }
            "--tcp-flags" => self.flags(is_negated),
            "-f" | "--fragment" => {
                self.never |= !is_negated;
                Ok(())
            }
            "--comment" => {
                self.rule.comment = Some(self.value(option)?);
                Ok(())
            }
            _ => {
                if let Some((_, words)) = MANNERS.iter().find(|(known, _)| *known == option) {
                    for _ in 0..*words {
                        self.value(option)?;
                    }
                    return Ok(());
                }
                self.unclear(option, is_negated);
                Ok(())
            }
        }
    }

    /// A question with one value, perhaps negated, also as `-s ! 192.0.2.1`.
    fn asked(
        &mut self,
        option: &str,
        is_negated: bool,
        read: fn(&mut Self, &str) -> Option<Condition>,
    ) -> Result<(), BadValue> {
        let mut is_negated = is_negated;
        if self.words.peek().is_some_and(|word| *word == "!") {
            self.words.next();
            is_negated = true;
        }
        let value = self.value(option)?;
        let Some(condition) = read(self, &value) else {
            let not = if is_negated { "! " } else { "" };
            self.rule
                .unclear
                .push(value::quoted(&format!("{not}{option} {value}")));
            return Ok(());
        };
        if is_negated {
            self.rule.unless.push(condition);
        } else {
            match self.rule.when.and(&condition) {
                Some(both) => self.rule.when = both,
                None => self.never = true,
            }
        }
        Ok(())
    }

    /// An option that is not known, with the words that seem to belong to it.
    fn unclear(&mut self, option: &str, is_negated: bool) {
        let mut text = match is_negated {
            true => format!("! {option}"),
            false => option.to_owned(),
        };
        while let Some(word) = self
            .words
            .next_if(|word| !word.starts_with('-') && *word != "!")
        {
            text.push(' ');
            text.push_str(word);
        }
        self.rule.unclear.push(value::quoted(&text));
    }

    fn protocol(&mut self, text: &str) -> Option<Condition> {
        let condition = |transport| {
            let all = Traffic::Ports(transport, vec![PortRange::ALL]);
            Condition::of(all)
        };
        Some(match Protocols::embedded().parse(text).ok() {
            Some(Protocol::Tcp) => {
                self.transport = Some(Transport::Tcp);
                condition(Transport::Tcp)
            }
            Some(Protocol::Udp) => {
                self.transport = Some(Transport::Udp);
                condition(Transport::Udp)
            }
            // 0 is "all" here.
            Some(Protocol::Any | Protocol::Number(0)) => Condition::default(),
            Some(Protocol::Number(number)) => Condition::of(Traffic::Protocol(number)),
            Some(Protocol::TcpAndUdp | Protocol::Icmp(_)) | None => match text {
                "icmpv6" | "ipv6-icmp" => Condition::of(Traffic::Protocol(protocol::ICMPV6)),
                _ => return None,
            },
        })
    }

    fn source(&mut self, text: &str) -> Option<Condition> {
        Some(Condition::from(values::networks(text, self.is_v4)?))
    }

    fn destination(&mut self, text: &str) -> Option<Condition> {
        Some(Condition::to(values::networks(text, self.is_v4)?))
    }

    fn source_range(&mut self, text: &str) -> Option<Condition> {
        Some(Condition::from(values::range(text)?))
    }

    fn destination_range(&mut self, text: &str) -> Option<Condition> {
        Some(Condition::to(values::range(text)?))
    }

    fn interface(&mut self, text: &str) -> Option<Condition> {
        // `eth+` is all whose names begin with eth.
        if text.contains('+') {
            return None;
        }
        Some(Condition {
            interface: Some(value::interface_name(text).ok()?),
            ..Condition::default()
        })
    }

    fn port(&mut self, text: &str) -> Option<Condition> {
        let transport = self.transport?;
        let ranges = values::ports(text, transport)?;
        self.ports = Some(ranges.clone());
        Some(Condition::of(Traffic::Ports(transport, ranges)))
    }

    fn source_port(&mut self, text: &str) -> Option<Condition> {
        let transport = self.transport?;
        Some(Condition {
            traffic: Traffic::Ports(transport, vec![PortRange::ALL]),
            source_ports: Some(values::ports(text, transport)?),
            ..Condition::default()
        })
    }

    fn icmp(&mut self, text: &str) -> Option<Condition> {
        let of_protocol = if self.is_v4 {
            protocol::ICMP
        } else {
            protocol::ICMPV6
        };
        if text == "any" || text == "255" && self.is_v4 {
            return Some(Condition::of(Traffic::Protocol(of_protocol)));
        }
        let number = values::icmp_type(text, self.is_v4)?;
        let kind = IcmpType {
            v4: self.is_v4.then_some(number),
            v6: (!self.is_v4).then_some(number),
        };
        Some(Condition::of(Traffic::Icmp(kind)))
    }

    /// Of packets that begin a conversation, the state is NEW. guard lets the others in by itself, or drops them.
    fn state(&mut self, text: &str) -> Option<Condition> {
        let known = [
            "NEW",
            "ESTABLISHED",
            "RELATED",
            "INVALID",
            "UNTRACKED",
            "DNAT",
            "SNAT",
        ];
        if !text.split(',').all(|state| known.contains(&state)) {
            return None;
        }
        let is_new = text.split(',').any(|state| state == "NEW");
        Some(if is_new {
            Condition::default()
        } else {
            never()
        })
    }

    fn kind_of_destination(&mut self, text: &str) -> Option<Condition> {
        let of = |texts: &[&str]| texts.iter().filter_map(|text| text.parse().ok()).collect();
        Some(match text {
            "MULTICAST" => Condition::to(of(&GROUPS)),
            "BROADCAST" => Condition::to(of(&[EVERYBODY_NEAR])),
            "LOCAL" => {
                self.rule
                    .unless
                    .push(Condition::to(of(&[GROUPS[0], GROUPS[1], EVERYBODY_NEAR])));
                Condition::default()
            }
            _ => return None,
        })
    }

    /// What a SYN has of these flags.
    fn flags(&mut self, is_negated: bool) -> Result<(), BadValue> {
        let mask = self.value("--tcp-flags")?;
        let wanted = self.value("--tcp-flags")?;
        let bits = |text: &str| {
            text.split(',').try_fold(0, |bits, name| {
                Some(
                    bits | match name {
                        "SYN" => TcpFlags::SYN,
                        "ACK" => TcpFlags::ACK,
                        "FIN" => TcpFlags::FIN,
                        "RST" => TcpFlags::RST,
                        "URG" => TcpFlags::URG,
                        "PSH" => TcpFlags::PSH,
                        "ALL" => 0x3f,
                        "NONE" => 0,
                        _ => return None,
                    },
                )
            })
        };
        match (bits(&mask), bits(&wanted)) {
            (Some(mask), Some(wanted)) => {
                let is_met = TcpFlags::SYN & mask == wanted;
                self.never |= is_met == is_negated;
            }
            (None, _) | (_, None) => {
                let text = format!("--tcp-flags {mask} {wanted}");
                self.rule.unclear.push(value::quoted(&text));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> ChainRule {
        if self.never {
            self.rule.when = never();
        }
        self.rule
    }
}

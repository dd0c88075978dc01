//! What the rules and the bans say of a frame, without any of the code under test: the headers are
//! read by etherparse, the rules in order, the bans one by one.

use std::net::IpAddr;

use etherparse::{NetSlice, SlicedPacket};
use guard_common::abi::{
    ban::Expiry,
    reason::{Reason, Verdict},
};
use guard_user::{
    bans::Prefix,
    ruleset::{
        model::{Policy, RuleAction},
        sample::{
            described::{Described, SampleService},
            first_match::{FirstMatch, answer},
        },
    },
};

use super::scene;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// The policy, and who was banned.
pub(super) struct Oracle<'p> {
    policy: &'p Policy,
    own: Vec<IpAddr>,
    bans: Vec<(Prefix, Expiry)>,
    /// Those for which a table was too full: some of their cells may be written.
    partial: Vec<(Prefix, Expiry)>,
}

impl<'p> Oracle<'p> {
    pub(super) fn of(policy: &'p Policy) -> Self {
        Self {
            policy,
            own: scene::own(),
            bans: Vec::new(),
            partial: Vec::new(),
        }
    }

    pub(super) fn policy(&self) -> &'p Policy {
        self.policy
    }

    /// How many there were.
    pub(super) fn bans(&self) -> usize {
        self.bans.len() + self.partial.len()
    }

    pub(super) fn ban(&mut self, prefix: Prefix, end: Expiry) {
        self.bans.push((prefix, end));
    }

    pub(super) fn ban_in_part(&mut self, prefix: Prefix, end: Expiry) {
        self.partial.push((prefix, end));
    }

    /// Is this verdict right? Says nothing of frames that rules and bans are not asked about.
    pub(super) fn agrees(
        &self,
        frame: &[u8],
        interface: (&'static str, u32),
        verdict: Verdict,
        now: u32,
    ) -> Result<(), String> {
        let Some((source, described)) = describe(frame, interface) else {
            return Ok(());
        };
        let is_banned = self.has_ban(&self.bans, source, now);
        if verdict.reason == Reason::Banned {
            return match is_banned || self.has_ban(&self.partial, source, now) {
                true => Ok(()),
                false => Err(format!("nobody banned {source}")),
            };
        }
        let Some(described) = described else {
            return Ok(());
        };
        let ordinal = verdict.rule.ordinal();
        let said = match (verdict.reason, ordinal) {
            (Reason::RuleAllow | Reason::RuleDeny | Reason::Limited, Some(ordinal)) => {
                FirstMatch::Rule {
                    ordinal,
                    allows: verdict.reason != Reason::RuleDeny,
                }
            }
            (Reason::DefaultAllow | Reason::DefaultDrop, _) => FirstMatch::Default {
                allows: verdict.reason == Reason::DefaultAllow,
            },
            (Reason::OwnSource, _) => FirstMatch::Own,
            // Stages that neither rules nor bans have a say in.
            _ => return Ok(()),
        };
        let right = answer(self.policy, &self.own, &described);
        if said != right {
            return Err(format!("{right:?}"));
        }
        let limited = match right {
            FirstMatch::Rule { ordinal, .. } => {
                let rule = &self.policy.rules[ordinal as usize];
                matches!(rule.action, RuleAction::Limit(_))
            }
            FirstMatch::Own | FirstMatch::Default { .. } => false,
        };
        if verdict.reason == Reason::Limited && !limited {
            return Err(format!("{right:?} has no limit"));
        }
        // A SYN to a closed port is dropped before bans are asked: the outcome is the same.
        if is_banned && !matches!(verdict.reason, Reason::DefaultDrop) {
            return Err(format!("{source} is banned"));
        }
        Ok(())
    }

    fn has_ban(&self, bans: &[(Prefix, Expiry)], source: IpAddr, now: u32) -> bool {
        let single = Prefix::single(source);
        bans.iter()
            .any(|(prefix, end)| prefix.covers(single) && end.is_live(now))
            && !self.policy.never.iter().any(|never| never.contains(source))
    }
}

/// The source of an IP packet, and what rules can tell of it, if this frame alone says so.
fn describe(frame: &[u8], interface: (&'static str, u32)) -> Option<(IpAddr, Option<Described>)> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let (source, destination, payload) = match &packet.net {
        Some(NetSlice::Ipv4(ipv4)) => {
            let header = ipv4.header();
            let (from, to) = (header.source_addr(), header.destination_addr());
            (IpAddr::from(from), IpAddr::from(to), ipv4.payload())
        }
        Some(NetSlice::Ipv6(ipv6)) => {
            let header = ipv6.header();
            let (from, to) = (header.source_addr(), header.destination_addr());
            (IpAddr::from(from), IpAddr::from(to), ipv6.payload())
        }
        Some(NetSlice::Arp(_)) | None => return None,
    };
    let asked = match payload.fragmented {
        true => None,
        false => asked(payload.ip_number.0, source.is_ipv4(), payload.payload),
    };
    let source_port = match payload.payload.get(..2) {
        Some(port) => u16::from_be_bytes([port[0], port[1]]),
        None => 0,
    };
    let described = asked.map(|asked| Described {
        asked,
        source,
        source_port,
        destination,
        interface,
    });
    Some((source, described))
}

fn asked(number: u8, is_v4: bool, payload: &[u8]) -> Option<SampleService> {
    let port = || Some(u16::from_be_bytes([*payload.get(2)?, *payload.get(3)?]));
    Some(match (number, is_v4) {
        (TCP, _) => {
            let flags = *payload.get(13)?;
            SampleService::Tcp {
                port: port()?,
                is_syn: flags & (SYN | ACK) == SYN,
            }
        }
        (UDP, _) => SampleService::Udp(port()?),
        (ICMP, true) | (ICMPV6, false) => SampleService::Icmp(*payload.first()?),
        _ => SampleService::Protocol(number),
    })
}

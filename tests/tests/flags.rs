//! TCP flags (acceptance A21, first half): what no stack sends is dropped on every port; the rest
//! follows the port's rule, also when no connection is known.

use guard_common::{
    abi::reason::Reason,
    packet::TcpFlags,
    testing::{packet, packet_v6},
};
use guard_tests::{harness::Harness, require};
use guard_user::ruleset::sample::{allow, open_policy, policy};

const FIN: u8 = TcpFlags::FIN;
const SYN: u8 = TcpFlags::SYN;
const RST: u8 = TcpFlags::RST;
const PSH: u8 = TcpFlags::PSH;
const ACK: u8 = TcpFlags::ACK;
const URG: u8 = TcpFlags::URG;
const ECE: u8 = 0x40;
const CWR: u8 = 0x80;

/// `None`: decided by the port's rule.
const NAMED: &[(&str, u8, Option<Reason>)] = &[
    ("a null scan", 0, Some(Reason::TcpNull)),
    ("only congestion bits", ECE | CWR, Some(Reason::TcpNull)),
    ("an xmas scan", FIN | PSH | URG, Some(Reason::TcpXmas)),
    (
        "an xmas scan with every other bit",
        FIN | PSH | URG | ECE | CWR,
        Some(Reason::TcpXmas),
    ),
    ("every flag", 0xff, Some(Reason::TcpSynFin)),
    ("SYN and FIN", SYN | FIN, Some(Reason::TcpSynFin)),
    (
        "SYN and FIN behind an ACK",
        SYN | FIN | ACK,
        Some(Reason::TcpSynFin),
    ),
    ("SYN and RST", SYN | RST, Some(Reason::TcpSynRst)),
    (
        "SYN and RST behind an ACK",
        SYN | RST | ACK,
        Some(Reason::TcpSynRst),
    ),
    ("a bare FIN", FIN, Some(Reason::TcpBareFin)),
    (
        "FIN and URG without ACK",
        FIN | URG,
        Some(Reason::TcpBareFin),
    ),
    (
        "FIN and PSH without ACK",
        FIN | PSH,
        Some(Reason::TcpBareFin),
    ),
    (
        "FIN and RST without ACK",
        FIN | RST,
        Some(Reason::TcpBareFin),
    ),
    (
        "an xmas scan with RST",
        FIN | PSH | URG | RST,
        Some(Reason::TcpXmas),
    ),
    ("data without ACK", PSH, Some(Reason::TcpNoAck)),
    ("urgent data without ACK", URG, Some(Reason::TcpNoAck)),
    ("a SYN", SYN, None),
    (
        "a SYN that offers congestion notification",
        SYN | ECE | CWR,
        None,
    ),
    ("a SYN with data", SYN | PSH, None),
    ("a SYN+ACK", SYN | ACK, None),
    ("an ACK", ACK, None),
    ("data", PSH | ACK, None),
    ("urgent data", URG | ACK, None),
    ("FIN+ACK", FIN | ACK, None),
    ("FIN+PSH+URG+ACK", FIN | PSH | URG | ACK, None),
    ("RST", RST, None),
    ("RST+ACK", RST | ACK, None),
];

#[test]
fn impossible_flags_are_dropped_on_every_port_and_the_rest_follows_the_rule() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&policy([allow().tcp(22)]));
    for base in [packet(), packet_v6()] {
        for (case, flags, bad) in NAMED {
            let to = |port| base.clone().tcp(port, *flags).build();
            guard.expect(case, &to(22), bad.unwrap_or(Reason::RuleAllow));
            guard.expect(case, &to(23), bad.unwrap_or(Reason::DefaultDrop));
        }
    }
}

#[test]
fn impossible_flags_are_dropped_although_the_default_is_allow() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&open_policy([allow()]));
    for (case, flags, bad) in NAMED {
        let frame = packet_v6().tcp(4000, *flags).build();
        guard.expect(case, &frame, bad.unwrap_or(Reason::RuleAllow));
    }
}

#[test]
fn every_value_of_the_flags_byte_has_exactly_one_of_two_fates() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&policy([allow().tcp(22)]));
    for base in [packet(), packet_v6()] {
        for flags in 0..=u8::MAX {
            let has = |flag| flags & flag != 0;
            let possible = if has(SYN) {
                !has(FIN) && !has(RST)
            } else {
                has(ACK) || has(RST) && !has(FIN)
            };
            let run = guard.run(&base.clone().tcp(22, flags).build());
            let passed = run.counted == [Reason::RuleAllow];
            assert_eq!(passed, possible, "{flags:#04x}: {run:?}");
        }
    }
}

#[test]
fn flags_behind_tags_options_and_extension_headers_are_seen() {
    if !require::root() {
        return;
    }
    let mut guard = Harness::new(&policy([allow().tcp(22)]));
    let xmas = FIN | PSH | URG;
    let pad = [0, 1, 4, 0, 0, 0, 0];
    guard.expect_all(&[
        (
            "tag",
            packet().vlan(0x8100).tcp(22, xmas).build(),
            Reason::TcpXmas,
        ),
        (
            "options",
            packet().options(&[1; 40]).tcp(22, xmas).build(),
            Reason::TcpXmas,
        ),
        (
            "extension",
            packet_v6().extension(60, &pad).tcp(22, xmas).build(),
            Reason::TcpXmas,
        ),
        (
            "first fragment",
            packet().fragment(0, true, 5).tcp(22, xmas).build(),
            Reason::TcpXmas,
        ),
        (
            "atomic fragment",
            packet_v6().fragment(0, false, 5).tcp(22, 0).build(),
            Reason::TcpNull,
        ),
    ]);
}

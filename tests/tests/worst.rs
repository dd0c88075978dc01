//! What a packet may cost at most, whatever a stranger puts into it: the dearest shapes that the search of the
//! benchmark has found (`cargo xtask bench --only worst`), beside the plainest packet that is dropped, in one run.
//! Ratios of least times: what the machine does beside makes none of them larger for long.

use std::fs;

use guard_common::{
    abi::reason::Reason,
    packet::TcpFlags,
    testing::{PacketBuilder, packet, packet_v6},
};
use guard_tests::{
    bench::worst::scene::{Scene, Size},
    local_net::in_local_net,
    require,
};

/// How many times what a SYN to a closed port costs, with a small policy and with a large one; 4.0 and 4.6 when this
/// was written.
const BUDGETS: [f64; 2] = [6.0, 7.0];
/// The same where every function returns through a thunk, which makes each of the calls of the full path dearer; 7.6 and
/// 9.0 on such a machine.
const BUDGETS_WITH_THUNK: [f64; 2] = [10.0, 12.0];
const ROUNDS: usize = 25;
const PACKETS: u32 = 20_000;
const DESTINATION_OPTIONS: u8 = 60;
/// A port with sessions.
const SESSIONS: u16 = 2222;

#[test]
fn no_packet_costs_more_than_its_budget() {
    if !require::root() {
        return;
    }
    let mut dear = Vec::new();
    in_local_net(|net| {
        let budgets = if returns_through_thunk() {
            BUDGETS_WITH_THUNK
        } else {
            BUDGETS
        };
        for (size, budget) in [Size::Small, Size::Large].into_iter().zip(budgets) {
            let mut scene = Scene::new(net, size).expect("a scene");
            let plain = packet()
                .from("203.0.113.7")
                .tcp(1, TcpFlags::SYN)
                .payload(24);
            let frames: Vec<(&str, Vec<u8>, Option<Reason>)> = shapes()
                .into_iter()
                .map(|(name, shape, reason)| (name, shape.build(), reason))
                .collect();
            let plain = plain.build();
            let mut least = vec![f64::INFINITY; frames.len() + 1];
            for _ in 0..ROUNDS {
                let all = frames.iter().map(|(_, frame, _)| frame).chain([&plain]);
                for (least, frame) in least.iter_mut().zip(all) {
                    *least = least.min(scene.cost(frame, PACKETS).expect("a run"));
                }
            }
            let yardstick = least[frames.len()];
            for ((name, frame, reason), ns) in frames.iter().zip(&least) {
                let found = scene.reason(frame).expect("a run");
                println!(
                    "{}: {name}: {:.1}x ({ns:.0} ns, {})",
                    size.name(),
                    ns / yardstick,
                    found.label()
                );
                if let Some(reason) = reason.filter(|_| size == Size::Small) {
                    assert_eq!(found, reason, "{name}");
                }
                if ns / yardstick > budget {
                    dear.push(format!(
                        "{}: {name}: {ns:.0} ns are more than {budget} times {yardstick:.0} ns",
                        size.name()
                    ));
                }
            }
        }
    });
    assert!(dear.is_empty(), "{}", dear.join("\n"));
}

/// As the kernel says of its mitigations: `untrained return thunk`, `Safe RET`.
fn returns_through_thunk() -> bool {
    let says = |file: &str, words: &str| {
        let path = format!("/sys/devices/system/cpu/vulnerabilities/{file}");
        fs::read_to_string(path).is_ok_and(|text| text.contains(words))
    };
    says("retbleed", "return thunk") || says("spec_rstack_overflow", "Safe RET")
}

/// The shapes, and what a small policy does with them where that is certain.
fn shapes() -> Vec<(&'static str, PacketBuilder, Option<Reason>)> {
    let tagged = |builder: PacketBuilder| builder.vlan(0x88a8).vlan(0x8100);
    let v4 = || tagged(packet().from("203.0.113.7").options(&[1; 40])).payload(24);
    let chain = |builder: PacketBuilder| {
        let header =
            |builder: PacketBuilder| builder.extension(DESTINATION_OPTIONS, &[0, 1, 4, 0, 0, 0, 0]);
        header(header(header(header(builder))))
    };
    let v6 = || tagged(chain(packet_v6().from("2001:db8:100::7"))).payload(24);
    let quoted = |builder: PacketBuilder| builder.build()[14..].to_vec();
    let about = quoted(
        packet()
            .from("192.0.2.1")
            .to("203.0.113.7")
            .options(&[1; 40])
            .tcp_between(SESSIONS, 40_000, TcpFlags::ACK),
    );
    let about_v6 = quoted(chain(
        packet_v6()
            .from("2001:db8:2::1")
            .to("2001:db8:100::7")
            .tcp_between(SESSIONS, 40_000, TcpFlags::ACK),
    ));
    let error =
        |kind: u8, code: u8, about: &[u8]| [&[kind, code, 0, 0, 0, 0, 5, 0], about].concat();
    vec![
        (
            "IPv4, options, tags: SYN to an open port",
            v4().tcp(22, TcpFlags::SYN),
            None,
        ),
        (
            "IPv4, options, tags: SYN to a limited port",
            v4().tcp(8080, TcpFlags::SYN),
            None,
        ),
        (
            "IPv4, options, tags: ACK to a port with sessions",
            v4().tcp(SESSIONS, TcpFlags::ACK),
            Some(Reason::DefaultDrop),
        ),
        (
            "IPv4, options, tags: first fragment to an open port",
            v4().udp(53).fragment(0, true, 7),
            None,
        ),
        (
            "IPv4, options, tags: error about a session",
            v4().protocol(1, &error(3, 4, &about)),
            None,
        ),
        (
            "IPv4, options, tags: echo request",
            v4().icmp(8, 0),
            Some(Reason::DefaultDrop),
        ),
        (
            "IPv6, extensions, tags: ACK to a port with sessions",
            v6().tcp(SESSIONS, TcpFlags::ACK),
            Some(Reason::DefaultDrop),
        ),
        (
            "IPv6, extensions, tags: SYN to an open port",
            v6().tcp(22, TcpFlags::SYN),
            None,
        ),
        (
            "IPv6, tags: error about a session behind extensions",
            tagged(packet_v6().from("2001:db8:100::7")).protocol(58, &error(2, 0, &about_v6)),
            None,
        ),
        (
            "IPv6, extensions, tags: first fragment to an open port",
            v6().udp(53).fragment(0, true, 7),
            None,
        ),
    ]
}

//! Who is where on the link, and who listens to which group.

use std::net::{IpAddr, Ipv6Addr, UdpSocket};

use guard_common::{
    abi::service::protocol,
    testing::{PacketBuilder, packet},
};
use guard_tests::lab::{Capture, Seen, Wire, until};

use super::scene::Scene;

const ROUTER_ALERT: &[u8] = &[0, 5, 2, 0, 0, 1, 0];
const ALL_NODES: &str = "ff02::1";

/// With addresses given by hand.
fn scene() -> Option<Scene> {
    let scene = Scene::new(&[])?;
    scene.srv.ip_batch(
        "addr add 192.0.2.1/24 dev eth0\n\
         addr add 2001:db8:2::1/64 dev eth0 nodad\n",
    );
    until("the link", || scene.configuration().contains("fe80::"));
    Some(scene)
}

fn from_router(scene: &Scene) -> PacketBuilder {
    packet()
        .macs(scene.srv.mac("eth0"), scene.router.mac("lan"))
        .from("fe80::fe")
}

#[test]
fn neighbours_are_found_again_after_all_were_forgotten() {
    let Some(scene) = scene() else { return };
    let router: [IpAddr; 2] =
        ["192.0.2.254", "2001:db8:2::fe"].map(|address| address.parse().unwrap());
    for _ in 0..5 {
        for host in [&scene.srv, &scene.router] {
            host.ip("neigh flush all");
        }
        for address in router {
            assert!(scene.srv.can_ping(address), "{address}");
        }
    }
    scene.expect_reason("arp");
    scene.expect_reason("ndp");
}

#[test]
fn a_solicitation_from_beyond_the_link_is_neither_delivered_nor_answered() {
    let Some(scene) = scene() else { return };
    // Of the server's address, with the router's hardware address.
    let mac = scene.router.mac("lan");
    let target = "2001:db8:2::1".parse::<Ipv6Addr>().unwrap();
    let mut body = vec![135, 0, 0, 0, 0, 0, 0, 0];
    body.extend(target.octets());
    body.extend([1, 1]);
    body.extend(mac);
    let solicit = |hop_limit| {
        let base = from_router(&scene)
            .to("ff02::1:ff00:1")
            .hop_limit(hop_limit);
        base.protocol(protocol::ICMPV6, &body).build()
    };
    let wire = Wire::open(&scene.router, "lan");
    let capture = Capture::start(&scene.srv, "eth0");

    let far: Vec<Vec<u8>> = [1, 64, 254].map(solicit).into();
    assert_eq!(wire.send(&far), far.len());
    until("the verdict", || {
        scene.guard.counted().reason("ndp-off-link") == 3
    });
    let advertisements = |seen: &[Seen]| seen.iter().filter(|seen| is_icmp(seen, 136)).count();
    let seen = capture.stop();
    assert!(
        !seen.iter().any(|seen| far.contains(&seen.frame)),
        "delivered"
    );
    assert_eq!(advertisements(&seen), 0, "answered");

    let capture = Capture::start(&scene.srv, "eth0");
    let near = solicit(255);
    assert_eq!(wire.send(std::slice::from_ref(&near)), 1);
    until("the question and its answer", || capture.count() >= 2);
    let seen = capture.stop();
    assert!(seen.iter().any(|seen| seen.frame == near), "not delivered");
    assert_eq!(advertisements(&seen), 1, "not answered");
}

#[test]
fn a_membership_query_with_router_alert_is_answered_and_without_it_is_dropped() {
    let Some(scene) = scene() else { return };
    // A group that the server listens to.
    let group: Ipv6Addr = "ff05::4242".parse().unwrap();
    let listener = scene.srv.run(|| {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 4242)).unwrap();
        let index = scene.srv.ip("-o link show dev eth0");
        let index = index
            .split(':')
            .next()
            .and_then(|index| index.parse().ok())
            .unwrap();
        socket.join_multicast_v6(&group, index).unwrap();
        socket
    });
    // A general query of version 2: answer within 100 ms.
    let mut query = vec![130, 0, 0, 0, 0, 100, 0, 0];
    query.extend([0; 20]);
    let with_alert = |alert: bool, hop_limit| {
        let base = from_router(&scene).to(ALL_NODES).hop_limit(hop_limit);
        let base = if alert {
            base.extension(protocol::HOP_BY_HOP, ROUTER_ALERT)
        } else {
            base
        };
        base.protocol(protocol::ICMPV6, &query).build()
    };
    let wire = Wire::open(&scene.router, "lan");
    // The reports that joining brings are not answers.
    let quiet = Capture::start(&scene.srv, "eth0");
    until("the first report", || quiet.count() > 0);
    drop(quiet.stop());

    let wrong = [with_alert(false, 1), with_alert(true, 64)];
    let capture = Capture::start(&scene.srv, "eth0");
    let before = scene.guard.counted();
    assert_eq!(wire.send(&wrong), wrong.len());
    until("the verdict", || {
        scene.guard.counted().all("drop") >= before.all("drop") + wrong.len() as u64
    });
    let seen = capture.stop();
    assert!(
        !seen.iter().any(|seen| wrong.contains(&seen.frame)),
        "delivered"
    );

    let capture = Capture::start(&scene.srv, "eth0");
    let right = with_alert(true, 1);
    assert_eq!(wire.send(std::slice::from_ref(&right)), 1);
    until("the query and its answer", || capture.count() >= 2);
    let seen = capture.stop();
    assert!(seen.iter().any(|seen| seen.frame == right), "not delivered");
    let names_group = |seen: &&Seen| {
        seen.is_outgoing
            && is_icmp(seen, 143)
            && seen.frame.windows(16).any(|bytes| bytes == group.octets())
    };
    assert!(
        seen.iter().find(names_group).is_some(),
        "no report: {seen:?}"
    );
    scene.expect_reason("mld");
    drop(listener);
}

/// ICMPv6 of this type, also behind a router alert, by its place in the frame: reports are sent to
/// addresses that the parser does not care for.
fn is_icmp(seen: &Seen, kind: u8) -> bool {
    const IPV6: usize = 14;
    let byte = |at: usize| seen.frame.get(IPV6 + at).copied();
    let is_ipv6 = seen.frame.get(12..14) == Some(&[0x86, 0xdd]);
    is_ipv6
        && match byte(6) {
            Some(protocol::ICMPV6) => byte(40) == Some(kind),
            Some(protocol::HOP_BY_HOP) => {
                byte(40) == Some(protocol::ICMPV6) && byte(48) == Some(kind)
            }
            Some(_) | None => false,
        }
}

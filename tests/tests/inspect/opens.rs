//! The command that is suggested really opens it.

use std::net::IpAddr;

use guard_tests::lab::{Answer, Host};

use super::scene::{CLOSED, DENIED, FRIENDS, Scene};

#[test]
fn the_suggested_command_opens_what_was_dropped_over_ipv4() {
    opens(|host| host.v4);
}

#[test]
fn the_suggested_command_opens_what_was_dropped_over_ipv6() {
    opens(|host| host.v6);
}

fn opens(address: impl Fn(&Host) -> IpAddr) {
    let Some(scene) = Scene::new() else { return };
    let from = &scene.lab.attacker;
    let (source, to) = (address(from), address(&scene.lab.srv));
    for port in [CLOSED, DENIED, FRIENDS] {
        for protocol in ["tcp", "udp"] {
            let words = format!("from {source} to {to} port {port} proto {protocol}");
            let answer = scene.explain(&words);
            assert_eq!(answer["action"], "drop", "{words}: {answer}");
            assert_eq!(scene.explain_file(&words)["way_in"], answer["way_in"]);
            assert_eq!(ask(from, to, port, protocol), Answer::Silence, "{words}");

            scene.follow(&answer);

            let after = scene.explain(&words);
            assert_eq!(after["action"], "pass", "{words}: {after}");
            assert_eq!(after["reason"], "rule-allow", "{words}: {after}");
            assert!(after["way_in"].is_null(), "{words}: {after}");
            assert_eq!(ask(from, to, port, protocol), Answer::Echo, "{words}");
        }
    }
    let words = format!("{source} ping");
    let answer = scene.explain(&words);
    assert!(!from.can_ping(to), "{words}");
    scene.follow(&answer);
    assert_eq!(scene.explain(&words)["action"], "pass", "{words}");
    assert!(from.can_ping(to), "{words}");
    // For the one who asked, and for nobody else.
    let neighbour = match source {
        IpAddr::V4(_) => "203.0.113.67",
        IpAddr::V6(_) => "2001:db8:66::67",
    };
    let other = scene.explain(&format!("{neighbour} {CLOSED}"));
    assert_eq!(other["action"], "drop", "{other}");
}

#[test]
fn what_a_file_suggests_opens_it_when_guard_is_turned_on() {
    let Some(scene) = Scene::off() else { return };
    let from = &scene.lab.attacker;
    for (source, port) in [(from.v4, CLOSED), (from.v6, DENIED)] {
        let words = format!("{source} {port}/udp");
        let answer = scene.explain_file(&words);
        assert_eq!(answer["action"], "drop", "{answer}");
        scene.follow(&answer);
        assert_eq!(scene.explain_file(&words)["action"], "pass", "{words}");
    }

    drop(scene.guard.guardctl(&["enable"]).ok());

    let srv = &scene.lab.srv;
    assert_eq!(from.ask_udp(srv.v4, CLOSED), Answer::Echo);
    assert_eq!(from.ask_udp(srv.v6, DENIED), Answer::Echo);
    assert_eq!(from.ask_udp(srv.v4, DENIED), Answer::Silence);
    assert_eq!(from.ask_udp(srv.v6, CLOSED), Answer::Silence);
}

fn ask(from: &Host, to: IpAddr, port: u16, protocol: &str) -> Answer {
    match protocol {
        "udp" => from.ask_udp(to, port),
        _ => from.ask_tcp(to, port),
    }
}

//! The command that is suggested really opens it.

use std::net::IpAddr;

use guard_tests::lab::{Answer, Host};

use crate::scene::{CLOSED, DENIED, FRIENDS, Scene};

#[test]
fn the_suggested_command_opens_what_was_dropped() {
    let Some(scene) = Scene::new() else { return };
    let from = &scene.lab.attacker;
    let ends: [(IpAddr, IpAddr); 2] = [(from.v4, scene.lab.srv.v4), (from.v6, scene.lab.srv.v6)];
    for (source, to) in ends {
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
    }
    // For the one who asked, and for nobody else.
    let other = scene.explain("203.0.113.67 3000");
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

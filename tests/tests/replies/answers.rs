//! Real clients, on the server and in a container, over both families: every question is answered.

use std::{net::IpAddr, time::Duration};

use guard_tests::{
    lab::{Answer, DOCKER_PROGRAMS, Dnsmasq, Dockerd, Namespace, Nginx, Ran, finish},
    require,
};

use super::scene::{ECHO, Scene, TIME};

/// How often each question is put.
const TIMES: usize = 10;

#[test]
fn every_question_of_the_server_is_answered() {
    let Some(scene) = Scene::new() else { return };
    scene.enable();

    expect_answers(&scene, &scene.lab.srv);
}

#[test]
fn every_question_of_the_server_is_answered_in_generic_mode() {
    let Some(scene) = Scene::new() else { return };
    // Frames of this size do not fit into the page that native XDP hands a program on veth.
    scene.lab.wan.ip("link set srv mtu 9000");
    scene.enable();
    drop(scene.guard.guardctl(&["status"]).ok().says("generic"));

    expect_answers(&scene, &scene.lab.srv);
}

#[test]
fn every_question_of_a_container_is_answered() {
    if !require::programs(&DOCKER_PROGRAMS) {
        return;
    }
    let Some(scene) = Scene::new() else { return };
    let docker = Dockerd::start(&scene.lab.srv);
    let container = docker.container("client", &[], &["sleep", "600"]);
    scene.enable();

    expect_answers(&scene, &container);
}

fn expect_answers(scene: &Scene, from: &Namespace) {
    for friend in [scene.lab.friend.v4, scene.lab.friend.v6] {
        for _ in 0..TIMES {
            name_by_udp(from, friend);
            name_by_tcp(from, friend);
            large_name(from, friend);
            page(from, friend);
            assert!(from.can_ping(friend), "ping {friend}");
            assert_eq!(from.ask_udp(friend, TIME), Answer::Echo, "time {friend}");
            assert_eq!(from.ask_udp(friend, ECHO), Answer::Echo, "udp {friend}");
            assert_eq!(from.ask_tcp(friend, ECHO), Answer::Echo, "tcp {friend}");
        }
    }
    let counted = scene.guard.counted();
    for reason in ["fragment", "default-drop"] {
        assert_eq!(counted.reason(reason), 0, "{:?}", counted.table());
    }
}

#[track_caller]
fn name_by_udp(from: &Namespace, friend: IpAddr) {
    let answer = dig(from, friend, &["+notcp", "+short", Dnsmasq::NAME]);
    assert_eq!(answer.stdout, "192.0.2.80\n", "{answer}");
    let answer = dig(from, friend, &["+notcp", "+short", Dnsmasq::NAME, "AAAA"]);
    assert_eq!(answer.stdout, "2001:db8:2::80\n", "{answer}");
}

/// A resolver that offers no more than 512 bytes is told to come again over TCP.
#[track_caller]
fn name_by_tcp(from: &Namespace, friend: IpAddr) {
    let answer = dig(from, friend, &["+noedns", Dnsmasq::LARGE, "TXT"]);
    assert!(
        answer.stdout.contains("Truncated, retrying in TCP mode") && is_whole(&answer),
        "{answer}"
    );
}

/// Four kilobytes in one datagram, which takes three frames.
#[track_caller]
fn large_name(from: &Namespace, friend: IpAddr) {
    let answer = dig(
        from,
        friend,
        &["+notcp", "+bufsize=4096", "+ignore", Dnsmasq::LARGE, "TXT"],
    );
    assert!(
        is_whole(&answer) && answer.stdout.contains("(UDP)"),
        "{answer}"
    );
}

fn is_whole(answer: &Ran) -> bool {
    answer.stdout.matches('x').count() >= Dnsmasq::LARGE_BYTES
}

#[track_caller]
fn dig(from: &Namespace, friend: IpAddr, words: &[&str]) -> Ran {
    let mut dig = from.command("dig");
    dig.args(["+tries=1", "+time=5", &format!("@{friend}")])
        .args(words);
    finish(&mut dig, Duration::from_secs(20)).ok()
}

#[track_caller]
fn page(from: &Namespace, friend: IpAddr) {
    let url = match friend {
        IpAddr::V4(v4) => format!("http://{v4}/"),
        IpAddr::V6(v6) => format!("http://[{v6}]/"),
    };
    let mut curl = from.command("curl");
    curl.args(["--silent", "--fail", "--max-time", "5", &url]);
    let page = finish(&mut curl, Duration::from_secs(20)).ok();
    assert_eq!(page.stdout, Nginx::BODY, "{url}");
}

//! Ports that containers publish, and the ways in which others rewrite the machine's tables.

use std::time::Duration;

use guard_tests::lab::finish;
use serde_json::{Value, json};

use super::scene::{HIDDEN, Scene, WEB, is_open};

#[test]
fn a_published_port_answers_behind_ufw_and_is_silent_behind_guard() {
    story("native");
}

#[test]
fn a_published_port_answers_behind_ufw_and_is_silent_behind_guard_in_generic_mode() {
    story("generic");
}

/// The story of docs/guide/docker.md, as an operator would tell it.
fn story(mode: &str) {
    let Some(scene) = Scene::new() else { return };
    if mode == "generic" {
        // Frames of this size do not fit into the page that native XDP hands a program on veth.
        scene.lab.wan.ip("link set srv mtu 9000");
    }
    drop(scene.ufw.ufw("--force enable"));
    drop(scene.ufw.ufw("deny 8080"));
    // The hole: ufw says that it denies the port, and the port answers.
    drop(scene.ufw.ufw("status").says("DENY"));
    scene.expect(&[(WEB, true)]);
    scene.expect_outbound();
    let before = scene.netfilter();

    let enabled = scene.guard.guardctl(&["enable", "--iface", "eth0"]);
    drop(enabled.ok().says(mode));

    scene.expect(&[(WEB, false), (HIDDEN, false)]);
    scene.expect_outbound();
    // The container's own port is not what the world sees.
    scene.guardctl("allow 80/tcp");
    scene.expect(&[(WEB, false)]);

    scene.guardctl("allow 8080/tcp");
    scene.expect(&[(WEB, true), (HIDDEN, false)]);

    scene.guardctl("delete allow 8080/tcp");
    scene.expect(&[(WEB, false)]);

    scene.guardctl("allow 198.51.100.10 8080/tcp");
    let friend = &scene.lab.friend;
    assert!(
        is_open(friend, scene.lab.srv.v4, WEB),
        "closed to whom it is open"
    );
    scene.expect(&[(WEB, false)]);
    assert_eq!(scene.netfilter(), before, "guard has touched netfilter");
    scene.guardctl("disable");
    scene.expect(&[(WEB, true)]);
    assert_eq!(scene.netfilter(), before, "guard has touched netfilter");
}

#[test]
fn the_audit_lists_published_ports_by_the_port_of_the_host() {
    let Some(scene) = Scene::new() else { return };
    scene.guardctl("allow 8080/tcp");
    scene.guardctl("enable --iface eth0");

    let mut command = scene.guard.command(&["audit", "--json"]);
    command.env("DOCKER_HOST", scene.docker.address());
    let audit = finish(&mut command, Duration::from_secs(20)).ok().json();

    assert_eq!(audit["warnings"], json!([]), "{audit}");
    let ports = audit["ports"].as_array().expect("ports");
    for (port, name, world, rule) in [
        (WEB, "web", "open", json!(1)),
        (HIDDEN, "hidden", "closed", json!(null)),
    ] {
        // The proxy that serves it is not listed beside it.
        let of_port: Vec<&Value> = ports.iter().filter(|entry| entry["port"] == port).collect();
        let [entry] = of_port[..] else {
            panic!("{port}: {audit:#}")
        };
        assert_eq!(entry["owner"], format!("container {name} (port 80)"));
        assert_eq!(entry["world"], world, "{entry}");
        assert_eq!(entry["rule"], rule, "{entry}");
        assert_eq!(entry["addresses"], json!(["0.0.0.0", "::"]), "{entry}");
    }
    let inner = ports.iter().filter(|entry| entry["port"] == 80);
    assert_eq!(inner.count(), 0, "a container's own port: {audit:#}");
    scene.expect(&[(WEB, true), (HIDDEN, false)]);
}

#[test]
fn whoever_rewrites_netfilter_opens_nothing_and_closes_nothing() {
    let Some(scene) = Scene::new() else { return };
    scene.guardctl("allow 8080/tcp");
    scene.guardctl("enable --iface eth0");
    let check = |after: &str| {
        println!("after {after}");
        scene.expect(&[(WEB, true), (HIDDEN, false)]);
        scene.expect_outbound();
    };
    check("enable");
    for line in [
        "--force enable",
        "deny 8080",
        "allow 8081",
        "disable",
        "--force reset",
    ] {
        drop(scene.ufw.ufw(line));
        check(line);
    }
    for name in ["web", "hidden"] {
        drop(scene.docker.docker(&["restart", "--time", "0", name]));
        drop(scene.docker.running(name));
    }
    check("docker restart");
    let publish = ["--publish", "8082:80"];
    let serve = ["httpd", "-f", "-p", "80", "-h", "/www"];
    drop(scene.docker.container("late", &publish, &serve));
    scene.expect(&[(8082, false)]);
    check("docker run");

    // These take Docker's own tables away: what was closed stays closed.
    for line in [
        "iptables -F",
        "ip6tables -F",
        "iptables -t nat -F",
        "nft flush ruleset",
    ] {
        scene.on_the_server(line);
        scene.expect(&[(HIDDEN, false), (8082, false)]);
    }
    drop(scene.guard.guardctl(&["status"]).ok().says("eth0 (native)"));
}

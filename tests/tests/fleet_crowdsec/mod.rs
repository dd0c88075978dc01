//! A34: what a real CrowdSec decides is dropped in XDP by the real daemon, and let go with it, whatever happens to the LAPI.

mod scene;

use std::time::{Duration, Instant};

use scene::Scene;

#[test]
fn what_crowdsec_decides_is_dropped_and_let_go_and_stays_while_it_is_away() {
    let Some(mut scene) = Scene::joined(&[]) else {
        return;
    };
    let (v4, v6) = (
        scene.lab.attacker.v4.to_string(),
        scene.lab.attacker.v6.to_string(),
    );
    scene.until_reached(true);
    // Beside them one for everybody, which no host of ours takes.
    scene
        .lapi
        .cscli(&["decisions", "add", "--range", "0.0.0.0/0"]);
    scene
        .lapi
        .cscli(&["decisions", "add", "--ip", &scene.lab.srv.v4.to_string()]);
    scene
        .lapi
        .cscli(&["decisions", "add", "--ip", &v4, "--duration", "1h"]);
    let network = format!("{}/64", v6.replace("::66", "::"));
    scene
        .lapi
        .cscli(&["decisions", "add", "--range", &network, "--duration", "1h"]);
    scene.until_reached(false);
    drop(scene.guard.guardctl(&["bans"]).ok().says("crowdsec"));
    assert_eq!(scene.guard.banned().len(), 2, "{:?}", scene.guard.banned());
    scene.assert_friend_reaches();
    scene.lapi.cscli(&["decisions", "delete", "--ip", &v4]);
    scene
        .lapi
        .cscli(&["decisions", "delete", "--range", &network]);
    scene.until_reached(true);

    // It is away: what is known stays, over restarts of everything, and nothing is let go when it is back.
    scene
        .lapi
        .cscli(&["decisions", "add", "--ip", &v4, "--duration", "1h"]);
    scene
        .lapi
        .cscli(&["decisions", "add", "--range", &network, "--duration", "1h"]);
    scene.until_reached(false);
    scene.lapi.kill();
    drop(scene.until_status(8).says("STALE"));
    scene.assert_dropped();
    scene.restart_daemon();
    scene.assert_dropped();
    scene.restart_fleet();
    drop(scene.until_status(8).says("STALE"));
    scene.assert_dropped();
    scene.lapi.run();
    scene.until_status(0);
    scene.assert_dropped();
    scene.restart_fleet();
    scene.until_status(0);
    scene.assert_dropped();
}

#[test]
fn what_this_host_bans_is_pushed_and_comes_back_as_no_ban_of_crowdsec() {
    let Some(scene) = Scene::joined(&["--push", "web-1"]) else {
        return;
    };
    let attacker = scene.lab.attacker.v4.to_string();
    scene.ban_by_a_jail(&attacker);
    let begin = Instant::now();
    loop {
        let decisions = scene.lapi.cscli(&["decisions", "list", "-o", "json"]);
        if decisions.contains(&attacker) {
            break;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(25),
            "{}",
            scene.status()
        );
        std::thread::sleep(Duration::from_millis(300));
    }
    println!("pushed after {:?}", begin.elapsed());
    // One of somebody else shows that the delta with ours has come back.
    scene.lapi.cscli(&["decisions", "add", "--ip", "11.0.0.9"]);
    scene.until_banned("11.0.0.9");
    let banned = scene.guard.banned();
    assert_eq!(banned.len(), 2, "{banned:?}");
    drop(scene.guard.guardctl(&["unban", &attacker]).ok());
    scene.until_reached(true);
}

#[test]
fn a_hundred_thousand_decisions_are_in_force_within_ten_seconds() {
    const DECISIONS: u32 = 100_000;
    let Some(mut scene) = Scene::joined(&[]) else {
        return;
    };
    let address = |n: u32| std::net::Ipv4Addr::from(0x0b00_0000 + n).to_string();
    scene.kill_fleet();
    let begin = Instant::now();
    scene.lapi.import((0..DECISIONS).map(address));
    println!("imported into the LAPI in {:?}", begin.elapsed());
    let begin = Instant::now();
    scene.restart_fleet();
    let in_force = || {
        let status = scene.guard.guardctl(&["fleet", "status", "--json"]).json();
        let members = status["fleet"]["members"].as_array().cloned();
        let of = |member: &serde_json::Value| member["in_force"].as_u64().unwrap_or(0);
        members.unwrap_or_default().iter().map(of).sum::<u64>()
    };
    let mut shown = 0;
    while in_force() < u64::from(DECISIONS) {
        if begin.elapsed().as_secs() > shown {
            shown = begin.elapsed().as_secs();
            println!("{shown} s: {}", in_force());
        }
        assert!(
            begin.elapsed() < Duration::from_secs(100),
            "{}",
            scene.status()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let took = begin.elapsed();
    println!("{DECISIONS} decisions in force after {took:?}");
    assert!(took < Duration::from_secs(20));
}

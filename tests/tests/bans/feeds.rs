//! Feeds: what stands in a file is banned as long as it stands there.

use std::fs;

use guard_tests::lab::{GuardDaemon, until};
use serde_json::Value;

use super::scene::{POLICY, Scene};

fn scene(text: &str) -> Option<Scene> {
    let policy = format!("{POLICY}\n[[feed]]\nname = \"drop\"\nfile = \"feeds/drop.txt\"\n");
    let scene = Scene::with(&policy)?;
    fs::create_dir(scene.guard.etc().join("feeds")).expect("a folder");
    write(&scene, text);
    Some(scene)
}

/// As a program that fetches lists does it: written beside, then renamed.
fn write(scene: &Scene, text: &str) {
    let file = scene.guard.etc().join("feeds/drop.txt");
    let beside = file.with_extension("new");
    fs::write(&beside, text).expect("written");
    fs::rename(beside, file).expect("renamed");
}

fn status(scene: &Scene) -> Value {
    let feeds = scene.guardctl(&["--json", "feeds"]).ok().json();
    feeds["feeds"][0].clone()
}

#[test]
fn what_stands_in_a_feed_is_banned_as_long_as_it_stands_there() {
    let Some(scene) = scene("; Spamhaus\n203.0.113.0/24 ; SBL1\n2001:db8:66::/48 ; SBL2\n") else {
        return;
    };
    let _ = scene.guardctl(&["feeds", "reload"]).ok().says("2 networks");
    for ban in scene.listed() {
        assert_eq!(
            (&ban["origin"], &ban["permanent"]),
            (&"feed drop".into(), &true.into())
        );
    }
    for (attacker, srv) in scene.families() {
        assert!(!scene.gets_through(srv));
        let ran = scene.guardctl(&["unban", &attacker.to_string()]).exit(6);
        let _ = ran.says("feed drop");
    }
    // An operator's ban of the same network is another one.
    let _ = scene
        .guardctl(&["ban", "203.0.113.0/24", "--for", "1h"])
        .ok();
    write(&scene, "198.18.0.0/24\n");
    let _ = scene.guardctl(&["feeds", "reload"]).ok();
    let [(_, v4), (_, v6)] = scene.families();
    assert!(!scene.gets_through(v4) && scene.gets_through(v6));
    let _ = scene.guardctl(&["unban", "--all"]).ok();
    assert!(scene.gets_through(v4));
    assert_eq!(
        scene.sources(),
        ["198.18.0.0/24"],
        "feeds are not lifted by --all"
    );
    // Gone from the policy, gone from the kernel.
    scene.guard.write_policy(POLICY);
    let _ = scene.guardctl(&["reload"]).ok();
    assert_eq!(scene.sources(), [""; 0]);
}

#[test]
fn a_broken_feed_keeps_what_was_there_and_says_so() {
    let Some(scene) = scene("203.0.113.66\n192.0.2.1\n198.18.0.1\n198.18.0.2\n") else {
        return;
    };
    let _ = scene
        .guardctl(&["feeds", "reload"])
        .ok()
        .says("drop.txt:2: 192.0.2.1");
    let srv = scene.lab.srv.v4;
    for (text, why) in [
        ("", "names nothing"),
        ("<html>\n", "names nothing"),
        ("203.0.113.66\nx\n", "1 of 2 lines"),
    ] {
        write(&scene, text);
        let _ = scene.guardctl(&["feeds", "reload"]).exit(8).says(why);
        assert!(!scene.gets_through(srv));
        let status = status(&scene);
        assert_eq!(
            (&status["networks"], &status["current"]),
            (&3.into(), &false.into())
        );
    }
    fs::remove_file(scene.guard.etc().join("feeds/drop.txt")).expect("removed");
    let _ = scene
        .guardctl(&["feeds", "reload"])
        .exit(8)
        .says("OLD SET KEPT");
    assert!(!scene.gets_through(srv));
    write(&scene, "198.18.0.3\n");
    let _ = scene.guardctl(&["feeds", "reload"]).ok();
    assert!(scene.gets_through(srv));
    assert_eq!(status(&scene)["current"], true);
}

/// What `bans import` refuses unasked, a feed does not take either.
#[test]
fn a_feed_shuts_out_no_large_part_of_the_world_unless_the_policy_says_so() {
    let Some(scene) = scene("203.0.113.66\n11.0.0.0/8\n2a00::/20\n") else {
        return;
    };
    let ran = scene.guardctl(&["feeds", "reload"]).ok();
    let _ = ran.says("drop.txt:2: 11.0.0.0/8 is wider than /16");
    assert_eq!(scene.sources(), ["203.0.113.66"]);

    // Many narrow ones come to the same.
    let networks = |count: u32| -> String {
        let network = |n: u32| format!("{}.{}.0.0/16\n", 11 + n / 256, n % 256);
        (0..count).map(network).collect()
    };
    write(&scene, &networks(4097));
    let ran = scene.guardctl(&["feeds", "reload"]).exit(8);
    let _ = ran.says("6.3 % of all IPv4 addresses, more than one in 16");
    assert_eq!(scene.sources(), ["203.0.113.66"]);
    let (code, said) = scene.guardctl_reads(&["bans", "import", "-"], &networks(4097));
    assert!(code == Some(7) && said.contains("--force"), "{said}");

    let wide = format!("{}wide = true\n", scene.guard.policy());
    scene.guard.write_policy(&wide);
    let _ = scene.guardctl(&["reload"]).ok();
    assert_eq!(scene.sources().len(), 4097);
    write(&scene, "11.0.0.0/8\n");
    let _ = scene.guardctl(&["feeds", "reload"]).ok();
    assert_eq!(scene.sources(), ["11.0.0.0/8"]);
}

/// The lines behind the last that fits are not read, and nothing is changed.
#[test]
fn a_feed_that_does_not_fit_is_read_no_further_than_that() {
    let policy = "[bans]\nipv4 = 100\nipv6 = 100\ncidrs = 100\n";
    let Some(scene) = scene("203.0.113.66\n") else {
        return;
    };
    scene
        .guard
        .write_policy(&format!("{}\n{policy}", scene.guard.policy()));
    let _ = scene.guardctl(&["reload"]).ok();
    let _ = scene.guardctl(&["feeds", "reload"]).ok();
    let lines: String = (0..300_000u32)
        .map(|n| format!("11.{}.{}.{}\n", n >> 16, n >> 8 & 255, n & 255))
        .collect();
    write(&scene, &lines);
    let ran = scene.guardctl(&["feeds", "reload"]).exit(8);
    let _ = ran.says("more than 100 IPv4 addresses");
    assert_eq!(scene.sources(), ["203.0.113.66"]);
}

#[test]
fn the_daemon_reads_a_feed_again_when_it_changes() {
    let Some(scene) = scene("198.18.0.1\n") else {
        return;
    };
    let daemon = GuardDaemon::start(&scene.guard);
    daemon.says("feed drop");
    write(&scene, "203.0.113.0/24\n2001:db8:66::66\n");
    for (_, srv) in scene.families() {
        until("the feed to be read", || !scene.gets_through(srv));
    }
    write(&scene, "rubbish\n");
    daemon.says("OLD SET KEPT");
    for (_, srv) in scene.families() {
        assert!(!scene.gets_through(srv));
    }
    drop(daemon);
    // After a restart of guard, too, without the file having changed.
    let _ = scene.guardctl(&["disable"]).ok();
    let _ = scene.guardctl(&["enable"]).ok();
    for (_, srv) in scene.families() {
        assert!(!scene.gets_through(srv));
    }
}

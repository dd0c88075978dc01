//! Bans outlive commands, daemons and `disable`.

use std::{fs, time::Duration};

use guard_tests::lab::{GuardDaemon, within};

use super::scene::Scene;

#[test]
fn bans_survive_the_daemon_and_guard_being_turned_off() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let daemon = GuardDaemon::start(&scene.guard);
    for (attacker, _) in scene.families() {
        let _ = scene
            .guardctl(&[
                "ban",
                &attacker.to_string(),
                "--for",
                "10m",
                "--reason",
                "a test",
            ])
            .ok();
    }
    drop(daemon);
    let _daemon = GuardDaemon::start(&scene.guard);
    for (_, srv) in scene.families() {
        assert!(!scene.gets_through(srv));
    }
    let _ = scene.guardctl(&["disable"]).ok();
    for (_, srv) in scene.families() {
        scene.comes_through(srv);
    }
    let _ = scene.guardctl(&["enable"]).ok();
    for (_, srv) in scene.families() {
        assert!(!scene.gets_through(srv), "bans are in the new tables");
    }
    for ban in scene.listed() {
        let left = ban["seconds_left"].as_u64().expect("a time");
        assert!((500..=600).contains(&left), "{ban}");
        assert_eq!(ban["reason"], "a test");
        assert_eq!(ban["origin"], "operator");
    }
}

#[test]
fn a_ban_that_is_made_while_guard_is_off_holds_once_it_is_on() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let _ = scene.guardctl(&["disable"]).ok();
    let (attacker, srv) = scene.families()[0];
    let _ = scene
        .guardctl(&["ban", &attacker.to_string()])
        .ok()
        .says("not active");
    assert!(scene.gets_through(srv));
    let _ = scene.guardctl(&["enable"]).ok();
    assert!(!scene.gets_through(srv));
}

#[test]
fn a_damaged_store_is_put_aside_and_what_is_in_force_stays() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let (attacker, srv) = scene.families()[0];
    let _ = scene.guardctl(&["ban", &attacker.to_string()]).ok();
    fs::write(scene.guard.state().join("bans.redb"), "no database").expect("damaged");
    let ran = scene.guardctl(&["ban", "203.0.113.99"]).ok();
    let _ = ran.says("damaged");
    assert!(!scene.gets_through(srv), "the ban in force stays");
    let kept = fs::read_dir(scene.guard.state())
        .expect("the folder")
        .flatten();
    let names = kept.map(|entry| entry.file_name().to_string_lossy().into_owned());
    assert_eq!(names.filter(|name| name.contains("damaged")).count(), 1);
    // Known again, it can be lifted.
    let _ = scene.guardctl(&["ban", &attacker.to_string()]).ok();
    let _ = scene.guardctl(&["unban", &attacker.to_string()]).ok();
    assert!(scene.gets_through(srv));
}

#[test]
fn an_import_that_is_killed_leaves_store_and_kernel_alike() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let (attacker, srv) = scene.families()[0];
    let mut text = format!("{attacker}\n");
    for number in 0..300_000u32 {
        let [_, b, c, d] = number.to_be_bytes();
        // Lists are imported in the order of addresses: the attacker is in the middle.
        let a = if number % 2 == 0 { 45 } else { 206 };
        text.push_str(&format!("{a}.{b}.{c}.{d}\n"));
    }
    let list = scene.guard.folder().join("list.txt");
    fs::write(&list, text).expect("a list");
    let list = list.to_string_lossy().into_owned();
    for delay in [150, 400, 800, 1600] {
        let mut child = scene
            .guard
            .command(&["bans", "import", &list])
            .spawn()
            .expect("guardctl");
        // It may end before; then nothing is killed, and both must be there.
        let ended = within(Duration::from_millis(delay), || {
            child.try_wait().expect("our own child").map(|_| ())
        });
        if ended.is_none() {
            child.kill().expect("our own child");
        }
        child.wait().expect("ended");
        let sources = scene.sources();
        let is_stored = sources.contains(&attacker.to_string());
        assert_eq!(
            scene.gets_through(srv),
            !is_stored,
            "killed after {delay} ms: stored: {is_stored}"
        );
        println!("{delay} ms: {} of 300001", sources.len());
        if !sources.is_empty() {
            let _ = scene.guardctl(&["unban", "--all"]).ok();
        }
        assert!(scene.gets_through(srv), "killed after {delay} ms");
    }
}

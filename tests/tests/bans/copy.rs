//! The store of bans has a copy: what is damaged costs no ban, not even when the kernel's tables go, too.

use std::{fs, os::unix::fs::PermissionsExt as _};

use guard_tests::lab::{GuardDaemon, until};

use super::scene::Scene;

#[test]
fn a_damaged_store_and_a_restart_of_the_host_let_nobody_in() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    for (attacker, _) in scene.families() {
        let line = ["ban", &attacker.to_string(), "--for", "1h"];
        let _ = scene.guardctl(&line).ok();
    }
    let state = scene.guard.state();
    let (store, copy) = (state.join("bans.redb"), state.join("bans.copy"));
    let daemon = GuardDaemon::start(&scene.guard);
    until("the daemon to copy the store", || copy.exists());
    drop(daemon);
    let mode = fs::metadata(&copy).expect("the copy").permissions().mode();
    assert_eq!(
        mode & 0o777,
        0o600,
        "whom somebody banned is nobody's business"
    );
    let _ = scene.guardctl(&["ban", "192.0.2.77"]).ok();
    // The tables of the kernel go, and the file is no database when they are made anew.
    let _ = scene.guardctl(&["disable"]).ok();
    for (_, srv) in scene.families() {
        scene.comes_through(srv);
    }
    fs::write(&store, "no database").expect("damaged");

    let _ = scene.guardctl(&["enable"]).ok().says("its copy from");

    for (_, srv) in scene.families() {
        assert!(!scene.gets_through(srv), "{srv}: the copy knows of the ban");
    }
    assert_eq!(
        scene.sources().len(),
        2,
        "what was banned after the copy is lost"
    );
    // Both lost: guard starts all the same.
    let _ = scene.guardctl(&["disable"]).ok();
    for path in [&store, &copy] {
        fs::write(path, "no database").expect("damaged");
    }
    let _ = scene.guardctl(&["enable"]).ok().says("damaged-");
    assert_eq!(scene.sources(), [""; 0]);
    let attacker = scene.families()[0].0.to_string();
    let _ = scene.guardctl(&["ban", &attacker]).ok();
    assert!(!scene.gets_through(scene.families()[0].1));
}

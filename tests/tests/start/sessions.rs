//! What happens to sessions while guard starts, restarts, reloads, exchanges its program and stops.

use std::{env, thread, time::Duration};

use super::scene::{Scene, Sessions};

/// How long sessions are watched after the first start: two minutes with `GUARD_LONG=1`.
fn watched() -> Duration {
    let is_long = env::var_os("GUARD_LONG").is_some_and(|value| value == "1");
    Duration::from_secs(if is_long { 120 } else { 15 })
}

/// How long after each change that follows.
const BRIEFLY: Duration = Duration::from_secs(2);

const ENABLE: &[&str] = &["enable", "--iface", "eth0", "--force"];

fn guardctl(scene: &Scene, words: &[&str]) {
    let ran = scene.guard.guardctl(words).ok();
    println!("{words:?} took {:?}", ran.took);
}

/// Watches what goes on for a time: that nothing happens in it is what the test shows.
#[track_caller]
fn watch(sessions: &mut [Sessions], time: Duration) {
    thread::sleep(time);
    for each in sessions {
        each.assert_go_on();
    }
}

#[test]
fn enabling_cuts_no_session_that_lives() {
    let Some(scene) = Scene::new() else { return };
    let mut sessions = [scene.sessions(true), scene.sessions(false)];
    watch(&mut sessions, Duration::ZERO);
    let resets = scene.resets();

    guardctl(&scene, ENABLE);

    watch(&mut sessions, watched());
    // Before any of them is ended: to end one may take a reset.
    assert_eq!(scene.resets(), resets, "connections were reset");
    for each in sessions {
        each.assert_lasted();
    }
    // It is on: nobody gets in anew.
    let mut stranger = scene.sshd.client(&scene.lab.attacker, scene.lab.srv.v4);
    let ran = guard_tests::lab::finish(stranger.arg("true"), Duration::from_secs(20));
    assert_ne!(ran.code, Some(0), "{ran}");
}

#[test]
fn conversations_with_own_containers_take_no_place_in_the_flow_table() {
    const MANY: usize = 60;
    let Some(scene) = Scene::new() else { return };
    let streams = scene.talk_with_own_container(MANY);
    // The session that must be there, so that the number means something.
    let mut sessions = [scene.sessions(true)];

    guardctl(&scene, ENABLE);
    guardctl(&scene, &["reload", "--force"]);

    let live = scene.guard.counted().flows("live");
    println!("{live} flows beside {MANY} connections of our own");
    assert!((1..MANY as u64 / 2).contains(&live), "{live}");
    watch(&mut sessions, BRIEFLY);
    drop(streams);
}

#[test]
fn every_later_change_cuts_no_session_that_lives() {
    let Some(scene) = Scene::new() else { return };
    let mut sessions = [scene.sessions(true), scene.sessions(false)];
    let resets = scene.resets();

    for words in [
        ENABLE,
        // A second one exchanges the program.
        ENABLE,
        &["allow", "9999", "--force"],
        &["reload", "--force"],
        &["disable"],
        ENABLE,
        &["delete", "allow", "9999", "--force"],
    ] {
        guardctl(&scene, words);
        watch(&mut sessions, BRIEFLY);
    }
    // Before any of them is ended: to end one may take a reset.
    assert_eq!(scene.resets(), resets, "connections were reset");
    for each in sessions {
        each.assert_lasted();
    }
}

//! With a daemon beside it: the deadline needs none, a living one settles what has expired, and none
//! ever confirms or undoes a change.

use std::{fs, process::Command, time::Duration};

use guard_tests::{
    lab::{Answer, GuardDaemon, mount_bpffs, until, within},
    require,
};
use serde_json::Value;

use super::scene::{BAD, CONFIRM, GOOD, Scene, policy};

/// A daemon looks once a second; the machine that tests may be slow.
const SETTLES: Duration = Duration::from_secs(4);

#[test]
fn a2_the_previous_policy_returns_when_the_daemon_is_killed() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let mut daemon = GuardDaemon::start(&scene.guard);

    let since = scene.apply_bad();
    scene.assert_returns(since, |_| {
        daemon.signal(libc::SIGKILL);
        daemon.wait();
    });

    assert_eq!(scene.newest()["outcome"], "pending", "nobody settled it");
    let printed = scene.guard.guardctl(&["status"]).ok();
    drop(printed.says("was not confirmed: generation 1 is in force"));
}

#[test]
fn a2_the_previous_policy_returns_when_the_daemon_is_stopped() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let daemon = GuardDaemon::start(&scene.guard);

    let since = scene.apply_bad();
    scene.assert_returns(since, |_| daemon.signal(libc::SIGSTOP));

    daemon.signal(libc::SIGCONT);
    assert_settles(&scene);
}

/// Generation 1 before it slept, generation 1 after it: the change in between must not stay half done.
#[test]
fn a_daemon_that_slept_through_the_whole_change_settles_it() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let daemon = GuardDaemon::start(&scene.guard);
    daemon.signal(libc::SIGSTOP);
    let since = scene.apply_bad();
    scene.assert_returns(since, |_| {});

    daemon.signal(libc::SIGCONT);
    assert_settles(&scene);
}

#[test]
fn a2_a_change_is_kept_by_its_confirmation_though_the_daemon_is_gone() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let mut daemon = GuardDaemon::start(&scene.guard);
    scene.apply_bad();
    daemon.signal(libc::SIGKILL);
    daemon.wait();
    assert_eq!(scene.guard.policy(), policy(GOOD));

    drop(scene.guard.guardctl(&["confirm"]).ok());

    assert_eq!(scene.guard.policy(), policy(BAD));
    scene.assert_settled();
    scene.assert_in_force(BAD);
}

#[test]
fn a_living_daemon_settles_what_was_not_confirmed() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let daemon = GuardDaemon::start(&scene.guard);

    let since = scene.apply_bad();
    scene.assert_returns(since, |_| {});

    assert_settles(&scene);
    assert_eq!(scene.status()["generation"], 1);
    // The daemon says so once its round is over, a moment behind the files.
    let says_so = within(SETTLES, || {
        let known = scene.guard.guardctl(&["daemon", "--status", "--json"]);
        (known.ok().json()["generation"] == 1).then_some(())
    });
    assert!(says_so.is_some(), "{}", daemon.said());
    scene.assert_in_force(GOOD);
    assert_eq!(scene.guard.policy(), policy(GOOD));
}

#[test]
fn a_living_daemon_takes_an_expired_first_enable_off_and_leaves_it_off() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let daemon = GuardDaemon::start(&scene.guard);
    drop(scene.guard.guardctl(&["disable"]).ok());
    daemon.says("guard is off");
    assert!(!has_program(&scene));

    let enable = ["enable", CONFIRM[0], CONFIRM[1]];
    drop(scene.guard.guardctl(&enable).ok());
    scene.assert_in_force(GOOD);
    let limit = Duration::from_secs(5) + SETTLES;
    let off = within(limit, || (!has_program(&scene)).then_some(()));

    assert!(off.is_some(), "still attached:\n{}", daemon.said());
    until("the history to say so", || {
        scene.newest()["outcome"] == "not_confirmed"
    });
    // Asked to look again, it finds nothing that should be there.
    drop(scene.guard.guardctl(&["daemon", "--reconcile"]));
    assert!(!has_program(&scene), "{}", daemon.said());
    drop(scene.guard.guardctl(&["status"]).exit(3));
    let answer = scene.lab.friend.ask_udp(scene.lab.srv.v4, BAD);
    assert_eq!(answer, Answer::Echo);
}

#[test]
fn a_daemon_neither_confirms_nor_undoes_a_pending_change_whatever_it_heals() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let daemon = GuardDaemon::start(&scene.guard);
    let path = scene.bad_policy();
    let words = ["apply", path.to_str().expect("a path"), "--confirm", "1m"];
    drop(scene.guard.guardctl(&words).ok().says("PENDING"));
    let is_pending = |after: &str| {
        drop(scene.guard.guardctl(&["daemon", "--reconcile"]).ok());
        let status = scene.status();
        let pending = &status["pending"];
        assert_eq!(pending["previous_generation"], 1, "{after}: {status}");
        assert_eq!(status["generation"], 2, "{after}: {status}");
        scene.assert_in_force(BAD);
        assert_eq!(scene.guard.policy(), policy(GOOD), "{after}");
    };

    is_pending("nothing");
    scene.lab.srv.ip("addr add 192.0.2.77/24 dev eth0");
    is_pending("a new address");
    scene.lab.replace_server_interface();
    daemon.says("eth0: protected again after");
    for client in [&scene.lab.friend, &scene.lab.attacker] {
        until("the way to be known again", || {
            client.ask_udp(scene.lab.srv.v6, BAD) == Answer::Echo
        });
    }
    is_pending("an interface made anew");

    drop(scene.guard.guardctl(&["rollback"]).ok());
    scene.assert_in_force(GOOD);
    assert_eq!(scene.status()["pending"], Value::Null);
}

#[test]
fn a_change_that_was_not_confirmed_is_not_loaded_at_boot() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    if !require::program("umount") {
        return;
    }
    scene.apply_bad();
    scene.assert_in_force(BAD);

    // The pins go with their file system, and /run is empty.
    let pins = scene.guard.bpffs();
    let unmounted = Command::new("umount").arg(&pins).status();
    assert!(unmounted.expect("umount").success());
    mount_bpffs(&pins);
    fs::remove_dir_all(scene.guard.run()).expect("/run");
    until("the program to be gone", || !has_program(&scene));
    drop(scene.guard.guardctl(&["load"]).ok());

    scene.assert_in_force(GOOD);
    assert_eq!(scene.guard.policy(), policy(GOOD));
    scene.assert_settled();
    let _daemon = GuardDaemon::start(&scene.guard);
    scene.assert_in_force(GOOD);
    scene.assert_settled();
}

/// The daemon does it, without a command of anybody's.
#[track_caller]
fn assert_settles(scene: &Scene) {
    let journal = scene.guard.state().join("pending.json");
    let settled = within(SETTLES, || {
        (!journal.exists() && scene.newest()["outcome"] == "not_confirmed").then_some(())
    });
    assert!(settled.is_some(), "{}", scene.newest());
    scene.assert_settled();
}

fn has_program(scene: &Scene) -> bool {
    scene
        .lab
        .srv
        .ip("-d link show dev eth0")
        .contains("prog/xdp")
}

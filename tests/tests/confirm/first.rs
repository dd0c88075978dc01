//! The very first `enable` with a deadline: what returns is a host without a firewall.

use std::time::Duration;

use guard_tests::lab::{Answer, within};

use super::scene::{BAD, CONFIRM, GOOD, Scene, TIME, policy};

#[test]
fn a2_the_first_enable_gives_way_to_a_host_without_a_firewall() {
    let Some(scene) = Scene::new() else { return };
    scene.guard.write_policy("");
    let before = scene.guard.dump(&scene.lab.srv);
    let all_answer = || {
        [GOOD, BAD]
            .into_iter()
            .all(|port| scene.lab.friend.ask_udp(scene.lab.srv.v4, port) == Answer::Echo)
    };
    assert!(all_answer());

    let words = ["enable", "--iface", "eth0", CONFIRM[0], CONFIRM[1]];
    let printed = scene.guard.guardctl(&words).ok();
    drop(
        printed
            .says("NOBODY CAN LOG IN")
            .says("s guard goes off again unless `guardctl confirm` comes first"),
    );
    assert!(!all_answer());
    // Not even the interface is saved yet.
    assert_eq!(scene.guard.policy(), "");
    let printed = scene.guard.guardctl(&["status"]).ok();
    drop(printed.says("PENDING: goes off again in "));
    let limit = TIME + Duration::from_secs(2);
    assert!(within(limit, || all_answer().then_some(())).is_some());

    // Before and after the next command has taken it off.
    for _ in 0..2 {
        let printed = scene.guard.guardctl(&["status"]).exit(3);
        let printed = printed.says("REVERTED: `enable --iface eth0 --confirm 5s` of ");
        drop(printed.says("was not confirmed: guard is off"));
        drop(
            scene
                .guard
                .guardctl(&["confirm"])
                .exit(1)
                .says("guard is off"),
        );
    }
    let mut after = scene.guard.dump(&scene.lab.srv);
    after.retain(|path, _| !path.contains("/state/history"));
    assert_eq!(after, before);
    assert!(all_answer());
}

#[test]
fn the_first_enable_can_be_confirmed_and_taken_back() {
    let Some(scene) = Scene::new() else { return };
    let enable = ["enable", "--confirm", "1m"];
    drop(scene.guard.guardctl(&enable).ok());
    scene.assert_in_force(GOOD);

    let printed = scene.guard.guardctl(&["rollback"]).ok();
    drop(printed.says("rolled back generation 1: guard is off again"));
    let answer = scene.lab.friend.ask_udp(scene.lab.srv.v4, BAD);
    assert_eq!(answer, Answer::Echo);
    drop(scene.guard.guardctl(&["status"]).exit(3));

    drop(scene.guard.guardctl(&enable).ok());
    drop(scene.guard.guardctl(&["confirm"]).ok());
    scene.assert_in_force(GOOD);
    scene.assert_settled();
    assert_eq!(scene.guard.policy(), policy(GOOD));
}

#[test]
fn only_the_policy_can_return_so_other_interfaces_are_refused() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    scene.lab.srv.ip("link add other type veth peer name far");
    let before = scene.guard.dump(&scene.lab.srv);

    let words = ["enable", "--iface", "eth0", "other", "--confirm", "1m"];
    let printed = scene.guard.guardctl(&words).exit(7);
    drop(
        printed
            .says("this would protect eth0, other instead of eth0")
            .says("--no-confirm"),
    );
    assert_eq!(scene.guard.dump(&scene.lab.srv), before);
}

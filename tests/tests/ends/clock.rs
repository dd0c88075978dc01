//! What moves no end: reloads, other daemons, a time of day that is set; and what a reboot leaves.

use std::{
    fs,
    time::{Duration, Instant},
};

use guard_tests::lab::{GuardDaemon, WallClock, finish, mount_bpffs, unmount_bpffs, until};

use super::scene::{POLICY, PORT, Scene};

const DAY_S: i64 = 24 * 60 * 60;
const LONG: Duration = Duration::from_secs(12);

#[test]
fn a_day_on_the_time_of_day_moves_no_end_by_more_than_a_second() {
    for jump_s in [DAY_S, -DAY_S] {
        let Some(scene) = Scene::with(POLICY) else {
            return;
        };
        let Some(clock) = WallClock::new(scene.guard.folder()) else {
            return;
        };
        let guardctl = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let mut command = scene.guard.command(&words);
            finish(clock.shown_to(&mut command), Duration::from_secs(20))
        };
        let daemon = || {
            let mut command = scene.guard.command(&["daemon"]);
            GuardDaemon::start_as(&scene.guard, clock.shown_to(&mut command))
        };
        let running = daemon();
        let begun = Instant::now();
        let _ = guardctl(&format!("allow {PORT} --for {}s", LONG.as_secs())).ok();
        let left = |when: &str| {
            let listed = guardctl("list --json").ok().json();
            let left = listed["rules"][1]["seconds_left"].as_u64().expect("a time");
            let passed = begun.elapsed().as_secs();
            let expected = LONG.as_secs() - passed;
            assert!(
                left.abs_diff(expected) <= 1,
                "{when}: {left} s, not {expected}"
            );
        };
        left("before");

        clock.set(jump_s);

        let _ = guardctl("daemon --reconcile").ok();
        left("behind the jump");
        let _ = guardctl("reload").ok();
        left("behind a reload");
        drop(running);
        let running = daemon();
        left("with another daemon");
        assert_eq!(scene.get_through(), [true; 2]);
        let lasted = scene.changes_to(false, begun);
        assert!(
            lasted >= LONG && lasted < LONG + Duration::from_secs(4),
            "{jump_s}: {lasted:?}"
        );
        running.says("rule 2 has ended and is removed");
        drop(running);
    }
}

#[test]
fn after_a_reboot_what_was_left_is_left_and_no_more_with_a_wrong_clock() {
    let Some(scene) = Scene::with(POLICY) else {
        return;
    };
    let Some(clock) = WallClock::new(scene.guard.folder()) else {
        return;
    };
    let _ = scene.run("allow 7001 --for 300s").ok();
    let _ = scene.run("allow 7002 --for 1s").ok();
    until("one to be over", || scene.rules()[2]["seconds_left"] == 0);
    let note = scene.guard.state().join("ends.json");
    for (what, wall_s, expected_s) in [("right", 0, 300_u64), ("a day back", -DAY_S, 300)] {
        clock.set(wall_s);
        reboot(&scene);
        let text = fs::read_to_string(&note).expect("a note");
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("an id");
        let another = "00000000-0000-0000-0000-000000000000";
        assert!(text.contains(id.trim()), "{text}");
        fs::write(&note, text.replace(id.trim(), another)).expect("written");
        let mut command = scene.guard.command(&["load"]);
        let loaded = finish(clock.shown_to(&mut command), Duration::from_secs(60)).ok();
        drop(loaded);
        let mut command = scene.guard.command(&["list", "--json"]);
        let listed = finish(clock.shown_to(&mut command), Duration::from_secs(20));
        let rules = listed.ok().json()["rules"]
            .as_array()
            .expect("rules")
            .clone();
        let of = |port: &str| rules.iter().find(|rule| rule["to"] == port);
        let left = of("7001").expect("it")["seconds_left"]
            .as_u64()
            .expect("a time");
        assert!(
            left <= expected_s && left > expected_s - 60,
            "{what}: {left} s left"
        );
        if let Some(over) = of("7002") {
            assert_eq!(over["seconds_left"], 0, "{what}");
        }
    }
}

/// What the kernel held is gone.
fn reboot(scene: &Scene) {
    let folder = scene.guard.bpffs();
    unmount_bpffs(&folder);
    mount_bpffs(&folder);
    until("the program to be gone", || {
        let link = scene.lab.srv.ip("-d link show dev eth0");
        !link.contains("prog/xdp")
    });
}

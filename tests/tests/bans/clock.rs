//! The time of day may be set while bans are in force: they end when they would have.

use std::time::{Duration, Instant};

use guard_tests::lab::{GuardDaemon, Ran, WallClock, finish, within};

use super::scene::Scene;

const DAY_S: i64 = 24 * 60 * 60;
const SHORT: Duration = Duration::from_secs(8);
const LONG_S: u64 = 600;
const SOMEBODY: &str = "192.0.2.99";

#[test]
fn a_day_on_the_time_of_day_moves_no_ban_by_more_than_a_second() {
    for jump_s in [DAY_S, -DAY_S] {
        let Some(scene) = Scene::enabled() else {
            return;
        };
        let Some(clock) = WallClock::new(scene.guard.folder()) else {
            return;
        };
        let guardctl = |line: &str| -> Ran {
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
        let _ = guardctl(&format!("ban {SOMEBODY} --for {LONG_S}s")).ok();
        let banned = scene.families().map(|(attacker, _)| {
            let line = format!("ban {attacker} --for {}s", SHORT.as_secs());
            let before = Instant::now();
            let _ = guardctl(&line).ok();
            (before, Instant::now())
        });
        let assert_left = |when: &str| {
            let listed = guardctl("bans list --json").ok().json();
            let passed = begun.elapsed().as_secs();
            let listed = listed["bans"].as_array().expect("bans");
            let long = listed.iter().find(|ban| ban["source"] == SOMEBODY);
            let long = long.unwrap_or_else(|| panic!("{when}: the ban is gone"));
            let left = long["seconds_left"].as_u64().expect("a time");
            assert!(
                left.abs_diff(LONG_S - passed) <= 1,
                "{when}: {left} s left after {passed} s"
            );
        };
        assert_left("before");

        clock.set(jump_s);

        let _ = guardctl("daemon --reconcile").ok();
        assert_left("behind the jump");
        drop(running);
        let running = daemon();
        let _ = guardctl("daemon --reconcile").ok();
        assert_left("with another daemon");
        let ends = scene.families().map(|(attacker, srv)| {
            // Asked first and timed afterwards: a probe that begins before the end may come through behind it.
            assert!(
                !scene.gets_through(srv) || banned[0].0.elapsed() > SHORT - Duration::from_secs(1),
                "{attacker} is let in too early"
            );
            let free = within(SHORT + Duration::from_secs(4), || {
                scene.gets_through(srv).then(Instant::now)
            });
            free.unwrap_or_else(|| panic!("{attacker} is still shut out"))
        });
        for ((before, after), free) in banned.into_iter().zip(ends) {
            // A probe that is not answered waits for a quarter of a second; the second family is looked
            // at when the first has come through, which is before its own end.
            assert!(
                free - after > SHORT - Duration::from_secs(1)
                    && free - before < SHORT + Duration::from_millis(1500),
                "{SHORT:?} lasted {:?}",
                free - before
            );
        }
        // The clock is set right again.
        clock.set(0);
        let _ = guardctl("daemon --reconcile").ok();
        assert_left("behind the second jump");
        drop(running);
    }
}

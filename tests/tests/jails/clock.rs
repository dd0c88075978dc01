//! The time of day may be set while a jail counts.

use std::time::{Duration, SystemTime};

use guard_tests::lab::{GuardDaemon, WallClock};

use super::scene::{Scene, rfc3339};

const JAIL: &str = "[jail.sshd]\nenabled = true\nfilter = \"sshd\"\nlogpath = [\"LOG\"]\n\
    maxretry = 3\nfindtime = \"10m\"\nbantime = \"10m\"\n";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ATTACKER: &str = "203.0.113.66";

#[test]
fn failures_on_both_sides_of_a_jump_count_together() {
    for (jump_s, now) in [
        (86_400, SystemTime::now() + DAY),
        (-86_400, SystemTime::now() - DAY),
    ] {
        let Some(mut scene) = Scene::with(JAIL) else {
            return;
        };
        let Some(clock) = WallClock::new(scene.guard.folder()) else {
            return;
        };
        scene.daemon.signal(libc::SIGTERM);
        scene.daemon.wait();
        let mut command = scene.guard.command(&["daemon"]);
        scene.daemon = GuardDaemon::start_as(&scene.guard, clock.shown_to(&mut command));
        scene.fail(ATTACKER, 2);
        scene.until_read("sshd", 2);
        assert_eq!(scene.guard.banned(), [""; 0], "two are not three");

        clock.set(jump_s);
        // What another host writes as its time of day now.
        let line = format!(
            "{} srv sshd[4711]: Failed password for root from {ATTACKER} port 40000 ssh2\n",
            rfc3339(now)
        );
        scene.write_raw(line.as_bytes());

        scene.until_banned(ATTACKER);
        scene.assert_shut_out_v4();
        let bans = scene.guardctl("bans list --json").ok().json();
        let left = bans["bans"][0]["seconds_left"].as_u64().expect("a time");
        assert!((590..=600).contains(&left), "{bans}");
    }
}

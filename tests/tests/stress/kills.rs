//! A17: the daemon is killed while it bans, again and again; what it banned is complete afterwards.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{Background, GuardDaemon, within},
    sshd_log,
};

use serde_json::Value;

use super::scene::{Dice, JAIL, Scene, is_long};

/// Between two lines of the log; where it lasts long, so long that not most of the time goes into lists of bans.
const PAUSE: Duration = Duration::from_micros(500);
const LONG_PAUSE: Duration = Duration::from_millis(2);
/// About so many attackers are asked about one by one.
const ASKED: u16 = 150;

/// Attackers of both families; those of IPv6 each in a /64 of their own.
fn attacker(number: u16) -> IpAddr {
    if number.is_multiple_of(3) {
        Ipv6Addr::new(0x2a00, 0x66, number, 0, 0, 0, 0, 7).into()
    } else {
        let [high, low] = number.to_be_bytes();
        Ipv4Addr::new(198, 18, high, low).into()
    }
}

fn bystander(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(198, 19, high, low).into()
}

/// As `bans list` names it.
fn banned_as(attacker: IpAddr) -> String {
    match attacker {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// Writes failures until it is told to stop: five of each attacker, and four of somebody who is none. How
/// many of them there were.
fn write(scene: &Scene, is_over: &AtomicBool) -> u16 {
    let mut log = scene.open_log();
    let pause = if is_long() { LONG_PAUSE } else { PAUSE };
    let mut number = 0;
    while !is_over.load(Ordering::Relaxed) {
        for turn in 0..5 {
            let mut lines = sshd_log::failures(&attacker(number).to_string(), 1);
            if turn < 4 {
                lines += &sshd_log::failures(&bystander(number).to_string(), 1);
            }
            log.write_all(lines.as_bytes()).expect("written");
            thread::sleep(pause);
        }
        number += 1;
    }
    number
}

/// Tells the writer that it is over, also when a check fails.
struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn whoever_failed_is_banned_however_often_the_daemon_is_killed() {
    let Some(scene) = Scene::with(JAIL) else {
        return;
    };
    let kills = if is_long() { 200 } else { 25 };
    let before = scene.guardctl("status --json").ok().json();
    let is_over = AtomicBool::new(false);
    let (attackers, answered) = thread::scope(|scope| {
        let writer = scope.spawn(|| write(&scene, &is_over));
        // However this ends, the writer does.
        let over = Over(&is_over);
        let mut dice = Dice(0x5eed_0017);
        let mut answered = 0;
        for round in 0..kills {
            let log = scene.guard.folder().join("daemon.log");
            let mut command = scene.guard.command(&["daemon"]);
            command.env_remove("JOURNAL_STREAM");
            let mut daemon = Background::start(&mut command, log);
            // Every second time when it works already.
            if round % 2 == 0 {
                let works = within(Duration::from_secs(10), || {
                    daemon.assert_alive();
                    let status = scene.guardctl("jail status sshd --json");
                    let bans = |printed: Value| printed["jails"][0]["counts"]["bans"].as_u64();
                    let bans = (status.code == Some(0)).then(|| bans(status.json()));
                    bans.flatten().filter(|bans| *bans > 0)
                });
                answered += u32::from(works.is_some());
            }
            let kill_at = Instant::now() + Duration::from_micros(dice.below(50_000) as u64);
            while Instant::now() < kill_at {
                thread::yield_now();
            }
            // SIGKILL, and waited for.
            drop(daemon);
        }
        drop(over);
        (writer.join().expect("the writer"), answered)
    });
    assert!(
        answered >= kills / 4,
        "it banned in {answered} of {kills} lives only"
    );

    let daemon = GuardDaemon::start(&scene.guard);
    let mut expected: Vec<String> = (0..attackers).map(attacker).map(banned_as).collect();
    expected.sort_unstable();
    let banned = within(Duration::from_secs(20), || {
        let banned = scene.guard.banned();
        (banned.len() >= expected.len()).then_some(banned)
    });
    let banned = banned.unwrap_or_else(|| scene.guard.banned());
    let missing: Vec<&String> = expected
        .iter()
        .filter(|source| !banned.contains(source))
        .collect();
    assert!(
        missing.is_empty(),
        "{} of {attackers} are free: {missing:?}\n{}",
        missing.len(),
        daemon.said()
    );
    assert_eq!(banned, expected, "nobody else");
    // explain takes its time: every attacker of the last lives, and some of the others.
    let step = (attackers / ASKED).max(1);
    for number in (0..attackers).filter(|number| number % step == 0 || number + 50 > attackers) {
        assert!(scene.is_shut_out(attacker(number)), "{}", attacker(number));
        assert!(
            number % 10 != 0 || !scene.is_shut_out(bystander(number)),
            "{}",
            bystander(number)
        );
    }
    assert_eq!(
        scene.aside(),
        Vec::<String>::new(),
        "both files can be read"
    );
    let link = scene.lab.srv.ip("-details link show eth0");
    assert_eq!(link.matches("prog/xdp").count(), 1, "{link}");
    let after = scene.guardctl("status --json").ok().json();
    for what in ["generation", "rules", "default", "policy"] {
        assert_eq!(after[what], before[what], "{what}");
    }
    scene.assert_friend_gets_in();
    println!(
        "{kills} kills, it banned before {answered} of them; {attackers} attackers banned, no bystander"
    );
}

//! Moving in beside a fail2ban that runs: whom it has banned stays banned, for the time that is left.

use std::{fs, time::Duration};

use guard_tests::{
    lab::{Answer, Fail2ban, Instance, Topology, UdpEcho, within},
    require,
};
use serde_json::Value;

const PORT: u16 = 7000;
const POLICY: &str = "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 7000\n";

#[test]
fn running_bans_of_a_live_fail2ban_are_carried_over_with_the_time_that_is_left() {
    let programs = [&["ip", "nsenter", "python3"][..], &Fail2ban::PROGRAMS].concat();
    if !(require::root() && require::programs(&programs)) {
        return;
    }
    let lab = Topology::new();
    let guard = Instance::new(&lab.srv);
    guard.write_policy(POLICY);
    let _ = guard.guardctl(&["enable"]).ok();
    let _echo = UdpEcho::start(&lab.srv, PORT);
    let log = guard.folder().join("auth.log");
    fs::write(&log, "").expect("a log");
    // It bans in its own books alone.
    let action = guard.folder().join("nothing.conf");
    fs::write(
        &action,
        "[Definition]\nactionban = true\nactionunban = true\n",
    )
    .expect("an action");
    let jail = |name: &str, time: &str| {
        format!(
            "[{name}]\nenabled = true\nfilter = sshd\nlogpath = {}\nbantime = {time}\n",
            log.display()
        )
    };
    let jails = format!(
        "[DEFAULT]\nbackend = polling\nusedns = no\nfindtime = 10m\nmaxretry = 5\naction = nothing\n\n{}{}{}",
        jail("sshd", "1h"),
        jail("forever", "-1"),
        jail("short", "1")
    );
    let mut fail2ban = Fail2ban::new(&jails, &action);
    fail2ban.start(&lab.srv, []);
    let attackers = [lab.attacker.v4.to_string(), lab.attacker.v6.to_string()];
    for (jail, who) in [
        ("sshd", attackers[0].as_str()),
        ("sshd", &attackers[1]),
        ("sshd", "198.18.5.5"),
        ("forever", "198.18.6.6"),
        ("short", "198.18.7.7"),
    ] {
        let _ = fail2ban.ask(&["set", jail, "banip", who]).ok();
        let banned = format!("[{jail}] Ban {who}");
        let found = within(Duration::from_secs(30), || {
            fail2ban.log().contains(&banned).then_some(())
        });
        assert!(found.is_some(), "{banned}\n{}", fail2ban.log());
    }
    let _ = fail2ban.ask(&["set", "sshd", "unbanip", "198.18.5.5"]).ok();
    let over = within(Duration::from_secs(30), || {
        fail2ban
            .log()
            .contains("[short] Unban 198.18.7.7")
            .then_some(())
    });
    assert!(over.is_some(), "{}", fail2ban.log());
    for srv in [lab.srv.v4, lab.srv.v6] {
        assert_eq!(lab.attacker.ask_udp(srv, PORT), Answer::Echo);
    }

    let folder = fail2ban.folder().display().to_string();
    let words = ["import", "fail2ban", "--from", &folder];
    let dry = guard
        .guardctl(&["--dry-run", words[0], words[1], words[2], words[3]])
        .ok();
    let _ = dry.says("would carry over 3 running bans");
    let ran = guard.guardctl(&words).ok();
    let _ = ran.says("carried over 3 running bans");

    let bans = |guard: &Instance| -> Vec<Value> {
        let listed = guard.guardctl(&["bans", "list", "--json"]).ok().json();
        listed["bans"].as_array().expect("a list").clone()
    };
    let found = bans(&guard);
    let printed: Vec<String> = found
        .iter()
        .map(|ban| format!("{} {} {}", ban["source"], ban["origin"], ban["permanent"]))
        .collect();
    assert_eq!(
        printed,
        [
            "\"198.18.6.6\" \"jail forever\" true",
            "\"203.0.113.66\" \"jail sshd\" false",
            "\"2001:db8:66::/64\" \"jail sshd\" false",
        ]
    );
    for ban in &found[1..] {
        let left = ban["seconds_left"].as_u64().expect("a time");
        assert!((3480..=3600).contains(&left), "{ban}");
    }
    for srv in [lab.srv.v4, lab.srv.v6] {
        assert_eq!(lab.attacker.ask_udp(srv, PORT), Answer::Silence);
        assert_eq!(lab.friend.ask_udp(srv, PORT), Answer::Echo);
    }
    // It goes on as if nobody had looked, and a second look finds nothing new.
    let _ = fail2ban.ask(&["ping"]).ok();
    assert!(!fail2ban.log().contains("ERROR"), "{}", fail2ban.log());
    // Its times are whole seconds: the ends may move by one.
    let _ = guard.guardctl(&words).ok();
    assert_eq!(bans(&guard).len(), 3);
    // What it lifts is another matter: guard's bans are guard's.
    fail2ban.stop();
    assert_eq!(bans(&guard).len(), 3);
}

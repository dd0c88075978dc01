//! Only the guilty are banned, whatever a log says.

use guard_tests::lab::{Answer, until};

use super::scene::{PORT, Scene};

const SSHD: &str = "[jail.sshd]\nlogpath = [\"LOG\"]\n";

#[test]
fn a_line_bans_its_peer_and_nobody_that_it_names_besides() {
    let Some(scene) = Scene::with(SSHD) else {
        return;
    };
    // What a client chose stands in the place of the user; the peer comes behind it.
    let lines: [&str; 8] = [
        "Invalid user root from 198.51.100.77 port 22 from 203.0.113.1 port 4000",
        "Failed password for invalid user x from 198.51.100.77 port 22 ssh2 from 203.0.113.1 port 4000 ssh2",
        "Failed password for invalid user 198.51.100.77 from 203.0.113.1 port 4000 ssh2",
        "Failed password for invalid user from 198.51.100.77 from 203.0.113.1 port 4000 ssh2",
        "Failed password for invalid user \u{1b}[2J\u{1b}[31m198.51.100.77 from 203.0.113.1 port 4000 ssh2",
        "Failed password for invalid user x\r198.51.100.77 from 203.0.113.1 port 4000 ssh2",
        "Failed password for invalid user x\u{0}1.2.3.4 from 203.0.113.1 port 4000 ssh2",
        "Failed password for invalid user \u{feff}198.51.100.77 from 203.0.113.1 port 4000 ssh2",
    ];
    for (number, line) in lines.iter().enumerate() {
        let own = format!("203.0.113.{}", number + 1);
        let line = line.replace("203.0.113.1 ", &format!("{own} "));
        scene.write(&[line.as_str(); 5]);
        scene.until_banned(&own);
        assert_eq!(scene.guard.banned().len(), number + 1, "{line:?}");
    }
    let banned = scene.guard.banned();
    assert!(
        banned.iter().all(|source| source.starts_with("203.0.113.")),
        "{banned:?}"
    );
}

#[test]
fn what_is_no_log_does_no_harm() {
    let Some(scene) = Scene::with(SSHD) else {
        return;
    };
    let mut bytes = Vec::new();
    bytes.extend(vec![b'A'; 1 << 20]);
    bytes.push(b'\n');
    // Half of an address behind the cut is somebody else's.
    let long = "Failed password for root from 203.0.113.250 port 1 ssh2 ".repeat(20_000);
    bytes.extend(format!("Nov 21 10:00:00 srv sshd[1]: {long}\n").into_bytes());
    bytes.extend([0; 4096]);
    bytes.push(b'\n');
    bytes.extend(
        (0..=255_u8)
            .cycle()
            .take(100_000)
            .filter(|byte| *byte != b'\n'),
    );
    bytes.push(b'\n');
    bytes.extend(b"\xff\xfe Failed password for root from 203.0.113.251 port 1 ssh2\n");
    bytes.extend(b"Failed password for root from gateway.example port 1 ssh2\n");
    scene.write_raw(&bytes);
    // A name is never looked up.
    scene.fail("attacker.example", 5);
    scene.until_read("sshd", 6 + 5);
    assert_eq!(scene.guard.banned().len(), 0);
    assert_eq!(scene.count("sshd", "named"), 5);
    assert_eq!(scene.count("sshd", "cut"), 3);
    // And what follows is read as ever.
    scene.fail("203.0.113.66", 5);
    scene.until_banned("203.0.113.66");
    scene.assert_shut_out_v4();
}

/// A12: neither logs nor packets shut out what this host needs.
#[test]
fn what_is_protected_is_never_banned_for_a_line() {
    let jails = "[default]\nignoreself = false\n[jail.sshd]\nlogpath = [\"LOG\"]\n\
                 proxies = [\"203.0.113.200\"]\nignoreip = [\"203.0.113.201\"]\n";
    let Some(scene) = Scene::with(jails) else {
        return;
    };
    for (what, source) in [
        ("own address", "192.0.2.1"),
        ("own address, IPv6", "2001:db8:2::1"),
        ("gateway", "192.0.2.254"),
        ("gateway, IPv6", "2001:db8:2::fe"),
        ("loopback", "127.0.0.1"),
        ("loopback, IPv6", "::1"),
        ("link-local", "fe80::1"),
        ("on the never list", "198.51.100.10"),
        ("a trusted proxy", "203.0.113.200"),
        ("ignoreip", "203.0.113.201"),
    ] {
        let lines = scene.count("sshd", "lines");
        scene.fail(source, 12);
        scene.until_read("sshd", lines + 12);
        assert_eq!(scene.guard.banned().len(), 0, "{what}");
    }
    let counts = scene.status("sshd")["counts"].clone();
    assert_eq!(counts["spared"], 24, "{counts}");
    assert_eq!(counts["refused"], 8, "{counts}");
    assert_eq!(counts["bans"], 0, "{counts}");
    scene
        .daemon
        .says("192.0.2.1 cannot be banned: it is an address of this host");
    scene
        .daemon
        .says("192.0.2.254 cannot be banned: it is a gateway of this host");
    scene.assert_friend_gets_in();
}

#[test]
fn a_proxy_speaks_for_its_clients_and_others_speak_for_nobody() {
    let filter = "[Definition]\n\
        failregex = ^ <ADDR> login failed(?: for \"<F-FORWARDED>[^\"]*</F-FORWARDED>\")?$\n\
        datepattern = ^EPOCH\n";
    let jails = "[jail.sshd]\nenabled = false\n[jail.web]\nlogpath = [\"LOG\"]\nfilter = \"web\"\n\
                 proxies = [\"203.0.113.200\"]\nmaxretry = 3\n";
    let scene = Scene::started(jails, |guard| {
        let folder = guard.etc().join("filter.d");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join("web.conf"), filter).expect("a filter");
    });
    let Some(scene) = scene else { return };
    let now = std::time::SystemTime::now();
    let epoch = now
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a time")
        .as_secs();
    let say = |line: &str| scene.write_raw(format!("{epoch} {line}\n").repeat(3).as_bytes());
    // What a client says of itself stands in front.
    say("203.0.113.200 login failed for \"198.51.100.77, 203.0.113.5\"");
    scene.until_banned("203.0.113.5");
    say("203.0.113.6 login failed for \"198.51.100.77\"");
    scene.until_banned("203.0.113.6");
    say("203.0.113.200 login failed for \"-\"");
    scene.until_read("web", 9);
    assert_eq!(scene.guard.banned(), ["203.0.113.5", "203.0.113.6"]);
}

/// Packets are no failures: a flood in somebody's name bans nobody.
#[test]
fn a_limit_that_is_exceeded_is_no_ban() {
    let Some(scene) = Scene::with(SSHD) else {
        return;
    };
    drop(scene.guardctl("limit 7100/udp rate 1/s burst 1").ok());
    for _ in 0..3 {
        for to in scene.addresses() {
            let _ = scene.lab.attacker.ask_udp(to, 7100);
        }
    }
    assert_eq!(scene.guard.banned().len(), 0);
    for to in scene.addresses() {
        assert_eq!(scene.lab.attacker.ask_udp(to, PORT), Answer::Echo);
    }
}

#[test]
fn whoever_is_let_in_by_a_command_is_counted_again() {
    let Some(scene) = Scene::with(SSHD) else {
        return;
    };
    scene.fail("203.0.113.66", 5);
    scene.until_banned("203.0.113.66");
    scene.assert_shut_out_v4();
    let _ = scene.guardctl("unban 203.0.113.66").ok();
    assert_eq!(
        scene.lab.attacker.ask_udp(scene.lab.srv.v4, PORT),
        Answer::Echo
    );
    until("the jail to know", || {
        !scene.guard.run().join("bans.lifted").exists()
    });
    // He was banned before: fewer failures are enough, and the ban is longer.
    scene.fail("203.0.113.66", 3);
    scene.until_banned("203.0.113.66");
    let bans = scene.guardctl("bans list --json").json();
    let left = bans["bans"][0]["seconds_left"].as_f64().expect("a time");
    assert!((1100.0..=1200.0).contains(&left), "{left}");
    scene.assert_shut_out_v4();
    // And all of a jail at once.
    assert_eq!(
        scene
            .guardctl("f2b set sshd unbanip --all")
            .ok()
            .stdout
            .trim(),
        "1"
    );
    assert_eq!(scene.guard.banned().len(), 0);
}

#[test]
fn whoever_comes_back_is_shut_out_by_recidive_for_a_week() {
    let jails = "[jail.sshd]\nlogpath = [\"LOG\"]\nmaxretry = 1\nbantime = \"1s\"\n\
                 \"bantime.increment\" = false\n[jail.recidive]\nmaxretry = 3\n";
    let Some(scene) = Scene::with(jails) else {
        return;
    };
    for ban in 1..=3 {
        scene.fail("203.0.113.66", 1);
        until(&format!("ban {ban}"), || scene.count("sshd", "bans") >= ban);
        until("its end", || {
            let bans = scene.guardctl("bans list --json").json();
            let bans = bans["bans"].as_array().expect("bans").clone();
            bans.iter().all(|ban| ban["origin"] != "jail sshd")
        });
    }
    until("the long ban", || scene.count("recidive", "bans") == 1);
    let bans = scene.guardctl("bans list --json").json();
    let ban = &bans["bans"][0];
    assert_eq!(ban["origin"], "jail recidive", "{bans}");
    assert!(
        ban["seconds_left"].as_f64() > Some(6.9 * 86_400.0),
        "{bans}"
    );
    scene.assert_shut_out_v4();
}

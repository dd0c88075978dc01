//! Jails by command, in guard's words and in fail2ban's.

use std::fs;

use guard_tests::lab::until;

use super::scene::Scene;

const SSHD: &str = "# mine\n[jail.sshd]\nlogpath = [\"LOG\"] # here\nmaxretry = 4\n";

#[test]
fn a_setting_changes_in_the_file_and_in_the_daemon_at_once() {
    let Some(scene) = Scene::with(SSHD) else {
        return;
    };
    let file = scene.guard.etc().join("jails.d/test.toml");
    let before = fs::read_to_string(&file).expect("the file");

    let _ = scene
        .guardctl("jail set sshd maxretry 2")
        .ok()
        .says("changed");
    let _ = scene.guardctl("jail set sshd bantime 1h").ok();
    let after = fs::read_to_string(&file).expect("the file");
    let expected = before.replace("maxretry = 4\n", "maxretry = 2\nbantime = \"1h\"\n");
    assert_eq!(after, expected);
    assert_eq!(
        scene.guardctl("jail get sshd maxretry").ok().stdout.trim(),
        "2"
    );
    let _ = scene
        .guardctl("jail set sshd maxretry 2")
        .ok()
        .says("is set to that already");

    scene.fail("203.0.113.66", 2);
    scene.until_banned("203.0.113.66");
    let bans = scene.guardctl("bans list --json").json();
    assert!(
        bans["bans"][0]["seconds_left"].as_f64() > Some(3500.0),
        "{bans}"
    );

    // Turned off, nobody is banned any more; who is stays so.
    let _ = scene.guardctl("jail disable sshd").ok();
    assert_eq!(scene.guardctl("jail list").ok().stdout.lines().count(), 2);
    let _ = scene.guardctl("jail list").ok().says("off");
    scene.fail("203.0.113.67", 5);
    let _ = scene.guardctl("jail enable sshd").ok();
    // What was written meanwhile counts, as far as it is not too long ago.
    scene.until_banned("203.0.113.67");
    assert_eq!(scene.guard.banned(), ["203.0.113.66", "203.0.113.67"]);
}

#[test]
fn a_jail_is_made_by_the_name_of_its_filter() {
    let Some(scene) = Scene::with("[jail.sshd]\nenabled = false\n") else {
        return;
    };
    let _ = scene.guardctl("jail enable nginx-http-auth").ok();
    let _ = scene
        .guardctl("jail list")
        .ok()
        .says("/var/log/nginx/access.log");
    let file = scene.guard.etc().join("jails.d/nginx-http-auth.toml");
    let text = fs::read_to_string(file).expect("a file of its own");
    let first = "#:schema file:///usr/share/guard/jails.schema.json\n";
    assert_eq!(
        text,
        format!("{first}\n[jail.nginx-http-auth]\nenabled = true\n")
    );
}

#[test]
fn what_would_be_wrong_is_refused_and_changes_nothing() {
    let Some(scene) = Scene::with(SSHD) else {
        return;
    };
    let file = scene.guard.etc().join("jails.d/test.toml");
    let before = fs::read_to_string(&file).expect("the file");
    for (line, exit, says) in [
        (
            "jail set sshd maxretry 0",
            5,
            "0 is not a number of failures",
        ),
        ("jail set sshd bantime soon", 5, "bantime"),
        ("jail set sshd maxretries 3", 5, "did you mean maxretry?"),
        ("jail set sshd port 22", 5, "shuts out all ports"),
        (
            "jail set sshd ignoreip friend",
            5,
            "neither an address, nor a network, nor a name",
        ),
        (
            "jail set sshd filter nonsense",
            6,
            "there is no filter `nonsense`",
        ),
        (
            "jail set nonsense maxretry 3",
            6,
            "there is no jail nonsense",
        ),
        ("jail enable nonsense", 6, "there is no filter `nonsense`"),
        ("jail disable nonsense", 6, "there is no jail nonsense"),
        ("jail get sshd nonsense", 2, "no setting nonsense"),
        ("jail status nonsense", 6, "there is no jail nonsense"),
        ("jail attempt nonsense 203.0.113.9", 6, "no jail nonsense"),
        ("jail attempt sshd nonsense", 2, "invalid"),
        ("f2b set sshd nonsense 3", 2, "not understood"),
        ("f2b status nonsense", 6, "does not exist"),
    ] {
        let _ = scene.guardctl(line).exit(exit).says(says);
        assert_eq!(
            fs::read_to_string(&file).expect("the file"),
            before,
            "{line}"
        );
        let jails = scene.guard.etc().join("jails.d");
        assert_eq!(fs::read_dir(jails).expect("a folder").count(), 1, "{line}");
    }
    // And the daemon goes on.
    scene.fail("203.0.113.66", 4);
    scene.until_banned("203.0.113.66");
}

#[test]
fn failures_can_be_reported_by_hand() {
    let Some(scene) = Scene::with(SSHD) else {
        return;
    };
    for count in 1..4 {
        let says = format!("{count} of 4");
        let _ = scene
            .guardctl("jail attempt sshd 203.0.113.66")
            .ok()
            .says(&says);
    }
    let _ = scene
        .guardctl("jail attempt sshd 203.0.113.66")
        .ok()
        .says("is banned for 10m");
    scene.assert_shut_out_v4();
    for _ in 0..3 {
        let _ = scene.guardctl("jail attempt sshd 198.51.100.10").ok();
    }
    let _ = scene
        .guardctl("jail attempt sshd 198.51.100.10")
        .exit(7)
        .says("protected");
}

#[test]
fn scripts_that_talk_to_fail2ban_client_are_understood() {
    let Some(scene) = Scene::with(SSHD) else {
        return;
    };
    let said = |line: &str| scene.guardctl(line).ok().stdout;
    assert_eq!(said("f2b ping"), "Server replied: pong\n");
    assert_eq!(
        said("f2b status"),
        "Status\n|- Number of jail:\t1\n`- Jail list:\tsshd\n"
    );
    assert_eq!(
        said("f2b set sshd banip 203.0.113.66 2001:db8:66::66"),
        "2\n"
    );
    scene.assert_friend_gets_in();
    let log = scene.log().display().to_string();
    until("the report", || {
        said("f2b status sshd").contains("Currently banned")
    });
    assert_eq!(
        said("f2b status sshd"),
        format!(
            "Status for the jail: sshd\n|- Filter\n|  |- Currently failed:\t0\n|  |- Total failed:\t0\n\
             |  `- File list:\t{log}\n`- Actions\n   |- Currently banned:\t2\n   |- Total banned:\t0\n\
             \u{20}  `- Banned IP list:\t203.0.113.66 2001:db8:66::/64\n"
        )
    );
    assert_eq!(
        said("f2b banned"),
        "[{'sshd': ['203.0.113.66', '2001:db8:66::/64']}]\n"
    );
    assert_eq!(
        said("f2b banned 203.0.113.66 203.0.113.67"),
        "[['sshd'], []]\n"
    );
    assert_eq!(
        said("f2b get sshd banip"),
        "203.0.113.66 2001:db8:66::/64\n"
    );
    assert_eq!(said("f2b get sshd bantime"), "600\n");
    let _ = scene.guardctl("f2b set sshd bantime 1800").ok();
    assert_eq!(said("f2b get sshd bantime"), "1800\n");
    let _ = scene
        .guardctl("f2b set sshd addignoreip 203.0.113.67 192.0.2.0/24")
        .ok();
    assert_eq!(
        said("f2b get sshd ignoreip"),
        "203.0.113.67\n192.0.2.0/24\n"
    );
    let _ = scene.guardctl("f2b set sshd delignoreip 203.0.113.67").ok();
    assert_eq!(said("f2b get sshd ignoreip"), "192.0.2.0/24\n");
    assert_eq!(said("f2b set sshd unbanip 203.0.113.66"), "1\n");
    assert_eq!(said("f2b set sshd unbanip 203.0.113.66"), "0\n");
    assert_eq!(said("f2b unban --all"), "1\n");
    assert_eq!(said("f2b reload"), "OK\n");
    let _ = scene.guardctl("f2b stop sshd").ok();
    assert_eq!(
        said("f2b status"),
        "Status\n|- Number of jail:\t0\n`- Jail list:\t\n"
    );
}

#[test]
fn without_a_daemon_commands_say_so_and_do_what_they_can() {
    let Some(scene) = Scene::with(SSHD) else {
        return;
    };
    scene.daemon.signal(libc::SIGSTOP);
    let _ = scene
        .guardctl("jail status")
        .exit(12)
        .says("does not answer");
    scene.daemon.signal(libc::SIGCONT);
    let _ = scene.guardctl("daemon --stop").ok();
    let _ = scene
        .guardctl("jail status")
        .exit(3)
        .says("no daemon is running");
    let _ = scene.guardctl("jail attempt sshd 203.0.113.9").exit(3);
    let _ = scene.guardctl("f2b ping").exit(3);
    let _ = scene.guardctl("jail list").ok().says("waits");
    let _ = scene
        .guardctl("jail set sshd maxretry 9")
        .ok()
        .says("it takes effect when one does");
    let _ = scene.guardctl("f2b set sshd banip 203.0.113.66").ok();
    scene.assert_shut_out_v4();
    let _ = scene.guardctl("f2b set sshd unbanip 203.0.113.66").ok();
    assert_eq!(scene.guard.banned().len(), 0);
}

//! A12: what can never be banned, by whatever command. (No packet bans anybody in this version: bans come
//! from commands and files alone.)

use std::{fs, time::Duration};

use guard_tests::lab::finish;

use super::scene::{POLICY, Scene};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn everything_that_this_host_needs_is_refused_with_its_own_exit_code() {
    let policy = format!("never = [\"198.51.100.99\"]\n{POLICY}");
    let Some(scene) = Scene::with(&policy) else {
        return;
    };
    let resolv = scene.guard.folder().join("resolv.conf");
    fs::write(&resolv, "nameserver 9.9.9.9\nnameserver 2620:fe::fe\n").expect("a file");
    for (source, why) in [
        ("192.0.2.1", "an address of this host"),
        ("2001:db8:2::1", "an address of this host"),
        ("192.0.2.0/24", "192.0.2."),
        ("2001:db8:2::/64", "2001:db8:2::"),
        ("192.0.2.254", "gateway"),
        ("2001:db8:2::fe", "gateway"),
        ("9.9.9.9", "name server"),
        ("2620:fe::fe", "name server"),
        ("198.51.100.99", "never list"),
        ("198.51.100.10", "SSH session"),
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("10.0.0.0/7", "too wide"),
        ("2000::/19", "too wide"),
    ] {
        for force in [&["--force"][..], &[]] {
            let words = [&["ban", source][..], force].concat();
            let mut command = scene.guard.command(&words);
            command
                .env("GUARD_RESOLV_CONF", &resolv)
                .env("SSH_CONNECTION", "198.51.100.10 50000 192.0.2.1 22");
            let _ = finish(&mut command, LIMIT).exit(7).says(why);
        }
    }
    // Wide ones are a matter of being sure.
    for source in ["11.0.0.0/12", "2a00::/24"] {
        let _ = scene.guardctl(&["ban", source]).exit(7).says("--force");
        let _ = scene.guardctl(&["ban", source, "--force"]).ok();
        let _ = scene.guardctl(&["unban", source]).ok();
    }
    assert_eq!(scene.sources(), [""; 0], "a refusal changes nothing");
}

#[test]
fn a_network_is_narrowed_to_the_address_where_it_holds_what_is_protected() {
    let Some(scene) = Scene::with(&format!("never = [\"2001:db8:66::7\"]\n{POLICY}")) else {
        return;
    };
    let _ = scene
        .guardctl(&["ban", "2001:db8:66::66"])
        .ok()
        .says("only 2001:db8:66::66/128");
    assert_eq!(scene.sources(), ["2001:db8:66::66/128"]);
    assert!(!scene.gets_through(scene.lab.srv.v6));
    let _ = scene.guardctl(&["unban", "2001:db8:66::66"]).ok();
    assert!(scene.gets_through(scene.lab.srv.v6));
}

#[test]
fn what_makes_no_sense_is_told_and_changes_nothing() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    for (words, code, said) in [
        (&["ban"][..], 2, "SOURCE"),
        (&["ban", "fe80::1%eth0"], 2, "zone"),
        (&["ban", "203.0.113.7:22"], 2, "port"),
        (&["ban", "203.0.113.7/24"], 2, "host bits"),
        (&["ban", "example.org"], 2, "neither"),
        (&["ban", "203.0.113.7", "--for", "0"], 2, "one second"),
        (&["ban", "203.0.113.7", "--for", "soon"], 2, "10m"),
        (
            &["ban", "203.0.113.7", "--for", "1h", "--permanent"],
            2,
            "cannot be used",
        ),
        (&["ban", "203.0.113.7", "--reason", "a\nb"], 2, "one line"),
        // One of several that cannot be banned: none is.
        (&["ban", "203.0.113.7", "192.0.2.1"], 7, "this host"),
        (&["unban"], 2, "SOURCE"),
        (&["unban", "203.0.113.7"], 6, "not banned"),
        (&["unban", "203.0.113.7", "--all"], 2, "cannot be used"),
        (&["bans", "import", "/nonexistent"], 6, "/nonexistent"),
    ] {
        let _ = scene.guardctl(words).exit(code).says(said);
    }
    assert_eq!(scene.sources(), [""; 0]);
    let ran = scene
        .guardctl(&["ban", "::ffff:203.0.113.7", "--for", "-1"])
        .ok();
    let _ = ran.says("taken as 203.0.113.7");
    let ran = scene.guardctl(&["unban", "203.0.113.0/24"]).exit(6);
    let _ = ran.says("not banned");
    let _ = scene.guardctl(&["--dry-run", "unban", "203.0.113.7"]).ok();
    let _ = scene.guardctl(&["--dry-run", "ban", "203.0.113.8"]).ok();
    assert_eq!(scene.sources(), ["203.0.113.7"]);
}

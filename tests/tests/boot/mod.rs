//! After a reboot: the policy that was in force is in force before anything else, or the operator
//! is reported in no uncertain terms.

mod bans;
mod databases;
mod host_names;
mod machine;
mod names;
mod service;
mod state;

use std::time::Duration;

use guard_tests::{
    lab::{Answer, GuardDaemon, finish, until},
    require,
};
use machine::{CLOSED, Machine, OPEN, POLICY};

#[test]
fn the_policy_is_in_force_again_before_an_address_is_there() {
    if !require::root() {
        return;
    }
    // Named, and by default routes, which are not there when the network is not.
    for policy in [
        POLICY.to_owned(),
        POLICY.replace("interfaces = [\"eth0\"]", ""),
    ] {
        let machine = Machine::with(&policy);
        drop(machine.guard.guardctl(&["enable"]).ok());
        let rules = |machine: &Machine| {
            machine.guard.guardctl(&["status", "--json"]).json()["rules"].clone()
        };
        let before = rules(&machine);
        machine.reboot();
        machine.lab.srv.ip("link set eth0 down");
        machine.lab.srv.ip("addr flush dev eth0");
        let ran = machine.guard.guardctl(&["status"]).exit(8);
        drop(ran.says("guard should be on").says("a reboot"));

        let ran = machine.guard.guardctl(&["load"]).ok();
        drop(ran.says("eth0: attached").says("guard is active"));

        machine.network_up();
        machine.assert_filters();
        drop(machine.guard.guardctl(&["status"]).ok());
        assert_eq!(rules(&machine), before);
        // A second time there is nothing to do, and nothing is done.
        let json = machine.guard.guardctl(&["load", "--json"]).ok().json();
        assert_eq!(json["origin"], "kernel");
        // The daemon finds an address that was not there before.
        let _daemon = GuardDaemon::start(&machine.guard);
        drop(machine.guard.guardctl(&["reload"]).ok());
        machine.assert_filters();
    }
}

#[test]
fn a_policy_whose_files_are_broken_gives_way_to_the_last_that_was_in_force() {
    if !require::root() {
        return;
    }
    type Damage = (&'static str, fn(&Machine), &'static str);
    let damages: [Damage; 10] = [
        (
            "an empty file",
            |machine| machine.guard.write_policy(""),
            "guard.toml: is empty, and was not",
        ),
        (
            "blanks",
            |machine| machine.guard.write_policy("\n \n"),
            "guard.toml: is empty, and was not",
        ),
        (
            "an empty set",
            |machine| std::fs::write(machine.guard.etc().join("friends.txt"), "").unwrap(),
            "friends.txt: is empty, and was not",
        ),
        (
            "a pipe",
            |machine| put_a_pipe(&machine.guard.etc().join("guard.toml")),
            "guard.toml: is not a regular file",
        ),
        (
            "a link to nothing",
            |machine| {
                let path = machine.guard.etc().join("guard.toml");
                std::fs::remove_file(&path).unwrap();
                std::os::unix::fs::symlink("/nonexistent", path).unwrap();
            },
            "guard.toml: is a symbolic link to nothing",
        ),
        (
            "half a file",
            |machine| machine.guard.write_policy("interfaces = [\"eth"),
            "guard.toml:1",
        ),
        (
            "an empty disk",
            |machine| std::fs::remove_dir_all(machine.guard.etc()).unwrap(),
            "does not exist",
        ),
        (
            "a stray file",
            |machine| {
                std::fs::create_dir(machine.guard.etc().join("guard.d")).unwrap();
                std::fs::write(machine.guard.etc().join("guard.d/x.toml"), "?").unwrap();
            },
            "x.toml:1",
        ),
        (
            "no text",
            |machine| std::fs::write(machine.guard.etc().join("guard.toml"), [0xff]).unwrap(),
            "UTF-8",
        ),
        (
            "a lost set",
            |machine| std::fs::remove_file(machine.guard.etc().join("friends.txt")).unwrap(),
            "friends.txt",
        ),
    ];
    let machine = Machine::with(POLICY);
    for (case, damage, named) in damages {
        machine.write_files(POLICY);
        drop(machine.guard.guardctl(&["enable"]).ok());
        machine.reboot();
        damage(&machine);

        let ran = machine.guard.guardctl(&["load"]).ok();

        let ran = ran.says("THE POLICY FILES ARE NOT USABLE").says(named);
        println!("{case}: {ran}");
        machine.assert_filters();
        // Monitoring shall see it, and the words of what is in force are known.
        let status = machine.guard.guardctl(&["status"]).exit(8);
        let status = status.says("NOT USABLE AT BOOT").says(named);
        drop(status.says("1000"));
        let json = machine.guard.guardctl(&["load", "--json"]).ok().json();
        assert_eq!(json["origin"], "kernel", "{case}");
        drop(machine.guard.guardctl(&["disable"]).ok());
        if machine.guard.etc().exists() {
            std::fs::remove_dir_all(machine.guard.etc()).unwrap();
        }
    }
}

fn put_a_pipe(path: &std::path::Path) {
    std::fs::remove_file(path).ok();
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo").success());
}

/// Who empties the file and applies that means it.
#[test]
fn a_policy_that_was_emptied_and_applied_is_what_comes_back() {
    if !require::root() {
        return;
    }
    let machine = Machine::with(POLICY);
    drop(machine.guard.guardctl(&["enable"]).ok());
    machine.guard.write_policy("");
    drop(machine.guard.guardctl(&["reload"]).ok());
    machine.reboot();

    drop(machine.guard.guardctl(&["load"]).ok());

    assert_eq!(machine.ask(OPEN), Answer::Silence);
    drop(machine.guard.guardctl(&["status"]).ok());
}

#[test]
fn on_the_copy_status_and_the_daemon_say_so_until_the_files_are_applied() {
    if !require::root() {
        return;
    }
    let machine = Machine::with(POLICY);
    let guard = &machine.guard;
    drop(guard.guardctl(&["enable"]).ok());
    drop(guard.guardctl(&["allow", "3000"]).ok());
    machine.reboot();
    guard.write_policy("broken");
    drop(guard.guardctl(&["load"]).ok());
    let json = guard.guardctl(&["status", "--json"]).exit(8).json();
    let why = json["fallback"].as_str().expect("a reason");
    assert!(why.contains("guard.toml:1"), "{json}");

    let socket = guard.folder().join("notify");
    let heard = std::os::unix::net::UnixDatagram::bind(&socket).expect("a socket");
    heard.set_nonblocking(true).expect("a mode");
    let mut command = guard.command(&["daemon"]);
    command.env("NOTIFY_SOCKET", &socket);
    let _daemon = GuardDaemon::start_as(guard, &mut command);
    until("systemd to hear of it", || {
        let mut text = [0; 4096];
        let length = heard.recv(&mut text).unwrap_or_default();
        String::from_utf8_lossy(&text[..length]).contains("ON THE COPY OF THE LAST POLICY")
    });

    // What leads on works.
    let ran = guard.guardctl(&["rollback", "1"]).exit(1);
    drop(ran.says("`guardctl check`"));
    drop(guard.guardctl(&["rollback", "1", "--force"]).ok());
    let json = guard.guardctl(&["status", "--json"]).ok().json();
    assert!(json["fallback"].is_null(), "{json}");
}

#[test]
fn files_that_were_never_applied_do_not_replace_the_copy() {
    if !require::root() {
        return;
    }
    let machine = Machine::with(POLICY);
    drop(machine.guard.guardctl(&["enable"]).ok());
    machine.guard.write_policy(&POLICY.replace("1000", "3000"));
    let _daemon = GuardDaemon::start(&machine.guard);
    drop(machine.guard.guardctl(&["daemon", "--reconcile"]).ok());
    drop(_daemon);
    machine.reboot();
    machine.guard.write_policy("broken");

    drop(machine.guard.guardctl(&["load"]).ok());

    machine.assert_filters();
}

#[test]
fn a_change_by_command_is_what_comes_back() {
    if !require::root() {
        return;
    }
    let machine = Machine::with(POLICY);
    drop(machine.guard.guardctl(&["enable"]).ok());
    let _daemon = GuardDaemon::start(&machine.guard);
    drop(machine.guard.guardctl(&["allow", "3000"]).ok());
    drop(machine.guard.guardctl(&["delete", "1"]).ok());
    // The daemon, too, keeps the copy up to date.
    drop(machine.guard.guardctl(&["daemon", "--reconcile"]).ok());
    drop(machine.guard.guardctl(&["daemon", "--stop"]).ok());
    machine.reboot();
    machine.guard.write_policy("broken");

    drop(machine.guard.guardctl(&["load"]).ok());

    assert_eq!(machine.ask(CLOSED), Answer::Echo);
    assert_eq!(machine.ask(OPEN), Answer::Silence);
}

#[test]
fn with_nothing_usable_it_fails_and_says_that_the_host_is_open() {
    if !require::root() {
        return;
    }
    let machine = Machine::with(POLICY);
    drop(machine.guard.guardctl(&["enable"]).ok());
    machine.reboot();
    machine.guard.write_policy("broken");
    std::fs::remove_file(machine.guard.state().join("last-good.json")).unwrap();

    let ran = machine.guard.guardctl(&["load"]).exit(5);

    drop(ran.says("THE HOST IS UNPROTECTED").says("guard.toml:1"));
    for words in [&["status"] as &[&str], &["service", "status"]] {
        let ran = machine.guard.guardctl(words).exit(8);
        drop(ran.says("guard should be on").says("guard.toml:1"));
    }
    let json = machine.guard.guardctl(&["status", "--json"]).exit(8).json();
    assert_eq!(json["active"], false, "{json}");
    assert_eq!(json["should_be_active"], true, "{json}");
    let why = json["why_inactive"].as_str().expect("a reason");
    assert!(why.contains("guard.toml:1"), "{json}");
    // Half a copy is as good as none.
    std::fs::write(machine.guard.state().join("last-good.json"), "{\"dig").unwrap();
    drop(machine.guard.guardctl(&["load"]).exit(5));
    // Off is off, and on again is on: neither remembers the failure.
    machine.write_files(POLICY);
    drop(machine.guard.guardctl(&["enable"]).ok());
    drop(machine.guard.guardctl(&["status"]).ok());
    drop(machine.guard.guardctl(&["disable"]).ok());
    drop(machine.guard.guardctl(&["status"]).exit(3));
}

/// systemd's end of the notifications: the unit is green only if it says READY.
#[test]
fn a_daemon_that_cannot_load_fails_as_a_unit_and_says_why() {
    if !require::root() {
        return;
    }
    let machine = Machine::with(POLICY);
    let guard = &machine.guard;
    drop(guard.guardctl(&["enable"]).ok());
    machine.reboot();
    guard.write_policy("broken");
    std::fs::remove_file(guard.state().join("last-good.json")).unwrap();
    let path = guard.folder().join("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    manager.set_nonblocking(true).expect("a socket");
    let start = || {
        let mut command = guard.command_behind(&["env"], &["daemon"]);
        command.env("NOTIFY_SOCKET", &path);
        command
    };
    let said = || {
        let mut buffer = [0; 4096];
        let mut said = String::new();
        while let Ok(bytes) = manager.recv(&mut buffer) {
            said += &String::from_utf8_lossy(&buffer[..bytes]);
            said.push('\n');
        }
        said
    };

    let ran = finish(&mut start(), Duration::from_secs(30)).exit(8);

    drop(ran.says("THE HOST IS UNPROTECTED").says("guard.toml:1"));
    let printed = said();
    assert!(printed.contains("STATUS=UNPROTECTED"), "{printed}");
    assert!(!printed.contains("READY=1"), "{printed}");
    // Started again, as systemd does, it loads what is usable by then.
    machine.write_files(POLICY);
    let _daemon = GuardDaemon::start_as(guard, &mut start());
    until("the daemon to be ready", || said().contains("READY=1"));
    machine.assert_filters();
}

#[test]
fn guard_that_was_off_stays_off() {
    if !require::root() {
        return;
    }
    let machine = Machine::with(POLICY);
    drop(
        machine
            .guard
            .guardctl(&["load"])
            .ok()
            .says("nothing to load"),
    );
    drop(machine.guard.guardctl(&["enable"]).ok());
    drop(machine.guard.guardctl(&["disable"]).ok());
    machine.reboot();

    drop(
        machine
            .guard
            .guardctl(&["load"])
            .ok()
            .says("nothing to load"),
    );

    drop(machine.guard.guardctl(&["status"]).exit(3));
    assert_eq!(machine.ask(CLOSED), Answer::Echo);
}

#[test]
fn an_interface_that_is_not_there_yet_is_named_and_attached_when_it_comes() {
    if !require::root() {
        return;
    }
    let machine = Machine::with(POLICY);
    drop(machine.guard.guardctl(&["enable"]).ok());
    machine.reboot();
    machine.lab.srv.ip("link del eth0");

    let ran = machine.guard.guardctl(&["load"]).exit(8);
    drop(ran.says("eth0: UNPROTECTED: no such interface yet"));
    drop(machine.guard.guardctl(&["status"]).exit(8));
    let daemon = GuardDaemon::start(&machine.guard);
    daemon.says("eth0: unprotected: there is no such interface");

    machine.lab.make_server_interface();

    daemon.says("eth0: protected again after");
    until("the network", || machine.ask(OPEN) == Answer::Echo);
    machine.assert_filters();
    drop(machine.guard.guardctl(&["status"]).ok());
}

#[test]
fn the_daemon_alone_loads_what_nobody_loaded() {
    if !require::root() {
        return;
    }
    let machine = Machine::with(POLICY);
    drop(machine.guard.guardctl(&["enable"]).ok());
    machine.reboot();

    let daemon = GuardDaemon::start(&machine.guard);

    daemon.says("guard was on and nothing was in force");
    machine.assert_filters();
    drop(machine.guard.guardctl(&["status"]).ok());
}

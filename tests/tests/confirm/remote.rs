//! Over SSH, what could shut the operator out has a deadline without being asked for one.

use std::time::Duration;

use guard_tests::{
    lab::{Ran, Sshd, finish, guardctl_path},
    require,
};

use super::scene::{GOOD, Scene, policy};

/// As if typed in a session from the friend.
fn over_ssh(scene: &Scene, words: &[&str]) -> Ran {
    let mut command = scene.guard.command(words);
    command.env("SSH_CONNECTION", "198.51.100.10 50000 192.0.2.1 22");
    finish(&mut command, Duration::from_secs(20))
}

const NOTE: &str = "(so over SSH, for what could shut you out; --no-confirm turns it off)";

#[test]
fn over_ssh_what_could_shut_out_has_a_deadline() {
    let Some(scene) = Scene::new() else { return };
    // Nothing is in force yet that could return.
    let printed = over_ssh(&scene, &["allow", "22/tcp"]).ok();
    assert!(!printed.stdout.contains("PENDING"), "{printed}");
    let printed = over_ssh(&scene, &["prepend", "deny", "192.0.2.77"]).ok();
    assert!(!printed.stdout.contains("PENDING"), "{printed}");
    drop(
        over_ssh(&scene, &["enable"])
            .ok()
            .says(" s guard goes off again")
            .says(NOTE),
    );
    drop(over_ssh(&scene, &["confirm"]).ok());

    let commands: [&[&str]; 7] = [
        &["deny", "4000/tcp"],
        &["insert", "1", "deny", "4000/tcp"],
        &["prepend", "deny", "4001/tcp"],
        &["delete", "1"],
        &["reload"],
        &["apply"],
        &["enable"],
    ];
    for words in commands {
        drop(
            over_ssh(&scene, words)
                .ok()
                .says(" s generation ")
                .says(NOTE),
        );
        drop(over_ssh(&scene, &["rollback"]).ok());
        scene.assert_settled();
    }
    drop(over_ssh(&scene, &["default", "allow"]).ok());
    let printed = over_ssh(&scene, &["default", "deny"]).ok();
    drop(printed.says(NOTE));
    drop(over_ssh(&scene, &["confirm"]).ok());
    let printed = over_ssh(&scene, &["rollback"]).ok();
    drop(printed.says("returned to entry ").says(NOTE));
    drop(over_ssh(&scene, &["confirm"]).ok());
}

#[test]
fn over_ssh_what_only_lets_in_has_none() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let commands: [&[&str]; 6] = [
        &["allow", "22/tcp"],
        &["insert", "1", "allow", "4000/tcp"],
        &["never", "add", "198.51.100.10"],
        &["default", "monitor"],
        &["default", "deny", "--no-confirm"],
        &["deny", "4001/tcp", "--confirm", "0"],
    ];
    for words in commands {
        let printed = over_ssh(&scene, words).ok();
        assert!(!printed.stdout.contains("PENDING"), "{printed}");
        scene.assert_settled();
    }
    drop(
        over_ssh(&scene, &["deny", "4002/tcp", "--confirm", "2m"])
            .ok()
            .says("in 120 s"),
    );
}

#[test]
fn over_ssh_the_operator_must_be_able_to_come_back() {
    let Some(scene) = Scene::new() else { return };

    // The good policy opens no port 22.
    let printed = over_ssh(&scene, &["enable"]).exit(7);
    drop(printed.says("you could not log in again from 198.51.100.10: a new connection would be"));
    assert_eq!(scene.guard.policy(), policy(GOOD));

    // In monitor mode nothing is dropped, so nobody is shut out.
    let printed = over_ssh(&scene, &["enable", "--monitor"]).ok();
    assert!(!printed.stdout.contains("PENDING"), "{printed}");
    drop(
        over_ssh(&scene, &["status"])
            .ok()
            .says("MONITOR MODE: NOTHING IS DROPPED"),
    );
    assert_eq!(scene.status()["mode"], "monitor");
    drop(over_ssh(&scene, &["default", "deny"]).exit(7));
    drop(over_ssh(&scene, &["allow", "22/tcp"]).ok());
    drop(over_ssh(&scene, &["default", "deny"]).ok().says(NOTE));
    assert_eq!(scene.status()["mode"], "enforce");
    drop(over_ssh(&scene, &["confirm"]).ok());

    // A block would shut him out as soon as he downloads something.
    let limit = ["limit", "22/tcp", "packets", "100/s", "block", "1h"];
    let printed = over_ssh(&scene, &limit).exit(7);
    drop(printed.says("you could be shut out from 198.51.100.10"));
    drop(over_ssh(&scene, &limit[..4]).ok());
    drop(
        scene
            .guard
            .guardctl(&["never", "add", "198.51.100.10"])
            .ok(),
    );
    drop(over_ssh(&scene, &limit).ok());
}

#[test]
fn sudo_and_the_like_hide_no_ssh_session() {
    let Some(scene) = Scene::new() else { return };
    if !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let sshd = Sshd::start(&scene.lab.srv);
    drop(scene.guard.guardctl(&["allow", "22/tcp"]).ok());
    drop(scene.guard.guardctl(&["enable"]).ok());
    let variables = scene.guard.environment();
    let variables: Vec<String> = variables
        .iter()
        .map(|(name, path)| format!("{name}={}", path.display()))
        .collect();
    let guardctl = guardctl_path();
    // The variable is gone, as after sudo; the session is still above.
    let hidden = format!(
        "env -u SSH_CONNECTION {} {}",
        variables.join(" "),
        guardctl.display()
    );
    let logged_in = |words: &str| {
        let mut ssh = sshd.client(&scene.lab.friend, scene.lab.srv.v4);
        finish(
            ssh.arg(format!("{hidden} {words}")),
            Duration::from_secs(20),
        )
    };

    drop(logged_in("deny 4000/tcp").ok().says(NOTE));
    drop(logged_in("confirm").ok());
    let printed = logged_in("prepend deny from 198.51.100.0/24").exit(7);
    drop(printed.says("you could not log in again from 198.51.100.10"));
    scene.assert_settled();
}

//! `verify`: another machine, reached by a real ssh, tries what the policy says of each port.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use guard_tests::{
    lab::{Ran, Sshd},
    require,
};
use serde_json::Value;

use super::scene::{CLOSED, DENIED, FRIENDS, OPEN, Scene};

struct Verified {
    scene: Scene,
    ssh: PathBuf,
    _sshd: Sshd,
}

impl Verified {
    /// guard on, and the attacker's machine takes logins.
    fn new() -> Option<Self> {
        if !require::programs(&["sshd", "ssh", "ssh-keygen", "python3", "bash", "timeout"]) {
            return None;
        }
        let scene = Scene::new()?;
        let sshd = Sshd::start(&scene.lab.attacker);
        // What a person has in the configuration of ssh.
        let key = sshd.folder().join("user");
        let script = format!(
            "#!/bin/sh\nexec ssh -F none -T -i {} -o BatchMode=yes -o IdentitiesOnly=yes \
             -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \"$@\"\n",
            key.display()
        );
        let ssh = scene.guard.folder().join("ssh");
        fs::write(&ssh, script).expect("a script");
        fs::set_permissions(&ssh, PermissionsExt::from_mode(0o700)).expect("a mode");
        Some(Self {
            scene,
            ssh,
            _sshd: sshd,
        })
    }

    fn verify(&self, host: &str, more: &[&str]) -> Ran {
        let ssh = self.ssh.to_str().expect("a path");
        let words = [
            &["verify", "--json", "--from", host, "--ssh", ssh][..],
            more,
        ]
        .concat();
        self.scene.guard.guardctl(&words)
    }

    fn attacker(&self) -> String {
        format!("root@{}", self.scene.lab.attacker.v4)
    }
}

/// Outcome of a port, over both families and both protocols: all of them must agree.
fn outcome(json: &Value, protocol: &str, port: u16) -> Vec<(String, String)> {
    let rows = json["ports"].as_array().expect("rows").iter();
    let of_port = rows.filter(|row| row["port"] == port && row["protocol"] == protocol);
    let word = |row: &Value, key: &str| row[key].as_str().expect("a word").to_owned();
    of_port
        .map(|row| (word(row, "policy"), word(row, "outcome")))
        .collect()
}

fn both(policy: &str, outcome: &str) -> Vec<(String, String)> {
    vec![(policy.to_owned(), outcome.to_owned()); 2]
}

#[test]
fn what_another_machine_reaches_is_compared_with_the_policy_in_both_families() {
    let Some(lab) = Verified::new() else { return };

    let json = lab.verify(&lab.attacker(), &[]).ok().json();
    assert_eq!(json["as_it_should"], true);
    for protocol in ["tcp", "udp"] {
        assert_eq!(outcome(&json, protocol, OPEN), both("open", "ok"), "{json}");
        for port in [DENIED, CLOSED, FRIENDS] {
            assert_eq!(
                outcome(&json, protocol, port),
                both("closed", "ok"),
                "{protocol} {port}: {json}"
            );
        }
    }

    // Something in between drops what the policy lets in.
    lab.scene.lab.srv.ip("addr add 192.0.2.2/24 dev eth0");
    lab.scene.lab.wan.ip("route add blackhole 192.0.2.2");
    let hidden = ["--to", "192.0.2.2"];
    let json = lab.verify(&lab.attacker(), &hidden).exit(8).json();
    assert_eq!(json["as_it_should"], false);
    assert_eq!(
        outcome(&json, "tcp", OPEN),
        [("open".to_owned(), "not-reachable".to_owned())]
    );

    // Who is known by another address is asked about as that.
    let friend = lab.scene.lab.friend.v4.to_string();
    let json = lab
        .verify(&lab.attacker(), &["--as", &friend, "--to", "192.0.2.1"])
        .exit(8)
        .json();
    assert_eq!(
        outcome(&json, "tcp", FRIENDS),
        [("open".to_owned(), "not-reachable".to_owned())]
    );
}

#[test]
fn a_machine_that_cannot_be_reached_or_means_an_option_is_an_error_and_guard_off_is_said() {
    let Some(lab) = Verified::new() else { return };
    let owned = lab.scene.guard.folder().join("owned");
    let option = format!("--from=-oProxyCommand=touch {}", owned.display());
    drop(lab.scene.guard.guardctl(&["verify", &option]).exit(1));
    assert!(!owned.exists());
    drop(
        lab.verify("root@203.0.113.77", &[])
            .exit(1)
            .says("`ssh HOST true`"),
    );

    let listed = lab.scene.guard.guardctl(&["verify"]).ok();
    drop(
        listed
            .says("nc -zv -w 4 192.0.2.1 1000")
            .says("connects, or is refused")
            .says("times out"),
    );
    drop(lab.scene.guard.guardctl(&["disable"]).ok());
    drop(
        lab.verify(&lab.attacker(), &[])
            .exit(3)
            .says("guard is not active"),
    );
}

//! A policy that somebody signed: taken of whom root named, in its turn, and only as long as this host can be reached.

use std::{
    fs,
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{Answer, GuardDaemon, Sshd, until},
    require,
};
use guard_user::{
    control::{
        Request, Response,
        fleet::{PolicyState, PolicyStep},
    },
    failure::Exit,
    fleet::bundle::Bundle,
};
use nkeys::KeyPair;

use super::scene::{POLICY, Scene};

/// Exit codes of what is refused, and of what is not there.
const REFUSED: u8 = Exit::Refused as u8;
const NOT_FOUND: u8 = Exit::NotFound as u8;
/// A port that the published policies open and the one from before does not.
const NEW: u16 = 7001;

fn letting_in(port: u16) -> String {
    format!("{POLICY}\n[[rule]]\naction = \"allow\"\nport = {port}\n")
}

fn bundle(generation: u64) -> Bundle {
    Bundle {
        group: "web".to_owned(),
        generation,
        released: u64::MAX,
        confirm_s: 10,
        policy: letting_in(NEW),
    }
}

impl Scene {
    fn accepts(&self, key: &KeyPair) {
        let public = key.public_key();
        drop(
            self.guard
                .guardctl(&["fleet", "policy", "accept", &public])
                .ok(),
        );
    }

    fn policy(&self, bundle: &str) -> Result<PolicyState, (u8, String)> {
        let bundle = bundle.to_owned();
        let answer = self.ask(Request::FleetPolicy { bundle });
        if let Response::Failed { exit, message } = answer {
            return Err((exit, message));
        }
        Ok(state(answer))
    }

    #[track_caller]
    fn step(&self, bundle: &Bundle, key: &KeyPair) -> PolicyStep {
        let sealed = bundle.seal(key).expect("sealed");
        self.policy(&sealed).expect("an answer").step
    }

    #[track_caller]
    fn proven(&self, generation: u64) -> PolicyState {
        state(self.ask(Request::FleetPolicyProven { generation }))
    }

    fn is_open(&self, port: u16) -> bool {
        let friend = &self.lab.friend;
        // Nothing listens there: an open port is refused by the host, a closed one is silent.
        friend.ask_tcp(self.lab.srv.v4, port) != Answer::Silence
    }
}

#[track_caller]
fn state(answer: Response) -> PolicyState {
    let Response::FleetPolicy(state) = answer else {
        panic!("{answer:?}");
    };
    state
}

#[test]
fn a_policy_is_taken_of_whom_root_named_and_of_nobody_else() {
    let Some(scene) = Scene::joined() else {
        return;
    };
    let (key, other) = (KeyPair::new_account(), KeyPair::new_account());
    let main = scene.guard.etc().join("guard.toml");
    let before = fs::read_to_string(&main).expect("a policy");
    let sealed = |bundle: Bundle, key: &KeyPair| bundle.seal(key).expect("sealed");
    let refused = |sealed: &str, why: &str| {
        let (exit, message) = scene.policy(sealed).expect_err(why);
        assert_eq!(exit, REFUSED, "{message}");
        assert!(message.contains(why), "{message}");
    };
    // By default, of nobody.
    refused(&sealed(bundle(1), &key), "this host takes none");
    let wrong = KeyPair::new_user().public_key();
    let ran = scene.guard.guardctl(&["fleet", "policy", "accept", &wrong]);
    drop(ran.exit(2).says("no public key of a signer"));
    scene.accepts(&key);
    let text = sealed(bundle(1), &key);
    refused(&sealed(bundle(1), &other), "not of the key");
    refused(
        &text.replacen("\"body\":\"ey", "\"body\":\"eX", 1),
        "not of the key",
    );
    for garbage in [
        "",
        "{}",
        "null",
        "[[[[",
        &text[..text.len() / 2],
        &"x".repeat(60_001),
    ] {
        refused(garbage, "no sealed policy");
    }
    let elsewhere = Bundle {
        group: "db".to_owned(),
        ..bundle(1)
    };
    refused(&sealed(elsewhere, &key), "for group \"db\"");
    // Not its turn: it waits, and nothing is noted of it.
    let early = Bundle {
        released: 0,
        ..bundle(1)
    };
    assert_eq!(scene.step(&early, &key), PolicyStep::Waiting);
    // Signed, and no policy: refused as a whole, like a file.
    let broken = Bundle {
        policy: "interfaces = [\"eth0\"]\nrule = 7\n".to_owned(),
        ..bundle(1)
    };
    let state = scene.policy(&sealed(broken, &key)).expect("an answer");
    assert_eq!(state.step, PolicyStep::Failed, "{state:?}");
    assert!(state.why.contains("fleet policy 1"), "{state:?}");
    // The same once more is not tried again.
    assert_eq!(scene.step(&bundle(1), &key), PolicyStep::Failed);
    assert_eq!(fs::read_to_string(&main).expect("a policy"), before);
    assert!(!scene.is_open(NEW));
}

#[test]
fn a_policy_stays_when_it_is_proven_and_none_that_is_older_comes_after_it() {
    let Some(mut scene) = Scene::joined() else {
        return;
    };
    let key = KeyPair::new_account();
    scene.accepts(&key);
    assert_eq!(scene.step(&bundle(5), &key), PolicyStep::Pending);
    assert!(scene.is_open(NEW));
    // An operator's own change waits until it is over.
    drop(scene.guard.guardctl(&["allow", "7002/tcp"]).exit(14));
    let wrong = scene.ask(Request::FleetPolicyProven { generation: 4 });
    assert!(
        matches!(wrong, Response::Failed { exit, .. } if exit == NOT_FOUND),
        "{wrong:?}"
    );
    assert_eq!(scene.proven(5).step, PolicyStep::Confirmed);
    let listed = scene.guard.guardctl(&["fleet", "policy", "status"]).ok();
    drop(listed.says("5 confirmed"));
    drop(
        scene
            .guard
            .guardctl(&["history"])
            .ok()
            .says("fleet policy 5"),
    );

    scene.restart();
    assert!(scene.is_open(NEW));
    let old = bundle(4).seal(&key).expect("sealed");
    let (exit, message) = scene.policy(&old).expect_err("older");
    assert!(
        exit == REFUSED && message.contains("older than 5"),
        "{message}"
    );
    // The same text again is in force already, and needs no proof.
    assert_eq!(scene.step(&bundle(6), &key), PolicyStep::Confirmed);
    // What an operator does meanwhile counts, until the next one.
    drop(scene.guard.guardctl(&["allow", "7002/tcp"]).ok());
    assert!(scene.is_open(7002));
    assert_eq!(scene.step(&bundle(7), &key), PolicyStep::Pending);
    assert!(!scene.is_open(7002));
    drop(scene.guard.guardctl(&["rollback"]).ok());
    assert_eq!(scene.step(&bundle(7), &key), PolicyStep::Failed);
    assert!(scene.is_open(7002));

    drop(scene.guard.guardctl(&["fleet", "policy", "refuse"]).ok());
    let next = bundle(8).seal(&key).expect("sealed");
    scene.policy(&next).expect_err("refused");
}

#[test]
fn a_policy_that_is_not_proven_goes_by_itself_also_when_the_daemon_is_killed() {
    let Some(mut scene) = Scene::joined() else {
        return;
    };
    let key = KeyPair::new_account();
    scene.accepts(&key);
    let begin = Instant::now();
    assert_eq!(scene.step(&bundle(1), &key), PolicyStep::Pending);
    assert!(scene.is_open(NEW));
    scene.daemon.signal(libc::SIGKILL);
    scene.daemon.wait();
    scene.daemon = GuardDaemon::start(&scene.guard);
    assert!(scene.is_open(NEW), "its time is not over");
    until("the policy from before to return", || !scene.is_open(NEW));
    assert!(
        begin.elapsed() >= Duration::from_secs(9),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(scene.step(&bundle(1), &key), PolicyStep::Failed);
    let listed = scene.guard.guardctl(&["fleet", "policy", "status"]).ok();
    drop(listed.says("1 FAILED: not confirmed in time"));
}

#[test]
fn a_policy_that_would_shut_an_operator_out_is_not_kept() {
    if !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let Some(scene) = Scene::joined() else {
        return;
    };
    let key = KeyPair::new_account();
    scene.accepts(&key);
    drop(scene.guard.guardctl(&["allow", "22/tcp"]).ok());
    let sshd = Sshd::start(&scene.lab.srv);
    let mut session = sshd.session(&scene.lab.friend, scene.lab.srv.v4);
    // Without a rule for SSH: not even tried.
    let state = scene
        .policy(&bundle(1).seal(&key).expect("sealed"))
        .expect("an answer");
    assert_eq!(state.step, PolicyStep::Failed);
    assert!(state.why.contains("could not log in again"), "{state:?}");
    assert!(!scene.is_open(NEW));
    // With one, it is kept, and his session is not cut.
    let for_others = Bundle {
        policy: letting_in(NEW)
            + "\n[[rule]]\naction = \"allow\"\nport = 22\nfrom = \"198.51.100.0/24\"\n",
        ..bundle(2)
    };
    assert_eq!(scene.step(&for_others, &key), PolicyStep::Pending);
    assert_eq!(scene.proven(2).step, PolicyStep::Confirmed);
    assert!(session.answers());
}

#[test]
fn guard_that_is_off_takes_the_text_and_stays_off() {
    let Some(scene) = Scene::joined() else {
        return;
    };
    let key = KeyPair::new_account();
    scene.accepts(&key);
    drop(scene.guard.guardctl(&["disable"]).ok());
    assert_eq!(scene.step(&bundle(1), &key), PolicyStep::Confirmed);
    let text = fs::read_to_string(scene.guard.etc().join("guard.toml")).expect("a policy");
    assert_eq!(text, letting_in(NEW));
    drop(scene.guard.guardctl(&["status"]).exit(3));
    // What was remembered and makes no sense is no reason to take an older one.
    let note = scene.guard.state().join("fleet-policy.json");
    fs::write(&note, "{").expect("written");
    let next = bundle(2).seal(&key).expect("sealed");
    let (_, message) = scene.policy(&next).expect_err("broken");
    assert!(message.contains("fleet-policy.json"), "{message}");
}

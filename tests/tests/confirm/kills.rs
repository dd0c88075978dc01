//! Commands killed at any moment: the next command finds files and kernel of one mind.

use std::{fs, process::Stdio, thread, time::Duration};

use guard_tests::lab::Answer;

use super::scene::{GOOD, ONLY_LARGE, Scene, large, policy};

/// Runs guardctl and kills it after a time; did it live to be killed?
fn kill(scene: &Scene, words: &[&str], after: Duration) -> bool {
    let mut child = scene
        .guard
        .command(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("guardctl");
    // The moment is the point of the test, not an event that is waited for.
    thread::sleep(after);
    let was_running = child.try_wait().expect("our own child").is_none();
    child.kill().expect("our own child");
    child.wait().expect("our own child");
    was_running
}

/// Is a rule for this port in force, in the file, or in neither? Anything else fails.
#[track_caller]
fn is_there(scene: &Scene, port: u16) -> bool {
    scene.assert_settled();
    let status = scene.status();
    let rules = status["rules"].as_array().expect("a list");
    let word = format!("allow {port}/tcp");
    let in_force = rules
        .iter()
        .any(|rule| rule["rule"].as_str() == Some(&word));
    let on_disk = scene.guard.policy().contains(&port.to_string());
    assert_eq!(in_force, on_disk, "{status}\n{}", scene.guard.policy());
    on_disk
}

#[test]
fn a_change_killed_at_any_moment_is_there_or_not() {
    const KILLS: u16 = 60;
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let whole = scene.guard.guardctl(&["allow", "4000/tcp"]).ok().took;
    let mut outcomes = [0; 2];

    for round in 1..=KILLS {
        let (port, rule) = (4000 + round, format!("{}/tcp", 4000 + round));
        kill(
            &scene,
            &["allow", &rule],
            whole * 2 * u32::from(round) / u32::from(KILLS),
        );
        // Nothing is pending, so this only puts things in order.
        drop(scene.guard.guardctl(&["confirm"]).exit(6));
        outcomes[usize::from(is_there(&scene, port))] += 1;
    }

    let [missing, there] = outcomes;
    println!("{there} there, {missing} not");
    assert!(missing > 4 && there > 4, "{there} there, {missing} not");
    scene.assert_in_force(GOOD);
}

#[test]
fn a_change_with_a_deadline_killed_at_any_moment_is_pending_or_not() {
    const KILLS: u16 = 40;
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let words = ["allow", "4000/tcp", "--confirm", "1m"];
    let whole = scene.guard.guardctl(&words).ok().took;
    drop(scene.guard.guardctl(&["confirm"]).ok());
    let mut outcomes = [0; 2];

    for round in 1..=KILLS {
        let (port, rule) = (4000 + round, format!("{}/tcp", 4000 + round));
        let words = ["allow", &rule, "--confirm", "1m"];
        kill(
            &scene,
            &words,
            whole * 2 * u32::from(round) / u32::from(KILLS),
        );
        assert!(!scene.guard.policy().contains(&port.to_string()));
        let confirmed = scene.guard.guardctl(&["confirm"]);
        assert!(matches!(confirmed.code, Some(0 | 6)), "{confirmed}");
        let is_there = is_there(&scene, port);
        assert_eq!(is_there, confirmed.code == Some(0), "{confirmed}");
        outcomes[usize::from(is_there)] += 1;
    }

    let [missing, there] = outcomes;
    println!("{there} there, {missing} not");
    assert!(missing > 4 && there > 4, "{there} there, {missing} not");
}

#[test]
fn answers_killed_at_any_moment_can_be_given_again() {
    const KILLS: u16 = 40;
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let mut killed = 0;

    for round in 0..KILLS {
        let (port, rule) = (4000 + round, format!("{}/tcp", 4000 + round));
        drop(
            scene
                .guard
                .guardctl(&["allow", &rule, "--confirm", "1m"])
                .ok(),
        );
        let answer = ["confirm", "rollback"][usize::from(round % 2)];
        let after = Duration::from_micros(u64::from(round) * 20_000 / u64::from(KILLS));
        killed += u32::from(kill(&scene, &[answer], after));
        let again = match answer {
            "confirm" => scene.guard.guardctl(&["confirm"]),
            _ if scene.status()["pending"].is_null() => scene.guard.guardctl(&["confirm"]).exit(6),
            _ => scene.guard.guardctl(&["rollback"]),
        };
        assert!(matches!(again.code, Some(0 | 6)), "{again}");
        assert_eq!(is_there(&scene, port), answer == "confirm", "round {round}");
    }

    assert!(
        killed > u32::from(KILLS) / 4,
        "only {killed} were still running"
    );
}

#[test]
fn a_policy_that_needs_larger_tables_killed_at_any_moment_is_there_or_not() {
    const KILLS: u32 = 12;
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let file = scene.guard.folder().join("large.policy");
    fs::write(&file, large(GOOD)).expect("a file");
    let apply = ["apply", file.to_str().expect("a path")];
    let whole = scene.guard.guardctl(&apply).ok().took;
    let mut outcomes = [0; 2];

    for round in 0..KILLS {
        drop(scene.guard.guardctl(&["disable"]).ok());
        scene.guard.write_policy(&policy(GOOD));
        drop(scene.guard.guardctl(&["enable"]).ok());
        kill(&scene, &apply, whole * 3 / 2 * round / KILLS);
        drop(scene.guard.guardctl(&["confirm"]).exit(6));

        scene.assert_settled();
        let is_large = scene.guard.policy() == large(GOOD);
        assert!(is_large || scene.guard.policy() == policy(GOOD));
        let rules = scene.status()["rules"].as_array().map_or(0, Vec::len);
        assert_eq!(rules > 1, is_large, "{rules} rules");
        // What the program itself does, not only what the maps in place say.
        let probe = scene.lab.friend.ask_udp(scene.lab.srv.v4, ONLY_LARGE);
        assert_eq!(
            probe != Answer::Silence,
            is_large,
            "round {round}: {probe:?}"
        );
        outcomes[usize::from(is_large)] += 1;
    }

    let [missing, there] = outcomes;
    println!("{there} there, {missing} not");
    assert!(missing > 1 && there > 1, "{there} there, {missing} not");
}

//! Answers: keep it, take it back, too late, and another change meanwhile.

use std::{fs, time::Duration};

use guard_tests::lab::within;

use super::scene::{BAD, CONFIRM, GOOD, Scene, TIME, policy};

#[test]
fn a2_confirm_makes_it_permanent() {
    let Some(scene) = Scene::enabled() else {
        return;
    };

    let since = scene.apply_bad();
    let printed = scene.guard.guardctl(&["confirm", "--dry-run"]).ok();
    drop(
        printed
            .says("would confirm `apply ")
            .says("generation 2 would stay"),
    );
    assert_eq!(scene.guard.policy(), policy(GOOD));
    assert_eq!(scene.status()["pending"]["previous_generation"], 1);
    drop(
        scene
            .guard
            .guardctl(&["confirm"])
            .ok()
            .says("confirmed `apply ")
            .says("generation 2 stays"),
    );

    assert_eq!(scene.guard.policy(), policy(BAD));
    scene.assert_settled();
    let is_over = within(TIME * 2, || (since.elapsed() > TIME).then_some(()));
    assert!(is_over.is_some());
    scene.assert_in_force(BAD);
    assert_eq!(scene.newest()["outcome"], "confirmed");
    drop(scene.guard.guardctl(&["confirm"]).exit(6));
}

#[test]
fn a_late_confirm_fails_and_says_what_is_in_force() {
    let Some(scene) = Scene::enabled() else {
        return;
    };

    let since = scene.apply_bad();
    scene.assert_returns(since, |_| {});

    // The second one finds it settled and still knows what is meant.
    for _ in 0..2 {
        let printed = scene.guard.guardctl(&["confirm"]).exit(1);
        drop(
            printed
                .says("too late: `apply ")
                .says("was not confirmed in time; generation 1 is in force"),
        );
        scene.assert_settled();
        scene.assert_in_force(GOOD);
        assert_eq!(scene.newest()["outcome"], "not_confirmed");
    }
    // It is gone; `rollback` must not go further back than the operator means.
    let printed = scene.guard.guardctl(&["rollback"]).ok();
    drop(printed.says("has been undone already; generation 1 is in force"));
    scene.assert_in_force(GOOD);
}

#[test]
fn rollback_takes_a_pending_change_back_at_once() {
    let Some(scene) = Scene::enabled() else {
        return;
    };

    let _since = scene.apply_bad();
    scene.assert_in_force(BAD);
    let printed = scene.guard.guardctl(&["rollback"]).ok();
    drop(printed.says("rolled back generation 2: generation 1 is in force"));

    scene.assert_in_force(GOOD);
    scene.assert_settled();
    assert_eq!(scene.guard.policy(), policy(GOOD));
    assert_eq!(scene.newest()["outcome"], "rolled_back");
    drop(scene.guard.guardctl(&["confirm"]).exit(6));
}

#[test]
fn another_change_is_refused_while_one_is_pending() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let words = ["allow", "5000/tcp", "--confirm", "1m"];
    drop(scene.guard.guardctl(&words).ok());

    let commands: [&[&str]; 11] = [
        &["allow", "4000/tcp"],
        &["deny", "4000/tcp", "--confirm", "60"],
        &["insert", "1", "deny", "4000/tcp"],
        &["prepend", "deny", "4000/tcp"],
        &["delete", "1"],
        &["default", "allow"],
        &["never", "add", "198.51.100.10"],
        &["reload", "--force"],
        &["enable", "--yes"],
        &["rollback", "1"],
        &["allow", "4000/tcp", "--dry-run"],
    ];
    let before = scene.guard.dump(&scene.lab.srv);
    for words in commands {
        let printed = scene.guard.guardctl(words).exit(14);
        drop(
            printed
                .says("a change is pending: in ")
                .says("s generation 1 returns unless it is confirmed")
                .says("`guardctl confirm` keeps it, `guardctl rollback` takes it back"),
        );
        assert_eq!(scene.guard.dump(&scene.lab.srv), before, "{words:?}");
    }
    drop(scene.guard.guardctl(&["confirm"]).ok());
    drop(scene.guard.guardctl(&["allow", "4000/tcp"]).ok());
    scene.assert_settled();
}

#[test]
fn disable_always_works() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let _since = scene.apply_bad();

    drop(scene.guard.guardctl(&["disable"]).ok());
    assert_eq!(scene.guard.policy(), policy(GOOD));
    assert!(!scene.guard.state().join("pending.json").exists());

    drop(scene.guard.guardctl(&["enable"]).ok());
    scene.assert_in_force(GOOD);
    scene.assert_settled();
}

#[test]
fn a_file_written_while_a_change_was_pending_is_not_overwritten() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    drop(
        scene
            .guard
            .guardctl(&["allow", "5000/tcp", "--confirm", "1m"])
            .ok(),
    );
    let own = format!("{}# mine\n", policy(GOOD));
    scene.guard.write_policy(&own);

    let printed = scene.guard.guardctl(&["confirm"]).exit(1);
    drop(printed.says("guard.toml: the file was written while the change was pending"));
    assert_eq!(scene.guard.policy(), own);

    drop(scene.guard.guardctl(&["rollback"]).ok());
    assert_eq!(scene.guard.policy(), own);
}

#[test]
fn a_confirmation_that_cannot_be_saved_leaves_the_change_pending() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    drop(
        scene
            .guard
            .guardctl(&["allow", "5000/tcp", "--confirm", "1m"])
            .ok(),
    );
    let main = scene.guard.etc().join("guard.toml");
    let immutable = |flag: &str| {
        let status = std::process::Command::new("chattr")
            .arg(flag)
            .arg(&main)
            .status();
        status.is_ok_and(|status| status.success())
    };
    if !guard_tests::require::need(immutable("+i"), || "needs chattr +i".to_owned()) {
        return;
    }

    let printed = scene.guard.guardctl(&["confirm"]);
    assert!(immutable("-i"));
    drop(printed.exit(4).says("guard.toml"));
    assert_eq!(scene.status()["pending"]["previous_generation"], 1);
    assert_eq!(fs::read_to_string(&main).expect("a file"), policy(GOOD));

    drop(scene.guard.guardctl(&["confirm"]).ok());
    scene.assert_settled();
    assert!(scene.guard.policy().contains("5000"));
}

#[test]
fn at_a_terminal_enter_keeps_the_change() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    for answer in ["\n", "y\n"] {
        let words = if answer == "\n" {
            "4000/tcp"
        } else {
            "4001/tcp"
        };
        let words = ["allow", words, "--confirm", "1m"];
        let (mut terminal, _since) = scene.at_a_terminal(&words);
        terminal.type_in(answer);
        assert_eq!(terminal.ends(), 0, "{}", terminal.said());
        scene.assert_settled();
        assert!(scene.guard.policy().contains(&words[1][..4]));
    }
}

#[test]
fn at_a_terminal_no_or_an_interrupt_takes_the_change_back() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    for answer in ["n\n", "what?\nno\n", "\u{3}"] {
        let (mut terminal, _since) = scene.at_a_terminal(&["allow", "4000/tcp", "--confirm", "1m"]);
        terminal.type_in(answer);
        assert_eq!(terminal.ends(), 1, "{}", terminal.said());
        scene.assert_settled();
        assert_eq!(scene.guard.policy(), policy(GOOD));
        assert_eq!(scene.newest()["outcome"], "rolled_back", "{answer:?}");
    }
}

#[test]
fn an_answer_from_another_terminal_ends_the_countdown() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let (mut terminal, _since) = scene.at_a_terminal(&["allow", "4000/tcp", "--confirm", "1m"]);

    drop(scene.guard.guardctl(&["confirm"]).ok());

    assert_eq!(terminal.ends(), 0);
    terminal.until_said("confirmed elsewhere: generation 2 stays");
    let (mut terminal, _since) = scene.at_a_terminal(&["allow", "4001/tcp", "--confirm", "1m"]);
    drop(scene.guard.guardctl(&["rollback"]).ok());
    assert_eq!(terminal.ends(), 1);
    terminal.until_said("generation 2 is in force again");
}

#[test]
fn yes_answers_questions_and_never_confirms() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let mut words = vec!["allow", "4000/tcp", "--yes"];
    words.extend(CONFIRM);
    let mut command = scene.guard.command_behind(&["setsid", "--ctty"], &words);
    let mut terminal = guard_tests::lab::Terminal::start(&mut command);

    assert_eq!(terminal.ends(), 0);
    terminal.until_said("PENDING");
    assert_eq!(scene.guard.policy(), policy(GOOD));
    let gone = within(TIME + Duration::from_secs(2), || {
        scene.status()["pending"].is_null().then_some(())
    });
    assert!(gone.is_some());
    assert_eq!(scene.guard.policy(), policy(GOOD));
}

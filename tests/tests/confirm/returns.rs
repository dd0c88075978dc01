//! Without an answer the policy from before returns, whatever becomes of the command.

use super::scene::{BAD, CONFIRM, GOOD, Scene, large, policy};

#[test]
fn a2_without_an_answer_the_previous_policy_returns() {
    let Some(scene) = Scene::enabled() else {
        return;
    };

    let since = scene.apply_bad();
    let status = scene.status();
    assert_eq!(status["pending"]["previous_generation"], 1, "{status}");
    let left = status["pending"]["deadline_seconds"].as_u64();
    assert!(matches!(left, Some(3..=5)), "{status}");
    assert_eq!(status["rules"][0]["rule"], format!("allow {BAD}"));
    let printed = scene.guard.guardctl(&["status"]).ok();
    drop(printed.says("PENDING: returns to generation 1 in "));
    scene.assert_returns(since, |_| {});

    // Nobody has settled it yet, and `status` is right all the same.
    let printed = scene.guard.guardctl(&["status"]).ok();
    drop(
        printed
            .says("REVERTED: `apply ")
            .says("was not confirmed: generation 1 is in force"),
    );
    assert_eq!(scene.status()["rules"][0]["rule"], format!("allow {GOOD}"));
}

#[test]
fn a2_the_previous_policy_returns_when_the_terminal_hangs_up() {
    let Some(scene) = Scene::enabled() else {
        return;
    };

    let (terminal, since) = scene.apply_bad_at_a_terminal();
    scene.assert_returns(since, |_| {
        assert_eq!(terminal.hang_up(), Some(libc::SIGHUP));
    });
}

#[test]
fn a2_the_previous_policy_returns_when_the_command_is_killed() {
    let Some(scene) = Scene::enabled() else {
        return;
    };

    let (terminal, since) = scene.apply_bad_at_a_terminal();
    // Dropping it kills it.
    scene.assert_returns(since, |_| drop(terminal));
}

#[test]
fn a2_the_countdown_tells_that_the_time_is_over() {
    let Some(scene) = Scene::enabled() else {
        return;
    };

    let (mut terminal, since) = scene.apply_bad_at_a_terminal();
    scene.assert_returns(since, |_| {});

    assert_eq!(terminal.ends(), 1);
    terminal.until_said("the change was not confirmed: generation 1 is in force again");
}

#[test]
fn an_expired_change_is_settled_by_the_next_command() {
    let Some(scene) = Scene::enabled() else {
        return;
    };

    let since = scene.apply_bad();
    scene.assert_returns(since, |_| {});
    assert_eq!(scene.newest()["outcome"], "pending");

    drop(scene.guard.guardctl(&["allow", "4000/tcp"]).ok());

    scene.assert_settled();
    scene.assert_in_force(GOOD);
    let history = scene.guard.guardctl(&["history", "--json"]).ok().json();
    let outcomes: Vec<&str> = history["entries"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|entry| entry["outcome"].as_str())
        .collect();
    assert_eq!(outcomes, ["applied", "not_confirmed", "applied"]);
    // The number of what was not confirmed is not given again.
    assert_eq!(scene.status()["generation"], 3);
    assert!(scene.guard.policy().starts_with(&policy(GOOD)));
}

#[test]
fn a_policy_that_needs_larger_tables_returns_too() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let path = scene.guard.folder().join("large.policy");
    std::fs::write(&path, large(BAD)).expect("a file");

    let words = [
        "apply",
        path.to_str().expect("a path"),
        CONFIRM[0],
        CONFIRM[1],
    ];
    drop(scene.guard.guardctl(&words).ok().says("PENDING"));
    let since = std::time::Instant::now();
    scene.assert_returns(since, |_| {});

    drop(scene.guard.guardctl(&["reload"]).ok());
    scene.assert_settled();
    scene.assert_in_force(GOOD);
}

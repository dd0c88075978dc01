//! Commands killed at any moment leave guard filtering, and the next command mends the rest.

use std::{fs, time::Duration};

use guard_common::abi::{ABI_VERSION, names};
use guard_tests::{
    lab::{Answer, Instance},
    require,
};
use guard_user::layout::pin_folder;

use super::scene::{CLOSED, OPEN, Scene, policy, while_filtered};

#[test]
fn commands_killed_at_any_moment_leave_it_filtering() {
    if !require::root() {
        return;
    }
    const KILLS: u32 = 100;
    let scene = Scene::enabled();
    let commands: [&[&str]; 3] = [&["reload"], &["enable"], &["allow", "5000:5100/udp"]];
    let mut killed = 0;

    while_filtered(&scene.lab, || {
        for round in 0..KILLS {
            let command = commands[round as usize % commands.len()];
            // `enable` has the verifier to wait for, the others have not.
            let most = if command[0] == "enable" {
                300_000
            } else {
                20_000
            };
            let after = Duration::from_micros(u64::from(round * 7919 % KILLS * most / KILLS));
            scene.guard.write_policy(&policy(round as usize % 5 * 40));
            killed += u32::from(scene.kill(command, after));
            drop(scene.guard.guardctl(&["status"]).ok());
            drop(scene.guard.guardctl(&["reload"]).ok());
        }
    });

    assert!(
        killed > KILLS / 4,
        "only {killed} of {KILLS} were still running"
    );
    println!("{killed} of {KILLS} killed");
    assert_eq!(leftovers(&scene.guard), Vec::<String>::new());
    scene.assert_filters();
}

/// Names in the instance's folders that a finished command does not leave there.
fn leftovers(guard: &Instance) -> Vec<String> {
    let pins = guard.bpffs().join(pin_folder(ABI_VERSION)).join("maps");
    fs::read_dir(&pins)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with("_next"))
        .collect()
}

#[test]
fn growing_commands_killed_at_any_moment_leave_it_filtering() {
    if !require::root() {
        return;
    }
    const KILLS: u32 = 16;
    let scene = Scene::new();
    let mut killed = 0;
    // More rules than there is room for, and a flow table of another size.
    let larger = policy(4000).replacen("[limits]", "[limits]\nflow-table = 1000000", 1);
    drop(scene.guard.guardctl(&["enable"]).ok());
    scene.guard.write_policy(&larger);
    let mut whole = scene.guard.guardctl(&["reload"]).ok().took;

    for round in 0..KILLS {
        drop(scene.guard.guardctl(&["disable"]).ok());
        scene.guard.write_policy(&policy(0));
        drop(scene.guard.guardctl(&["enable"]).ok());
        while_filtered(&scene.lab, || {
            scene.guard.write_policy(&larger);
            let after = whole * round / KILLS;
            if scene.kill(&["reload"], after) {
                killed += 1;
            } else {
                // The first one was slow, beside other tests: this one took less.
                whole = after;
            }
            drop(scene.guard.guardctl(&["status"]).ok());
            drop(scene.guard.guardctl(&["reload"]).ok());
        });
        let status = scene.guard.guardctl(&["status", "--json"]).ok().json();
        assert_eq!(status["rules"].as_array().unwrap().len(), 4001);
        assert_eq!(status["flow_table"]["flows"], 1 << 20);
        assert_eq!(leftovers(&scene.guard), Vec::<String>::new());
    }

    assert!(
        killed > KILLS / 2,
        "only {killed} of {KILLS} were still running"
    );
}

#[test]
fn an_exchange_interrupted_between_its_two_renames_is_completed() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled();
    let elsewhere = Scene::enabled();
    let switch = |scene: &Scene| {
        let folder = scene.guard.bpffs().join(pin_folder(ABI_VERSION));
        folder.join("maps").join(names::SWITCH)
    };
    // The program reads the map that was to take this name, and another one has it.
    let in_use = switch(&scene);
    let name = format!("{}_next", names::SWITCH);
    fs::rename(&in_use, in_use.with_file_name(name)).unwrap();
    aya::maps::MapData::from_pin(switch(&elsewhere))
        .unwrap()
        .pin(&in_use)
        .unwrap();

    scene
        .guard
        .write_policy(&policy(0).replace(&OPEN.to_string(), &CLOSED.to_string()));
    drop(scene.guard.guardctl(&["reload"]).ok());

    assert_eq!(leftovers(&scene.guard), Vec::<String>::new());
    assert_eq!(
        scene.lab.friend.ask_udp(scene.lab.srv.v4, CLOSED),
        Answer::Echo
    );
    assert_eq!(
        scene.lab.friend.ask_udp(scene.lab.srv.v4, OPEN),
        Answer::Silence
    );
}

#[test]
fn a_first_enable_killed_at_any_moment_can_be_repeated() {
    if !require::root() {
        return;
    }
    const KILLS: u32 = 20;
    let scene = Scene::new();
    let whole = scene.guard.guardctl(&["enable"]).ok().took;

    for round in 0..KILLS {
        drop(scene.guard.guardctl(&["disable"]).ok());
        scene.kill(&["enable"], whole * round / KILLS);
        let status = scene.guard.guardctl(&["status"]);
        assert!(
            matches!(status.code, Some(0 | 3 | 8)),
            "round {round}: {status}"
        );
        drop(scene.guard.guardctl(&["enable"]).ok());
        drop(scene.guard.guardctl(&["status"]).ok());
    }
    scene.assert_filters();
}

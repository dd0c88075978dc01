//! Where the program runs on an interface: chosen, kept, changed under traffic, and never believed
//! without proof.

use std::{fs, thread, time::Duration};

use guard_common::abi::ABI_VERSION;
use guard_tests::{
    lab::{GuardDaemon, until},
    require,
};
use guard_user::layout::pin_folder;
use serde_json::Value;

use super::{
    pulse::Pulse,
    scene::{CLOSED, Scene},
};

fn attachment(scene: &Scene) -> Value {
    let text = fs::read_to_string(scene.guard.run().join("attachments.json")).expect("a record");
    let all: Value = serde_json::from_str(&text).expect("JSON");
    all["eth0"].clone()
}

/// The daemon loads a program for interfaces to come whenever the tables are others.
#[test]
fn a_daemon_that_gets_ready_is_in_nobody_s_way() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    for round in 0..20 {
        // Once in each part of a second, at which it looks.
        thread::sleep(Duration::from_millis(70 * round));
        for words in [["disable"], ["enable"]] {
            drop(scene.guard.guardctl(&words).ok());
        }
    }
    scene.assert_filters();
}

/// The counters of a program that is put there anew begin at zero.
#[test]
fn off_and_on_again_in_a_moment_is_no_sign_of_a_program_that_sees_nothing() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let _pulse = Pulse::start(&scene.lab.attacker, scene.lab.srv.v4, CLOSED);
    for _ in 0..4 {
        // Time to count more than the next one will within a second, and to look at it.
        thread::sleep(Duration::from_secs(3));
        for words in [["disable"], ["enable"]] {
            drop(scene.guard.guardctl(&words).ok());
        }
    }
    thread::sleep(Duration::from_secs(3));
    drop(scene.guard.guardctl(&["status"]).ok().says("eth0 (native)"));
    let said = scene.daemon.said();
    assert!(!said.contains("saw none of the packets"), "{said}");
}

#[test]
fn a_mode_that_was_chosen_is_kept_and_is_changed_without_a_gap() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let pulse = Pulse::start(&scene.lab.attacker, scene.lab.srv.v4, CLOSED);
    let shows = |text: &str| drop(scene.guard.guardctl(&["status"]).ok().says(text));

    let changed = scene.guard.guardctl(&["enable", "--mode", "generic"]).ok();

    drop(changed.says("generic mode (slower than native: chosen with --mode generic)"));
    shows("eth0 (generic: chosen with --mode generic)");
    assert!(
        scene
            .guard
            .policy()
            .contains("xdp-mode = { \"eth0\" = \"generic\" }"),
        "{}",
        scene.guard.policy()
    );
    scene.assert_filters();
    drop(scene.guard.guardctl(&["reload"]).ok());
    shows("eth0 (generic");
    scene.lab.replace_server_interface();
    scene.daemon.says("eth0: protected again after");
    scene.assert_filters();
    shows("eth0 (generic: chosen");
    drop(pulse);

    let pulse = Pulse::start(&scene.lab.attacker, scene.lab.srv.v4, CLOSED);
    for (mode, shown) in [
        ("native", "eth0 (native)"),
        ("generic", "eth0 (generic"),
        ("auto", "eth0 (native)"),
    ] {
        drop(scene.guard.guardctl(&["enable", "--mode", mode]).ok());
        shows(shown);
        scene.assert_filters();
    }
    assert_eq!(pulse.stop(), [], "answers of a closed port");
    assert!(!scene.guard.policy().contains("generic"));
}

#[test]
fn a_raised_mtu_is_told_and_the_program_is_put_back_without_a_gap() {
    if !require::root() {
        return;
    }
    let Scene {
        daemon,
        guard,
        echoes,
        lab,
    } = Scene::new();
    drop(daemon);
    let pulse = Pulse::start(&lab.attacker, lab.srv.v4, CLOSED);

    lab.srv.ip("link set eth0 mtu 9000");

    let status = guard.guardctl(&["status"]).exit(8);
    drop(status.says("LARGE FRAMES MAY BE LOST: its MTU was raised to 9000"));
    drop(guard.guardctl(&["reload"]).ok());
    drop(guard.guardctl(&["status"]).ok().says("eth0 (native)"));
    let daemon = GuardDaemon::start(&guard);
    let scene = Scene {
        daemon,
        guard,
        echoes,
        lab,
    };
    assert_eq!(attachment(&scene)["mtu"], 9000);
    scene.lab.srv.ip("link set eth0 mtu 9500");
    until("the daemon to put it back", || {
        attachment(&scene)["mtu"] == 9500
    });
    scene.assert_filters();
    assert_eq!(pulse.stop(), [], "answers of a closed port");

    scene.lab.srv.ip("link set eth0 mtu 9600");
    drop(scene.guard.guardctl(&["disable"]).ok());
    let link = scene.lab.srv.ip("-d link show dev eth0");
    assert!(link.contains("mtu 9600") && !link.contains("xdp"), "{link}");
}

#[test]
fn an_interface_that_receives_what_the_program_does_not_count_is_told_and_gets_generic_mode() {
    if !require::root() {
        return;
    }
    let Scene {
        daemon,
        guard,
        echoes: _echoes,
        lab,
    } = Scene::new();
    drop(daemon);
    drop(guard.guardctl(&["status"]).ok());
    // As if nothing had been counted since.
    let path = guard.run().join("attachments.json");
    let mut all: Value = serde_json::from_slice(&fs::read(&path).expect("a record")).expect("JSON");
    all["eth0"]["since"]["counted"] = u64::MAX.into();
    fs::write(&path, all.to_string()).expect("a record");

    let status = guard.guardctl(&["status"]).exit(8);
    drop(status.says("eth0 (native) NOT FILTERED"));
    let json = guard.guardctl(&["status", "--json"]).exit(8).json();
    assert_eq!(json["interfaces"][0]["fault"], "sees-no-packets");
    assert_eq!(json["interfaces"][0]["protected"], false);

    drop(guard.guardctl(&["reload"]).ok());

    let status = guard.guardctl(&["status"]).ok();
    drop(status.says("eth0 (generic: its driver takes the program and hands it no packets"));
    // Known at the next boot, too, and asked anew by who is there to see.
    let scene_of_boot = guard.state().join("attachments.json");
    assert!(
        fs::read_to_string(scene_of_boot)
            .expect("a record")
            .contains("blind")
    );
    drop(guard.guardctl(&["disable"]).ok());
    drop(guard.guardctl(&["enable"]).ok().says("native mode"));
    drop(lab);
}

#[test]
fn what_a_killed_command_left_closed_is_opened_by_the_next() {
    if !require::root() {
        return;
    }
    const KILLS: u64 = 12;
    let Scene {
        daemon,
        guard,
        echoes,
        lab,
    } = Scene::new();
    drop(daemon);
    let pulse = Pulse::start(&lab.attacker, lab.srv.v4, CLOSED);
    let whole = guard.guardctl(&["enable", "--mode", "generic"]).ok().took;
    for kill in 0..KILLS {
        let mode = ["native", "generic"][kill as usize % 2];
        let mut command = guard.command(&["enable", "--mode", mode]);
        let mut child = command.spawn().expect("guardctl");
        // Most of a command is the verifier; what is of interest comes at its end.
        std::thread::sleep(whole.mul_f64(0.6 + 0.4 * kill as f64 / KILLS as f64));
        child.kill().ok();
        child.wait().expect("a child");
        let status = guard.guardctl(&["status"]);
        if status.code == Some(8) {
            println!("{}", status.stdout);
        }
        drop(guard.guardctl(&["reload"]).ok());
        drop(guard.guardctl(&["status"]).ok());
    }
    let links = guard.bpffs().join(pin_folder(ABI_VERSION)).join("links");
    let left: Vec<_> = fs::read_dir(links)
        .expect("pins")
        .flatten()
        .map(|pin| pin.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("closed-"))
        .collect();
    assert_eq!(left, [""; 0]);
    assert_eq!(pulse.stop(), [], "answers of a closed port");
    let daemon = GuardDaemon::start(&guard);
    let scene = Scene {
        daemon,
        guard,
        echoes,
        lab,
    };
    scene.assert_filters();
}

#[test]
fn without_the_folder_of_links_an_interface_is_protected_again_within_two_seconds() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let pins = scene.guard.bpffs().join(pin_folder(ABI_VERSION));
    for folders in [&["links"][..], &["links", "maps"]] {
        let pulse = Pulse::start(&scene.lab.attacker, scene.lab.srv.v4, CLOSED);
        for folder in folders {
            let folder = pins.join(folder);
            for pin in fs::read_dir(&folder).expect("pins").flatten() {
                fs::remove_file(pin.path()).expect("a pin");
            }
            fs::remove_dir(folder).expect("a folder of pins");
        }
        let gone = std::time::Instant::now();
        until("the status to be right again", || {
            scene.guard.guardctl(&["status"]).code == Some(0)
        });
        let took = gone.elapsed();
        scene.assert_filters();
        let answers = pulse.stop();
        let open_for = answers
            .last()
            .map_or(Duration::ZERO, |last| last.saturating_duration_since(gone));
        println!("without {folders:?}: right after {took:?}, open for {open_for:?}");
        assert!(open_for < Duration::from_secs(2), "{open_for:?}");
    }
}

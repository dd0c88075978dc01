//! A5, A10, A15: once guard is on, it filters until it is told to stop, whatever happens to the
//! commands that control it.

mod exchange;
mod forms;
mod kills;
mod scene;

use std::fs;

use guard_common::abi::ABI_VERSION;
use guard_tests::{lab::Answer, require};
use guard_user::layout::pin_folder;

use scene::{CLOSED, Scene};

#[test]
fn no_process_of_guard_lives_while_it_filters() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled();

    let own = format!("GUARD_ETC={}", scene.guard.etc().display());
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let environment = fs::read(process.path().join("environ")).unwrap_or_default();
        let is_ours = String::from_utf8_lossy(&environment)
            .split('\0')
            .any(|line| line == own);
        assert!(!is_ours, "{}", process.path().display());
    }
    scene.assert_filters();
}

#[test]
fn nobody_takes_the_program_off_by_the_way() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled();

    for mode in ["xdp", "xdpdrv", "xdpgeneric"] {
        let mut ip = scene.lab.srv.command("ip");
        ip.args(["link", "set", "dev", "eth0", mode, "off"])
            .output()
            .unwrap();
    }

    drop(scene.guard.guardctl(&["status"]).ok().says("eth0 (native)"));
    scene.assert_filters();
}

#[test]
fn disable_leaves_nothing_in_the_kernel() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled();
    assert!(
        scene
            .lab
            .srv
            .ip("-d link show dev eth0")
            .contains("prog/xdp")
    );

    drop(scene.guard.guardctl(&["disable"]).ok());

    let pins = scene.guard.bpffs().join(pin_folder(ABI_VERSION));
    assert!(!pins.exists(), "{}", pins.display());
    let link = scene.lab.srv.ip("-d link show dev eth0");
    assert!(!link.contains("xdp"), "{link}");
    assert_eq!(
        scene.lab.attacker.ask_tcp(scene.lab.srv.v4, CLOSED),
        Answer::Echo
    );
    drop(scene.guard.guardctl(&["status"]).exit(3).says("inactive"));
    drop(scene.guard.guardctl(&["disable"]).ok().says("off already"));
}

#[test]
fn a_filter_of_another_version_stays_as_it_is_until_disable_takes_it_off() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled();
    let guard = &scene.guard;
    drop(guard.guardctl(&["ban", "203.0.113.9"]).ok());
    let [own, other] =
        [ABI_VERSION, ABI_VERSION - 1].map(|version| guard.bpffs().join(pin_folder(version)));
    fs::rename(&own, &other).expect("the pins of an older version");
    let policy = guard.policy();

    for words in [
        &["status"][..],
        &["reload"],
        &["enable"],
        &["load"],
        &["load", "--new-program"],
        &["allow", "3000/tcp"],
        &["ban", "203.0.113.10"],
        &["bans", "list"],
        &["stats"],
    ] {
        let refused = guard.guardctl(words).exit(11);
        let way_out = "run `guardctl disable`, then `guardctl enable`";
        assert!(refused.stderr.contains(way_out), "{}", refused.stderr);
        assert!(!own.exists(), "{words:?}");
    }
    assert_eq!(guard.policy(), policy);
    scene.assert_filters();

    drop(guard.guardctl(&["disable"]).ok().says("guard is off"));

    assert!(!other.exists());
    assert_eq!(
        scene.lab.attacker.ask_tcp(scene.lab.srv.v4, CLOSED),
        Answer::Echo
    );
    drop(guard.guardctl(&["enable"]).ok());
    scene.assert_filters();
    drop(guard.guardctl(&["bans", "list"]).ok().says("203.0.113.9"));
}

#[test]
fn an_interface_made_anew_is_reported_and_healed() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled();
    for command in ["reload", "enable"] {
        scene.lab.replace_server_interface();
        drop(
            scene
                .guard
                .guardctl(&["status"])
                .exit(8)
                .says("eth0 UNPROTECTED"),
        );
        let status = scene.guard.guardctl(&["status", "--json"]).exit(8).json();
        assert_eq!(status["protected"], false, "{status}");

        drop(scene.guard.guardctl(&[command]).ok());

        drop(scene.guard.guardctl(&["status"]).ok().says("eth0 (native)"));
        scene.assert_filters();
    }
}

#[test]
fn an_interface_that_went_down_is_protected_when_it_comes_up() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled();

    scene.lab.srv.ip("link set eth0 down");
    scene.lab.srv.ip_batch(
        "link set eth0 up\naddr replace 2001:db8:2::1/64 dev eth0 nodad\n\
         route replace default via 192.0.2.254\nroute replace default via 2001:db8:2::fe\n",
    );

    drop(scene.guard.guardctl(&["status"]).ok());
    scene.assert_filters();
}

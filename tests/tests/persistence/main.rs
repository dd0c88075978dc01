//! A5, A10, A15: once guard is on, it filters until it is told to stop, whatever happens to the
//! commands that control it.

mod exchange;
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

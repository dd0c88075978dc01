//! Told to stop, to read its files again, and telling a service manager.

use std::os::unix::net::UnixDatagram;

use guard_tests::{
    lab::{GuardDaemon, until},
    require,
};

use super::scene::{OPEN, POLICY, Scene};

#[test]
fn told_to_stop_it_leaves_the_policy_in_force_and_no_socket() {
    if !require::root() {
        return;
    }
    let mut scene = Scene::new();
    for way in ["SIGTERM", "SIGINT", "--stop"] {
        match way {
            "SIGTERM" => scene.daemon.signal(libc::SIGTERM),
            "SIGINT" => scene.daemon.signal(libc::SIGINT),
            _ => drop(scene.ask("--stop").ok().says("stays in force")),
        }
        scene.daemon.wait();

        assert!(scene.daemon.said().contains("the policy stays in force"));
        assert!(!scene.guard.run().join("control").exists(), "{way}");
        drop(scene.ask("--status").exit(3).says("no daemon is running"));
        drop(scene.guard.guardctl(&["status"]).ok());
        scene.assert_filters();
        scene.daemon = GuardDaemon::start(&scene.guard);
    }
}

#[test]
fn told_to_reload_it_applies_the_files_or_keeps_what_is_in_force() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    scene.guard.write_policy("action = nonsense");
    scene.daemon.signal(libc::SIGHUP);
    scene.daemon.says("error: reload:");
    scene.daemon.says("the policy in force stays");
    scene.assert_filters();

    scene.guard.write_policy(&POLICY.replace("1000", "3000"));
    scene.daemon.signal(libc::SIGHUP);
    scene.daemon.says("info: applied");
    scene.assert_open_and_closed(3000, OPEN);
    let status = scene.guard.guardctl(&["status", "--json"]).ok().json();
    let known = scene
        .guard
        .guardctl(&["daemon", "--status", "--json"])
        .json();
    assert_eq!(known["generation"], status["generation"], "{known}");
}

#[test]
fn a_service_manager_hears_when_it_is_ready_how_it_is_and_that_it_stops() {
    if !require::root() {
        return;
    }
    let mut scene = Scene::new();
    drop(scene.ask("--stop").ok());
    scene.daemon.wait();
    let path = scene.guard.folder().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_nonblocking(true).expect("a mode");
    let mut heard = String::new();
    let mut hear = |what: &str| {
        until(&format!("to hear {what}"), || {
            let mut buffer = [0; 1024];
            if let Ok(length) = socket.recv(&mut buffer) {
                heard += &String::from_utf8_lossy(&buffer[..length]);
                heard.push('\n');
            }
            heard.contains(what)
        });
    };

    let mut command = scene.guard.command(&["daemon"]);
    command.env("NOTIFY_SOCKET", &path);
    scene.daemon = GuardDaemon::start_as(&scene.guard, &mut command);

    hear("READY=1");
    hear("STATUS=generation 1 on eth0");
    scene.lab.srv.ip("link del eth0");
    hear("STATUS=UNPROTECTED: eth0");
    drop(scene.ask("--stop").ok());
    hear("STOPPING=1");
}

#[test]
fn guard_off_is_no_reason_to_end_and_guard_on_is_noticed() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    drop(scene.guard.guardctl(&["disable"]).ok());
    scene.daemon.says("guard is off");
    drop(scene.ask("--status").exit(3).says("guard is off"));

    drop(scene.guard.guardctl(&["enable"]).ok());

    until("the daemon to notice", || {
        scene.ask("--status").code == Some(0)
    });
    scene.assert_filters();
}

#[test]
fn pins_that_somebody_removed_come_back() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    // As if the BPF file system had been unmounted under it.
    let folder = scene.guard.bpffs();
    std::fs::remove_dir_all(&folder).err();
    scene.daemon.says("guard was on and nothing was in force");
    until("the policy", || {
        scene.guard.guardctl(&["status"]).code == Some(0)
    });
    scene.assert_filters();
}

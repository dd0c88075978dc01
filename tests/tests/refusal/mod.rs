//! A22: what cannot be done safely is refused, with its own exit code, the cause in one line and a
//! way out, and nothing has changed.

mod doctor;
mod hosts;
mod lockout;
mod scene;

use std::{fs, time::Duration};

use aya::programs::XdpMode;
use guard_tests::{
    lab::{Instance, Topology, finish},
    require,
};

use scene::{ENABLE, Scene};

#[test]
fn a_missing_capability_is_named() {
    if !require::root() || !require::program("setpriv") {
        return;
    }
    let scene = Scene::new();
    let cases = [
        ("-bpf,-sys_admin", "missing CAP_BPF"),
        ("-perfmon,-sys_admin", "missing CAP_PERFMON"),
        ("-net_admin", "missing CAP_NET_ADMIN"),
        ("-all", "missing CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"),
    ];
    for (set, cause) in cases {
        let launcher = ["setpriv", "--bounding-set", set];
        scene.refuses(&launcher, &ENABLE, 4, cause, "as root");
    }
    let nobody = ["setpriv", "--reuid", "65534", "--clear-groups"];
    scene.refuses(
        &nobody,
        &ENABLE,
        4,
        "missing CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN",
        "as root",
    );
}

#[test]
fn three_capabilities_are_enough() {
    if !require::root() || !require::program("setpriv") {
        return;
    }
    let scene = Scene::new();
    let launcher = ["setpriv", "--bounding-set", "-all,+bpf,+perfmon,+net_admin"];

    for words in [
        ENABLE.as_slice(),
        &["allow", "22/tcp"],
        &["reload"],
        &["status"],
        &["enable"],
    ] {
        drop(scene.guard.guardctl_behind(&launcher, words).ok());
    }

    drop(scene.guard.guardctl_behind(&launcher, &["disable"]).ok());
}

#[test]
fn a_bpf_file_system_is_mounted_where_it_will_stay() {
    if !require::root() {
        return;
    }
    let lab = Topology::new();
    let guard = Instance::without_bpffs(&lab.srv);

    drop(guard.guardctl(&ENABLE).ok());

    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let mounted = format!("bpf {} bpf ", guard.bpffs().display());
    assert!(mounts.contains(&mounted), "{mounts}");
    drop(guard.guardctl(&["status"]).ok());
}

#[test]
fn no_bpf_file_system_is_mounted_where_it_would_vanish() {
    if !require::root() {
        return;
    }
    let lab = Topology::new();
    let scene = Scene {
        guard: Instance::without_bpffs(&lab.srv),
        lab,
    };

    let launcher = ["unshare", "--mount"];
    scene.refuses(
        &launcher,
        &ENABLE,
        13,
        "mount namespace of its own",
        "mount -t bpf bpf",
    );
}

#[test]
fn a_read_only_bpf_file_system_is_said_to_be_one() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let script = "mount --bind $GUARD_BPFFS $GUARD_BPFFS && \
                  mount -o remount,bind,ro $GUARD_BPFFS && exec \"$@\"";

    let launcher = ["unshare", "--mount", "sh", "-c", script, "sh"];
    scene.refuses(
        &launcher,
        &ENABLE,
        13,
        "Read-only file system",
        "remount,rw",
    );
}

#[test]
fn a_foreign_program_is_named_and_left_alone() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    for mode in [XdpMode::Driver, XdpMode::Skb] {
        let object = scene.attach_another(mode);

        scene.refuses(
            &[],
            &ENABLE,
            10,
            "eth0: another XDP program is attached: \"bench_drop\"",
            "detach it",
        );
        scene.refuses(&[], &["enable"], 10, "bench_drop", "--iface");
        drop(object);
    }
    drop(scene.guard.guardctl(&ENABLE).ok());
}

#[test]
fn interfaces_that_cannot_be_protected_are_refused() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    scene.refuses(
        &[],
        &["enable", "--iface", "eth7"],
        6,
        "eth7: no such interface",
        "eth0",
    );
    let two = ["enable", "--iface", "eth0", "eth7"];
    scene.refuses(&[], &two, 6, "eth7: no such interface", "eth0");
    let no_ethernet = "frames on this interface have no Ethernet header";
    scene.refuses(
        &[],
        &["enable", "--iface", "lo"],
        9,
        no_ethernet,
        "guardctl enable --iface eth0",
    );

    let mut tun = scene.lab.srv.command("ip");
    let made = finish(
        tun.args(["tuntap", "add", "tun0", "mode", "tun"]),
        Duration::from_secs(5),
    );
    if require::need(made.code == Some(0), || {
        format!("needs tun devices: {}", made.stderr)
    }) {
        let words = ["enable", "--iface", "tun0"];
        scene.refuses(&[], &words, 9, no_ethernet, "guardctl enable --iface eth0");
    }
}

#[test]
fn without_a_default_route_the_interface_has_to_be_named() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    scene.lab.srv.ip("route del default");
    scene.lab.srv.ip("-6 route del default");

    scene.refuses(
        &[],
        &["enable"],
        6,
        "default route",
        "guardctl enable --iface",
    );
}

#[test]
fn pins_of_another_version_are_not_touched() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    fs::create_dir(scene.guard.bpffs().join("v999")).unwrap();

    for words in [
        ENABLE.as_slice(),
        &["status"],
        &["stats"],
        &["allow", "22/tcp"],
        &["reload"],
    ] {
        scene.refuses(&[], words, 11, "v999", "guardctl disable");
    }
}

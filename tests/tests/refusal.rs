//! A22: what cannot be done safely is refused, with its own exit code, the cause in one line and a
//! way out, and nothing has changed.

use std::{fs, net::TcpStream, process::Command, time::Duration};

use aya::{
    EbpfLoader,
    programs::{Xdp, XdpMode},
};
use guard_common::abi::names;
use guard_tests::{
    lab::{Answer, Instance, Ran, Sshd, TcpEcho, Topology, finish},
    require,
};
use guard_user::dataplane::object::BENCH_OBJECT;

const ENABLE: [&str; 3] = ["enable", "--iface", "eth0"];

struct Scene {
    guard: Instance,
    lab: Topology,
}

impl Scene {
    fn new() -> Self {
        let lab = Topology::new();
        Self {
            guard: Instance::new(&lab.srv),
            lab,
        }
    }

    /// The command must be refused with this code, a cause that says this, and a remedy that says
    /// that; nothing may change.
    #[track_caller]
    fn refuses(&self, launcher: &[&str], words: &[&str], code: i32, cause: &str, remedy: &str) {
        let before = self.guard.dump(&self.lab.srv);
        let ran = self.guard.guardctl_behind(launcher, words);
        assert_refusal(ran, code, cause, remedy);
        assert_eq!(self.guard.dump(&self.lab.srv), before, "{words:?}");
    }
}

#[track_caller]
fn assert_refusal(ran: Ran, code: i32, cause: &str, remedy: &str) {
    let ran = ran.exit(code);
    assert_eq!(ran.stdout, "", "{ran}");
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "a cause and a remedy\n{ran}");
    assert!(
        lines[0].starts_with("guardctl: ") && lines[0].contains(cause),
        "{cause}\n{ran}"
    );
    assert!(
        lines[1].starts_with("  help: ") && lines[1].contains(remedy),
        "{remedy}\n{ran}"
    );
}

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
        let mut object = EbpfLoader::new()
            .map_max_entries(names::POLICY, 3)
            .map_max_entries(names::COUNTERS, 1)
            .load(BENCH_OBJECT)
            .unwrap();
        let program: &mut Xdp = object
            .program_mut("bench_drop")
            .unwrap()
            .try_into()
            .unwrap();
        program.load().unwrap();
        scene.lab.srv.run(|| program.attach("eth0", mode).unwrap());

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

const FRIEND_RULE: [&str; 3] = ["allow", "198.51.100.10", "22/tcp"];

#[test]
fn enable_does_not_cut_a_live_ssh_session_unasked() {
    if !require::root() || !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let scene = Scene::new();
    let sshd = Sshd::start(&scene.lab.srv);
    let mut session = sshd.session(&scene.lab.friend, scene.lab.srv.v4);
    drop(
        scene
            .guard
            .guardctl(&["allow", "from", "203.0.113.0/24", "to", "any", "port", "22"])
            .ok(),
    );
    let cause = "would cut the SSH session 198.51.100.10:";

    for words in [
        ENABLE.as_slice(),
        &["enable", "--yes"],
        &["enable", "--yes", "--dry-run"],
    ] {
        scene.refuses(&[], words, 7, cause, "guardctl allow 198.51.100.10 22/tcp");
    }
    drop(scene.guard.guardctl(&FRIEND_RULE).ok());
    drop(scene.guard.guardctl(&ENABLE).ok());

    assert!(session.answers());
}

#[test]
fn enable_does_not_cut_a_live_ssh_session_over_ipv6_unasked() {
    if !require::root() || !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let scene = Scene::new();
    let sshd = Sshd::start(&scene.lab.srv);
    let mut session = sshd.session(&scene.lab.friend, scene.lab.srv.v6);
    drop(scene.guard.guardctl(&FRIEND_RULE).ok());

    let cause = "would cut the SSH session [2001:db8:100::10]:";
    scene.refuses(
        &[],
        &ENABLE,
        7,
        cause,
        "guardctl allow 2001:db8:100::10 22/tcp",
    );
    drop(
        scene
            .guard
            .guardctl(&["allow", "2001:db8:100::10", "22/tcp"])
            .ok(),
    );
    drop(scene.guard.guardctl(&ENABLE).ok());

    assert!(session.answers());
}

#[test]
fn force_cuts_the_session_and_a_rule_brings_it_back() {
    if !require::root() || !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let scene = Scene::new();
    let sshd = Sshd::start(&scene.lab.srv);
    let mut session = sshd.session(&scene.lab.friend, scene.lab.srv.v4);

    drop(
        scene
            .guard
            .guardctl(&["enable", "--iface", "eth0", "--force"])
            .ok(),
    );

    assert_eq!(
        scene.lab.friend.ask_tcp(scene.lab.srv.v4, 22),
        Answer::Silence
    );
    drop(scene.guard.guardctl(&FRIEND_RULE).ok());
    assert!(session.answers());
}

#[test]
fn no_change_of_the_policy_cuts_a_live_ssh_session_unasked() {
    if !require::root() || !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let scene = Scene::new();
    let sshd = Sshd::start(&scene.lab.srv);
    drop(scene.guard.guardctl(&["allow", "http"]).ok());
    let rule = ["allow", "198.51.100.0/24", "22/tcp"];
    drop(scene.guard.guardctl(&rule).ok());
    drop(scene.guard.guardctl(&ENABLE).ok());
    let mut session = sshd.session(&scene.lab.friend, scene.lab.srv.v4);
    let cause = "would cut the SSH session 198.51.100.10:";

    let commands: [&[&str]; 4] = [
        &["delete", "2"],
        &["delete", "allow", "198.51.100.0/24", "22/tcp"],
        &["delete", "2", "--yes"],
        &["insert", "1", "deny", "from", "198.51.100.10"],
    ];
    for words in commands {
        scene.refuses(&[], words, 7, cause, "--force");
    }
    let policy = scene.guard.policy();
    scene.guard.write_policy("interfaces = [\"eth0\"]\n");
    scene.refuses(&[], &["reload"], 7, cause, "--force");
    scene.guard.write_policy(&policy);

    assert!(session.answers());
    drop(scene.guard.guardctl(&["delete", "1"]).ok());
    drop(scene.guard.guardctl(&["delete", "1", "--force"]).ok());
    assert_eq!(
        scene.lab.friend.ask_tcp(scene.lab.srv.v4, 22),
        Answer::Silence
    );
}

#[test]
fn the_session_that_the_environment_names_counts_too() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let enable = |scene: &Scene| -> Command {
        let mut command = scene.guard.command(&ENABLE);
        command.env("SSH_CONNECTION", "198.51.100.10 50000 192.0.2.1 22");
        command
    };
    let before = scene.guard.dump(&scene.lab.srv);

    let ran = finish(&mut enable(&scene), Duration::from_secs(20));

    let cause = "would cut the SSH session 198.51.100.10:50000 -> 192.0.2.1:22";
    assert_refusal(ran, 7, cause, "guardctl allow 198.51.100.10 22/tcp");
    assert_eq!(scene.guard.dump(&scene.lab.srv), before);
    drop(scene.guard.guardctl(&FRIEND_RULE).ok());
    drop(finish(&mut enable(&scene), Duration::from_secs(20)).ok());
}

#[test]
fn a_session_that_is_not_an_operators_holds_nothing_up() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let _echo = TcpEcho::start(&scene.lab.srv, 9000);
    let server = (scene.lab.srv.v4, 9000);
    let _stream = scene.lab.friend.run(|| TcpStream::connect(server).unwrap());

    drop(scene.guard.guardctl(&ENABLE).ok());
}

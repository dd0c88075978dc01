//! A5, A10, A15: once guard is on, it filters until it is told to stop, whatever happens to the
//! commands that control it.

use std::{
    collections::BTreeSet,
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use guard_common::abi::{ABI_VERSION, names};
use guard_tests::{
    lab::{Answer, Capture, Flood, Instance, Marked, Rate, TcpEcho, Topology, UdpEcho, Wire},
    require,
};
use guard_user::layout::pin_folder;

/// Open in every policy of this file, and closed in every one.
const OPEN: u16 = 1000;
const CLOSED: u16 = 3000;
const RULES: usize = 10_000;

/// Port 1000 open, and some more rules, by which policies differ in size.
fn policy(more: usize) -> String {
    let mut text =
        format!("interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = {OPEN}\n",);
    for number in 0..more {
        let source = format!(
            "10.{}.{}.{}",
            number >> 8 & 255,
            number & 255,
            1 + number % 200
        );
        let port = 10_000 + number % 500;
        text += &format!("\n[[rule]]\naction = \"allow\"\nport = {port}\nfrom = \"{source}\"\n");
    }
    text
}

struct Scene {
    guard: Instance,
    _echoes: (UdpEcho, UdpEcho, TcpEcho),
    lab: Topology,
}

impl Scene {
    fn new() -> Self {
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(&policy(0));
        Self {
            guard,
            _echoes: (
                UdpEcho::start(&lab.srv, OPEN),
                UdpEcho::start(&lab.srv, CLOSED),
                TcpEcho::start(&lab.srv, CLOSED),
            ),
            lab,
        }
    }

    fn enabled() -> Self {
        let scene = Self::new();
        drop(scene.guard.guardctl(&["enable"]).ok());
        scene
    }

    #[track_caller]
    fn assert_filters(&self) {
        for to in [self.lab.srv.v4, self.lab.srv.v6] {
            assert_eq!(self.lab.friend.ask_udp(to, OPEN), Answer::Echo, "{to}");
            assert_eq!(self.lab.friend.ask_udp(to, CLOSED), Answer::Silence, "{to}");
        }
    }

    /// Runs guardctl and kills it after a time; did it live to be killed?
    fn kill(&self, words: &[&str], after: Duration) -> bool {
        let mut child = self
            .guard
            .command(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("guardctl starts");
        // The moment is the point of the test, not an event that is waited for.
        thread::sleep(after);
        let was_running = child.try_wait().expect("a child").is_none();
        child.kill().expect("a child");
        child.wait().expect("a child");
        was_running
    }
}

/// Packets of both kinds while something happens; only those to the open port are delivered, and
/// none of them is lost.
fn while_judged(lab: &Topology, happens: impl FnOnce()) {
    let capture = Capture::start(&lab.srv, "eth0");
    let stream = Marked::start(lab, 0, [OPEN, CLOSED]);
    stream.wait_for_more();
    happens();
    stream.wait_for_more();
    let sent = stream.stop();
    let delivered = Marked::numbers(0, &capture.stop());
    let expected: BTreeSet<u32> = (0..sent).step_by(2).collect();
    let leaked = delivered.difference(&expected).count();
    let lost = expected.difference(&delivered).count();
    assert_eq!((leaked, lost), (0, 0), "leaked and lost of {sent}");
    println!("{sent} packets, none leaked, none lost");
}

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
fn commands_killed_at_any_moment_leave_it_filtering() {
    if !require::root() {
        return;
    }
    const KILLS: u32 = 100;
    let scene = Scene::enabled();
    let commands: [&[&str]; 3] = [&["reload"], &["enable"], &["allow", "5000:5100/udp"]];
    let mut killed = 0;

    while_judged(&scene.lab, || {
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
    drop(scene.guard.guardctl(&["enable"]).ok());
    scene.guard.write_policy(&policy(4000));
    let whole = scene.guard.guardctl(&["reload"]).ok().took;

    for round in 0..KILLS {
        drop(scene.guard.guardctl(&["disable"]).ok());
        scene.guard.write_policy(&policy(0));
        drop(scene.guard.guardctl(&["enable"]).ok());
        while_judged(&scene.lab, || {
            scene.guard.write_policy(&policy(4000));
            killed += u32::from(scene.kill(&["reload"], whole * round / KILLS));
            drop(scene.guard.guardctl(&["status"]).ok());
            drop(scene.guard.guardctl(&["reload"]).ok());
        });
        let status = scene.guard.guardctl(&["status", "--json"]).ok().json();
        assert_eq!(status["rules"].as_array().unwrap().len(), 4001);
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

#[test]
fn enabling_again_exchanges_the_program_without_a_gap() {
    if !require::root() {
        return;
    }
    const EXCHANGES: usize = 25;
    let scene = Scene::enabled();
    let macs = (scene.lab.srv.mac("eth0"), scene.lab.wan.mac("srv"));
    let packet = guard_common::testing::packet()
        .macs(macs.0, macs.1)
        .udp(CLOSED)
        .build();
    let capture = Capture::start(&scene.lab.srv, "eth0");
    let before = scene.guard.counted();
    let flood = Flood::start(
        Wire::open(&scene.lab.wan, "srv"),
        vec![packet; 256],
        Rate::Unlimited,
    );

    let mut last = before.dropped("udp", CLOSED);
    for _ in 0..EXCHANGES {
        let ran = scene.guard.guardctl(&["enable"]).ok();
        assert!(
            ran.stdout.contains("eth0: program exchanged without a gap"),
            "{ran}"
        );
        let dropped = scene.guard.counted().dropped("udp", CLOSED);
        assert!(dropped > last, "the counter went from {last} to {dropped}");
        last = dropped;
    }

    let sent = flood.stop();
    let leaked = capture
        .stop()
        .iter()
        .filter(|seen| seen.port() == Some(("udp", CLOSED)))
        .count();
    let counted = scene.guard.counted().dropped("udp", CLOSED);
    assert_eq!(leaked, 0, "of {sent}");
    assert!(
        sent > 100_000 && counted > sent / 2 && counted <= sent,
        "{counted} of {sent} counted"
    );
    println!("{EXCHANGES} exchanges, 0 of {sent} leaked, {counted} counted");
    while_judged(&scene.lab, || {
        for _ in 0..EXCHANGES {
            drop(scene.guard.guardctl(&["enable"]).ok());
        }
    });
}

#[test]
fn ten_thousand_rules_take_the_place_of_one_without_a_gap() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled();
    let mut took = Duration::ZERO;

    while_judged(&scene.lab, || {
        scene.guard.write_policy(&policy(RULES - 1));
        let started = Instant::now();
        drop(scene.guard.guardctl(&["reload"]).ok());
        took = started.elapsed();
    });

    println!("{RULES} rules in force after {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let status = scene.guard.guardctl(&["status", "--json"]).ok().json();
    assert_eq!(status["rules"].as_array().unwrap().len(), RULES);
    scene.assert_filters();
    while_judged(&scene.lab, || {
        scene.guard.write_policy(&policy(0));
        drop(scene.guard.guardctl(&["reload"]).ok());
    });
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

//! The floods of two real tools, at the rate that each of them reaches: hping3 and trafgen.

use std::{
    env,
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use guard_tests::lab::{Folder, within};

use super::scene::{OPEN, SSH, Scene, assert_in_time};

/// No rule names it, and no socket has it.
const CLOSED: u16 = 10_053;
/// Longest flood of one tool.
const LONGEST: Duration = Duration::from_secs(60);

/// What each of the floods consists of at least.
struct Extent {
    /// Frames that guard has evaluated.
    frames: u64,
    logins: usize,
    /// Of a hundred logins, within a second.
    percent: usize,
}

/// What CI runs: 20 of 20 logins and one more.
const SHORT: Extent = Extent {
    frames: 100_000,
    logins: 3,
    percent: 100,
};
/// With `GUARD_LONG=1`: five millions of frames and 105 logins in all.
const LONG: Extent = Extent {
    frames: 720_000,
    logins: 15,
    percent: 99,
};

/// Every packet of hping3 has another source: `--rand-source`.
const HPING3: [(&str, &[&str], u16); 4] = [
    ("SYNs to an open port", &["--syn"], OPEN),
    ("SYNs to a port that is open to few", &["--syn"], SSH),
    ("ACKs to a port that has sessions", &["--ack"], SSH),
    (
        "datagrams to a closed port",
        &["--udp", "--data", "18"],
        CLOSED,
    ),
];

/// Headers behind the address, for a port. trafgen makes addresses, ports and numbers anew for each packet.
const TRAFGEN: [(&str, &str); 3] = [
    ("SYNs", "tcp(sport=drnd(), dport=PORT, seq=drnd(), syn)"),
    (
        "ACKs",
        "tcp(sport=drnd(), dport=PORT, seq=drnd(), aseq=drnd(), ack)",
    ),
    ("datagrams", "udp(sport=drnd(), dport=PORT), fill(0x41, 18)"),
];

#[test]
fn real_tools_at_full_rate_make_no_flow_cost_no_session_and_keep_no_administrator_out() {
    let Some(mut scene) = Scene::new(&["hping3", "trafgen"]) else {
        return;
    };
    let extent = if env::var_os("GUARD_LONG").is_some_and(|value| value == "1") {
        LONG
    } else {
        SHORT
    };
    let limit = scene.patience();
    let folder = Folder::new();
    let mut logins = Vec::new();
    let again = scene.syns_sent_again();
    for (name, words, port) in HPING3 {
        let tool = hping3(&scene, &folder, words, port);
        logins.append(&mut endure(
            &mut scene,
            &format!("hping3, {name}"),
            tool,
            &extent,
        ));
    }
    for (name, header) in TRAFGEN {
        let tool = trafgen(&scene, &folder, header);
        logins.append(&mut endure(
            &mut scene,
            &format!("trafgen, {name}"),
            tool,
            &extent,
        ));
    }
    let again = scene.syns_sent_again() - again;
    scene.assert_unharmed();
    assert_in_time(&logins, limit, extent.percent);
    let most = logins.len() * (100 - extent.percent) / 100;
    assert!(again <= most as u64, "{again} SYNs of logins were lost");
}

/// Logs in, and sees that all goes on, while the tool floods.
#[track_caller]
fn endure(scene: &mut Scene, name: &str, tool: Tool, extent: &Extent) -> Vec<Option<Duration>> {
    let (before, begun) = (scene.evaluated(), Instant::now());
    let mut tool = tool;
    let running = within(Duration::from_secs(10), || {
        tool.assert_floods();
        (scene.evaluated() - before > 10_000).then_some(())
    });
    assert!(running.is_some(), "{name}: no flood\n{}", tool.said());
    let logins: Vec<_> = (0..extent.logins)
        .map(|number| scene.login(number))
        .collect();
    scene.assert_lives();
    let enough = within(LONGEST, || {
        tool.assert_floods();
        (scene.evaluated() - before >= extent.frames).then_some(())
    });
    let (evaluated, took) = (scene.evaluated() - before, begun.elapsed());
    drop(tool);
    let rate = evaluated as f64 / took.as_secs_f64();
    println!("{name}: {evaluated} frames, {rate:.0}/s, logins {logins:?}");
    assert!(enough.is_some(), "{name}: only {evaluated} frames");
    logins
}

fn hping3(scene: &Scene, folder: &Folder, words: &[&str], port: u16) -> Tool {
    let mut command = scene.lab.wan.command("hping3");
    command
        .args(["--flood", "--quiet", "--numeric", "--rand-source"])
        .args(["--interface", "srv", "--destport", &port.to_string()])
        .args(words)
        .arg(scene.lab.srv.v4.to_string());
    Tool::start(command, folder)
}

/// Packets of both families to an open port, to one that is open to few, and to a closed one, in turn.
fn trafgen(scene: &Scene, folder: &Folder, header: &str) -> Tool {
    let lab = &scene.lab;
    let hex = |mac: [u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
    let (to, from) = (hex(lab.srv.mac("eth0")), hex(lab.wan.mac("srv")));
    let addresses = [
        format!("ipv4(saddr=drnd(), daddr={}, ttl=64)", lab.srv.v4),
        format!("ipv6(saddr=drnd(), daddr={}, hl=64)", lab.srv.v6),
    ];
    let packets: String = [OPEN, SSH, CLOSED]
        .iter()
        .flat_map(|port| {
            let header = header.replace("PORT", &port.to_string());
            addresses
                .clone()
                .map(|address| format!("{{ eth(da={to}, sa={from}), {address}, {header} }}\n"))
        })
        .collect();
    let packets = folder.write("packets", &packets);
    let mut command = lab.wan.command("sh");
    command
        // It gives up when the interface's queue is full for once.
        .args(["-c", "while true; do \"$@\"; done", "sh", "trafgen"])
        // Of the machine it changes nothing, and it is one process that sends.
        .args([
            "--no-sock-mem",
            "--notouch-irq",
            "--no-cpu-stats",
            "--cpus",
            "1",
        ])
        .args(["--dev", "srv", "--in"])
        .arg(packets);
    Tool::start(command, folder)
}

/// A tool that floods until the value is dropped, and with it what it has started.
struct Tool {
    child: Child,
    line: String,
    /// What it says.
    log: PathBuf,
}

impl Tool {
    fn start(mut command: Command, folder: &Folder) -> Self {
        let line = format!("{command:?}");
        let log = folder.join("log");
        let file = File::create(&log).expect("a file");
        let second = file.try_clone().expect("a descriptor");
        // Whoever attacks does not do it with the CPU time of the server.
        let lowest = || {
            // SAFETY: the call takes integers, and may be made between fork and exec.
            unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
            Ok(())
        };
        // SAFETY: `lowest` makes one system call and touches no memory.
        unsafe { command.pre_exec(lowest) };
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(second)
            .spawn()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        Self { child, line, log }
    }

    #[track_caller]
    fn assert_floods(&mut self) {
        let ended = self.child.try_wait().expect("our own child");
        assert!(
            ended.is_none(),
            "ended early ({ended:?}): {}\n{}",
            self.line,
            self.said()
        );
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let group = self.child.id().cast_signed();
        // SAFETY: the call takes integers; the group is of our own child, which nobody has waited for yet.
        unsafe { libc::kill(-group, libc::SIGKILL) };
        // Fails only when it has ended already.
        self.child.wait().ok();
    }
}

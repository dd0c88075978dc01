//! The default drop is complete (acceptance A3): a port scanner gets no answer except from the open
//! port, the server's stack sees none of its probes, and the counters know every frame.

use std::{
    fs,
    time::{Duration, Instant},
};

use aya::programs::XdpMode;
use guard_common::packet::{Frame, Transport, parse};
use guard_tests::{
    guarded::Guarded,
    netns::{Namespace, Topology},
    require,
    witness::Witness,
};
use guard_user::ruleset::sample::{allow, policy};

const OPEN: u16 = 80;

/// Kind of scan, ports, and whether it can tell that the open port is open.
const SCANS: &[(&str, &str, bool)] = &[
    ("-sS", "-p1-65535", true),
    ("-sT", "-p1-1024", true),
    ("-sA", "-p1-1024", false),
    ("-sN", "-p1-1024", false),
    ("-sF", "-p1-1024", false),
    ("-sX", "-p1-1024", false),
    ("-sU", "-p1-1024", false),
];

/// Frames that the router sent towards the server.
fn sent_to_server(wan: &Namespace) -> u64 {
    let read = || fs::read_to_string("/proc/thread-self/net/dev");
    let table = wan.within(read).expect("enters").expect("reads");
    let line = table
        .lines()
        .find_map(|line| line.trim().strip_prefix("srv0:"));
    let fields = line.expect("the interface").split_whitespace();
    fields
        .clone()
        .nth(9)
        .expect("packets sent")
        .parse()
        .expect("a number")
}

/// Counted and sent frames, once they agree or have had time to.
fn settled(seen: impl Fn() -> (u64, u64)) -> (u64, u64) {
    let deadline = Instant::now() + Duration::from_secs(3);
    loop {
        let (counted, sent) = seen();
        if counted == sent || Instant::now() > deadline {
            return (counted, sent);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Is this what the policy lets in?
fn is_wanted(frame: &[u8]) -> bool {
    let Ok(frame) = parse(frame) else {
        return false;
    };
    let Frame::Ip(packet) = frame else {
        return true;
    };
    match packet.transport {
        Transport::Tcp {
            destination_port, ..
        } => destination_port == OPEN,
        Transport::Icmpv6 { kind, .. } => matches!(kind, 130..=136 | 143),
        Transport::Udp { .. } | Transport::Icmp { .. } | Transport::Other | Transport::None => {
            false
        }
    }
}

#[test]
fn a_port_scanner_finds_the_open_port_and_silence() {
    if !require::root() || !require::programs(&["ip", "nmap"]) {
        return;
    }
    let guarded = Guarded::new(&policy([allow().tcp(OPEN)]), XdpMode::Driver);
    // Something listens beside the open port, too: the stack would answer.
    guarded.listen(&[22, OPEN, 1000]);
    let Topology { srv, bad, wan, .. } = &guarded.hosts;
    let witness = Witness::new(srv, "eth0").expect("watches");
    for (server, family) in Topology::SERVER.into_iter().zip(["-4", "-6"]) {
        for (scan, ports, sees_open) in SCANS {
            let before = (guarded.total(), sent_to_server(wan));
            let quick = [
                "-n",
                "-Pn",
                "-T5",
                "--max-retries",
                "1",
                "--min-rate",
                "20000",
            ];
            let arguments = [&quick[..], &[family, scan, ports, "-v", "-oG", "-", server]].concat();
            let output = bad.exec("nmap", &arguments).expect("runs");
            let report = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{scan}: {report}");

            let answered = ["/closed/", "/unfiltered/"]
                .iter()
                .any(|state| report.contains(state));
            let answers_of_stack = *scan == "-sA" && report.contains("80/unfiltered/");
            assert!(!answered || answers_of_stack, "{scan} {server}: {report}");
            let open: Vec<&str> = report
                .split([' ', ',', '\t', '\n'])
                .filter(|field| field.contains("/open/"))
                .collect();
            let expected: &[&str] = if *sees_open {
                &["80/open/tcp//http///"]
            } else {
                &[]
            };
            assert_eq!(open, expected, "{scan} {server}: {report}");

            let seen = || (guarded.total() - before.0, sent_to_server(wan) - before.1);
            let (counted, sent) = settled(seen);
            println!("{scan} {server}: {sent} frames sent, {counted} counted");
            assert_eq!(counted, sent, "{scan} {server}: every frame is counted");
            assert!(
                counted >= 1_000,
                "{scan} {server}: {counted} frames are no scan"
            );
            let received = witness.received().expect("receives");
            let leaked = received.iter().find(|frame| !is_wanted(frame));
            assert_eq!(leaked, None, "{scan} {server}: reached the stack");
        }
    }
}

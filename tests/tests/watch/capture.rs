//! `capture`: files that other programs read, complete, or short by a number that is said.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use guard_tests::{
    lab::{Answer, Background, Flood, Rate, Sources, Wire, finish, until},
    require,
};

use super::scene::{CLOSED, DENIED, OPEN, Scene, interrupt, tshark};

fn path(file: &Path) -> &str {
    file.to_str().expect("a path")
}

#[test]
fn wireshark_finds_a_packet_by_the_reason_for_which_it_was_dropped() {
    let Some(scene) = Scene::new() else { return };
    if !require::programs(&["tshark"]) {
        return;
    }
    let (srv, attacker) = (&scene.lab.srv, &scene.lab.attacker);
    let file = scene.guard.folder().join("drops.pcapng");
    let mut watcher = scene.watch("capture", &["capture", "-w", path(&file)]);
    for to in [srv.v4, srv.v6] {
        for (port, answer) in [
            (CLOSED, Answer::Silence),
            (DENIED, Answer::Silence),
            (OPEN, Answer::Echo),
        ] {
            assert_eq!(attacker.ask_tcp(to, port), answer);
        }
    }
    interrupt(&mut watcher);
    assert!(watcher.said().contains("none lost"), "{}", watcher.said());
    let mode = fs::metadata(&file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "who may read what packets hold");
    let fields = [
        "-T",
        "fields",
        "-e",
        "frame.interface_name",
        "-e",
        "tcp.dstport",
        "-e",
        "frame.comment",
    ];
    let of = |filter: &str| {
        let mut words = vec!["-Y", filter];
        words.extend(fields);
        tshark(&file, &words)
    };
    let dropped = of("frame.comment contains \"default-drop\"");
    assert!(!dropped.is_empty());
    for line in &dropped {
        assert_eq!(line, &format!("eth0\t{CLOSED}\tguard: drop default-drop"));
    }
    let denied = of("frame.comment contains \"rule-deny\"");
    assert!(!denied.is_empty());
    for line in &denied {
        assert_eq!(
            line,
            &format!("eth0\t{DENIED}\tguard: drop rule-deny rule 2")
        );
    }
    // XDP_DROP is 1, and nothing else was captured.
    let all = of("frame");
    assert_eq!(
        of("frame.verdict.ebpf_xdp == 1").len(),
        all.len(),
        "{all:?}"
    );
    assert_eq!(all.len(), dropped.len() + denied.len(), "{all:?}");
    let sources = tshark(&file, &["-T", "fields", "-e", "ip.src", "-e", "ipv6.src"]);
    for source in [attacker.v4.to_string(), attacker.v6.to_string()] {
        assert!(
            sources.iter().any(|line| line.contains(&source)),
            "{sources:?}"
        );
    }
}

#[test]
fn what_passes_is_captured_when_it_is_asked_for() {
    let Some(scene) = Scene::new() else { return };
    if !require::programs(&["tshark"]) {
        return;
    }
    let file = scene.guard.folder().join("all.pcapng");
    let words = [
        "capture",
        "-w",
        path(&file),
        "--all",
        "--port",
        "1000/tcp",
        "--json",
    ];
    let mut watcher = scene.watch("capture", &words);
    assert_eq!(
        scene.lab.friend.ask_tcp(scene.lab.srv.v4, OPEN),
        Answer::Echo
    );
    assert_eq!(
        scene.lab.friend.ask_tcp(scene.lab.srv.v4, CLOSED),
        Answer::Silence
    );
    interrupt(&mut watcher);
    let comments = tshark(
        &file,
        &["-T", "fields", "-e", "tcp.dstport", "-e", "frame.comment"],
    );
    assert!(
        comments.contains(&"1000\tguard: pass rule-allow rule 1".to_owned()),
        "{comments:?}"
    );
    assert!(
        comments.iter().all(|line| line.starts_with("1000\t")),
        "{comments:?}"
    );
    assert!(
        watcher
            .said()
            .contains(&format!("\"captured\":{}", comments.len())),
        "{}",
        watcher.said()
    );
}

/// What a datagram of so many bytes carries.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 7 + bytes) as u8).collect()
}

/// The bytes of each packet, as `tshark -x` prints them.
fn dumped(lines: &[String]) -> Vec<Vec<u8>> {
    let mut packets: Vec<Vec<u8>> = Vec::new();
    for line in lines.iter().filter(|line| !line.is_empty()) {
        let (at, rest) = line.split_at(4);
        if at == "0000" {
            packets.push(Vec::new());
        }
        let hex = rest.get(2..rest.len().min(49)).unwrap_or_default();
        let bytes = hex.split_whitespace();
        let packet = packets.last_mut().expect("it begins with 0000");
        packet.extend(bytes.map(|byte| u8::from_str_radix(byte, 16).expect("a byte")));
    }
    packets
}

#[test]
fn of_a_frame_of_any_length_the_first_bytes_are_captured_as_they_came() {
    /// Of Ethernet, IPv4 and UDP.
    const HEADERS: usize = 42;
    let Some(scene) = Scene::new() else { return };
    if !require::programs(&["tshark"]) {
        return;
    }
    let snaps = [64, 104, 1536].map(|snap: usize| {
        let file = scene.guard.folder().join(format!("{snap}.pcapng"));
        let length = snap.to_string();
        let words = ["capture", "-w", path(&file), "-s", &length];
        let watcher = scene.watch(&format!("capture-{snap}"), &words);
        (snap, watcher, file)
    });
    let lengths: Vec<usize> = (0..=130).chain([1440, 1471, 1472]).collect();
    let to = std::net::SocketAddr::new(scene.lab.srv.v4, CLOSED);
    scene.lab.attacker.run(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
        for length in &lengths {
            socket.send_to(&pattern(*length), to).expect("sent");
        }
    });
    for (snap, mut watcher, file) in snaps {
        interrupt(&mut watcher);
        let said = watcher.said();
        assert!(said.contains("none lost"), "{said}");
        let udp = format!("udp.dstport == {CLOSED}");
        let sizes = tshark(&file, &["-Y", &udp, "-T", "fields", "-e", "frame.len"]);
        let wanted: Vec<String> = lengths
            .iter()
            .map(|bytes| (HEADERS + bytes).to_string())
            .collect();
        assert_eq!(sizes, wanted, "{snap}");
        let packets = dumped(&tshark(&file, &["-Y", &udp, "-x"]));
        assert_eq!(packets.len(), lengths.len());
        for (bytes, packet) in lengths.iter().zip(packets) {
            let captured = snap.min(HEADERS + bytes);
            assert_eq!(packet.len(), captured, "{snap}: {bytes}");
            assert_eq!(packet[HEADERS..], pattern(*bytes)[..captured - HEADERS]);
        }
    }
}

#[test]
fn captured_and_lost_are_all_that_were_counted() {
    let Some(scene) = Scene::new() else { return };
    if !require::programs(&["tshark"]) {
        return;
    }
    let file = scene.guard.folder().join("flood.pcapng");
    let before = scene.guard.counted().reason("default-drop");
    let words = [
        "capture",
        "-w",
        path(&file),
        "--reason",
        "default-drop",
        "--json",
        "-s",
        "64",
    ];
    let mut watcher = scene.watch("capture", &words);
    let frames = scene.lab.forged_syns(CLOSED, Sources::Everywhere);
    // Not as fast as it goes: what is captured is read by tshark, which takes a minute for a million or two.
    let rate = Rate::PerSecond(300_000);
    let flood = Flood::start(Wire::open(&scene.lab.wan, "srv"), frames, rate);
    thread::sleep(Duration::from_millis(300));
    // Nobody reads for a while, but not as long as the program waits for a sign of life: some must be lost, and said
    // to be.
    super::scene::signal(&watcher, libc::SIGSTOP);
    thread::sleep(Duration::from_millis(1500));
    super::scene::signal(&watcher, libc::SIGCONT);
    thread::sleep(Duration::from_millis(300));
    let _ = flood.stop();
    // What waits to be read when it is interrupted is neither captured nor lost.
    let size = || fs::metadata(&file).expect("the file").len();
    until("all to be written", || {
        let before = size();
        thread::sleep(Duration::from_millis(300));
        size() == before
    });
    interrupt(&mut watcher);
    let counted = scene.guard.counted().reason("default-drop") - before;
    let said: serde_json::Value = serde_json::from_str(watcher.said().trim()).expect("JSON");
    let number = |name: &str| said[name].as_u64().expect("a number");
    println!("{counted} counted: {said}");
    assert!(counted > 100_000, "{counted} are no flood");
    assert!(number("lost") > 0, "{said}");
    assert_eq!(number("captured") + number("lost"), counted);
    let read = tshark(&file, &["-T", "fields", "-e", "frame.number"]);
    assert_eq!(read.len() as u64, number("captured"));
}

#[test]
fn a_capture_is_read_while_it_is_made() {
    let Some(scene) = Scene::new() else { return };
    if !require::programs(&["tshark"]) {
        return;
    }
    let mut capture = scene.guard.command(&["capture", "-w", "-", "--count", "3"]);
    let mut child = capture
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("guardctl");
    let mut reader = Command::new("tshark");
    reader
        .args(["-n", "-l", "-r", "-", "-T", "fields", "-e", "frame.comment"])
        .stdin(child.stdout.take().expect("a pipe"));
    let log = scene.guard.folder().join("tshark");
    let reader = Background::start_with_input(&mut reader, log);
    until("the packets", || {
        let _ = scene.lab.attacker.ask_tcp(scene.lab.srv.v4, CLOSED);
        reader.said().matches("guard: drop default-drop").count() >= 3
    });
    child.wait().expect("our own child");
}

#[test]
fn a_full_disk_leaves_whole_packets() {
    let Some(scene) = Scene::new() else { return };
    if !require::programs(&["tshark", "mount", "umount"]) {
        return;
    }
    let folder = scene.guard.folder().join("small");
    fs::create_dir(&folder).expect("a folder");
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=256k", "tmpfs", path(&folder)]);
    drop(finish(&mut mount, Duration::from_secs(10)).ok());
    let file = folder.join("full.pcapng");
    let log = scene.guard.folder().join("capture");
    let mut watcher = Background::start(
        &mut scene.guard.command(&["capture", "-w", path(&file)]),
        log,
    );
    until("the file", || file.exists());
    let frames = scene.lab.forged_syns(CLOSED, Sources::OneNetwork);
    let flood = Flood::start(
        Wire::open(&scene.lab.wan, "srv"),
        frames,
        Rate::PerSecond(20_000),
    );
    until("the end", || watcher.has_ended());
    let _ = flood.stop();
    let said = watcher.said();
    let read = tshark(&file, &["-T", "fields", "-e", "frame.comment"]);
    let mut umount = Command::new("umount");
    drop(finish(umount.arg(&folder), Duration::from_secs(10)).ok());
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains("whole packets, and can be read"), "{said}");
    assert!(read.len() > 500, "{} packets", read.len());
    assert!(
        !scene.guard.is_watched() || !within_three_seconds(&scene),
        "nobody watches any more"
    );
}

fn within_three_seconds(scene: &Scene) -> bool {
    thread::sleep(Duration::from_secs(3));
    scene.guard.is_watched()
}

#[test]
fn what_cannot_be_written_to_is_refused_before_anything_is_watched() {
    let Some(scene) = Scene::new() else { return };
    let capture = |file: &Path, words: &[&str]| {
        let mut line = vec!["capture", "-w", path(file), "--for", "1s"];
        line.extend(words);
        scene.guard.guardctl(&line)
    };
    let folder = scene.guard.folder();
    drop(
        capture(&folder.join("none/x.pcapng"), &[])
            .exit(1)
            .says("No such file"),
    );
    drop(capture(folder, &[]).exit(1).says("Is a directory"));
    let pipe = folder.join("pipe");
    let mut mkfifo = Command::new("mkfifo");
    drop(finish(mkfifo.arg(&pipe), Duration::from_secs(10)).ok());
    drop(capture(&pipe, &[]).exit(1).says("a pipe that nobody reads"));
    let file = folder.join("empty.pcapng");
    // A filter that matches nothing.
    drop(
        capture(&file, &["--port", "9"])
            .ok()
            .says("0 packets captured, none lost"),
    );
    assert!(
        fs::metadata(&file).expect("a file").size() > 0,
        "a section, and its numbers"
    );
    for (words, text) in [
        (["--port", "99999"], "out of range"),
        (["--reason", "default-drob"], "did you mean default-drop"),
        (["--from", "203.0.113"], "address"),
        (["--for", "soon"], "no length of time"),
        (["--snap-length", "10"], "64..=1536"),
        (["--count", "0"], "0 is not in"),
    ] {
        let mut line = vec!["capture", "-w", path(&file)];
        line.extend(words);
        drop(scene.guard.guardctl(&line).exit(2).says(text));
    }
    drop(scene.guard.guardctl(&["disable"]).ok());
    drop(capture(&file, &[]).exit(3).says("guard is not active"));
}

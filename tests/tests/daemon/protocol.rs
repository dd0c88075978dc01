//! What comes in at the socket: who may ask what, and what a caller cannot do to the others.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{fs::MetadataExt as _, fs::PermissionsExt as _, net::UnixStream},
    process::Command,
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{GuardDaemon, Ran, own_mounts, until},
    require,
};

use super::scene::Scene;

const NOBODY: &str = "65534";
/// A number that no group of this machine has.
const GROUP: &str = "54321";
const PATIENCE: Duration = Duration::from_secs(5);

fn connect(scene: &Scene) -> UnixStream {
    let stream = UnixStream::connect(scene.guard.run().join("control")).expect("the socket");
    // Longer than the daemon's own patience: it must be the one who ends it.
    stream
        .set_read_timeout(Some(PATIENCE * 3))
        .expect("a limit");
    stream
}

/// What the daemon sends until it ends the connection.
fn answer(mut stream: UnixStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an end");
    String::from_utf8_lossy(bytes.get(4..).unwrap_or_default()).into_owned()
}

fn frame(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
}

/// `guardctl daemon WHAT` as nobody, with these groups.
fn as_nobody(scene: &Scene, groups: &[&str], what: &str) -> Ran {
    let launcher = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY];
    let launcher = [&launcher[..], groups].concat();
    scene.guard.guardctl_behind(&launcher, &["daemon", what])
}

#[test]
fn whoever_is_not_root_is_turned_away_at_the_door() {
    if !require::root() || !require::program("setpriv") {
        return;
    }
    let scene = Scene::new();
    let socket = scene.guard.run().join("control");
    let metadata = fs::metadata(&socket).expect("the socket");
    assert_eq!((metadata.mode() & 0o777, metadata.uid()), (0o660, 0));
    for what in ["--status", "--stop"] {
        drop(as_nobody(&scene, &["--clear-groups"], what).exit(4));
    }

    // And inside, should somebody open it to all.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).expect("the mode");
    for what in ["--status", "--stop", "--reconcile"] {
        let ran = as_nobody(&scene, &["--clear-groups"], what).exit(4);
        drop(ran.says("only root may ask this"));
    }
    drop(scene.ask("--status").ok());
}

#[test]
fn members_of_the_group_may_look_and_not_touch() {
    if !require::root() || !require::programs(&["setpriv", "unshare"]) {
        return;
    }
    let mut scene = Scene::new();
    drop(scene.ask("--stop").ok());
    scene.daemon.wait();
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let groups = format!("{groups}\nguard:x:{GROUP}:\n");
    let file = scene.guard.folder().join("group");
    fs::write(&file, groups).expect("a file");
    let script = format!("mount --bind {} /etc/group && exec \"$@\"", file.display());
    let launcher = own_mounts(&script);
    let mut command: Command = scene.guard.command_behind(&launcher, &["daemon"]);
    scene.daemon = GuardDaemon::start_as(&scene.guard, &mut command);
    let metadata = fs::metadata(scene.guard.run().join("control")).expect("the socket");
    assert_eq!(metadata.gid().to_string(), GROUP);

    for groups in [
        vec!["--groups", GROUP],
        // The kernel's list of groups is longer than the first guess at its length.
        vec!["--groups", MANY.as_str()],
    ] {
        drop(
            as_nobody(&scene, &groups, "--status")
                .ok()
                .says("eth0 protected"),
        );
        for what in ["--stop", "--reconcile"] {
            let ran = as_nobody(&scene, &groups, what).exit(4);
            drop(ran.says("only root may ask this"));
        }
    }
    drop(as_nobody(&scene, &["--clear-groups"], "--status").exit(4));
}

/// A hundred and one groups.
static MANY: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    let mut numbers: Vec<String> = (60_000..60_100).map(|number| number.to_string()).collect();
    numbers.push(GROUP.to_owned());
    numbers.join(",")
});

#[test]
fn frames_that_are_none_are_refused_and_harm_nobody() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("too long", u32::MAX.to_be_bytes().to_vec(), "at most 65536"),
        (
            "one too long",
            65_537u32.to_be_bytes().to_vec(),
            "at most 65536",
        ),
        ("no JSON", frame("{"), "failed"),
        ("no verb", frame("{}"), "verb"),
        ("an unknown verb", frame(r#"{"verb":"obey"}"#), "obey"),
        (
            "not even text",
            [&[0, 0, 0, 2, 0xff, 0xfe][..]].concat(),
            "failed",
        ),
    ];
    for (case, bytes, expected) in cases {
        let mut stream = connect(&scene);
        stream.write_all(&bytes).expect("sent");
        let answer = answer(stream);
        assert!(answer.contains(expected), "{case}: {answer}");
        assert!(answer.contains("\"exit\":2"), "{case}: {answer}");
    }
    let mut stream = connect(&scene);
    stream
        .write_all(&frame(r#"{"verb":"ping"}"#))
        .expect("sent");
    assert_eq!(
        answer(stream),
        format!(r#"{{"answer":"pong","pid":{}}}"#, scene.daemon.id())
    );
    drop(connect(&scene));
    drop(scene.ask("--status").ok());
}

#[test]
fn the_slow_are_not_waited_for_and_the_many_are_told_so() {
    if !require::root() {
        return;
    }
    const SEATS: usize = 16;
    let scene = Scene::new();
    let began = Instant::now();
    let mut slow: Vec<UnixStream> = (0..SEATS).map(|_| connect(&scene)).collect();
    for stream in &mut slow {
        // Half a length, and never the rest.
        stream.write_all(&[0, 0]).expect("sent");
    }
    until("every seat to be taken", || {
        let ran = scene.ask("--status");
        ran.code == Some(1) && ran.stderr.contains("16 others are being served")
    });

    drop(slow.pop());

    until("the seat that became free", || {
        scene.ask("--status").code == Some(0)
    });
    for stream in slow {
        assert_eq!(answer(stream), "", "ended without a word");
    }
    let took = began.elapsed();
    let latest = PATIENCE + Duration::from_secs(1);
    assert!(took < latest + Duration::from_secs(1), "{took:?}");
    assert!(took > PATIENCE - Duration::from_secs(1), "{took:?}");
    drop(scene.ask("--status").ok());
}

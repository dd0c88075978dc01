//! `guardctl metrics`, and its file for node_exporter: replaced as a whole, or left as it is.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    process::{Command, Stdio},
};

use guard_tests::{
    lab::{GuardDaemon, own_mounts},
    require,
};

use super::scene::Scene;

#[test]
fn promtool_finds_nothing_wrong_with_metrics_and_alerts() {
    if !require::root() || !require::program("promtool") {
        return;
    }
    let scene = Scene::enabled("");
    scene.send(2);
    drop(scene.guard.guardctl(&["ban", "198.51.100.77"]).ok());
    for step in ["with no daemon", "with one"] {
        let _daemon = (step == "with one").then(|| GuardDaemon::start(&scene.guard));
        let text = scene.guard.guardctl(&["metrics"]).ok().stdout;
        assert!(text.contains("\nguard_active 1.0\n"), "{step}: {text}");
        assert_eq!(
            text.contains("guard_daemon_start_time_seconds"),
            step == "with one",
            "{text}"
        );
        let mut child = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(text.as_bytes()).expect("promtool reads");
        drop(input);
        let checked = child.wait_with_output().expect("promtool");
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(
            checked.status.success() && said.is_empty(),
            "{step}: {said}"
        );
    }
    let rules = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../packaging/prometheus/guard.rules.yml"
    );
    let checked = Command::new("promtool")
        .args(["check", "rules", rules])
        .output();
    let checked = checked.expect("promtool");
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn the_file_is_replaced_as_a_whole_and_everybody_may_read_it() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled("");
    let file = scene.guard.folder().join("guard.prom");
    let shown = file.display().to_string();
    for _ in 0..2 {
        drop(
            scene
                .guard
                .guardctl(&["metrics", "--textfile", &shown])
                .ok()
                .says("wrote "),
        );
        let text = fs::read_to_string(&file).expect("the file");
        assert!(
            text.contains("\nguard_active 1.0\n") && !text.contains("# EOF"),
            "{text}"
        );
        let mode = fs::metadata(&file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }
    drop(scene.guard.guardctl(&["disable"]).ok());
    drop(
        scene
            .guard
            .guardctl(&["metrics", "--textfile", &shown])
            .ok(),
    );
    let text = fs::read_to_string(&file).expect("the file");
    assert!(text.contains("\nguard_active 0.0\n"), "{text}");
}

#[test]
fn what_is_no_file_of_the_collector_is_left_as_it_is() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled("");
    let folder = scene.guard.folder().join("collector");
    fs::create_dir(&folder).expect("a folder");
    let at = |name: &str| folder.join(name);
    let precious = at("precious");
    fs::write(&precious, "text").expect("a file");
    symlink(&precious, at("link.prom")).expect("a link");
    fs::create_dir(at("folder.prom")).expect("a folder");
    let pipe = Command::new("mkfifo").arg(at("pipe.prom")).status();
    assert!(pipe.expect("mkfifo").success());
    for (name, exit, why) in [
        ("guard.txt", 2, "does not end in .prom"),
        ("missing/guard.prom", 6, "is no folder"),
        ("precious/guard.prom", 6, "is no folder"),
        ("link.prom", 1, "a link"),
        ("folder.prom", 1, "a folder"),
        ("pipe.prom", 1, "a pipe"),
    ] {
        let file = at(name).display().to_string();
        let refused = scene
            .guard
            .guardctl(&["metrics", "--textfile", &file])
            .exit(exit);
        drop(refused.says(why));
    }
    assert_eq!(fs::read_to_string(&precious).expect("a file"), "text");

    // Read-only, and full: the old text stays.
    for options in ["ro", "size=4k"] {
        let script = format!(
            "mount -t tmpfs -o size=64k none {0} && echo old > {0}/guard.prom && mount -o remount,{options} {0} && \
             {{ \"$@\"; code=$?; cat {0}/guard.prom; exit $code; }}",
            folder.display()
        );
        let file = at("guard.prom").display().to_string();
        let launcher = own_mounts(&script);
        let ran = scene
            .guard
            .guardctl_behind(&launcher, &["metrics", "--textfile", &file]);
        let ran = ran.exit(1);
        assert_eq!(ran.stdout, "old\n", "{options}: {}", ran.stderr);
    }
}

//! What cannot be answered is said with a code and a way out.

use guard_tests::require;

use super::scene::Scene;

const NOBODY: [&str; 6] = [
    "setpriv",
    "--reuid",
    "65534",
    "--regid",
    "65534",
    "--clear-groups",
];

#[test]
fn guard_off_is_said_and_a_file_answers_all_the_same() {
    let Some(scene) = Scene::off() else { return };
    let ran = scene.guard.guardctl(&["explain", "203.0.113.66", "3000"]);
    drop(ran.exit(3).says("guard is not active").says("--file"));
    let answer = scene.explain_file("203.0.113.66 2000");
    assert_eq!(answer["reason"], "rule-deny", "{answer}");
}

#[test]
fn wrong_words_interfaces_and_files_have_codes_of_their_own() {
    let Some(scene) = Scene::new() else { return };
    let broken = scene.guard.folder().join("broken.toml");
    std::fs::write(&broken, "[[rule]]\naction = \"permit\"\n").expect("a file");
    let broken = broken.to_str().expect("a path");
    for (line, code, printed) in [
        ("203.0.113.66 3000 on nope0", 6, "nope0: no such interface"),
        ("203.0.113.66", 2, "to which port"),
        ("203.0.113.66 70000", 2, "70000"),
        ("somewhere 22", 2, "somewhere"),
        ("203.0.113.66 22 flags sin", 2, "sin"),
        (
            "from 203.0.113.66 to 2001:db8::1 port 22",
            2,
            "the same address family",
        ),
        (
            &format!("--file {broken} 203.0.113.66 22") as &str,
            5,
            "permit",
        ),
    ] {
        let words: Vec<&str> = ["explain"].into_iter().chain(line.split(' ')).collect();
        let ran = scene.guard.guardctl(&words).exit(code).says(printed);
        assert!(ran.stderr.contains("help: "), "{ran}");
        let words = [&["--json"], &words[..]].concat();
        let answer = scene.guard.guardctl(&words).exit(code).json();
        assert_eq!(answer["error"]["exit"], code, "{line}: {answer}");
    }
}

#[test]
fn without_root_only_a_file_is_asked() {
    if !require::program("setpriv") {
        return;
    }
    let Some(scene) = Scene::new() else { return };
    let words = ["explain", "203.0.113.66", "2000"];
    let ran = scene.guard.guardctl_behind(&NOBODY, &words).exit(4);
    drop(ran.says("help: run the command as root"));

    let file = scene.guard.etc().join("guard.toml");
    let words = [&words[..], &["--file", file.to_str().expect("a path")]].concat();
    let ran = scene.guard.guardctl_behind(&NOBODY, &words).ok();
    drop(ran.says("dropped: rule-deny").says("rule 2: "));
}

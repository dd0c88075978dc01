//! `bans import` and `bans export`.

use std::{collections::BTreeSet, fs, net::Ipv4Addr};

use guard_tests::lab::Terminal;

use super::scene::Scene;

const LIST: &str = "\
# a list of several kinds
203.0.113.66
203.0.113.66 timeout 60
198.51.100.0/24 ; SBL123
create bad hash:ip family inet hashsize 1024 maxelem 65536 timeout 300
add bad 198.18.0.1 timeout 600 comment \"scans \"
add bad 2001:db8:66::66
::ffff:198.18.0.2
";

#[test]
fn the_usual_formats_are_imported_and_exported_lines_read_back() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let (code, said) = scene.guardctl_reads(&["bans", "import", "-", "--permanent"], LIST);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("5 new sources, 1 known already"), "{said}");
    let expected = [
        "198.18.0.1",
        "198.18.0.2",
        "198.51.100.0/24",
        "203.0.113.66",
        "2001:db8:66::/64",
    ];
    assert_eq!(scene.sources(), expected);
    for (_, srv) in scene.families() {
        assert!(!scene.gets_through(srv));
    }
    let exported = scene.guardctl(&["bans", "export"]).ok().stdout;
    let _ = scene.guardctl(&["unban", "--all"]).ok();
    for (_, srv) in scene.families() {
        assert!(scene.gets_through(srv));
    }
    let (code, said) = scene.guardctl_reads(&["bans", "import", "-", "--permanent"], &exported);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(scene.sources(), expected);
    let timed: Vec<String> = scene
        .listed()
        .iter()
        .filter(|ban| ban["permanent"] == false)
        .map(|ban| format!("{} {}", ban["source"], ban["reason"]))
        .collect();
    assert_eq!(timed, ["\"198.18.0.1\" \"scans \""]);
}

#[test]
fn garbage_lines_are_told_by_line_and_the_rest_is_imported() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let text = "203.0.113.66\nrubbish\n192.0.2.1\n10.0.0.0/4\n10.0.0.0/9\nfe80::1%eth0\n198.18.0.0/15\n198.18.1.1";
    let list = scene.guard.folder().join("list.txt");
    fs::write(&list, text).expect("a list");
    let name = list.to_string_lossy().into_owned();
    let ran = scene.guardctl(&["bans", "import", &name]).exit(8);
    for (line, what) in [
        (2, "neither an address"),
        (3, "this host"),
        (4, "host bits"),
        (5, "--force"),
        (6, "zone"),
        (7, "--force"),
    ] {
        let place = format!("{name}:{line}: ");
        let printed = ran
            .stderr
            .lines()
            .find(|printed| printed.starts_with(&place));
        let printed = printed.unwrap_or_else(|| panic!("{place} is missing\n{ran}"));
        assert!(what == "--force" || printed.contains(what), "{printed}");
    }
    let _ = ran.says("6 lines of 8");
    assert_eq!(scene.sources(), ["198.18.1.1", "203.0.113.66"]);
    let json = scene
        .guardctl(&["--json", "bans", "import", &name])
        .exit(8)
        .json();
    // An hour from now is longer than an hour from then.
    assert_eq!((&json["longer"], &json["wrong"]), (&2.into(), &6.into()));
    assert_eq!(json["errors"][0]["line"], 2);

    let html = "<html>\n".repeat(10_000);
    let (code, said) = scene.guardctl_reads(&["bans", "import", "-"], &html);
    assert_eq!(code, Some(8), "{said}");
    assert!(
        said.lines().count() < 30 && said.contains("9980 more lines"),
        "{said}"
    );
    let (code, said) = scene.guardctl_reads(&["bans", "import", "-"], "");
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_long_import_shows_how_far_it_is_on_a_terminal_and_nowhere_else() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    const LENGTH: u32 = 200_000;
    const OF: &str = " of 200,000 (";
    let first = u32::from(Ipv4Addr::new(198, 18, 0, 0));
    let lines = (0..LENGTH).map(|number| Ipv4Addr::from(first + number).to_string());
    let list = scene.guard.folder().join("long.txt");
    fs::write(&list, lines.collect::<Vec<_>>().join("\n")).expect("a list");
    let words = ["bans", "import", &list.to_string_lossy()];
    let mut command = scene.guard.command(&words);
    let mut terminal = Terminal::start(command.env("TERM", "xterm"));
    assert_eq!(terminal.ends(), 0);
    let said = terminal.said().to_owned();
    // Each picture of the bar ends with how far it is.
    let pictures = said.match_indices(OF);
    let places: BTreeSet<u32> = pictures
        .filter_map(|(at, _)| {
            let digits = said[..at].rsplit(|letter: char| !"0123456789,".contains(letter));
            digits.into_iter().next()?.replace(',', "").parse().ok()
        })
        .collect();
    assert!(places.len() > 2, "{places:?}\n{said}");
    assert!(places.iter().all(|place| *place <= LENGTH), "{places:?}");
    // What stands on the screen since a line was last erased: the bar is gone.
    let last = said.rsplit("\x1b[2K").next().unwrap_or_default();
    assert_eq!(last.trim_end(), "banned 200000 new sources");

    // Into a pipe, quietly or as JSON nothing of it is said.
    let silent = [
        scene.guardctl(&words).ok(),
        scene
            .guardctl(&["--json", words[0], words[1], words[2]])
            .ok(),
    ];
    for ran in silent {
        assert!(
            !ran.stderr.contains(OF) && !ran.stdout.contains(OF),
            "{ran}"
        );
    }
}

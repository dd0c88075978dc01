//! What guardctl says when it is not asked for JSON.

use std::{
    fs,
    io::Read as _,
    process::{Command, Stdio},
};

use guard_tests::lab::guardctl_path;

use super::host::Host;

/// Commands that others have and guard has not, and what is named instead.
const VERBS: &[(&str, &str)] = &[
    ("reset", "guardctl disable"),
    ("logging on", "guardctl stats"),
    ("show added", "guardctl status numbered"),
    ("app list", "guardctl allow 'Nginx Full'"),
    ("reject 25", "guardctl deny"),
    ("route allow in on eth0", "to ADDRESS"),
    ("restart", "guardctl reload"),
    ("drop 25", "guardctl deny"),
    ("save", "every change is saved"),
    ("RESET", "guardctl disable"),
    ("delete reject log 23", "guardctl status numbered"),
];

#[test]
fn verbs_of_other_firewalls_name_the_way_in_guard() {
    let Some(host) = Host::new() else { return };

    for (line, instead) in VERBS {
        let printed = host.run(line).exit(2).says(instead);
        assert!(printed.stderr.contains("\n  help: "), "{printed}");
    }
    let _printed = host.run("alow 22").exit(2).says("did you mean \"allow\"");
    let _printed = host.run("22/tcp").exit(2).says("`guardctl allow 22/tcp`");
    assert_eq!(host.guard.policy(), "");
}

#[test]
fn help_describes_the_command() {
    let Some(host) = Host::new() else { return };

    let printed = host.run("--help").ok();
    assert!(
        printed.stdout.starts_with("XDP firewall: drops everything"),
        "{printed}"
    );
    let _printed = printed
        .says("guardctl allow 1.1.1.1 9000")
        .says("Exit codes: 0 ok");
    for line in ["allow -h", "allow --help", "help allow", "deny 22 -h"] {
        let _printed = host.run(line).ok().says("Rules, as ufw writes them:");
    }
    let _printed = host
        .run("")
        .exit(2)
        .says("`guardctl --help` lists the commands");
    let _printed = host.run("never").exit(2).says("`guardctl never --help`");
    assert_eq!(host.guard.policy(), "");
}

#[test]
fn quiet_says_nothing_when_all_is_well_and_everything_when_not() {
    let Some(host) = Host::new() else { return };

    for line in [
        "allow 22/tcp",
        "allow 22/tcp -q",
        "check",
        "enable",
        "reload",
        "delete 1",
        "disable",
    ] {
        let printed = host
            .run(&format!("--quiet {}", line.trim_end_matches(" -q")))
            .ok();
        assert_eq!(
            (printed.stdout.as_str(), printed.stderr.as_str()),
            ("", ""),
            "{line}"
        );
    }
    let _printed = host.run("-q delete 7").exit(6).says("there is no rule 7");
}

#[test]
fn a_dry_run_changes_nothing() {
    for is_active in [false, true] {
        let policy = "[[rule]]\naction = \"allow\"\nport = 22\n";
        let host = if is_active {
            Host::active(policy)
        } else {
            Host::new()
        };
        let Some(host) = host else { return };
        host.guard.write_policy(policy);
        let before = snapshot(&host);

        for (line, would) in [
            ("allow 80/tcp", "would add rule 2: allow 80/tcp\n"),
            (
                "prepend deny from 203.0.113.7",
                "would add rule 1: deny from 203.0.113.7\n",
            ),
            ("delete 1", "would delete rule 1: allow 22\n"),
            ("default allow", "default would be allow\n"),
            (
                "never add 198.51.100.1",
                "would never be banned or limited: 198.51.100.1\n",
            ),
            ("enable", "would protect eth0 with 1 rule, default deny\n"),
        ] {
            let printed = host.run(&format!("{line} --dry-run")).ok();
            assert_eq!(printed.stdout, would);
        }
        let _printed = host.run("--dry-run disable").ok();
        let _printed = host.run("--dry-run delete 7").exit(6);
        let _printed = host.run("--dry-run never del 1.1.1.1").exit(6);
        let reload = host
            .run("--dry-run reload")
            .exit(if is_active { 0 } else { 3 });
        assert_eq!(
            reload.stdout.contains("0 added, 0 removed, 1 unchanged"),
            is_active,
            "{reload}"
        );

        assert_eq!(snapshot(&host), before);
    }
}

/// Everything of an instance that a dry run could have touched.
fn snapshot(host: &Host) -> (String, u64, [Vec<String>; 4]) {
    let folders = [
        host.guard.etc(),
        host.guard.state(),
        host.guard.run(),
        host.guard.bpffs(),
    ];
    let entries = folders.map(|folder| Host::entries(&folder));
    (host.guard.policy(), host.generation(), entries)
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let Some(host) = Host::active("") else { return };

    for words in [
        &["--help"][..],
        &["status"],
        &["stats"],
        &["never", "list"],
        &["completions", "bash"],
    ] {
        assert_eq!(
            into_closed_pipe(host.guard.command(words)),
            Some(0),
            "{words:?}"
        );
    }
    for words in [&["delete", "9"][..], &["delete", "9", "--json"]] {
        assert_eq!(
            into_closed_pipe(host.guard.command(words)),
            Some(6),
            "{words:?}"
        );
    }
    assert_eq!(
        into_closed_pipe(host.guard.command(&["frob", "-j"])),
        Some(2)
    );
}

/// Exit code of a command whose outputs nobody reads.
fn into_closed_pipe(mut command: Command) -> Option<i32> {
    let closed = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        Stdio::from(writer)
    };
    let status = command.stdout(closed()).stderr(closed()).status();
    status.expect("guardctl").code()
}

#[test]
fn fresh_counters_are_no_empty_table() {
    let Some(host) = Host::new() else { return };
    let _printed = host
        .run("stats")
        .exit(3)
        .says("`guardctl enable` turns it on");
    let _printed = host.run("enable").ok();

    // The kernel announces the card at once, so the table is rarely empty.
    let printed = host.run("stats").ok();
    assert!(
        printed.stdout == "No packets yet on the protected interfaces.\n"
            || printed.stdout.contains("\nReason "),
        "{printed}"
    );
}

#[test]
fn manual_pages_and_completions_know_every_command() {
    let Some(host) = Host::new() else { return };
    let folder = host.guard.folder().join("man");

    let folder_text = folder.display().to_string();
    let _printed = host.guard.guardctl(&["man", &folder_text]).ok();
    let pages = Host::entries(&folder);
    for name in [
        "guardctl.1",
        "guardctl-allow.1",
        "guardctl-never-add.1",
        "guardctl-stats.1",
    ] {
        assert!(pages.iter().any(|page| page == name), "{name} of {pages:?}");
    }
    let main = fs::read_to_string(folder.join("guardctl.1")).expect("the page");
    for text in [
        ".TH guardctl 1",
        "\\-\\-dry\\-run",
        "GUARD_ETC",
        "guardctl\\-insert(1)",
    ] {
        assert!(main.contains(text), "{text} in\n{main}");
    }
    let allow = fs::read_to_string(folder.join("guardctl-allow.1")).expect("the page");
    assert!(allow.contains("Rules, as ufw writes them"), "{allow}");

    for (shell, mark) in [
        ("bash", "-F _clap_complete_guardctl guardctl"),
        ("zsh", "#compdef guardctl"),
        ("fish", "--command guardctl"),
    ] {
        let printed = host.run(&format!("completions {shell}")).ok().says(mark);
        let asks = format!("GUARD_COMPLETE=\"{shell}\"");
        let asks_fish = format!("GUARD_COMPLETE={shell}");
        let script = printed.stdout;
        assert!(
            script.contains(&asks) || script.contains(&asks_fish),
            "{script}"
        );
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let mut version = String::new();
    let mut child = Command::new(guardctl_path())
        .arg("--version")
        .stdout(Stdio::piped())
        .spawn()
        .expect("guardctl");
    let read = child
        .stdout
        .take()
        .expect("a pipe")
        .read_to_string(&mut version);

    assert!(read.is_ok() && child.wait().expect("our own child").success());
    assert_eq!(version, format!("guardctl {}\n", env!("CARGO_PKG_VERSION")));
}

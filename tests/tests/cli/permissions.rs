//! Whoever may not is told so with exit 4, and nothing has changed.

use std::{fs, os::unix::fs::PermissionsExt as _};

use guard_tests::{lab::Ran, require};

use super::host::Host;

const POLICY: &str = "[[rule]]\naction = \"allow\"\nport = 22\n";

/// guardctl as nobody.
fn as_nobody(host: &Host, line: &str) -> Ran {
    let words: Vec<&str> = line.split_whitespace().collect();
    let launcher = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
    ];
    host.guard.guardctl_behind(&launcher, &words)
}

#[test]
fn a_user_may_neither_change_nor_look() {
    if !require::program("setpriv") {
        return;
    }
    let Some(host) = Host::active(POLICY) else {
        return;
    };
    fs::set_permissions(host.guard.bpffs(), fs::Permissions::from_mode(0o700)).expect("the mode");
    let secret = fs::Permissions::from_mode(0o600);
    fs::set_permissions(host.guard.etc().join("guard.toml"), secret).expect("the mode");

    for (line, printed) in [
        ("enable", "missing CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"),
        ("disable", "missing CAP_BPF and CAP_NET_ADMIN"),
        ("allow 80", "cannot lock"),
        ("delete 1", "cannot lock"),
        ("default allow", "cannot lock"),
        ("never add 1.1.1.1", "cannot lock"),
        ("reload", "cannot lock"),
        ("allow 80 --dry-run", "ermission denied"),
        ("check", "guard.toml: permission denied"),
        ("never list", "guard.toml: permission denied"),
        ("status", "ermission denied"),
        ("stats", "ermission denied"),
    ] {
        let ran = as_nobody(&host, line).exit(4).says(printed);
        assert!(
            ran.stderr.contains("help: run the command as root"),
            "{ran}"
        );
    }
    let _version = as_nobody(&host, "version").ok();
    let _help = as_nobody(&host, "--help").ok();
    let answer = as_nobody(&host, "status --json").exit(4).json();
    assert_eq!(answer["error"]["exit"], 4);

    assert_eq!(host.guard.policy(), POLICY);
    assert_eq!(host.generation(), 1);
}

#[test]
fn anybody_may_check_a_file_that_he_can_read() {
    if !require::program("setpriv") {
        return;
    }
    let Some(host) = Host::new() else { return };
    host.guard.write_policy(POLICY);
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(host.guard.etc().join("guard.toml"), open).expect("the mode");
    for folder in [host.guard.folder(), &host.guard.etc()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("the mode");
    }

    let _printed = as_nobody(&host, "check").ok().says("ok: 1 rule in 1 file");
    let file = host.guard.etc().join("guard.toml").display().to_string();
    let _printed = as_nobody(&host, &format!("check {file}")).ok();
}

//! Wrong policy files: each is refused with its place, and what is in force stays.

use std::{fs, process::Command};

use crate::cli::host::{CARD, Host};

mod table;

use table::WRONG;

/// In force while wrong files are tried.
const GOOD: &str = "[[rule]]\naction = \"allow\"\nport = 22\nproto = \"tcp\"\n";

/// A file whose prefixes are tried.
const VALID: &str = r#"default = "deny"
never = ["198.51.100.10", "@office"]
[sets]
office = ["203.0.113.0/24", "2001:db8::/32"]
[[rule]] # ssh
action = "allow"
port = 22
proto = "tcp"
from = "@office"
[[rule]]
action = "allow"
port = ["http", 443]
proto = "tcp"
comment = "web"
"#;

#[test]
fn a_wrong_file_is_refused_with_its_place_and_changes_nothing() {
    assert!(WRONG.len() >= 50);
    let Some(host) = Host::active(GOOD) else {
        return;
    };
    let path = host.guard.etc().join("guard.toml");

    for (text, place, message) in WRONG {
        host.guard.write_policy(text);
        let at = format!("{}:{place}: {message}", path.display());
        for line in ["check", "reload", "allow 443/tcp", "delete 1", "enable"] {
            let printed = host.run(line).exit(5);
            assert!(
                printed.stderr.contains(&at),
                "{at}\n--- in\n{text}\n{printed}"
            );
        }
        assert_eq!(host.guard.policy(), *text);
    }
    let status = host
        .run("status")
        .ok()
        .says("warning: the policy files do not load");
    assert!(status.stdout.contains("Generation: 1\n"), "{status}");
    assert_eq!(host.rules(), ["allow 22/tcp"]);

    host.guard.write_policy(GOOD);
    let _printed = host.run("reload").ok().says("(generation 2)");
}

#[test]
fn all_problems_of_all_files_are_told_at_once() {
    let Some(host) = Host::new() else { return };
    host.guard
        .write_policy("defualt = 1\n[[rule]]\naction = \"allow\"\nport = 70000\n");
    fs::create_dir(host.guard.etc().join("guard.d")).expect("a folder");
    fs::write(host.guard.etc().join("guard.d/a.toml"), "x = 1\n").expect("a file");
    fs::write(host.guard.etc().join("guard.d/b.toml"), "y = [\n").expect("a file");

    let printed = host.run("check").exit(5);

    for place in [
        "guard.toml:1:1:",
        "guard.toml:4:8:",
        "a.toml:1:1:",
        "b.toml:1:",
    ] {
        assert!(printed.stderr.contains(place), "{place}\n{printed}");
    }
}

#[test]
fn every_prefix_of_a_valid_file_is_a_policy_or_is_refused() {
    let Some(host) = Host::active(GOOD) else {
        return;
    };
    let mut refused = 0;

    for end in 0..VALID.len() {
        host.guard.write_policy(&VALID[..end]);
        let checked = host.run("check");
        match checked.code {
            Some(0) => {}
            Some(5) => {
                refused += 1;
                assert!(checked.stderr.contains("guard.toml:"), "{checked}");
                if refused % 10 == 0 {
                    let _printed = host.run("reload").exit(5);
                }
            }
            _ => panic!("{checked}"),
        }
    }

    assert!(refused > VALID.len() / 2, "{refused} of {}", VALID.len());
    assert_eq!(host.generation(), 1);
    assert_eq!(host.rules(), ["allow 22/tcp"]);
    host.guard.write_policy(VALID);
    let _printed = host.run("reload").ok().says("(generation 2)");
}

#[test]
fn what_is_no_file_of_text_is_refused() {
    let Some(host) = Host::active(GOOD) else {
        return;
    };
    let path = host.guard.etc().join("guard.toml");
    let long = format!("never = [\"{}\"]\n", "1".repeat(1 << 20));

    for (name, make, message) in [
        (
            "a line of 1 MB",
            Some(long.as_bytes()),
            "guard.toml:1:1: the line is longer than 65536 bytes",
        ),
        (
            "a cut-off character",
            Some(&b"# caf\xc3"[..]),
            "guard.toml:1:6: the file is not UTF-8 text",
        ),
        (
            "a binary",
            Some(&b"\x7fELF\x02\x01\0\0"[..]),
            "guard.toml:1:",
        ),
        ("a folder", None, "is a directory"),
    ] {
        fs::remove_file(&path).expect("the file before");
        match make {
            Some(bytes) => fs::write(&path, bytes).expect("a file"),
            None => fs::create_dir(&path).expect("a folder"),
        }
        let printed = host.run("reload").exit(5).says(message);
        assert!(
            printed.stderr.len() < 4096,
            "{name}: {} bytes",
            printed.stderr.len()
        );
    }
    fs::remove_dir(&path).expect("the folder");
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    let _printed = host.run("reload").exit(5).says("is not a regular file");
    fs::remove_file(&path).expect("the pipe");
    std::os::unix::fs::symlink("/nowhere/guard.toml", &path).expect("a link");
    let _printed = host
        .run("reload")
        .exit(5)
        .says("is a symbolic link to nothing");

    assert_eq!(host.generation(), 1);
    assert_eq!(host.json("status")["interfaces"][0]["name"], CARD);
}

#[test]
fn a_policy_that_only_deserves_a_warning_goes_into_force() {
    let Some(host) = Host::active(GOOD) else {
        return;
    };
    host.guard.write_policy(
        "[sets]\noffice = [\"203.0.113.0/24\"]\n\
         [[rule]]\naction = \"allow\"\nfrom = \"@office\"\n\
         [[rule]]\naction = \"allow\"\nport = 22\nfrom = \"203.0.113.7\"\n\
         [[rule]]\naction = \"deny\"\nfrom = \"198.51.100.9/24\"\n",
    );

    let printed = host.run("reload").ok();

    for warning in ["guard.toml:6:1: warning: rule 2", "host bits set"] {
        assert!(printed.stderr.contains(warning), "{warning}\n{printed}");
    }
    let warnings = &host.json("check")["warnings"];
    assert_eq!(warnings.as_array().map(Vec::len), Some(2), "{warnings}");
}

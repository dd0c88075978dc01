//! `edit`: a copy is edited and checked, and takes the place of the file when it is right.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use guard_tests::lab::{Ran, Terminal, finish};

use super::host::Host;

const POLICY: &str = "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 22\n";
const MORE: &str = "\n[[rule]]\naction = \"allow\"\nport = 80\n";

/// A script that does this with the file in `$1`.
fn editor(host: &Host, does: &str) -> PathBuf {
    let path = host.guard.folder().join("editor");
    fs::write(&path, format!("#!/bin/sh\n{does}\n")).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("a mode");
    path
}

fn edit(host: &Host, words: &[&str], does: &str) -> Ran {
    let all: Vec<&str> = ["edit"].iter().chain(words).copied().collect();
    let editor = editor(host, does);
    let mut command = host.guard.command(&all);
    command
        .env("VISUAL", editor)
        .env("TMPDIR", host.guard.folder());
    finish(&mut command, std::time::Duration::from_secs(60))
}

/// Copies that were kept.
fn kept(host: &Host) -> Vec<PathBuf> {
    let entries = fs::read_dir(host.guard.folder()).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("guard-edit-"))
        })
        .collect()
}

#[test]
fn what_was_edited_is_checked_shown_and_in_force() {
    let Some(host) = Host::active(POLICY) else {
        return;
    };
    let before = host.generation();
    let ran = edit(
        &host,
        &[],
        &format!("printf '{}' >> \"$1\"", MORE.replace('\n', "\\n")),
    );
    let ran = ran
        .ok()
        .says("+port = 80")
        .says("+ allow 80")
        .says("applied guard.toml");
    drop(ran);
    assert_eq!(host.rules(), ["allow 22", "allow 80"]);
    assert_eq!(host.generation(), before + 1);
    assert_eq!(host.guard.policy(), format!("{POLICY}{MORE}"));

    drop(edit(&host, &[], "true").ok().says("nothing was changed"));
    assert_eq!(host.generation(), before + 1);
    drop(
        edit(
            &host,
            &["--dry-run"],
            ": > \"$1\"; echo 'interfaces = [\"eth0\"]' > \"$1\"",
        )
        .ok()
        .says("would apply"),
    );
    assert_eq!(host.rules(), ["allow 22", "allow 80"]);
    // A file that is not there yet, and one of jails.
    let other = "printf '[[rule]]\\naction = \"deny\"\\nfrom = \"203.0.113.7\"\\n' > \"$1\"";
    drop(edit(&host, &["guard.d/1.toml"], other).ok());
    assert_eq!(host.rules().len(), 3);
    let jail = "printf '[jail.sshd]\\nenabled = false\\nmaxretry = 7\\n' > \"$1\"";
    drop(
        edit(&host, &["jails.d/sshd.toml"], jail)
            .ok()
            .says("changed jails.d/sshd.toml"),
    );
    let wrong = "printf '[jail.sshd]\\nmaxrety = 7\\n' > \"$1\"";
    drop(
        edit(&host, &["jails.d/sshd.toml"], wrong)
            .exit(5)
            .says("maxrety"),
    );
    let file = host.guard.etc().join("jails.d/sshd.toml");
    assert!(
        fs::read_to_string(file)
            .expect("text")
            .contains("maxretry = 7")
    );
    assert_eq!(kept(&host).len(), 1, "of the one that was wrong");
}

#[test]
fn a_text_with_mistakes_changes_nothing_and_is_kept() {
    let Some(host) = Host::active(POLICY) else {
        return;
    };
    for (does, exit, says) in [
        (
            "echo 'default = \"drop\"' > \"$1\"",
            5,
            "default \"drop\" is unknown",
        ),
        ("printf '\\377' > \"$1\"", 5, "UTF-8"),
        ("rm \"$1\"", 5, "removed"),
        ("rm \"$1\"; mkfifo \"$1\"", 5, "is not a regular file"),
        ("echo >> \"$1\"; exit 3", 1, "failed (exit status: 3)"),
    ] {
        let ran = edit(&host, &[], does).exit(exit);
        drop(ran.says(says));
        assert_eq!(host.guard.policy(), POLICY, "{does}");
    }
    let copies = kept(&host);
    assert_eq!(copies.len(), 1, "{copies:?}");
    let mode = fs::metadata(&copies[0])
        .expect("a folder")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);

    let mut command = host.guard.command(&["edit"]);
    command.env("VISUAL", "/nonexistent/editor");
    let ran = finish(&mut command, std::time::Duration::from_secs(60));
    drop(ran.exit(1).says("cannot be found").says("VISUAL"));
    for (file, exit) in [
        ("/etc/passwd", 6),
        ("guard.d/../../x.toml", 6),
        ("guard.d/.x.toml", 6),
        ("x.toml", 6),
    ] {
        drop(edit(&host, &[file], "echo x >> \"$1\"").exit(exit));
    }
}

#[test]
fn who_else_has_changed_the_file_meanwhile_wins() {
    let Some(host) = Host::active(POLICY) else {
        return;
    };
    let etc = host.guard.etc().join("guard.toml");
    let does = format!(
        "echo '# mine' >> \"$1\"; echo '# theirs' >> {}",
        etc.display()
    );
    let ran = edit(&host, &[], &does).exit(1);
    let ran = ran
        .says("somebody else has changed it meanwhile")
        .says("your text is kept in");
    drop(ran);
    assert_eq!(host.guard.policy(), format!("{POLICY}# theirs\n"));
    let copy = kept(&host)[0].join("guard.toml");
    assert_eq!(
        fs::read_to_string(copy).expect("the copy"),
        format!("{POLICY}# mine\n")
    );
}

#[test]
fn a_person_may_correct_a_mistake_or_give_up() {
    let Some(host) = Host::active(POLICY) else {
        return;
    };
    // Wrong the first time, right the second.
    let does = format!(
        "if grep -q wrong \"$1\"; then printf '{}' > \"$1\"; else echo wrong >> \"$1\"; fi",
        format!("{POLICY}{MORE}").replace('\n', "\\n")
    );
    let start = |answer: &str| {
        let mut command = host.guard.command(&["edit"]);
        command
            .env("VISUAL", editor(&host, &does))
            .env("TMPDIR", host.guard.folder());
        let mut terminal = Terminal::start(&mut command);
        terminal.until_said("(e)dit again or (q)uit?");
        terminal.type_in(answer);
        terminal
    };
    let mut terminal = start("q\n");
    terminal.until_said("your text is kept in");
    assert_eq!(host.guard.policy(), POLICY);
    drop(terminal);
    let mut terminal = start("x\ne\n");
    terminal.until_said("applied guard.toml");
    drop(terminal);
    assert_eq!(host.rules(), ["allow 22", "allow 80"]);
}

//! What shells offer, asked as shells ask.

use std::{fs, time::Instant};

use guard_tests::lab::finish;

use super::host::Host;

const POLICY: &str = "interfaces = [\"eth0\"]\nnever = [\"198.51.100.10\"]\n\n[sets]\noffice = [\"203.0.113.0/24\"]\n\n\
    [[rule]]\naction = \"allow\"\nport = 22\nname = \"office-ssh\"\ntags = [\"office\"]\ncomment = \"a \\u0041\"\n\n\
    [[rule]]\naction = \"allow\"\nport = 80\n";

/// What bash is offered for the last of these words.
fn offered(host: &Host, words: &[&str]) -> Vec<String> {
    let started = Instant::now();
    let all: Vec<&str> = ["--", "guardctl"].iter().chain(words).copied().collect();
    let mut command = host.guard.command(&all);
    command
        .env("GUARD_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .env("_CLAP_IFS", "\n");
    let ran = finish(&mut command, std::time::Duration::from_secs(60)).ok();
    println!("{words:?}: {} ms", started.elapsed().as_millis());
    ran.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn names_of_this_host_are_offered_where_they_mean_something() {
    let Some(host) = Host::active(POLICY) else {
        return;
    };
    let jails = host.guard.etc().join("jails.d");
    fs::create_dir_all(&jails).expect("a folder");
    fs::write(
        jails.join("x.toml"),
        "[jail.web-login]\nfilter = \"sshd\"\nlogpath = \"/x.log\"\n",
    )
    .expect("a jail");
    let _ = host.run("ban 203.0.113.66 203.0.113.67").ok();
    let files = |host: &Host| {
        (
            host.guard.policy(),
            fs::metadata(host.guard.state().join("bans.redb"))
                .expect("a store")
                .modified()
                .ok(),
        )
    };
    let before = files(&host);
    for (words, expected) in [
        (&["delete", "of"][..], &["office-ssh"][..]),
        (&["delete", "2"], &["2"]),
        (&["rule", "disable", "o"], &["office-ssh"]),
        (&["insert", "office-ssh", "de"], &["deny"]),
        (&["list", "--tag", ""], &["office"]),
        (&["allow", "from", "@"], &["@office"]),
        (&["allow", "on", "eth"], &["eth0"]),
        (&["enable", "--iface", "eth"], &["eth0"]),
        (&["allow", "OpenS"], &["OpenSSH"]),
        (&["never", "del", "1"], &["198.51.100.10"]),
        (&["unban", "203"], &["203.0.113.66", "203.0.113.67"]),
        (&["jail", "status", "web"], &["web-login"]),
        (&["jail", "set", "web-login", "maxr"], &["maxretry"]),
        (&["rollb"], &["rollback"]),
    ] {
        assert_eq!(offered(&host, words), expected, "{words:?}");
    }
    assert_eq!(files(&host), before, "nothing is written");
}

#[test]
fn nothing_is_offered_and_nothing_said_where_something_is_wrong() {
    let Some(host) = Host::new() else {
        return;
    };
    for policy in [
        "",
        "x =",
        "[[rule]]\naction = \"allow\"\nport = 22\nname = \"a\\u001bb\"\n",
    ] {
        host.guard.write_policy(policy);
        for words in [
            &["delete", "x"][..],
            &["allow", "from", "@x"],
            &["unban", "9"],
            &["jail", "get", "x"],
        ] {
            assert_eq!(offered(&host, words), [""; 0], "{policy:?} {words:?}");
        }
    }
    assert!(
        !host.guard.state().join("bans.redb").exists(),
        "no store is made"
    );
    // Somebody without rights.
    host.guard.write_policy(POLICY);
    let launcher = ["setpriv", "--reuid=65534", "--clear-groups"];
    let mut command = host
        .guard
        .command_behind(&launcher, &["--", "guardctl", "unban", ""]);
    command
        .env("GUARD_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "2");
    let ran = finish(&mut command, std::time::Duration::from_secs(60));
    assert_eq!(ran.stderr, "");
}

#[test]
fn bash_itself_completes_by_the_shipped_script() {
    let Some(host) = Host::active(POLICY) else {
        return;
    };
    let script = host.guard.guardctl(&["completions", "bash"]).ok().stdout;
    let path = host.guard.folder().join("completion.bash");
    fs::write(&path, script).expect("a script");
    let program = guard_tests::lab::guardctl_path();
    let folder = program.parent().expect("a folder").display().to_string();
    let lines = format!(
        "PATH={folder}:$PATH; source {}; COMP_WORDS=(guardctl delete of); COMP_CWORD=2; \
         _clap_complete_guardctl guardctl of delete; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        path.display()
    );
    let mut command = std::process::Command::new("bash");
    command
        .args(["--norc", "-c", &lines])
        .envs(host.guard.environment());
    let ran = finish(&mut command, std::time::Duration::from_secs(60)).ok();
    assert_eq!(ran.stdout.trim(), "office-ssh");
}

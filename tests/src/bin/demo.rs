//! Watch guard defend a server: `cargo xtask demo`.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use clap::Parser;
use guard_tests::{
    demo::{
        round::{self, flood},
        screen::{heading, number, say},
        stage::{APPLICATION, Stage, missing},
        summary,
    },
    lab::{finish, http_get},
};

/// A server with nginx and sshd, a friend and an attacker, in network namespaces of their own.
#[derive(Debug, Parser)]
struct Args {
    /// Leave everything standing and say how to go in
    #[arg(long)]
    keep: bool,
    /// Length of each flood
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=20))]
    seconds: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(missing) = missing() {
        eprintln!("demo: {missing}");
        return ExitCode::FAILURE;
    }
    heading("the hosts");
    say("friend   198.51.100.10  2001:db8:100::10 ─┐\n\
         attacker 203.0.113.66   2001:db8:66::66  ─┼─ wan (router) ─ srv 192.0.2.1 2001:db8:2::1\n\
         on srv: sshd on port 22, nginx on port 80, an application on port 9000 (nginx too)");
    let stage = Stage::set();

    heading("without guard the attacker reaches everything");
    scan(&stage);

    heading("the policy of the guides");
    for line in [
        "allow from 198.51.100.10 to any port 22 proto tcp",
        "allow http",
        "allow 198.51.100.10 9000",
        "enable --iface eth0",
        "status numbered",
    ] {
        drop(stage.guardctl(line));
    }

    heading("the friend, whose IPv4 address the rules name");
    visit(&stage, "friend");
    heading("the attacker");
    visit(&stage, "attacker");
    scan(&stage);

    heading(&format!(
        "a flood for {} s with guard on; the friend works",
        args.seconds
    ));
    say(round::DESCRIPTION);
    let with = flood(&stage, args.seconds, true);
    summary::print_reasons(&with);

    heading(&format!("the same flood for {} s, guard off", args.seconds));
    drop(stage.guardctl("disable"));
    let without = flood(&stage, args.seconds, false);

    heading("summary");
    summary::print(&with, &without);
    finale(stage, args.keep);
    ExitCode::SUCCESS
}

/// One request to each service, as this host.
fn visit(stage: &Stage, who: &str) {
    let patience = Duration::from_millis(1500);
    let host = match who {
        "friend" => &stage.lab.friend,
        _ => &stage.lab.attacker,
    };
    for port in [80, APPLICATION] {
        for server in [stage.lab.srv.v4, stage.lab.srv.v6] {
            let address = SocketAddr::new(server, port);
            let answer = host.run(|| http_get(address, patience));
            let answer = match answer {
                Ok(body) => body.trim().to_owned(),
                Err(error) => format!("no answer ({error})"),
            };
            say(&format!("{who}> GET http://{address}/\n    {answer}"));
        }
    }
    let mut ssh = stage.sshd.client(host, stage.lab.srv.v4);
    let login = finish(ssh.arg("echo logged in"), Duration::from_secs(20));
    let answer = [login.stdout.trim(), login.stderr.trim()].join("");
    say(&format!(
        "{who}$ ssh root@{} echo logged in\n    {answer}",
        stage.lab.srv.v4
    ));
}

/// A SYN scan of a thousand ports, and what guard counted of it.
fn scan(stage: &Stage) {
    let line = "nmap -sS -Pn -n -p1-1000,9000 --max-retries 0 --min-rate 500 192.0.2.1";
    let is_guarded = stage.guard.guardctl(&["status"]).code == Some(0);
    let before = is_guarded.then(|| stage.guard.counted());
    let scan = finish(&mut stage.attacker(line), Duration::from_secs(60));
    say(&format!("attacker# {line}"));
    let is_result = |line: &&str| {
        line.starts_with("Not shown") || line.starts_with("PORT") || line.contains("/tcp ")
    };
    for line in scan.stdout.lines().filter(is_result) {
        say(&format!("    {line}"));
    }
    if scan.code != Some(0) {
        say(&format!("    nmap failed: {}", scan.stderr.trim()));
    }
    if let Some(before) = before {
        let after = stage.guard.counted();
        say(&format!(
            "guard counted meanwhile: {} packets dropped, {} passed",
            number(after.all("drop") - before.all("drop")),
            number(after.all("pass") - before.all("pass")),
        ));
    }
}

fn finale(stage: Stage, keep: bool) {
    if !keep {
        drop(stage);
        say("\nnamespaces, servers and guard are gone again");
        return;
    }
    heading("it stays standing");
    drop(stage.guardctl("enable"));
    say(&stage.keep());
}

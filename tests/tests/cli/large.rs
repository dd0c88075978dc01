//! Policies that are large: valid and quick.

use std::{fmt::Write as _, time::Duration};

use super::host::Host;

const RULES: usize = 10_000;
/// What the product promises for applying them, times what a busy machine with two cores may add.
const LIMIT: Duration = Duration::from_secs(4);

/// Ten thousand rules of every shape, none of which covers another.
fn policy() -> String {
    let mut text = String::new();
    for number in 0..RULES {
        let (high, low) = (number / 250, number % 250);
        let port = 1 + number * 6 % 60_000;
        let rule = match number % 4 {
            0 => format!("port = {port}\nfrom = \"10.{high}.{low}.0/24\"\n"),
            1 => format!("port = {port}\nproto = \"udp\"\nfrom = \"2001:db8:{number:x}::/48\"\n"),
            2 => format!(
                "from = \"172.{}.{high}.{low}\"\ncomment = \"host {number}\"\n",
                16 + number % 16
            ),
            _ => format!("port = {port}\nproto = \"tcp\"\nto = \"192.0.2.10\"\n"),
        };
        let action = if number % 4 == 2 { "deny" } else { "allow" };
        writeln!(text, "[[rule]]\naction = \"{action}\"\n{rule}").expect("a string");
    }
    text
}

#[test]
fn ten_thousand_rules_are_checked_applied_and_edited_quickly() {
    let Some(host) = Host::active("") else { return };
    host.guard.write_policy(&policy());

    let _printed = host.run("check").ok().says("ok: 10000 rules in 1 file");
    for line in [
        "check",
        "reload",
        "reload",
        "allow 65535/tcp",
        "insert 5000 deny from 203.0.113.7",
        "delete 10002",
        "status",
    ] {
        let printed = host.run(line).ok();
        println!("{RULES} rules: {line}: {:?}", printed.took);
        assert!(printed.took < LIMIT, "{line} took {:?}", printed.took);
    }
    assert_eq!(host.rules().len(), RULES + 1);
    assert_eq!(host.generation(), 6);
}

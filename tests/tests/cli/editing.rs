//! What a command does to the policy files, and what it leaves alone.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::host::Host;

const POLICY: &str = r#"# Our firewall. Ask Ann before changing it.
default = "deny"   # as it should be

# ssh, only for us
[[rule]]
action  =  "allow"   # odd spacing stays
port = 22
proto = "tcp"
from = "198.51.100.0/24"

# the web
[[rule]]
action = "allow"
port = [80, 443]
proto = "tcp"

# the end
"#;

#[test]
fn comments_spacing_and_order_survive_an_edit() {
    let Some(host) = Host::active(POLICY) else {
        return;
    };

    let _printed = host
        .run("insert 2 deny from 203.0.113.7 comment scanner")
        .ok();
    let _printed = host.run("allow 8080/tcp").ok();
    let new =
        "[[rule]]\naction = \"deny\"\nfrom = \"203.0.113.7\"\ncomment = \"scanner\"\n\n# the web\n";
    let last = "proto = \"tcp\"\n\n[[rule]]\naction = \"allow\"\nport = 8080\nproto = \"tcp\"\n\n# the end\n";
    let expected = POLICY
        .replace("# the web\n", new)
        .replace("proto = \"tcp\"\n\n# the end\n", last);
    assert_eq!(host.guard.policy(), expected);

    let _printed = host.run("delete 4").ok();
    let _printed = host.run("delete 2").ok();
    assert_eq!(host.guard.policy(), POLICY);
}

#[test]
fn line_ends_and_the_mode_of_the_file_survive_an_edit() {
    let Some(host) = Host::new() else { return };
    let path = host.guard.etc().join("guard.toml");
    host.guard.write_policy(&POLICY.replace('\n', "\r\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("the mode");

    let _printed = host.run("allow 8080/tcp").ok();

    let text = host.guard.policy();
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    assert!(text.contains("port = 8080\r\n"), "{text}");
    assert_eq!(mode_of(&path), 0o640);
    assert_eq!(Host::entries(&host.guard.etc()), ["guard.toml"]);
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).expect("metadata").permissions().mode() & 0o777
}

#[test]
fn what_is_allowed_already_is_not_added_again() {
    let Some(host) = Host::active(POLICY) else {
        return;
    };

    for (line, by) in [
        ("allow 80,443/tcp", 2),
        ("allow http", 2),
        ("allow 443/tcp comment again", 2),
        ("allow 198.51.100.7 ssh", 1),
        (
            "insert 1 allow from 198.51.100.0/24 to any port 22 proto tcp",
            1,
        ),
    ] {
        let printed = host.run(line).ok();
        assert_eq!(
            printed.stdout,
            format!("already covered by rule {by}\n"),
            "{line}"
        );
    }
    let _printed = host
        .run("allow 443/tcp comment again")
        .ok()
        .says("warning: the comment was not saved: rule 2 stays as it is");
    assert_eq!(host.guard.policy(), POLICY);
    assert_eq!(host.generation(), 1);
}

#[test]
fn a_rule_that_could_never_match_is_refused() {
    let Some(host) = Host::active(POLICY) else {
        return;
    };

    let _printed = host
        .run("deny 80/tcp")
        .exit(5)
        .says("the rule could never match: rule 2 `allow 80,443/tcp` covers it")
        .says("guardctl insert 2");
    let _printed = host
        .run("insert 1 deny from any")
        .exit(5)
        .says("and 1 more could never match after it")
        .says("first `guardctl delete 2`, `guardctl delete 1`");
    let _printed = host
        .run("insert 1 allow 22/tcp")
        .exit(5)
        .says("rule 1 `allow from 198.51.100.0/24 to any port 22 proto tcp` could never match after it")
        .says("first `guardctl delete 1`");
    let _printed = host.run("insert 4 allow 1/tcp").exit(6).says("1 to 3 are");
    let _printed = host.run("insert 0 allow 1/tcp").exit(6).says("1 to 3 are");
    assert_eq!(host.guard.policy(), POLICY);
}

#[test]
fn inserting_a_rule_that_is_further_down_moves_it_with_its_comments() {
    let Some(host) = Host::active(POLICY) else {
        return;
    };

    let would = host.run("insert 1 allow 80,443/tcp --dry-run").ok();
    assert_eq!(would.stdout, "would move rule 2 to 1: allow 80,443/tcp\n");
    assert_eq!(host.guard.policy(), POLICY);
    let _printed = host
        .run("insert 1 allow 80,443/tcp")
        .ok()
        .says("moved rule 2 to 1: allow 80,443/tcp (generation 2)");

    let moved = r#"# Our firewall. Ask Ann before changing it.
default = "deny"   # as it should be

# the web
[[rule]]
action = "allow"
port = [80, 443]
proto = "tcp"

# ssh, only for us
[[rule]]
action  =  "allow"   # odd spacing stays
port = 22
proto = "tcp"
from = "198.51.100.0/24"

# the end
"#;
    assert_eq!(host.guard.policy(), moved);
    let _printed = host
        .run("insert 1 allow 80,443/tcp")
        .ok()
        .says("already covered by rule 1");
    assert_eq!(host.rules().len(), 2);
}

#[test]
fn a_moved_rule_keeps_its_comment_or_takes_the_new_one() {
    let Some(host) = Host::new() else { return };
    for line in [
        "allow 1/tcp",
        "allow 2/tcp comment old",
        "allow 3/tcp comment old",
    ] {
        let _printed = host.run(line).ok();
    }

    let _printed = host.run("prepend allow 2/tcp").ok();
    let _printed = host.run("insert 2 allow 3/tcp comment new").ok();

    let expected = [
        "allow 2/tcp comment old",
        "allow 3/tcp comment new",
        "allow 1/tcp",
    ];
    assert_eq!(host.rules(), expected);
}

#[test]
fn a_rule_moves_from_one_file_to_another() {
    let Some(host) = Host::new() else { return };
    host.guard
        .write_policy("rule = [{ action = \"allow\", port = 1 }]\n");
    fs::create_dir(host.guard.etc().join("guard.d")).expect("a folder");
    let extra = host.guard.etc().join("guard.d/10-extra.toml");
    let text = "[[rule]]\naction = \"deny\"\nport = 2\n\n[[rule]]\naction = \"deny\"\nport = 3\n";
    fs::write(&extra, text).expect("a file");

    let _printed = host
        .run("insert 1 deny 3")
        .ok()
        .says("moved rule 3 to 1: deny 3");

    assert_eq!(host.rules(), ["deny 3", "allow 1", "deny 2"]);
    assert!(
        host.guard
            .policy()
            .starts_with("rule = [{ action = \"deny\", port = 3 }")
    );
    let left = fs::read_to_string(&extra).expect("the file");
    assert_eq!(left, "[[rule]]\naction = \"deny\"\nport = 2\n");
}

#[test]
fn an_edit_is_refused_while_the_files_differ_from_what_is_in_force() {
    let Some(host) = Host::active(POLICY) else {
        return;
    };
    let edited = POLICY.replace("[80, 443]", "[80, 443, 8443]");
    host.guard.write_policy(&edited);

    for line in [
        "allow 1/tcp",
        "delete 1",
        "default allow",
        "never add 1.1.1.1",
        "insert 1 deny 2.2.2.2",
    ] {
        let _printed = host
            .run(line)
            .exit(1)
            .says("the policy files were changed since they were applied")
            .says("`guardctl reload` applies them");
    }
    assert_eq!(host.guard.policy(), edited);
    assert_eq!(host.generation(), 1);
    let _printed = host
        .run("status")
        .ok()
        .says("warning: the policy files were changed");

    let would = host.run("reload --dry-run").ok();
    let lines = "1 added, 1 removed, 1 unchanged\n- allow 80,443/tcp\n+ allow 80,443,8443/tcp\n";
    assert!(would.stdout.ends_with(lines), "{would}");
    assert_eq!(host.generation(), 1);
    let _printed = host
        .run("reload")
        .ok()
        .says("1 added, 1 removed, 1 unchanged (generation 2)");
    let _printed = host.run("allow 1/tcp").ok().says("(generation 3)");
}

#[test]
fn a_missing_or_empty_policy_denies_by_default() {
    for text in [None, Some(""), Some("# nothing\n")] {
        let Some(host) = Host::new() else { return };
        if let Some(text) = text {
            host.guard.write_policy(text);
        }

        let _printed = host.run("check").ok().says("ok: 0 rules in");
        let _printed = host
            .run("enable")
            .ok()
            .says("guard is active: 0 rules, default deny");
        let _printed = host.run("allow 22/tcp").ok().says("added rule 1");

        assert_eq!(host.json("status")["default"], "deny");
        assert_eq!(host.rules(), ["allow 22/tcp"]);
        let _printed = host.run("reload").ok().says("1 unchanged");
    }
}

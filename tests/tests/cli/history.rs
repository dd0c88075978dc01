//! Policies that were in force: listed, compared, brought back, and whole files applied.

use std::fs;

use serde_json::Value;

use super::host::Host;

/// `command: outcome`, newest first.
#[track_caller]
fn listed(host: &Host) -> Vec<String> {
    let history = host.json("history");
    let entries = history["entries"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    entries
        .iter()
        .map(|entry| format!("{}: {}", text(&entry["command"]), text(&entry["outcome"])))
        .collect()
}

#[test]
fn history_tells_what_was_in_force_newest_first() {
    let Some(host) = Host::new() else { return };
    let _printed = host
        .run("history")
        .ok()
        .says("No policy has been in force yet");
    let _saved = host.run("allow 22/tcp").ok();
    let _printed = host
        .run("history")
        .ok()
        .says("No policy has been in force yet");
    let _printed = host.run("enable").ok();
    let _printed = host.run("allow 80 comment 'the web'").ok();
    let _printed = host.run("deny 25 --confirm 60").ok();
    let _printed = host.run("rollback").ok();
    let _printed = host.run("deny 26 --confirm 60").ok();
    let _printed = host.run("confirm").ok();
    // The same policy again is no new entry, and neither is what changes nothing or fails.
    let _printed = host.run("reload").ok();
    let _printed = host.run("allow 80").ok().says("already covered");
    let _printed = host.run("allow nonsense").exit(2);

    assert_eq!(
        listed(&host),
        [
            "deny 26 --confirm 60: confirmed",
            "deny 25 --confirm 60: rolled_back",
            "allow 80 comment 'the web': applied",
            "enable: applied",
        ]
    );
    let printed = host.run("history").ok().stdout;
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines[0].ends_with("Outcome        Command"), "{printed}");
    assert!(lines[1].trim_start().starts_with("4  20"), "{printed}");
    assert!(lines[1].contains("confirmed      deny 26"), "{printed}");
    assert_eq!(lines.len(), 5, "{printed}");
}

#[test]
fn history_keeps_the_last_twenty() {
    let Some(host) = Host::active("") else { return };
    for port in 1..=24 {
        let _printed = host.run(&format!("allow {port}/tcp")).ok();
    }
    let history = listed(&host);
    assert_eq!(history.len(), 20);
    assert_eq!(history[0], "allow 24/tcp: applied");
    assert_eq!(history[19], "allow 5/tcp: applied");
    assert_eq!(Host::entries(&host.guard.state().join("history")).len(), 20);
    let printed = host.run("rollback 1").exit(6);
    let _printed = printed.says("history has no entry 1: there are 6 to 25");
}

#[test]
fn rollback_returns_to_the_policy_before_and_to_any_entry() {
    let Some(host) = Host::active("# mine\n") else {
        return;
    };
    let _printed = host
        .run("rollback")
        .exit(6)
        .says("no policy before the one in force");
    let _printed = host.run("allow 22/tcp").ok();
    let drop_in = host.guard.etc().join("guard.d/10-web.toml");
    fs::create_dir(host.guard.etc().join("guard.d")).expect("a folder");
    fs::write(&drop_in, "[[rule]]\naction = \"allow\"\nport = 80\n").expect("a file");
    let _printed = host.run("reload").ok();
    assert_eq!(host.rules(), ["allow 22/tcp", "allow 80"]);

    let printed = host.run("rollback --dry-run").ok();
    let _printed = printed
        .says("would return to entry 2 (`allow 22/tcp`)")
        .says("- allow 80");
    assert_eq!(host.rules().len(), 2);

    // A file that was not there then goes, and comes back with its policy.
    let printed = host.run("rollback").ok();
    let _printed =
        printed.says("returned to entry 2 (`allow 22/tcp`): 0 added, 1 removed, 1 unchanged");
    assert_eq!(host.rules(), ["allow 22/tcp"]);
    assert!(!drop_in.exists());
    let _printed = host
        .run("rollback")
        .ok()
        .says("returned to entry 3 (`reload`)");
    assert_eq!(host.rules(), ["allow 22/tcp", "allow 80"]);
    assert!(drop_in.exists());

    let _printed = host.run("rollback 1").ok();
    assert_eq!(host.rules(), Vec::<String>::new());
    assert_eq!(host.guard.policy(), "# mine\n");
    assert_eq!(host.json("status")["warnings"], serde_json::json!([]));
    let _printed = host.run("rollback 99").exit(6).says("there are 1 to 6");

    let _printed = host.run("disable").ok();
    let _printed = host.run("rollback 2").exit(3);
}

#[test]
fn rollback_throws_no_hand_edit_away() {
    let Some(host) = Host::active("") else { return };
    let _printed = host.run("allow 22/tcp").ok();
    // `diff` cannot compare with what is no policy.
    for (own, how) in [
        ("# mine\n", "`guardctl diff` shows how"),
        ("not toml", "`guardctl check` shows what is wrong with them"),
    ] {
        host.guard.write_policy(own);
        let printed = host.run("rollback").exit(1);
        let _printed = printed
            .says("the policy files were changed since they were applied")
            .says(how)
            .says("--force overwrites them");
        assert_eq!(host.guard.policy(), own);
    }
    let _printed = host.run("rollback --force").ok();
    assert_eq!(host.rules(), Vec::<String>::new());
    assert_eq!(host.guard.policy(), "");
}

#[test]
fn diff_compares_texts_and_rules() {
    let Some(host) = Host::new() else { return };
    let _printed = host.run("diff").exit(3);
    let _printed = host.run("allow 22/tcp").ok();
    let _printed = host.run("enable").ok();
    let printed = host.run("diff").ok();
    let _printed = printed.says("generation 1 -> files on disk: 0 added, 0 removed, 1 unchanged");

    let policy = host.guard.policy();
    host.guard.write_policy(&format!(
        "{policy}\n[[rule]]\naction = \"deny\"\nport = 25\n"
    ));
    let printed = host.run("diff").ok();
    let printed = printed
        .says("1 added, 0 removed, 1 unchanged")
        .says("\n+ deny 25\n");
    let _printed = printed
        .says("--- a/guard.toml\n+++ b/guard.toml\n")
        .says("\n+port = 25\n");
    host.guard.write_policy("broken");
    let _printed = host.run("diff").exit(5);
    host.guard.write_policy(&policy);

    // While a change is pending: what it does.
    let _printed = host.run("deny 26 --confirm 60").ok();
    let printed = host.run("diff").ok();
    let _printed = printed
        .says("files on disk -> generation 2: 1 added")
        .says("\n+ deny 26\n");
    let _printed = host.run("confirm").ok();
    let _printed = host
        .run("diff")
        .ok()
        .says("0 added, 0 removed, 2 unchanged");

    let printed = host.run("diff 1").ok();
    let _printed = printed
        .says("generation 2 -> entry 1: 0 added, 1 removed")
        .says("\n- deny 26\n");
    let _printed = host.run("diff 77").exit(6);
    let other = host.guard.folder().join("other.policy");
    fs::write(&other, "[[rule]]\naction = \"allow\"\nport = 443\n").expect("a file");
    let json = host.json(&format!("diff {}", other.display()));
    assert_eq!(json["rules"]["added"], serde_json::json!(["allow 443"]));
    assert_eq!(
        json["rules"]["removed"],
        serde_json::json!(["allow 22/tcp", "deny 26"])
    );
    assert!(
        json["text"]
            .as_str()
            .expect("a text")
            .contains("+port = 443")
    );
    let _printed = host.run("diff /nowhere").exit(6);
}

#[test]
fn apply_makes_one_file_the_policy() {
    let Some(host) = Host::new() else { return };
    let file = host.guard.folder().join("new.policy");
    let text = "# new\n[sets]\nweb = { file = \"web.txt\" }\n[[rule]]\naction = \"allow\"\nport = 443\nfrom = \"@web\"\n";
    fs::write(&file, text).expect("a file");
    let apply = format!("apply {}", file.display());

    // Sets are looked for where the policy will be; problems are reported of the file that was named.
    let printed = host.run(&apply).exit(5);
    let _printed = printed.says("new.policy:3:").says("web.txt");
    fs::write(host.guard.etc().join("web.txt"), "203.0.113.0/24\n").expect("a file");
    let _printed = host.run(&apply).ok().says("guard is not active");
    assert_eq!(host.guard.policy(), text);
    let _printed = host.run("enable").ok();
    let _printed = host.run("allow 22/tcp").ok();

    let printed = host.run(&format!("{apply} --dry-run")).ok();
    let _printed = printed.says("would apply ").says("- allow 22/tcp");
    assert_eq!(host.rules().len(), 2);
    let printed = host.run(&apply).ok();
    let _printed = printed.says("0 added, 1 removed, 1 unchanged (generation 3)");
    assert_eq!(host.guard.policy(), text);

    host.guard.write_policy("# by hand\n");
    let _printed = host.run(&apply).exit(1).says("--force overwrites them");
    // Without a file it is `reload`.
    let _printed = host.run("apply").ok().says("applied ");
    assert_eq!(host.rules(), Vec::<String>::new());

    fs::create_dir(host.guard.etc().join("guard.d")).expect("a folder");
    fs::write(host.guard.etc().join("guard.d/x.toml"), "").expect("a file");
    let printed = host.run(&apply).exit(5);
    let _printed = printed.says("guard.d/x.toml: `apply FILE` replaces guard.toml");
    assert_eq!(host.guard.policy(), "# by hand\n");
    let _printed = host.run("apply /nowhere").exit(5);
}

//! Names and tags of rules, and rules that are disabled.

use super::host::Host;

const POLICY: &str = "\
[[rule]]
action = \"allow\"
port = 22
proto = \"tcp\"
name = \"office-ssh\"
tags = [\"office\"]

[[rule]]
action = \"allow\"
port = 80
proto = \"tcp\"
";

#[test]
fn a_name_stands_where_a_number_does() {
    let Some(host) = Host::active(POLICY) else {
        return;
    };

    let _printed = host
        .run("allow 443/tcp --name web --tag office --tag public comment 'the web'")
        .ok()
        .says("added rule 3: allow 443/tcp --name web --tag office --tag public comment 'the web'");
    let _printed = host
        .run("insert office-ssh deny from 203.0.113.7")
        .ok()
        .says("added rule 1:");
    let _printed = host
        .run("list --tag office")
        .ok()
        .says("[ 2] 22/tcp")
        .says("(name office-ssh, tag office)")
        .says("[ 4] 443/tcp")
        .says("(name web, tag office, tag public) # the web");
    let listed = host.json("list --tag public");
    assert_eq!(listed["rules"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["rules"][0]["name"], "web");
    assert_eq!(listed["rules"][0]["number"], 4);
    let explained = host.json("explain 198.51.100.7 443");
    assert_eq!(explained["rule_name"], "web");
    let _printed = host.run("delete web").ok().says("deleted rule 4:");
    let _printed = host
        .run("delete allow 22/tcp --name office-ssh --tag office")
        .ok()
        .says("deleted rule 2:");
    assert_eq!(host.rules(), ["deny from 203.0.113.7", "allow 80/tcp"]);
}

#[test]
fn a_name_that_is_none_changes_nothing() {
    let Some(host) = Host::active(POLICY) else {
        return;
    };

    for (line, code, cause) in [
        (
            "allow 443/tcp --name 443",
            2,
            "rule name \"443\" is a number",
        ),
        ("allow 443/tcp --name Web", 2, "cannot be used"),
        ("allow 443/tcp --name allow", 2, "is a word of commands"),
        (
            "allow 443/tcp --name office-ssh",
            5,
            "rule 1 is called \"office-ssh\" already",
        ),
        ("allow Samba --name files", 2, "means two rules"),
        ("allow 443/tcp --tag a --tag a", 2, "is given twice"),
        (
            "delete ofice-ssh",
            6,
            "no rule is called \"ofice-ssh\"; did you mean \"office-ssh\"",
        ),
        ("rule disable web", 6, "no rule is called \"web\""),
        ("rule disable 3", 6, "there is no rule 3"),
        ("rule disable 0", 6, "there is no rule 0"),
        ("rule enable 99999999999999999999", 6, "there is no rule"),
        ("rule disable Web", 2, "cannot be used"),
        ("insert web allow 443", 6, "no rule is called \"web\""),
        ("list --tag ofice", 6, "did you mean \"office\""),
        ("list --tag 'a b'", 2, "cannot be used"),
    ] {
        let _printed = host.run(line).exit(code).says(cause);
    }
    assert_eq!(host.guard.policy(), POLICY);
    assert_eq!(host.generation(), 1);
}

#[test]
fn a_rule_is_disabled_in_its_place_and_enabled_again() {
    let Some(host) = Host::active(POLICY) else {
        return;
    };

    let _printed = host
        .run("rule disable office-ssh")
        .ok()
        .says("disabled rule 1: allow 22/tcp --name office-ssh --tag office (generation 2)");
    let _printed = host
        .run("rule disable 1")
        .ok()
        .says("rule 1 is disabled already");
    let _printed = host
        .run("status numbered")
        .ok()
        .says("(disabled, name office-ssh, tag office)");
    assert_eq!(host.json("status")["rules"][0]["enabled"], false);
    let asked = host.json("explain 198.51.100.7 22");
    assert_eq!(asked["action"], "drop");
    let asked = host.json("explain 198.51.100.7 80");
    assert_eq!(asked["rule"], 2);
    let _printed = host
        .run("diff 1")
        .ok()
        .says("allow 22/tcp --name office-ssh --tag office (disabled)");
    let _printed = host
        .run("allow 22/tcp")
        .exit(5)
        .says("rule 1 is the same, and disabled")
        .says("guardctl rule enable 1");
    let _printed = host
        .run("--dry-run rule enable 1")
        .ok()
        .says("would enable rule 1:");
    let _printed = host.run("rule enable 1").ok().says("enabled rule 1:");
    assert_eq!(host.guard.policy(), POLICY);
}

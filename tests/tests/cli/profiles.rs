//! Application profiles of ufw on the command line: one change, whatever a profile means.

use super::host::Host;

#[test]
fn a_profile_is_added_and_deleted_by_its_name_in_one_change() {
    let Some(host) = Host::active("interfaces = [\"eth0\"]\n") else {
        return;
    };
    for (name, rules) in [
        ("'Nginx Full'", &["allow 80,443/tcp"][..]),
        ("Samba", &["allow 139,445/tcp", "allow 137,138/udp"]),
    ] {
        let before = host.generation();
        let ran = host.run(&format!("allow {name}")).ok();
        let _ = ran.says(&rules.join(" and "));
        let comment = if name.starts_with('\'') {
            name
        } else {
            "Samba"
        };
        let commented = rules.iter().map(|rule| format!("{rule} comment {comment}"));
        assert_eq!(host.rules(), commented.collect::<Vec<_>>());
        assert_eq!(host.generation(), before + 1);
        let _ = host
            .run(&format!("allow {name}"))
            .ok()
            .says("already covered");
        let _ = host
            .run(&format!("delete allow {name}"))
            .ok()
            .says(rules[0]);
        assert_eq!(host.rules(), [""; 0]);
        let _ = host.run(&format!("delete allow {name}")).exit(6);
    }
    // Half of it is there, and the rest is put in its place.
    let _ = host.run("allow 137,138/udp").ok();
    let _ = host.run("allow Samba").ok();
    assert_eq!(
        host.rules(),
        ["allow 137,138/udp", "allow 139,445/tcp comment Samba"]
    );
    let _ = host.run("insert 1 limit KTorrent").ok();
    assert_eq!(
        host.rules()[..2],
        [
            "limit 6881/tcp comment KTorrent",
            "limit 4444/udp comment KTorrent"
        ]
    );
    let json = host.run("--json allow LDAP").ok().json();
    let warning = json["warnings"][0].as_str().unwrap_or_default();
    assert!(
        warning.starts_with("LDAP is taken as the application profile"),
        "{json}"
    );
    assert!(
        json["message"]
            .as_str()
            .unwrap_or_default()
            .contains("allow 389/tcp"),
        "{json}"
    );
    let _ = host
        .run("allow 'Ngnix Full'")
        .exit(2)
        .says("did you mean 'Nginx Full'");
    let json = host.run("--json allow Nginx").exit(2).json();
    assert!(json.to_string().contains("'Nginx HTTPS'"), "{json}");
}

#[test]
fn a_profile_gives_a_comment_to_its_own_rules_alone() {
    let Some(host) = Host::active("interfaces = [\"eth0\"]\n") else {
        return;
    };
    let _ = host.run("allow 22/tcp comment 'the way in'").ok();
    let ran = host.run("allow OpenSSH").ok();
    let _ = ran.says("already covered by rule 1");
    let _ = host.run("limit OpenSSH").ok().says("changed rule 1");
    let _ = host.run("allow 'Nginx HTTP' comment mine").ok();
    assert_eq!(
        host.rules(),
        [
            "limit 22/tcp comment 'the way in'",
            "allow 80/tcp comment mine"
        ]
    );
    let text = host.guard.policy();
    assert!(
        !text.contains("Nginx") && !text.contains("OpenSSH"),
        "{text}"
    );
    let _ = host
        .run("allow CIFS --name files")
        .exit(2)
        .says("a name means one");
}

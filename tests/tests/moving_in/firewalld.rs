//! Zones that a real firewall-offline-cmd wrote, and guard's rules of them.

use std::{os::unix::fs::symlink, process::Command, time::Duration};

use guard_tests::lab::{Folder, finish};

use super::scene::Scene;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn zones_of_a_real_firewalld_let_in_what_they_say() {
    let Some(scene) = Scene::new(&["firewall-offline-cmd"]) else {
        return;
    };
    let root = Folder::new();
    std::fs::create_dir_all(root.join("etc")).expect("a folder");
    std::fs::create_dir_all(root.join("usr/lib")).expect("a folder");
    let mut copy = Command::new("cp");
    copy.args(["-a", "/etc/firewalld"]).arg(root.join("etc"));
    drop(finish(&mut copy, PATIENCE).ok());
    symlink("/usr/lib/firewalld", root.join("usr/lib/firewalld")).expect("a link");
    let config = format!("--system-config={}", root.join("etc/firewalld").display());
    for line in [
        "--zone=public --add-service=ssh",
        "--zone=public --add-service=http",
        "--zone=public --add-port=2222/tcp",
        "--zone=drop --add-source=203.0.113.0/24",
        "--zone=trusted --add-source=2001:db8:100::/48",
        "--new-ipset=mail --type=hash:ip",
        "--ipset=mail --add-entry=198.51.100.10",
        "--zone=public --add-rich-rule=rule family=ipv4 source ipset=mail port port=25 protocol=tcp accept",
        "--zone=public --add-rich-rule=rule family=ipv6 source address=2001:db8:66::/48 service name=http reject",
    ] {
        let mut command = Command::new("firewall-offline-cmd");
        let (head, rule) = line.split_once("--add-rich-rule=").unwrap_or((line, ""));
        command.arg(&config).args(head.split_whitespace());
        if !rule.is_empty() {
            command.arg(format!("--add-rich-rule={rule}"));
        }
        let ran = finish(&mut command, PATIENCE);
        assert_eq!(ran.code, Some(0), "{line}: {ran}");
    }
    let ran = scene.import(
        &["firewalld", "--root", &root.path().display().to_string()],
        0,
    );
    scene.enable();
    let lab = &scene.lab;
    let open: Vec<String> = scene
        .reached()
        .into_iter()
        .filter_map(|(what, is_open)| is_open.then_some(what))
        .collect();
    let of = |client: &str, server: std::net::IpAddr, what: &[&str]| -> Vec<String> {
        what.iter()
            .map(|what| format!("{client} to {server} {what}"))
            .collect()
    };
    let expected = [
        of(
            "198.51.100.10",
            lab.srv.v4,
            &["22/tcp", "25/tcp", "80/tcp", "2222/tcp", "ping"],
        ),
        of(
            "198.51.100.10",
            lab.srv.v6,
            &[
                "22/tcp", "25/tcp", "80/tcp", "443/tcp", "2222/tcp", "9000/tcp", "53/udp",
                "5000/udp", "ping",
            ],
        ),
        of("203.0.113.66", lab.srv.v6, &["22/tcp", "2222/tcp", "ping"]),
    ];
    assert_eq!(open, expected.concat(), "{}", ran.stdout);
}

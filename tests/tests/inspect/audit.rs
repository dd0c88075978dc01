//! `audit`: every port that listens, and who reaches it.

use guard_tests::{
    lab::{Instance, Nginx, Sshd, Topology, UdpEcho},
    require,
};
use serde_json::{Value, json};

const POLICY: &str = r#"interfaces = ["eth0"]

[[rule]]
action = "allow"
port = 22
from = "198.51.100.0/24"

[[rule]]
action = "allow"
port = 22
from = "2001:db8:100::/64"

[[rule]]
action = "allow"
port = 80
proto = "tcp"
"#;
const DATAGRAMS: u16 = 3000;
const LOCAL: u16 = 5432;

struct Scene {
    guard: Instance,
    _servers: (Sshd, Nginx, UdpEcho, std::net::TcpListener),
    lab: Topology,
}

impl Scene {
    fn new() -> Option<Self> {
        if !(require::root() && require::programs(&["sshd", "ssh", "nginx"])) {
            return None;
        }
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(POLICY);
        let local = || std::net::TcpListener::bind(("127.0.0.1", LOCAL));
        Some(Self {
            guard,
            _servers: (
                Sshd::start(&lab.srv),
                Nginx::start(&lab.srv),
                UdpEcho::start(&lab.srv, DATAGRAMS),
                lab.srv.run(local).expect("a listener"),
            ),
            lab,
        })
    }

    #[track_caller]
    fn audit(&self) -> Value {
        self.guard.guardctl(&["audit", "--json"]).ok().json()
    }
}

/// The entries of a port.
fn of_port<'a>(audit: &'a Value, protocol: &str, port: u16) -> Vec<&'a Value> {
    let ports = audit["ports"].as_array().expect("ports");
    let is_it = |entry: &&Value| entry["protocol"] == protocol && entry["port"] == port;
    ports.iter().filter(is_it).collect()
}

/// Protocol, port, owner's name, world, reachable, rule.
type Row = (
    &'static str,
    u16,
    &'static str,
    &'static str,
    bool,
    Option<u64>,
);

#[track_caller]
fn assert_rows(audit: &Value, rows: &[Row]) {
    for (protocol, port, owner, world, is_reachable, rule) in rows {
        let entries = of_port(audit, protocol, *port);
        assert!(!entries.is_empty(), "{protocol} {port}: {audit:#}");
        for entry in entries {
            let name = entry["owner"].as_str().expect("an owner");
            assert!(name.starts_with(owner), "{entry}");
            assert_eq!(entry["world"], *world, "{entry}");
            assert_eq!(entry["reachable"], *is_reachable, "{entry}");
            assert_eq!(entry["rule"], json!(rule), "{entry}");
        }
    }
}

#[test]
fn every_listener_is_there_with_who_reaches_it() {
    let Some(scene) = Scene::new() else { return };
    drop(scene.guard.guardctl(&["enable"]).ok());

    let audit = scene.audit();
    assert_eq!(audit["active"], true, "{audit}");
    // There may be a client of Docker without an engine; nothing else is worth a warning.
    let warnings = audit["warnings"].as_array().expect("warnings").iter();
    let mut warnings = warnings.filter_map(Value::as_str);
    assert!(warnings.all(|it| it.contains("docker")), "{audit}");
    assert_rows(
        &audit,
        &[
            ("tcp", 22, "sshd", "closed", true, None),
            ("tcp", 80, "nginx", "open", true, Some(3)),
            ("tcp", LOCAL, "", "local", false, None),
            ("udp", DATAGRAMS, "", "closed", false, None),
        ],
    );
    for entry in of_port(&audit, "tcp", 22) {
        let allowed = json!(["198.51.100.0/24", "2001:db8:100::/64"]);
        assert_eq!(entry["allowed"], allowed, "{entry}");
    }
    let printed = scene.guard.guardctl(&["audit"]).ok();
    drop(
        printed
            .says("22/tcp      closed")
            .says("80/tcp      OPEN")
            .says("everybody, by rule 3")
            .says("198.51.100.0/24, 2001:db8:100::/64")
            .says("local only"),
    );

    // It follows the policy that is in force.
    drop(scene.guard.guardctl(&["delete", "3"]).ok());
    drop(scene.guard.guardctl(&["allow", "3000/udp"]).ok());
    assert_rows(
        &scene.audit(),
        &[
            ("tcp", 80, "nginx", "closed", false, None),
            ("udp", DATAGRAMS, "", "open", true, Some(3)),
        ],
    );
}

#[test]
fn an_interface_without_guard_is_named_with_what_is_reachable_through_it() {
    let Some(scene) = Scene::new() else { return };
    drop(scene.guard.guardctl(&["enable"]).ok());
    scene.lab.srv.ip_batch(
        "link add lan0 type veth peer name lan1\naddr add 198.18.0.1/24 dev lan0\n\
         link set lan0 up\nlink set lan1 up\n",
    );

    let audit = scene.audit();

    for (protocol, port) in [("tcp", 22), ("tcp", 80), ("udp", DATAGRAMS)] {
        let entries = of_port(&audit, protocol, port);
        let through = |entry: &&&Value| {
            let names = entry["unprotected_interfaces"].as_array();
            names.is_some_and(|names| names.contains(&json!("lan0")))
        };
        assert!(entries.iter().any(|e| through(&e)), "{port}: {audit:#}");
        assert!(entries.iter().all(|e| e["reachable"] == true), "{audit:#}");
    }
    for entry in of_port(&audit, "tcp", LOCAL) {
        assert_eq!(entry["unprotected_interfaces"], json!([]), "{entry}");
    }
    let printed = scene.guard.guardctl(&["audit"]).ok();
    drop(printed.says("; all on lan").says("(no guard there)"));
}

#[test]
fn with_guard_off_it_says_so() {
    let Some(scene) = Scene::new() else { return };
    let audit = scene.audit();
    assert_eq!(audit["active"], false, "{audit}");
    assert_rows(
        &audit,
        &[
            ("tcp", 22, "sshd", "unfiltered", true, None),
            ("tcp", 80, "nginx", "unfiltered", true, None),
            ("udp", DATAGRAMS, "", "unfiltered", true, None),
            ("tcp", LOCAL, "", "local", false, None),
        ],
    );
    drop(scene.guard.guardctl(&["audit"]).ok().says("guard is off"));
}

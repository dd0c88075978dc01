//! A jail that reads what containers write: with a real engine, which is found as on every host.

use std::fs;

use guard_tests::{
    lab::{
        Answer, DOCKER_PROGRAMS, Dockerd, GuardDaemon, Instance, Topology, UdpEcho, own_mounts,
        until,
    },
    require,
};
use serde_json::Value;

const PORT: u16 = 7000;
const POLICY: &str = "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 7000\n";
const JAIL: &str = "[jail.shop]\nenabled = true\nfilter = \"nginx-http-auth\"\ncontainer = [\"shop-*\"]\n\
    maxretry = 3\n\n[jail.sshd]\nenabled = false\n";
/// The engine's own settings say where it keeps its files; the daemon gets to see others than this
/// machine's.
const WITH_SETTINGS: &str = "mkdir -p /etc/docker && mount -t tmpfs settings /etc/docker \
    && cp \"$1\" /etc/docker/daemon.json && shift && exec \"$@\"";

/// A shell's command that writes three failed logins of a source, as nginx in a container does.
fn fails(source: &str) -> String {
    format!(
        "for n in 1 2 3; do echo \"{source} - admin [$(date '+%d/%b/%Y:%H:%M:%S %z')] \\\"GET / HTTP/1.1\\\" 401 $n \
         \\\"-\\\" \\\"curl\\\"\"; done"
    )
}

#[test]
fn who_fails_at_a_container_is_banned_on_the_host() {
    if !(require::root() && require::programs(&DOCKER_PROGRAMS)) {
        return;
    }
    let lab = Topology::new();
    let docker = Dockerd::start(&lab.srv);
    let guard = Instance::new(&lab.srv);
    guard.write_policy(POLICY);
    guard.write_jails(JAIL);
    let _echo = UdpEcho::start(&lab.srv, PORT);
    drop(guard.guardctl(&["enable"]).ok());
    let settings = guard.folder().join("daemon.json");
    let text = format!("{{\"data-root\": {:?}}}", docker.root());
    fs::write(&settings, text).expect("settings");
    let settings = settings.display().to_string();
    let launcher = [&own_mounts(WITH_SETTINGS)[..], &[&settings]].concat();
    let write = |name: &str, source: &str| {
        let alone = ["--network", "none"];
        drop(docker.ended_container(name, &alone, &["sh", "-c", &fails(source)]));
    };
    let status = || -> Value {
        let ran = guard.guardctl(&["jail", "status", "shop", "--json"]);
        ran.json()["jails"][0].clone()
    };
    let quiet = ["--network", "none", "--log-driver", "none"];
    drop(docker.ended_container("shop-quiet", &quiet, &["true"]));

    let daemon = GuardDaemon::start_as(&guard, &mut guard.command_behind(&launcher, &["daemon"]));
    // No container whose lines can be read is there yet.
    write("shop-1", &lab.attacker.v4.to_string());
    write("other-1", &lab.friend.v4.to_string());

    let says = |answer, from: &guard_tests::lab::Host, to, what: &str| {
        until(&format!("{what}: {}; {}", status(), daemon.said()), || {
            from.ask_udp(to, PORT) == answer
        });
    };
    says(Answer::Silence, &lab.attacker, lab.srv.v4, "the first");
    assert_eq!(lab.attacker.ask_udp(lab.srv.v6, PORT), Answer::Echo);
    // One that is made later, and one that is begun again.
    write("shop-2", &lab.attacker.v6.to_string());
    says(Answer::Silence, &lab.attacker, lab.srv.v6, "the second");
    let printed = status();
    assert_eq!(printed["counts"]["lines"], 6, "{printed}");
    assert_eq!(printed["counts"]["bans"], 2, "{printed}");
    let logs = printed["logs"].as_array().expect("logs");
    let unread: Vec<&Value> = logs.iter().filter(|one| one["is_read"] == false).collect();
    assert_eq!(unread.len(), 1, "{printed}");
    let unread = unread[0].to_string();
    assert!(
        unread.contains("shop-quiet") && unread.contains("none"),
        "{unread}"
    );
    drop(docker.docker(&["start", "--attach", "shop-1"]));
    until("its second life to be read", || {
        status()["counts"]["lines"] == 9
    });
    for to in [lab.srv.v4, lab.srv.v6] {
        assert_eq!(lab.friend.ask_udp(to, PORT), Answer::Echo, "{to}");
    }
}

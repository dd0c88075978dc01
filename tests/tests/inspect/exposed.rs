//! Where strangers can come and guard is not, nobody says that something is closed.

use guard_tests::lab::{GuardDaemon, until};
use serde_json::Value;

use super::scene::{CLOSED, HEAD, RULES, Scene};

/// A second card, whose other end is nowhere.
const SECOND: &str = "link add eth1 type veth peer name eth1-other\n\
                      link set eth1 up\nlink set eth1-other up\n";

fn exposed(scene: &Scene) -> Vec<String> {
    let ran = scene.guard.guardctl(&["status", "--json"]);
    let json = ran.json();
    let exposed = json["exposed"].as_array().expect("a list");
    let names: Vec<String> = exposed
        .iter()
        .map(|one| one["name"].as_str().expect("a name").to_owned())
        .collect();
    let expected = if names.is_empty() { 0 } else { 8 };
    assert_eq!(ran.code, Some(expected), "{json}");
    names
}

fn world(scene: &Scene, port: u16) -> String {
    let audit = scene.guard.guardctl(&["audit", "--json"]).ok().json();
    let ports = audit["ports"].as_array().expect("ports");
    let is_it = |one: &&Value| one["port"] == port && one["protocol"] == "tcp";
    let found = ports.iter().find(is_it).expect("the port");
    found["world"].as_str().expect("a word").to_owned()
}

#[test]
fn a_second_card_with_a_public_address_is_named_until_guard_is_on_it() {
    let Some(scene) = Scene::off() else {
        return;
    };
    scene.lab.srv.ip_batch(SECOND);
    scene.lab.srv.ip("addr add 198.51.99.1/24 dev eth1");

    let ran = scene.guard.guardctl(&["enable"]).ok();

    drop(
        ran.says("eth1: NOT GUARDED")
            .says("guardctl enable --iface eth1"),
    );
    let ran = scene.guard.guardctl(&["status"]).exit(8);
    drop(
        ran.says("eth1: NOT GUARDED, and strangers can get in through it: it has a public address"),
    );
    assert_eq!(exposed(&scene), ["eth1"]);
    assert_eq!(world(&scene, CLOSED), "past-guard");
    let answer = scene.explain("203.0.113.66 3000 on eth1");
    assert_eq!(
        (&answer["action"], &answer["reason"]),
        (&"pass".into(), &"unguarded".into())
    );
    let words = ["explain", "203.0.113.66", "3000", "on", "eth1"];
    drop(
        scene
            .guard
            .guardctl(&words)
            .ok()
            .says("nothing is filtered here"),
    );
    assert_eq!(scene.explain("203.0.113.66 3000 on eth0")["action"], "drop");

    let both = HEAD.replace("\"eth0\"", "\"eth0\", \"eth1\"");
    scene.guard.write_policy(&format!("{both}{RULES}"));
    drop(scene.guard.guardctl(&["reload"]).ok());

    assert_eq!(exposed(&scene), [""; 0]);
    assert_eq!(world(&scene, CLOSED), "closed");
    assert_eq!(scene.explain("203.0.113.66 3000 on eth1")["action"], "drop");
}

#[test]
fn a_card_with_a_default_route_in_a_table_of_its_own_is_named() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let srv = &scene.lab.srv;
    srv.ip_batch(SECOND);
    srv.ip("addr add 10.77.0.1/24 dev eth1");
    assert_eq!(exposed(&scene), [""; 0], "a private network");
    assert_eq!(world(&scene, CLOSED), "closed");

    srv.ip("route add default via 10.77.0.254 dev eth1 table 77");
    assert_eq!(exposed(&scene), [""; 0], "no rule uses the table");
    srv.ip("rule add from 10.77.0.1 table 77");

    assert_eq!(exposed(&scene), ["eth1"]);
    assert_eq!(world(&scene, CLOSED), "past-guard");
    srv.ip("link set eth1 down");
    assert_eq!(exposed(&scene), [""; 0]);
}

#[test]
fn a_bridge_of_containers_is_no_way_in_and_one_that_carries_the_default_route_is() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let srv = &scene.lab.srv;
    srv.ip_batch(&format!(
        "link add br0 type bridge\n{SECOND}link set eth1 master br0\nlink set br0 up\n\
         addr add 172.31.0.1/16 dev br0\naddr add 2001:db8:31::1/64 dev br0 nodad\n"
    ));
    assert_eq!(exposed(&scene), [""; 0]);
    assert_eq!(world(&scene, CLOSED), "closed");

    srv.ip("route add default via 172.31.0.2 dev br0 metric 900");

    assert_eq!(exposed(&scene), ["br0"]);
    assert_eq!(world(&scene, CLOSED), "past-guard");
}

/// The addresses are the bridge's, the packets come by its port.
#[test]
fn a_guarded_card_that_becomes_the_port_of_a_bridge_is_filtered_as_the_bridge() {
    let Some(scene) = Scene::new() else {
        return;
    };
    scene.lab.srv.ip_batch(
        "link add br0 type bridge\nlink set br0 up\naddr flush dev eth0\nlink set eth0 master br0\n\
         addr add 192.0.2.1/24 dev br0\naddr add 2001:db8:2::1/64 dev br0 nodad\n\
         route add default via 192.0.2.254\n",
    );

    assert_eq!(exposed(&scene), [""; 0]);
    assert_eq!(world(&scene, CLOSED), "closed");
    assert_eq!(world(&scene, super::scene::OPEN), "open");
    assert_eq!(scene.explain("203.0.113.66 3000 on br0")["action"], "drop");
}

#[test]
fn an_interface_that_is_left_without_guard_on_purpose_is_accepted_and_still_told_by_audit() {
    let Some(scene) = Scene::off() else {
        return;
    };
    scene.lab.srv.ip_batch(SECOND);
    scene.lab.srv.ip("addr add 198.51.99.1/24 dev eth1");
    scene
        .guard
        .write_policy(&format!("unguarded = [\"eth1\"]\n{HEAD}{RULES}"));

    drop(scene.guard.guardctl(&["enable"]).ok());

    drop(scene.guard.guardctl(&["status"]).ok());
    assert_eq!(exposed(&scene), [""; 0]);
    assert_eq!(world(&scene, CLOSED), "past-guard");
}

/// Of the unit one line is seen.
#[test]
fn the_daemon_names_what_is_not_guarded_in_its_journal_and_in_the_status_of_its_unit() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let guard = &scene.guard;
    let socket = guard.folder().join("notify");
    let heard = std::os::unix::net::UnixDatagram::bind(&socket).expect("a socket");
    heard.set_nonblocking(true).expect("a mode");
    let hears = |what: &str| {
        until(what, || {
            let mut text = [0; 4096];
            let length = heard.recv(&mut text).unwrap_or_default();
            String::from_utf8_lossy(&text[..length]).contains(what)
        });
    };
    let mut command = guard.command(&["daemon"]);
    command.env("NOTIFY_SOCKET", &socket);
    let daemon = GuardDaemon::start_as(guard, &mut command);
    hears("STATUS=generation 1 on eth0");

    scene.lab.srv.ip_batch(SECOND);
    scene.lab.srv.ip("addr add 198.51.99.1/24 dev eth1");

    daemon.says("eth1: NOT GUARDED, and strangers can get in through it");
    hears("STATUS=NOT GUARDED: eth1; generation 1 on eth0");
    scene.lab.srv.ip("link del eth1");
    hears("STATUS=generation 1 on eth0");
}

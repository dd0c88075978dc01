//! Hosts that are not like most: no way out, several, none with an address, IPv6 alone, an /etc that cannot be
//! written, an older guard. `setup` says what is in its way and changes nothing, or sets up what there is.

use guard_tests::{
    lab::{Answer, TcpEcho},
    require,
};
use serde_json::{Value, json};

use super::scene::Scene;

const SETUP: [&str; 3] = ["setup", "--yes", "--no-confirm"];
const WEB: u16 = 80;

/// A second card, whose other end is nowhere.
const SECOND: &str = "link add eth1 type veth peer name eth1-other\n\
                      link set eth1 up\nlink set eth1-other up\n";

/// Runs a command where the policy's folder is mounted read-only.
const READ_ONLY: &str = "mount --bind $GUARD_ETC $GUARD_ETC && \
                         mount -o remount,bind,ro $GUARD_ETC && exec \"$@\"";

impl Scene {
    fn proposed(&self) -> Value {
        let words = ["setup", "--dry-run", "--json"];
        self.guard.guardctl(&words).ok().json()
    }
}

#[test]
fn without_a_way_out_setup_wants_an_interface_named() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    scene.lab.srv.ip("route del default");
    scene.lab.srv.ip("-6 route del default");

    scene.refuses(&[], &SETUP, 6, "default route", "--iface");
    let examined = scene.guard.guardctl(&["doctor"]).exit(6);
    drop(examined.says("default route"));

    let named = [&SETUP[..], &["--iface", "eth0"]].concat();
    drop(scene.guard.guardctl(&named).ok().says("guard is active"));
}

#[test]
fn of_several_cards_those_with_a_way_out_are_guarded_and_one_with_an_address_is_named() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    scene.lab.srv.ip_batch(SECOND);
    scene.lab.srv.ip("addr add 198.51.99.1/24 dev eth1");

    assert_eq!(scene.proposed()["interfaces"], json!(["eth0"]));
    drop(scene.guard.guardctl(&SETUP).ok().says("eth1: NOT GUARDED"));
    drop(scene.guard.guardctl(&["disable"]).ok());
    scene.guard.write_policy("");

    scene
        .lab
        .srv
        .ip("route add default via 198.51.99.2 dev eth1 metric 500");
    assert_eq!(scene.proposed()["interfaces"], json!(["eth0", "eth1"]));
    drop(scene.guard.guardctl(&SETUP).ok().says("guard is active"));
    drop(scene.guard.guardctl(&["status"]).ok().says("eth1 (native)"));
}

/// DHCP has not answered: the card is protected first, and works when its address comes.
#[test]
fn a_card_without_an_address_is_guarded_before_it_has_one() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let _web = TcpEcho::start(&scene.lab.srv, WEB);
    let _other = TcpEcho::start(&scene.lab.srv, 5000);
    scene.lab.srv.ip("addr flush dev eth0");
    scene.lab.srv.ip("route replace default dev eth0");

    drop(scene.guard.guardctl(&["doctor"]).ok().says("eth0 (veth, "));
    drop(scene.guard.guardctl(&SETUP).ok().says("guard is active"));

    let server = scene.lab.srv.v4;
    scene.lab.srv.ip(&format!("addr add {server}/24 dev eth0"));
    scene
        .lab
        .srv
        .ip("route replace default via 192.0.2.254 dev eth0");
    assert_eq!(scene.lab.friend.ask_tcp(server, WEB), Answer::Echo);
    assert_eq!(scene.lab.friend.ask_tcp(server, 5000), Answer::Silence);
    drop(scene.guard.guardctl(&["status"]).ok());
}

#[test]
fn a_host_of_ipv6_alone_is_set_up_and_filtered() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let _web = TcpEcho::start(&scene.lab.srv, WEB);
    let _other = TcpEcho::start(&scene.lab.srv, 5000);
    scene.lab.srv.ip("-4 addr flush dev eth0");

    assert_eq!(scene.proposed()["interfaces"], json!(["eth0"]));
    drop(scene.guard.guardctl(&["doctor"]).ok());
    drop(scene.guard.guardctl(&SETUP).ok().says("guard is active"));

    let server = scene.lab.srv.v6;
    assert_eq!(scene.lab.attacker.ask_tcp(server, WEB), Answer::Echo);
    assert_eq!(scene.lab.attacker.ask_tcp(server, 5000), Answer::Silence);
    drop(scene.guard.guardctl(&["doctor"]).ok());
    drop(scene.guard.guardctl(&["verify"]).ok().says("2001:db8:2::1"));
}

#[test]
fn a_policy_that_cannot_be_written_is_said_by_all_that_would_write_it() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let rules = scene.guard.folder().join("rules.nft");
    let text = "table inet t { chain c { type filter hook input priority 0; policy drop; tcp dport 22 accept; }; }";
    std::fs::write(&rules, text).expect("rules");
    let rules = rules.to_str().expect("a path");
    let launcher = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh"];

    for words in [
        &SETUP[..],
        &["enable", "--iface", "eth0"],
        &["enable", "--monitor"],
        &["--yes", "import", "nft", "--from", rules],
        &["--yes", "allow", "80/tcp"],
        &["--yes", "default", "allow"],
    ] {
        let before = scene.guard.dump(&scene.lab.srv);
        let ran = scene.guard.guardctl_behind(&launcher, words).exit(1);
        drop(
            ran.says("Read-only file system")
                .says("the file system is mounted read-only"),
        );
        assert_eq!(scene.guard.dump(&scene.lab.srv), before, "{words:?}");
    }
}

#[test]
fn beside_a_guard_of_another_version_setup_changes_nothing() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    std::fs::create_dir(scene.guard.bpffs().join("v999")).expect("a folder");

    scene.refuses(&[], &SETUP, 11, "v999", "guardctl disable");
}

/// The lab has none: its units lie in a folder that nobody reads.
#[test]
fn without_systemd_setup_works_and_it_is_said_what_does_not() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();

    drop(scene.guard.guardctl(&SETUP).ok().says("guard is active"));

    let examined = scene.guard.guardctl(&["doctor"]).ok();
    drop(
        examined
            .says("systemd does not run here: nothing loads the policy after a reboot")
            .says("run `guardctl load` before the network comes up"),
    );
    let installed = scene.guard.guardctl(&["service", "install"]).ok();
    drop(installed.says("nothing was started"));
}

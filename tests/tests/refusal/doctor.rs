//! What `enable` would refuse, `doctor` says beforehand, with the same code and a way out; it changes nothing.

use std::fs;

use aya::programs::XdpMode;
use guard_tests::{lab::Ran, require};
use serde_json::Value;

use super::scene::Scene;

impl Scene {
    /// `doctor`, which must end with this code and change nothing.
    #[track_caller]
    fn examined(&self, launcher: &[&str], code: i32) -> (Value, Ran) {
        let before = self.guard.dump(&self.lab.srv);
        let ran = self
            .guard
            .guardctl_behind(launcher, &["doctor", "--json"])
            .exit(code);
        assert_eq!(self.guard.dump(&self.lab.srv), before);
        (ran.json(), ran)
    }

    /// It must find this, with this code; the way out.
    #[track_caller]
    fn finds(&self, launcher: &[&str], code: i32, topic: &str, text: &str) -> String {
        let (json, ran) = self.examined(launcher, code);
        let findings = json["findings"].as_array().expect("findings");
        let is_it = |finding: &&Value| {
            finding["topic"] == topic
                && finding["text"]
                    .as_str()
                    .is_some_and(|found| found.contains(text))
        };
        let found = findings.iter().find(is_it);
        let found = found.unwrap_or_else(|| panic!("{topic}: {text}\n{ran}"));
        if code != 0 {
            assert_eq!(found["exit"], code, "{found}");
        }
        found["remedy"].as_str().unwrap_or_default().to_owned()
    }
}

#[test]
fn a_host_that_can_be_guarded_is_well() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let _ = scene.finds(&[], 0, "kernel", "takes the programs");
    let _ = scene.finds(&[], 0, "bpffs", "a BPF file system");
    let _ = scene.finds(&[], 0, "interface", "eth0 (veth, ");
    let remedy = scene.finds(&[], 0, "policy", "guard is off");
    assert!(remedy.contains("guardctl setup"), "{remedy}");

    for words in [&["allow", "22/tcp"][..], &["enable"]] {
        drop(scene.guard.guardctl(words).ok());
    }
    let _ = scene.finds(&[], 0, "interface", "guarded, native mode");
    let _ = scene.finds(&[], 0, "policy", "1 rule in force, default deny");
    drop(
        scene
            .guard
            .guardctl(&["doctor"])
            .ok()
            .says("ok     kernel    Linux "),
    );

    drop(scene.guard.guardctl(&["enable", "--mode", "generic"]).ok());
    let remedy = scene.finds(&[], 0, "interface", "generic mode, slower than native");
    assert!(remedy.contains("--mode auto"), "{remedy}");
    drop(scene.guard.guardctl(&["default", "monitor"]).ok());
    let remedy = scene.finds(&[], 0, "policy", "drops nothing");
    assert!(remedy.contains("guardctl default deny"), "{remedy}");
}

#[test]
fn what_is_missing_is_named_with_the_code_of_the_command_that_would_fail() {
    if !require::root() || !require::program("setpriv") {
        return;
    }
    let scene = Scene::new();
    let less = ["setpriv", "--bounding-set", "-bpf,-sys_admin"];
    let remedy = scene.finds(&less, 4, "rights", "missing CAP_BPF");
    assert!(remedy.contains("as root"), "{remedy}");

    let script = "mount --bind $GUARD_BPFFS $GUARD_BPFFS && \
                  mount -o remount,bind,ro $GUARD_BPFFS && exec \"$@\"";
    let read_only = ["unshare", "--mount", "sh", "-c", script, "sh"];
    let remedy = scene.finds(&read_only, 13, "bpffs", "Read-only file system");
    assert!(remedy.contains("remount,rw"), "{remedy}");

    let script = "mount --bind $GUARD_ETC $GUARD_ETC && \
                  mount -o remount,bind,ro $GUARD_ETC && exec \"$@\"";
    let read_only = ["unshare", "--mount", "sh", "-c", script, "sh"];
    let remedy = scene.finds(&read_only, 1, "files", "the file system is read-only");
    assert!(remedy.contains("remount,rw"), "{remedy}");

    scene.guard.write_policy("[[rule]]\naction = \"alow\"\n");
    let _ = scene.finds(&[], 5, "policy", "guard.toml:2");
    scene.guard.write_policy("");

    let object = scene.attach_another(XdpMode::Skb);
    let remedy = scene.finds(&[], 10, "interface", "another XDP program is attached");
    assert!(remedy.contains("detach it"), "{remedy}");
    drop(object);

    fs::create_dir(scene.guard.bpffs().join("v999")).expect("a folder");
    let remedy = scene.finds(&[], 11, "pins", "v999");
    assert!(remedy.contains("guardctl disable"), "{remedy}");
}

#[test]
fn what_lets_strangers_in_or_weakens_the_host_is_found() {
    if !require::root() || !require::program("tc") {
        return;
    }
    let scene = Scene::new();
    scene.lab.srv.sysctl("net/ipv4/tcp_syncookies", "0");
    let remedy = scene.finds(&[], 0, "sysctl", "tcp_syncookies is 0");
    assert!(
        remedy.contains("sysctl -w net.ipv4.tcp_syncookies=1"),
        "{remedy}"
    );

    for words in [&["allow", "22/tcp"][..], &["enable"]] {
        drop(scene.guard.guardctl(words).ok());
    }
    for of in ["all", "eth0"] {
        scene
            .lab
            .srv
            .sysctl(&format!("net/ipv4/conf/{of}/rp_filter"), "0");
    }
    let remedy = scene.finds(&[], 0, "interface", "rp_filter is 0");
    assert!(
        remedy.contains("net.ipv4.conf.eth0.rp_filter=1"),
        "{remedy}"
    );

    scene.lab.srv.ip("link add eth1 type veth peer name other");
    scene.lab.srv.ip("addr add 8.8.4.4/24 dev eth1");
    scene.lab.srv.ip("link set eth1 up");
    let remedy = scene.finds(&[], 8, "interface", "eth1: NOT GUARDED");
    assert!(remedy.contains("guardctl enable --iface eth1"), "{remedy}");

    scene.lab.srv.ip("route del default");
    scene.lab.srv.ip("-6 route del default");
    drop(scene.guard.guardctl(&["disable"]).ok());
    fs::remove_dir_all(scene.guard.state()).expect("removed");
    fs::create_dir(scene.guard.state()).expect("made");
    let remedy = scene.finds(&[], 6, "interface", "no interface carries a default route");
    assert!(remedy.contains("--iface"), "{remedy}");
}

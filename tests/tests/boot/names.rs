//! Interfaces that get other names, and what udev asks for when one appears.

use guard_tests::{
    lab::{Answer, GuardDaemon, until},
    require,
};

use super::machine::{CLOSED, Machine, OPEN, POLICY};

/// The policy that names its interface, and the one that follows default routes.
fn policies() -> [String; 2] {
    [
        POLICY.to_owned(),
        POLICY.replace("interfaces = [\"eth0\"]", ""),
    ]
}

/// As an administrator or a late rule of udev does it.
fn rename(machine: &Machine, from: &str, to: &str) {
    let (v4, v6) = (machine.lab.srv.v4, machine.lab.srv.v6);
    machine.lab.srv.ip_batch(&format!(
        "link set {from} down\nlink set {from} name {to}\nlink set {to} up\n\
         addr replace {v4}/24 dev {to}\naddr replace {v6}/64 dev {to} nodad\n\
         route replace default via 192.0.2.254\nroute replace default via 2001:db8:2::fe\n"
    ));
    until("the network", || machine.ask(OPEN) == Answer::Echo);
}

#[test]
fn a_renamed_interface_stays_protected_and_status_follows_its_name() {
    if !require::root() {
        return;
    }
    for policy in policies() {
        let machine = Machine::with(&policy);
        let guard = &machine.guard;
        drop(guard.guardctl(&["enable"]).ok());
        let daemon = GuardDaemon::start(guard);
        let mut from = "eth0";
        for to in ["wan0", "wan1", "eth0"] {
            rename(&machine, from, to);

            daemon.says(&format!("is called {to} now, and stays protected"));
            machine.assert_filters();
            let status = guard.guardctl(&["status"]).ok();
            assert!(
                status.stdout.contains(&format!("Interface: {to} (")),
                "{status}"
            );
            let is_named = policy.contains("interfaces");
            let advice = format!("`guardctl enable --iface {to}`");
            let is_advised = status.stderr.contains(&advice);
            assert_eq!(is_advised, is_named && to != "eth0", "{status}");
            // What takes the files anew does not take the program off.
            drop(guard.guardctl(&["reload"]).ok());
            machine.assert_filters();
            drop(guard.guardctl(&["status"]).ok());
            from = to;
        }
    }
}

#[test]
fn without_a_daemon_status_and_reload_know_a_renamed_interface_too() {
    if !require::root() {
        return;
    }
    let machine = Machine::with(POLICY);
    let guard = &machine.guard;
    drop(guard.guardctl(&["enable"]).ok());

    rename(&machine, "eth0", "wan0");

    drop(guard.guardctl(&["status"]).ok().says("Interface: wan0 ("));
    drop(guard.guardctl(&["reload"]).ok());
    machine.assert_filters();
    let json = guard.guardctl(&["status", "--json"]).ok().json();
    assert_eq!(json["interfaces"][0]["name"], "wan0", "{json}");
    drop(guard.guardctl(&["enable", "--iface", "wan0"]).ok());
    let status = guard.guardctl(&["status"]).ok();
    assert!(!status.stderr.contains("is called"), "{status}");
    machine.assert_filters();
}

#[test]
fn what_appears_is_protected_when_udev_asks_and_only_what_the_policy_means() {
    if !require::root() {
        return;
    }
    for policy in policies() {
        let machine = Machine::with(&policy);
        let guard = &machine.guard;
        let index = |name: &str| {
            let shown = machine.lab.srv.ip(&format!("-o link show dev {name}"));
            let index = shown.split(':').next().expect("an index");
            index.to_owned()
        };
        let silent = |words: &[&str]| {
            let ran = guard.guardctl(words).ok();
            assert_eq!(ran.stdout, "", "{ran}");
        };
        silent(&["attach", &index("eth0")]);
        assert_eq!(machine.ask(CLOSED), Answer::Echo);
        drop(guard.guardctl(&["enable"]).ok());
        machine.lab.replace_server_interface();
        machine
            .lab
            .srv
            .ip("link add veth0 type veth peer name veth1");

        silent(&["attach", &index("veth0")]);
        silent(&["attach", "4711"]);
        let ran = guard.guardctl(&["attach", &index("eth0")]).ok();

        drop(ran.says("eth0: protected"));
        machine.assert_filters();
        drop(guard.guardctl(&["status"]).ok());
        let json = guard.guardctl(&["status", "--json"]).ok().json();
        assert_eq!(
            json["interfaces"].as_array().map(Vec::len),
            Some(1),
            "{json}"
        );
        // The second time of udev.
        drop(guard.guardctl(&["attach", &index("eth0")]).ok());
        drop(guard.guardctl(&["disable"]).ok());
        silent(&["attach", &index("eth0")]);
    }
}

#[test]
fn an_open_interface_does_not_wait_for_another_command() {
    if !require::root() {
        return;
    }
    let machine = Machine::with(POLICY);
    let guard = &machine.guard;
    drop(guard.guardctl(&["enable"]).ok());
    let lock = std::fs::File::open(guard.run().join("lock")).expect("the lock of commands");
    lock.lock().expect("the lock of commands");
    machine.lab.replace_server_interface();
    let shown = machine.lab.srv.ip("-o link show dev eth0");
    let index = shown.split(':').next().expect("an index");

    drop(
        guard
            .guardctl(&["attach", index])
            .ok()
            .says("eth0: protected"),
    );

    machine.assert_filters();
    lock.unlock().expect("the lock of commands");
    let daemon = GuardDaemon::start(guard);
    daemon.says("eth0: protected");
    lock.lock().expect("the lock of commands");
    machine.lab.replace_server_interface();
    daemon.says("eth0: protected again after");
    machine.assert_filters();
    // What else there is to do is done when the lock is free.
    lock.unlock().expect("the lock of commands");
    drop(guard.guardctl(&["daemon", "--reconcile"]).ok());
    drop(guard.guardctl(&["status"]).ok());
    machine.assert_filters();
}

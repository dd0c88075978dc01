//! Sets from databases, in the kernel: what a country or a network may do, a new version, a broken one, and a reboot
//! without one.

use std::fs;

use guard_tests::{
    lab::{Answer, GuardDaemon, ask_all, until},
    require,
};
use guard_user::ruleset::mmdb::written::Database;

use super::machine::{CLOSED, Machine, OPEN};

/// The friend is in XA; the attacker in XB, and in the network 64496.
const POLICY: &str = "interfaces = [\"eth0\"]\n\n[sets]\n\
    xa = { mmdb = \"country.mmdb\", country = \"XA\" }\nasn = { mmdb = \"asn.mmdb\", asn = 64496 }\n\n\
    [[rule]]\naction = \"allow\"\nport = 1000\nfrom = \"@xa\"\n\n\
    [[rule]]\naction = \"deny\"\nfrom = \"@asn\"\n\n[[rule]]\naction = \"allow\"\nport = 3000\n";

fn countries() -> Database {
    Database::new("GeoLite2-Country")
        .country("198.51.100.0/25", "XA", "EU")
        .country("2001:db8:100::/64", "XA", "EU")
        .country("203.0.113.0/24", "XB", "NA")
        .country("2001:db8:66::/64", "XB", "NA")
}

fn networks() -> Database {
    Database::new("GeoLite2-ASN")
        .asn("203.0.113.0/24", 64496)
        .asn("2001:db8:66::/48", 64496)
}

/// As programs that renew databases do it: written beside, then renamed.
fn write(machine: &Machine, name: &str, bytes: &[u8]) {
    let file = machine.guard.etc().join(name);
    let beside = file.with_extension("new");
    fs::write(&beside, bytes).expect("written");
    fs::rename(beside, file).expect("renamed");
}

fn machine() -> Machine {
    let machine = Machine::with(POLICY);
    write(&machine, "country.mmdb", &countries().bytes());
    write(&machine, "asn.mmdb", &networks().bytes());
    let ran = machine.guard.guardctl(&["check"]).ok();
    drop(ran.says("@xa: 1 IPv4 and 1 IPv6 prefixes: country XA of country.mmdb"));
    drop(machine.guard.guardctl(&["enable"]).ok());
    machine
}

/// Answers of both families: the friend's and the attacker's at the port of the country, the attacker's at the other.
fn answers(machine: &Machine) -> [[Answer; 3]; 2] {
    let (friend, attacker) = (&*machine.lab.friend, &*machine.lab.attacker);
    [machine.lab.srv.v4, machine.lab.srv.v6].map(|to| {
        ask_all([
            (friend, to, OPEN),
            (attacker, to, OPEN),
            (attacker, to, CLOSED),
        ])
    })
}

const AS_WRITTEN: [[Answer; 3]; 2] = [[Answer::Echo, Answer::Silence, Answer::Silence]; 2];

#[test]
fn a_new_database_is_in_force_soon_and_a_broken_one_never() {
    if !require::root() {
        return;
    }
    let machine = machine();
    assert_eq!(answers(&machine), AS_WRITTEN);
    let daemon = GuardDaemon::start(&machine.guard);

    // The attacker's network moves to the country, and has another number.
    let moved = countries()
        .country("203.0.113.0/24", "XA", "EU")
        .country("2001:db8:66::/64", "XA", "EU")
        .built(1_796_000_000);
    write(&machine, "country.mmdb", &moved.bytes());
    daemon.says("set @xa: 2 IPv4 and 2 IPv6 prefixes");
    until("the attacker to be let in", || {
        answers(&machine) == [[Answer::Echo, Answer::Echo, Answer::Silence]; 2]
    });
    let listed = machine.guard.guardctl(&["list", "--json"]).ok().json();
    assert_eq!(listed["databases"][1]["ipv4_prefixes"], 2);
    assert_eq!(listed["databases"][1]["built"], "2026-11-30");
    let history = machine.guard.guardctl(&["history", "--json"]).ok().json();
    assert_eq!(history["entries"].as_array().map(Vec::len), Some(1));

    // What nobody can read changes nothing, and is said.
    let whole = moved.bytes();
    for (bytes, why) in [
        (&whole[..whole.len() / 2], "is cut off"),
        (
            &networks().bytes()[..],
            "none of its records has country.iso_code",
        ),
        (b"", "is empty"),
    ] {
        write(&machine, "country.mmdb", bytes);
        daemon.says(why);
        drop(machine.guard.guardctl(&["check"]).exit(5).says(why));
        let before = machine.guard.policy();
        drop(machine.guard.guardctl(&["allow", "2000"]).exit(5).says(why));
        assert_eq!(machine.guard.policy(), before);
        drop(machine.guard.guardctl(&["status"]).ok().says(why));
        assert_eq!(answers(&machine)[0][1], Answer::Echo, "{why}");
        assert_eq!(answers(&machine)[1][2], Answer::Silence, "{why}");
    }
    fs::remove_file(machine.guard.etc().join("country.mmdb")).expect("removed");
    daemon.says("country.mmdb does not exist");

    // And what is right again is in force again, unless somebody has edited the files.
    write(&machine, "country.mmdb", &countries().bytes());
    until("the attacker to be shut out", || {
        answers(&machine) == AS_WRITTEN
    });
    machine.guard.write_policy(&POLICY.replace("3000", "3001"));
    write(&machine, "country.mmdb", &moved.bytes());
    daemon.says("and so have the policy files");
    assert_eq!(answers(&machine), AS_WRITTEN);
}

#[test]
fn a_reboot_without_the_databases_has_the_prefixes_of_before() {
    if !require::root() {
        return;
    }
    let machine = machine();
    for name in ["country.mmdb", "asn.mmdb"] {
        fs::remove_file(machine.guard.etc().join(name)).expect("removed");
    }
    machine.reboot();
    let ran = machine.guard.guardctl(&["load"]).ok();
    drop(ran.says("asn.mmdb does not exist"));
    assert_eq!(answers(&machine), AS_WRITTEN);
    let ran = machine.guard.guardctl(&["status"]).exit(8);
    drop(ran.says("@xa: 1 IPv4 and 1 IPv6 prefixes"));

    // A daemon finds them when they are back, whatever they hold by then.
    let daemon = GuardDaemon::start(&machine.guard);
    daemon.says("country.mmdb does not exist");
    write(&machine, "asn.mmdb", &networks().bytes());
    let narrower = countries().country("198.51.100.0/24", "XB", "NA");
    write(
        &machine,
        "country.mmdb",
        &narrower.country("198.51.100.9/32", "XA", "EU").bytes(),
    );
    until("the friend of IPv4 to be shut out", || {
        answers(&machine) == [AS_WRITTEN[0].map(|_| Answer::Silence), AS_WRITTEN[1]]
    });
    drop(machine.guard.guardctl(&["status"]).ok());
}

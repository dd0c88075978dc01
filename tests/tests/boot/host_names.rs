//! Names of hosts in rules, in the kernel: they are asked for again and again, and a resolver that lies, hangs or is
//! away lets nobody in and shuts nobody out.

use std::{
    fs,
    net::UdpSocket,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{Answer, Dnsmasq, GuardDaemon, Ran, Sshd, ask_all, finish, own_mounts, until},
    require,
};
use serde_json::Value;

use super::machine::{Machine, OPEN};

const NAME: &str = "friend.lab.test";
const POLICY: &str = "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 1000\n\
    from = \"friend.lab.test\"\n\n[[rule]]\naction = \"allow\"\nport = 3000\nfrom = \"192.0.2.99\"\n";
const FRIEND: &str = "198.51.100.10 friend.lab.test\n2001:db8:100::10 friend.lab.test\n";
const ATTACKER: &str = "203.0.113.66 friend.lab.test\n2001:db8:66::66 friend.lab.test\n";
/// Patient with a server that says nothing.
const PATIENT: &str = "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n";
const LIMIT: Duration = Duration::from_secs(40);
const BIND: &str = "mount --bind \"$1\" /etc/hosts && mount --bind \"$2\" /etc/resolv.conf && shift 2 && exec \"$@\"";

/// A server, and the files that its programs see as /etc/hosts and /etc/resolv.conf.
struct Named {
    machine: Machine,
    hosts: PathBuf,
    resolver: PathBuf,
}

impl Named {
    /// With guard on, if the policy can be.
    fn with(policy: &str, hosts: &str) -> Option<Self> {
        if !require::root() || !require::programs(&["unshare", "mount"]) {
            return None;
        }
        let machine = Machine::with(policy);
        let folder = machine.guard.folder();
        let (hosts_file, resolver) = (folder.join("hosts"), folder.join("resolv.conf"));
        fs::write(&hosts_file, hosts).expect("written");
        fs::write(
            &resolver,
            "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        )
        .expect("written");
        Some(Self {
            machine,
            hosts: hosts_file,
            resolver,
        })
    }

    fn enabled() -> Option<Self> {
        let named = Self::with(POLICY, FRIEND)?;
        drop(named.guardctl(&["enable"]).ok());
        Some(named)
    }

    fn command(&self, words: &[&str]) -> Command {
        let files = [&self.hosts, &self.resolver].map(|file| file.to_str().expect("a path"));
        let shown = [&own_mounts(BIND)[..], &files].concat();
        self.machine.guard.command_behind(&shown, words)
    }

    fn guardctl(&self, words: &[&str]) -> Ran {
        finish(&mut self.command(words), LIMIT)
    }

    fn daemon(&self) -> GuardDaemon {
        GuardDaemon::start_as(&self.machine.guard, &mut self.command(&["daemon"]))
    }

    /// What the name has from now on; the daemon is told to ask.
    fn set(&self, hosts: &str) {
        // Written over: a mount shows the file that it was made of.
        fs::write(&self.hosts, hosts).expect("written");
        self.ask_again();
    }

    fn ask_again(&self) {
        drop(self.machine.guard.guardctl(&["daemon", "--reconcile"]).ok());
    }

    /// Of friend and attacker at the port of the name, by family.
    fn answers(&self) -> [[Answer; 2]; 2] {
        let lab = &self.machine.lab;
        [lab.srv.v4, lab.srv.v6]
            .map(|to| ask_all([(&*lab.friend, to, OPEN), (&*lab.attacker, to, OPEN)]))
    }

    fn listed(&self) -> Value {
        self.machine.guard.guardctl(&["list", "--json"]).ok().json()
    }
}

const LET_IN: [[Answer; 2]; 2] = [[Answer::Echo, Answer::Silence]; 2];
const MOVED: [[Answer; 2]; 2] = [[Answer::Silence, Answer::Echo]; 2];

#[test]
fn a_name_is_what_it_resolves_to_and_is_asked_for_again() {
    let Some(named) = Named::enabled() else {
        return;
    };
    assert_eq!(named.answers(), LET_IN);
    let daemon = named.daemon();

    named.set(ATTACKER);
    daemon.says("friend.lab.test is 203.0.113.66, 2001:db8:66::66 now");
    until("the name to have moved", || named.answers() == MOVED);
    let listed = named.listed();
    assert_eq!(
        listed["names"][NAME]["addresses"],
        serde_json::json!(["203.0.113.66", "2001:db8:66::66"])
    );
    drop(
        named
            .guardctl(&["status"])
            .ok()
            .says("Name: friend.lab.test is 203.0.113.66"),
    );

    // Nothing else that stands in the files comes into force with it.
    let guard = &named.machine.guard;
    guard.write_policy(&POLICY.replace("3000", "3001"));
    named.set(FRIEND);
    daemon.says("the policy files have changed, too");
    assert_eq!(named.answers(), MOVED);
    guard.write_policy(POLICY);
    named.ask_again();
    until("the name to be back", || named.answers() == LET_IN);
}

#[test]
fn a_resolver_that_lies_or_is_away_leaves_the_addresses_of_before() {
    let Some(named) = Named::enabled() else {
        return;
    };
    let daemon = named.daemon();
    for (hosts, why) in [
        (
            "127.0.0.1 friend.lab.test\n::1 friend.lab.test\n".to_owned(),
            "from where no packet comes",
        ),
        (
            "0.0.0.0 friend.lab.test\n".to_owned(),
            "resolves to 0.0.0.0",
        ),
        (many(65), "has 65 addresses, and a name may have 64"),
        (many(10_000), "has 10000 addresses"),
        (String::new(), "does not resolve"),
    ] {
        named.set(&hosts);
        daemon.says(why);
        until("the problem to be listed", || {
            let listed = named.listed();
            listed["names"][NAME]["problem"]
                .as_str()
                .is_some_and(|said| said.contains(why))
        });
        assert_eq!(named.answers(), LET_IN, "{why}");
        drop(named.guardctl(&["status"]).ok().says("as it was"));
    }
    // A reload, a restart and a reboot without the name change nothing either.
    drop(named.guardctl(&["reload"]).ok());
    assert_eq!(named.answers(), LET_IN);
    drop(daemon);
    named.machine.reboot();
    drop(named.guardctl(&["load"]).ok());
    assert_eq!(named.answers(), LET_IN);
    let daemon = named.daemon();
    named.set(FRIEND);
    named.set(&many(64));
    daemon.says("198.51.100.64 now");
    until("64 addresses to be in force", || {
        let listed = named.listed();
        listed["names"][NAME]["addresses"].as_array().map(Vec::len) == Some(64)
    });
}

/// So many addresses of the friend's network, his own among them.
fn many(count: u32) -> String {
    let line = |at: u32| {
        format!(
            "198.{}.{}.{} {NAME}\n",
            51 + at / 65_536,
            100 + at / 256,
            at % 256
        )
    };
    (1..=count).map(line).collect()
}

#[test]
fn a_resolver_that_hangs_holds_up_nobody() {
    let Some(named) = Named::enabled() else {
        return;
    };
    let daemon = named.daemon();
    // Whoever asks there is heard, and never answered.
    let silent = named
        .machine
        .lab
        .srv
        .run(|| UdpSocket::bind(("127.0.0.1", 53)));
    let silent = silent.expect("the port of DNS");
    fs::write(&named.resolver, PATIENT).expect("written");
    named.set("");
    daemon.says("the resolver does not answer");
    assert_eq!(named.answers(), LET_IN);
    // The daemon goes on with everything else, and commands do not ask again for what is known.
    let begun = Instant::now();
    drop(named.guardctl(&["allow", "4000/tcp"]).ok());
    drop(named.guardctl(&["status"]).ok());
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    // A new name is waited for, not for long, and nothing is changed.
    let before = named.machine.guard.policy();
    let ran = named.guardctl(&["allow", "from", "new.lab.test", "to", "any", "port", "22"]);
    drop(ran.exit(1).says("the resolver does not answer"));
    assert_eq!(named.machine.guard.policy(), before);
    drop(silent);
}

#[test]
fn a_policy_with_a_name_that_never_resolved_is_refused_and_nothing_changes() {
    let Some(named) = Named::with(POLICY, "") else {
        return;
    };
    drop(
        named
            .guardctl(&["enable"])
            .exit(5)
            .says("\"friend.lab.test\" does not resolve"),
    );
    drop(named.guardctl(&["check"]).exit(5).says("friend.lab.test"));
    fs::write(&named.hosts, FRIEND).expect("written");
    drop(named.guardctl(&["enable"]).ok());
    assert_eq!(named.answers(), LET_IN);
    let before = named.machine.guard.policy();
    for words in [
        &[
            "allow",
            "from",
            "nobody.lab.test",
            "to",
            "any",
            "port",
            "22",
        ][..],
        &["deny", "nobody.lab.test"],
        &["never", "add", "nobody.lab.test"],
    ] {
        drop(
            named
                .guardctl(words)
                .exit(1)
                .says("nobody.lab.test does not resolve"),
        );
    }
    for words in [
        &["allow", "from", "friend.lab.test/24"][..],
        &["allow", "from", "-friend.lab.test"],
        &["allow", "from", "friend..test", "to", "any", "port", "22"],
    ] {
        drop(named.guardctl(words).exit(2));
    }
    assert_eq!(named.machine.guard.policy(), before);
    assert_eq!(named.answers(), LET_IN);
}

#[test]
fn dns_is_asked_and_names_stand_in_sets_and_on_the_never_list() {
    let Some(named) = Named::with("interfaces = [\"eth0\"]\n", "") else {
        return;
    };
    if !require::programs(&["dnsmasq"]) {
        return;
    }
    let server = Dnsmasq::host(
        &named.machine.lab.srv,
        NAME,
        &["198.51.100.10", "2001:db8:100::10"],
    );
    drop(named.guardctl(&["enable"]).ok());
    let said = named.guardctl(&[
        "allow",
        "from",
        "Friend.lab.test.",
        "to",
        "any",
        "port",
        "1000",
    ]);
    drop(said.ok());
    assert!(
        named
            .machine
            .guard
            .policy()
            .contains("from = \"friend.lab.test\"")
    );
    assert_eq!(named.answers(), LET_IN);
    // The server is gone; what it said stays.
    drop(server);
    drop(named.guardctl(&["allow", "4000/tcp"]).ok());
    drop(named.guardctl(&["never", "add", NAME]).ok());
    drop(
        named
            .machine
            .guard
            .guardctl(&["ban", "198.51.100.10"])
            .exit(7)
            .says("never list"),
    );
    drop(named.guardctl(&["never", "del", NAME]).ok());
    drop(
        named
            .guardctl(&["delete", "allow", "from", NAME, "to", "any", "port", "1000"])
            .ok(),
    );
    assert_eq!(named.answers(), [[Answer::Silence; 2]; 2]);

    let set = "interfaces = [\"eth0\"]\n\n[sets]\nhome = [\"198.51.100.99\", \"friend.lab.test\"]\n\n\
        [[rule]]\naction = \"allow\"\nport = 1000\nfrom = \"@home\"\n";
    named.machine.guard.write_policy(set);
    fs::write(&named.hosts, FRIEND).expect("written");
    drop(named.guardctl(&["reload"]).ok());
    assert_eq!(named.answers(), LET_IN);
    let daemon = named.daemon();
    named.set(ATTACKER);
    daemon.says("friend.lab.test is 203.0.113.66");
    until("the set to follow", || named.answers() == MOVED);
}

#[test]
fn a_resolver_that_answers_with_an_operator_shuts_him_out_of_nothing() {
    if !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let policy = "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"deny\"\nfrom = \"friend.lab.test\"\n\n\
        [[rule]]\naction = \"allow\"\nport = [1000, 2222]\n";
    let Some(named) = Named::with(policy, ATTACKER) else {
        return;
    };
    drop(named.guardctl(&["enable"]).ok());
    assert_eq!(named.answers(), LET_IN);
    let lab = &named.machine.lab;
    let sshd = Sshd::on_port(&lab.srv, 2222);
    let mut session = sshd.session(&lab.friend, lab.srv.v4);
    let daemon = named.daemon();

    named.set(FRIEND);

    daemon.says("what is in force stays");
    assert_eq!(named.answers(), LET_IN);
    assert!(session.answers());
    let mut again = sshd.session(&lab.friend, lab.srv.v4);
    assert!(again.answers(), "the operator can come back");
    // Own addresses shut out nobody, and let nobody in.
    named.set("192.0.2.1 friend.lab.test\n2001:db8:2::1 friend.lab.test\n");
    daemon.says("friend.lab.test is 192.0.2.1");
    until("the attacker to be let in", || {
        named.answers() == [[Answer::Echo; 2]; 2]
    });
}

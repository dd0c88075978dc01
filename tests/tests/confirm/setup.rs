//! `setup`: a policy is proposed from what listens, put in force with a deadline, and gone if nobody confirms.

use std::time::Duration;

use guard_tests::{
    lab::{
        Answer, Instance, TcpEcho, Terminal, Topology, UFW_PROGRAMS, UdpEcho, Ufw, finish,
        own_mounts, within,
    },
    require,
};
use serde_json::json;

struct Fresh {
    guard: Instance,
    _echoes: (TcpEcho, TcpEcho, UdpEcho),
    lab: Topology,
}

/// A login server, a web server and something else.
const LOGIN: u16 = 2222;
const WEB: u16 = 80;
const OTHER: u16 = 5000;

impl Fresh {
    fn new() -> Option<Self> {
        if !(require::root() && require::programs(&["ip", "nsenter"])) {
            return None;
        }
        let lab = Topology::new();
        Some(Self {
            guard: Instance::new(&lab.srv),
            _echoes: (
                TcpEcho::start(&lab.srv, LOGIN),
                TcpEcho::start(&lab.srv, WEB),
                UdpEcho::start(&lab.srv, OTHER),
            ),
            lab,
        })
    }

    /// From a session of SSH at the port of the login server.
    fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = self.guard.command(words);
        let (friend, srv) = (self.lab.friend.v4, self.lab.srv.v4);
        command.env("SSH_CONNECTION", format!("{friend} 50000 {srv} {LOGIN}"));
        command
    }

    fn answers(&self) -> [Answer; 4] {
        let (friend, attacker, to) = (&self.lab.friend, &self.lab.attacker, self.lab.srv.v4);
        [
            friend.ask_tcp(to, LOGIN),
            attacker.ask_tcp(to, LOGIN),
            attacker.ask_tcp(to, WEB),
            attacker.ask_udp(to, OTHER),
        ]
    }
}

const OPEN: [Answer; 4] = [Answer::Echo; 4];

#[test]
fn the_proposal_is_shown_and_nobody_there_to_answer_changes_nothing() {
    let Some(fresh) = Fresh::new() else { return };
    let before = fresh.guard.dump(&fresh.lab.srv);

    let proposed = fresh
        .guard
        .guardctl(&["setup", "--dry-run", "--json"])
        .ok()
        .json();
    let ports = proposed["open"].as_array().expect("opened").iter();
    let ports: Vec<_> = ports.map(|open| open["port"].clone()).collect();
    // Nobody is logged in here, so nothing says that 2222 is the port of a login server.
    assert_eq!(ports, [json!(WEB)], "{proposed}");
    let closed = proposed["closed"].as_array().expect("ports");
    assert!(closed.contains(&json!("5000/udp")), "{proposed}");

    let refused = fresh.guard.guardctl(&["setup"]).exit(2);
    drop(
        refused
            .says("nobody is there to answer")
            .says("--yes takes that"),
    );
    assert_eq!(fresh.guard.dump(&fresh.lab.srv), before);

    fresh.lab.srv.ip("route del default");
    fresh.lab.srv.ip("-6 route del default");
    drop(
        fresh
            .guard
            .guardctl(&["setup", "--yes"])
            .exit(6)
            .says("--iface"),
    );
    assert_eq!(fresh.guard.dump(&fresh.lab.srv).len(), before.len());
}

#[test]
fn answers_make_the_policy_and_a_lost_confirm_leaves_the_host_as_it_was() {
    let Some(fresh) = Fresh::new() else { return };
    assert_eq!(fresh.answers(), OPEN);
    let mut terminal = Terminal::start(&mut fresh.command(&["setup", "--confirm", "5s"]));
    terminal.until_said("Who may log in by SSH?");
    terminal.type_in("perhaps\n");
    terminal.until_said("expected: e or o");
    terminal.type_in("o\n");
    terminal.until_said("5000/udp");
    terminal.until_said("Which of these may everybody reach?");
    terminal.type_in("none\n");
    terminal.until_said("let 198.51.100.10 in to 2222/tcp");
    terminal.until_said("Put this in force now");
    assert_eq!(fresh.guard.policy(), "");
    terminal.type_in("y\n");
    terminal.until_said("PENDING");
    let only_the_friend = [
        Answer::Echo,
        Answer::Silence,
        Answer::Silence,
        Answer::Silence,
    ];
    assert_eq!(fresh.answers(), only_the_friend);

    // Whoever was there says nothing more.
    let is_back = within(Duration::from_secs(10), || {
        (fresh.answers() == OPEN).then_some(())
    });
    assert!(
        is_back.is_some(),
        "{:?}\n{}",
        fresh.answers(),
        terminal.said()
    );
    drop(fresh.guard.guardctl(&["status"]).exit(3).says("REVERTED"));
    assert_eq!(fresh.guard.policy(), "");
}

#[test]
fn yes_takes_the_proposal_and_a_second_setup_is_refused() {
    let Some(fresh) = Fresh::new() else { return };
    let mut command = fresh.command(&["setup", "--yes", "--no-confirm"]);
    let ran = finish(&mut command, Duration::from_secs(60)).ok();
    drop(
        ran.says("let everybody in to 2222/tcp")
            .says("guard is active: 2 rules"),
    );
    let web = [Answer::Echo, Answer::Echo, Answer::Echo, Answer::Silence];
    assert_eq!(fresh.answers(), web);
    assert!(
        fresh
            .guard
            .policy()
            .contains("Proposed by `guardctl setup`")
    );
    drop(
        fresh
            .guard
            .guardctl(&["setup", "--yes"])
            .exit(7)
            .says("guard is on already"),
    );
    drop(fresh.guard.guardctl(&["disable"]).ok());
    let policy = fresh.guard.policy();
    drop(
        fresh
            .guard
            .guardctl(&["setup", "--yes"])
            .exit(7)
            .says("has a policy already"),
    );
    assert_eq!(fresh.guard.policy(), policy);
    assert_eq!(fresh.answers(), OPEN);
}

#[test]
fn the_rules_of_a_ufw_that_is_on_are_taken_over() {
    let Some(fresh) = Fresh::new() else { return };
    if !require::programs(&UFW_PROGRAMS) {
        return;
    }
    let ufw = Ufw::new(&fresh.lab.srv);
    for line in ["allow 2222/tcp", "allow 5000/udp", "--force enable"] {
        drop(ufw.ufw(line));
    }
    let script = "mount --bind \"$UFW/ufw\" /etc/ufw && mount --bind \"$UFW/default\" /etc/default && exec \"$@\"";
    let setup = |words: &[&str]| {
        let mut command = fresh.guard.command_behind(&own_mounts(script), words);
        finish(command.env("UFW", ufw.root()), Duration::from_secs(60))
    };
    let shown = setup(&["setup", "--dry-run", "--json"]).ok().json();
    assert_eq!(shown["taken_over"], "ufw", "{shown}");
    assert_eq!(fresh.guard.policy(), "");

    let ran = setup(&["setup", "--yes", "--no-confirm"]).ok();
    drop(
        ran.says("guard would do what ufw does")
            .says("guard is active"),
    );
    assert!(
        fresh
            .guard
            .policy()
            .starts_with("# Written by `guardctl import ufw`")
    );
    // Without ufw, what guard lets in is what ufw let in.
    drop(ufw.ufw("disable"));
    let [friends, logins, web, other] = fresh.answers();
    assert_eq!(
        [friends, logins, web, other],
        [Answer::Echo, Answer::Echo, Answer::Silence, Answer::Echo]
    );
}

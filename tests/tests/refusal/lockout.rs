//! Operators are not shut out unasked.

use std::{
    io::Write as _,
    net::{IpAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    time::Duration,
};

use guard_tests::{
    lab::{Answer, Sshd, TcpEcho, Terminal, finish},
    require,
};

use super::scene::{ENABLE, Scene, assert_refusal};

const FRIEND_RULE: [&str; 3] = ["allow", "198.51.100.10", "22/tcp"];

#[test]
fn enable_does_not_shut_out_an_operator_unasked() {
    if !require::root() || !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let scene = Scene::new();
    let sshd = Sshd::start(&scene.lab.srv);
    let mut session = sshd.session(&scene.lab.friend, scene.lab.srv.v4);
    drop(
        scene
            .guard
            .guardctl(&["allow", "from", "203.0.113.0/24", "to", "any", "port", "22"])
            .ok(),
    );
    let cause = "you could not log in again from 198.51.100.10:";

    for words in [
        ENABLE.as_slice(),
        &["enable", "--yes"],
        &["enable", "--yes", "--dry-run"],
    ] {
        scene.refuses(&[], words, 7, cause, "guardctl allow 198.51.100.10 22/tcp");
    }
    drop(scene.guard.guardctl(&FRIEND_RULE).ok());
    drop(scene.guard.guardctl(&ENABLE).ok());

    assert!(session.answers());
}

#[test]
fn enable_does_not_shut_out_an_operator_over_ipv6_unasked() {
    if !require::root() || !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let scene = Scene::new();
    let sshd = Sshd::start(&scene.lab.srv);
    let mut session = sshd.session(&scene.lab.friend, scene.lab.srv.v6);
    drop(scene.guard.guardctl(&FRIEND_RULE).ok());

    let cause = "you could not log in again from 2001:db8:100::10:";
    scene.refuses(
        &[],
        &ENABLE,
        7,
        cause,
        "guardctl allow 2001:db8:100::10 22/tcp",
    );
    drop(
        scene
            .guard
            .guardctl(&["allow", "2001:db8:100::10", "22/tcp"])
            .ok(),
    );
    drop(scene.guard.guardctl(&ENABLE).ok());

    assert!(session.answers());
}

#[test]
fn force_cuts_the_session_and_a_rule_brings_it_back() {
    if !require::root() || !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let scene = Scene::new();
    let sshd = Sshd::start(&scene.lab.srv);
    let mut session = sshd.session(&scene.lab.friend, scene.lab.srv.v4);

    drop(
        scene
            .guard
            .guardctl(&["enable", "--iface", "eth0", "--force"])
            .ok(),
    );

    assert_eq!(
        scene.lab.friend.ask_tcp(scene.lab.srv.v4, 22),
        Answer::Silence
    );
    drop(scene.guard.guardctl(&FRIEND_RULE).ok());
    assert!(session.answers());
}

#[test]
fn no_change_of_the_policy_shuts_out_an_operator_unasked() {
    if !require::root() || !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let scene = Scene::new();
    let sshd = Sshd::start(&scene.lab.srv);
    drop(scene.guard.guardctl(&["allow", "http"]).ok());
    let rule = ["allow", "198.51.100.0/24", "22/tcp"];
    drop(scene.guard.guardctl(&rule).ok());
    drop(scene.guard.guardctl(&ENABLE).ok());
    let mut session = sshd.session(&scene.lab.friend, scene.lab.srv.v4);
    let cause = "you could not log in again from 198.51.100.10:";

    let commands: [&[&str]; 5] = [
        &["delete", "2"],
        &["rule", "disable", "2"],
        &["delete", "allow", "198.51.100.0/24", "22/tcp"],
        &["delete", "2", "--yes"],
        &["insert", "1", "deny", "from", "198.51.100.10"],
    ];
    for words in commands {
        scene.refuses(&[], words, 7, cause, "--force");
    }
    let policy = scene.guard.policy();
    scene.guard.write_policy("interfaces = [\"eth0\"]\n");
    scene.refuses(&[], &["reload"], 7, cause, "--force");
    scene.guard.write_policy(&policy);

    assert!(session.answers());
    drop(scene.guard.guardctl(&["delete", "1"]).ok());
    drop(scene.guard.guardctl(&["delete", "1", "--force"]).ok());
    assert_eq!(
        scene.lab.friend.ask_tcp(scene.lab.srv.v4, 22),
        Answer::Silence
    );
}

#[test]
fn the_session_that_the_environment_names_counts_too() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let enable = |scene: &Scene| -> Command {
        let mut command = scene.guard.command(&ENABLE);
        command.env("SSH_CONNECTION", "198.51.100.10 50000 192.0.2.1 22");
        command
    };
    let before = scene.guard.dump(&scene.lab.srv);

    let ran = finish(&mut enable(&scene), Duration::from_secs(20));

    let cause = "you could not log in again from 198.51.100.10: a new connection would be dropped \
                 (session 198.51.100.10:50000 -> 192.0.2.1:22)";
    assert_refusal(ran, 7, cause, "guardctl allow 198.51.100.10 22/tcp");
    assert_eq!(scene.guard.dump(&scene.lab.srv), before);
    drop(scene.guard.guardctl(&FRIEND_RULE).ok());
    drop(finish(&mut enable(&scene), Duration::from_secs(20)).ok());
}

#[test]
fn a_session_that_is_not_an_operators_holds_nothing_up() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let _echo = TcpEcho::start(&scene.lab.srv, 9000);
    let server = (scene.lab.srv.v4, 9000);
    let _stream = scene.lab.friend.run(|| TcpStream::connect(server).unwrap());

    drop(scene.guard.guardctl(&ENABLE).ok());
}

#[test]
fn a_session_that_a_process_above_serves_counts_whatever_its_name() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    for to in [scene.lab.srv.v4, scene.lab.srv.v6] {
        let listener = scene.lab.srv.run(|| TcpListener::bind((to, 9000)).unwrap());
        let _client = scene
            .lab
            .friend
            .run(|| TcpStream::connect((to, 9000)).unwrap());
        let (session, from) = listener.accept().unwrap();
        // A shell that serves one session, as inetd starts it; the listener is not among its files.
        let ran = scene
            .guard
            .command_behind(&["sh", "-c", "\"$@\"; exit $?", "sh"], &ENABLE)
            .stdin(Stdio::from(OwnedFd::from(session)))
            .output()
            .expect("guardctl starts");
        let printed = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(7), "{printed}");
        let cause = format!("you could not log in again from {}: ", from.ip());
        assert!(printed.contains(&cause), "{printed}");
    }
}

/// The server's second card, which guard is not on, and an address on its loopback interface; the friend reaches
/// both by the first card.
fn add_other_addresses(scene: &Scene) -> [IpAddr; 2] {
    let srv = &scene.lab.srv;
    srv.ip_batch(
        "link add eth1 type veth peer name eth1-other\n\
         addr add 10.77.0.1/24 dev eth1\n\
         link set eth1 up\n\
         link set eth1-other up\n\
         addr add 192.0.2.77/32 dev lo\n",
    );
    scene.lab.wan.ip("route add 10.77.0.0/24 via 192.0.2.1");
    ["192.0.2.77", "10.77.0.1"].map(|text| text.parse().expect("an address"))
}

#[test]
fn a_session_to_an_address_that_the_guarded_interface_does_not_have_counts() {
    if !require::root() || !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let scene = Scene::new();
    let addresses = add_other_addresses(&scene);
    let sshd = Sshd::start(&scene.lab.srv);
    drop(scene.guard.guardctl(&["allow", "22/tcp"]).ok());
    drop(scene.guard.guardctl(&ENABLE).ok());
    for address in addresses {
        let mut session = sshd.session(&scene.lab.friend, address);
        let cause = "(session 198.51.100.10:";

        let words = ["delete", "allow", "22/tcp"];
        scene.refuses(&[], &words, 7, cause, "--force");

        assert!(session.answers(), "{address}");
    }
}

#[test]
fn a_session_that_surely_comes_by_another_card_holds_nothing_up() {
    if !require::root() || !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let scene = Scene::new();
    let srv = &scene.lab.srv;
    let friend = &scene.lab.friend;
    srv.ip_batch(&format!(
        "link add eth1 type veth peer name eth1 netns {}\n\
         addr add 10.77.0.1/24 dev eth1\n\
         link set eth1 up\n",
        friend.name()
    ));
    friend.ip_batch("addr add 10.77.0.2/24 dev eth1\nlink set eth1 up\n");
    let sshd = Sshd::start(srv);
    let mut session = sshd.session(friend, "10.77.0.1".parse().expect("an address"));

    drop(scene.guard.guardctl(&ENABLE).ok());

    assert!(session.answers());
}

/// Runs `enable` with a terminal as its input, on which `answer` was typed; its exit code.
fn enable_on_a_terminal(scene: &Scene, answer: &str, more: &[&str]) -> Option<i32> {
    let (mut keyboard, terminal) = Terminal::pair();
    keyboard.write_all(answer.as_bytes()).expect("types");
    let words = [ENABLE.as_slice(), more].concat();
    let ran = scene
        .guard
        .command(&words)
        .env("SSH_CONNECTION", "198.51.100.10 50000 192.0.2.1 22")
        .stdin(Stdio::from(terminal))
        .output()
        .expect("guardctl starts");
    ran.status.code()
}

#[test]
fn a_person_at_a_terminal_is_asked() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let is_active = || scene.guard.guardctl(&["status", "--json"]).json()["active"] == true;

    assert_eq!(enable_on_a_terminal(&scene, "n\n", &[]), Some(7));
    assert_eq!(enable_on_a_terminal(&scene, "\n", &[]), Some(7));
    assert!(!is_active());
    assert_eq!(enable_on_a_terminal(&scene, "y\n", &[]), Some(0));
    assert!(is_active());
    drop(scene.guard.guardctl(&["disable"]).ok());
    assert_eq!(enable_on_a_terminal(&scene, "", &["--yes"]), Some(0));
    assert!(is_active());
}

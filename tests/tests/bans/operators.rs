//! Nobody is banned unasked where somebody is logged in from, whoever gives the command and by whatever way.

use std::{fs, net::TcpStream};

use guard_tests::{lab::Sshd, require};

use super::scene::Scene;

const POLICY: &str = "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = [22, 7000]\n\n\
                      [[feed]]\nname = \"drop\"\nfile = \"drop.txt\"\n";

#[test]
fn the_address_of_every_operator_is_left_out_of_bans_lists_and_feeds() {
    if !require::root() || !require::programs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let Some(scene) = Scene::with(POLICY) else {
        return;
    };
    let sshd = Sshd::start(&scene.lab.srv);
    // The command is not given in it: as from tmux, or by another operator.
    let mut sessions = [scene.lab.srv.v4, scene.lab.srv.v6].map(|to| {
        let session = sshd.session(&scene.lab.friend, to);
        (session, to)
    });
    let why = "where somebody is logged in from";
    for source in ["198.51.100.10", "198.51.100.0/24", "2001:db8:100::10"] {
        let _ = scene.guardctl(&["ban", source]).exit(7).says(why);
    }
    let list = "198.51.100.10\n198.51.100.99\n";
    let (code, said) = scene.guardctl_reads(&["bans", "import", "-"], list);
    assert_eq!(code, Some(8), "{said}");
    assert!(said.contains(why), "{said}");
    fs::write(
        scene.guard.etc().join("drop.txt"),
        "198.51.100.0/24\n198.18.0.1\n",
    )
    .expect("written");
    let _ = scene.guardctl(&["feeds", "reload"]).ok().says(why);
    assert_eq!(scene.sources(), ["198.18.0.1", "198.51.100.99"]);
    for (session, to) in &mut sessions {
        assert!(session.answers(), "{to}");
    }
    let _ = scene.guardctl(&["ban", "198.51.100.10", "--force"]).ok();
    let [(session, _), _] = &mut sessions;
    assert!(!session.answers(), "the operator wanted it");
}

#[test]
fn who_only_tries_to_log_in_can_be_banned() {
    if !require::root() || !require::programs(&["sshd", "ssh-keygen"]) {
        return;
    }
    let Some(scene) = Scene::with(POLICY) else {
        return;
    };
    let _sshd = Sshd::start(&scene.lab.srv);
    let connect = || TcpStream::connect((scene.lab.srv.v4, 22)).expect("a connection");
    let mut stream = scene.lab.attacker.run(connect);
    let mut greeting = [0; 4];
    std::io::Read::read_exact(&mut stream, &mut greeting).expect("a greeting");
    assert_eq!(&greeting, b"SSH-");

    let _ = scene.guardctl(&["ban", "203.0.113.66"]).ok();
}

#[test]
fn an_own_address_on_the_loopback_interface_cannot_be_banned() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    scene.lab.srv.ip("addr add 192.0.2.77/32 dev lo");
    scene.lab.srv.ip("addr add 2001:db8:77::1/128 dev lo");
    for source in ["192.0.2.77", "192.0.2.76/30", "2001:db8:77::1"] {
        let ran = scene.guardctl(&["ban", source, "--force"]).exit(7);
        let _ = ran.says("an address of this host");
    }
}

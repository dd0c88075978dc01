//! A34, on this host: what others ban is dropped here, as far as this host's operator wants it, whoever hands it over.

mod own;
mod policy;
mod scene;

use guard_user::control::{
    Request, Response,
    fleet::{CROWDSEC, LIFT, MOST_RECORDS},
};
use scene::{ID, Scene, both, record};

#[test]
fn whom_a_member_bans_is_dropped_until_it_lifts_him_and_over_a_restart() {
    let Some(mut scene) = Scene::joined() else {
        return;
    };
    scene.assert_reaches(&scene.lab.attacker, true);
    let taken = scene.hand_over(both("web/a", &scene.lab.attacker, 600));
    assert_eq!((taken.taken, taken.refused), (2, 0));
    scene.assert_reaches(&scene.lab.attacker, false);
    scene.assert_reaches(&scene.lab.friend, true);
    let listed = scene.guard.guardctl(&["fleet", "bans"]).ok();
    drop(listed.says("fleet web/a").says("jail sshd: 5 failures"));
    // Another member bans him too, and one of the two lifts.
    scene.hand_over(both("web/b", &scene.lab.attacker, 900));
    scene.hand_over(both("web/a", &scene.lab.attacker, 0));
    scene.assert_reaches(&scene.lab.attacker, false);
    scene.restart();
    scene.assert_reaches(&scene.lab.attacker, false);
    scene.hand_over(both("web/b", &scene.lab.attacker, 900));
    scene.hand_over(both("web/b", &scene.lab.attacker, 0));
    scene.assert_reaches(&scene.lab.attacker, true);
    assert!(scene.guard.banned().is_empty());
}

#[test]
fn what_must_not_be_banned_is_not_whoever_says_so() {
    let Some(scene) = Scene::joined() else {
        return;
    };
    let (srv, friend) = (&scene.lab.srv, &scene.lab.friend);
    let never = [
        srv.v4.to_string(),
        srv.v6.to_string(),
        "20.30.40.5".to_owned(),
        "20.30.40.0/24".to_owned(),
        "127.0.0.1".to_owned(),
        "fe80::1".to_owned(),
        "0.0.0.0/0".to_owned(),
        "::/0".to_owned(),
        "10.0.0.0/8".to_owned(),
        "198.51.100.0/23".to_owned(),
        "2001:db8::/47".to_owned(),
        "attacker".to_owned(),
        String::new(),
        format!("{}/24", friend.v4),
    ];
    let records = never.iter().map(|prefix| record("web/a", prefix, 600));
    let taken = scene.hand_over(records.collect());
    assert_eq!(taken.refused as usize, never.len(), "{taken:?}");
    for by in [
        "web/srv",
        "web",
        "",
        CROWDSEC,
        "../etc",
        "WEB/A",
        "jail sshd",
    ] {
        let taken = scene.hand_over(both(by, &scene.lab.attacker, 600));
        assert_eq!(taken.refused, 2, "{by}");
    }
    assert!(scene.guard.banned().is_empty());
    scene.assert_reaches(friend, true);
    // A reason is text of a stranger.
    let mut forged = record("web/a", "198.51.100.7", 600);
    forged.reason = "\u{1b}[2J\nroot: all is well".to_owned();
    scene.hand_over(vec![forged]);
    let listed = scene.guard.guardctl(&["bans"]).ok();
    drop(listed.says("?[2J?root: all is well"));
}

#[test]
fn a_member_that_floods_is_slowed_down_and_one_that_bans_networks_is_quarantined() {
    let Some(mut scene) = Scene::joined() else {
        return;
    };
    let many = |by: &str, from: u32| {
        let prefix = |n: u32| std::net::Ipv4Addr::from(0x0b00_0000 + from + n);
        (0..MOST_RECORDS as u32)
            .map(|n| record(by, prefix(n), 600))
            .collect::<Vec<_>>()
    };
    let mut taken = (0, 0);
    for part in 0..10 {
        let answer = scene.hand_over(many("web/a", part * 1000));
        taken.0 += answer.taken;
        taken.1 += answer.later.len();
    }
    // Its thousand, and fifty for each second that this took.
    assert!((1000..1900).contains(&taken.0), "{taken:?}");
    assert!(taken.1 > 100, "{taken:?}");
    let wide = vec![record("web/b", "20.0.0.0/8", 600); 10];
    scene.hand_over(both("web/b", &scene.lab.attacker, 600));
    scene.hand_over(wide);
    let taken = scene.hand_over(vec![record("web/b", "198.51.100.9", 600)]);
    assert_eq!(taken.refused, 1);
    let status = scene.guard.guardctl(&["fleet", "status"]).exit(8);
    drop(status.says("QUARANTINED: bans networks that are too wide"));
    scene.daemon.says("web/b is quarantined");
    // What it banned before stays, until an operator says otherwise; and it stays so over a restart.
    scene.assert_reaches(&scene.lab.attacker, false);
    scene.restart();
    let taken = scene.hand_over(vec![record("web/b", "198.51.100.9", 600)]);
    assert_eq!(taken.refused, 1);
    drop(scene.guard.guardctl(&["fleet", "quarantine", "web/b"]).ok());
    scene.assert_reaches(&scene.lab.attacker, true);
    let end = ["fleet", "quarantine", "web/b", "--end"];
    drop(scene.guard.guardctl(&end).ok());
    drop(
        scene
            .guard
            .guardctl(&end)
            .exit(6)
            .says("is not quarantined"),
    );
    let taken = scene.hand_over(both("web/b", &scene.lab.attacker, 600));
    assert_eq!(taken.taken, 2);
    let wrong = ["fleet", "quarantine", "everybody"];
    drop(scene.guard.guardctl(&wrong).exit(1).says("GROUP/HOST"));
}

#[test]
fn a_quorum_bans_together_and_whoever_is_watched_bans_nobody() {
    let Some(scene) = Scene::joined() else {
        return;
    };
    let attacker = &scene.lab.attacker;
    let taken = scene.hand_over(both("db/a", attacker, 600));
    assert_eq!((taken.taken, taken.noted), (0, 2));
    scene.hand_over(both("db/a", attacker, 600));
    scene.hand_over(both("mail/a", attacker, 600));
    scene.assert_reaches(attacker, true);
    let taken = scene.hand_over(both("db/b", attacker, 600));
    assert_eq!(taken.taken, 2);
    scene.assert_reaches(attacker, false);
    assert_eq!(
        scene.guard.banned().len(),
        4,
        "of both members, both families"
    );
    let view = scene.view();
    let of = |name: &str| {
        let member = view.members.iter().find(|member| member.member == name);
        let member = member.expect("listed");
        (member.trust.clone(), member.in_force, member.noted)
    };
    assert_eq!(of("db/a"), ("quorum 2".to_owned(), 2, 0));
    assert_eq!(of("mail/a"), ("watch".to_owned(), 0, 2));
}

#[test]
fn an_operator_of_this_host_and_one_of_the_fleet_have_the_last_word() {
    let Some(mut scene) = Scene::joined() else {
        return;
    };
    scene.hand_over(both("web/a", &scene.lab.attacker, 600));
    scene.hand_over(both("web/b", &scene.lab.attacker, 600));
    let (v4, v6) = (
        scene.lab.attacker.v4.to_string(),
        scene.lab.attacker.v6.to_string(),
    );
    drop(scene.guard.guardctl(&["unban", &v4, &v6]).ok());
    scene.assert_reaches(&scene.lab.attacker, true);
    // The same word changes nothing, nor after a restart; another ban does.
    scene.hand_over(both("web/a", &scene.lab.attacker, 600));
    scene.assert_reaches(&scene.lab.attacker, true);
    scene.restart();
    let taken = scene.hand_over(both("web/a", &scene.lab.attacker, 600));
    scene.assert_reaches(&scene.lab.attacker, true);
    assert!(scene.guard.banned().is_empty(), "{taken:?}");
    let said = both("", &scene.lab.attacker, 600);
    let again = |by: &str, id: u64| {
        let mut records = said.clone();
        for record in &mut records {
            record.by = by.to_owned();
            record.id = id;
        }
        records
    };
    scene.hand_over(again("web/a", ID + 1));
    scene.assert_reaches(&scene.lab.attacker, false);
    // A lift of the fleet reaches also what this host banned itself, once.
    drop(scene.guard.guardctl(&["ban", &v4, &v6, "--for", "1h"]).ok());
    let lift = again(LIFT, 1);
    scene.hand_over(lift.clone());
    scene.assert_reaches(&scene.lab.attacker, true);
    scene.hand_over(again("web/a", ID + 1));
    scene.assert_reaches(&scene.lab.attacker, true);
    drop(scene.guard.guardctl(&["ban", &v4, &v6, "--for", "1h"]).ok());
    scene.restart();
    scene.hand_over(again(LIFT, 1));
    scene.assert_reaches(&scene.lab.attacker, false);
}

#[test]
fn only_root_and_guard_fleet_may_speak_for_the_fleet_and_nobody_says_too_much() {
    let Some(scene) = Scene::joined() else {
        return;
    };
    let records = vec![record("web/a", "198.51.100.9", 600); MOST_RECORDS + 1];
    let answer = scene.ask(Request::FleetRecords { records });
    assert!(
        matches!(answer, Response::Failed { exit: 2, .. }),
        "{answer:?}"
    );
    // Somebody else's process, should the socket be there for all.
    let socket = scene.guard.run().join("control");
    let text = "import socket,struct,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
         b=b'{\"verb\":\"fleet-records\",\"records\":[]}'\ns.send(struct.pack('>I',len(b))+b)\n\
         print(s.recv(4096))";
    std::fs::set_permissions(&socket, std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .expect("the mode");
    let ran = std::process::Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .args(["/usr/bin/python3", "-c", text])
        .arg(&socket)
        .output()
        .expect("setpriv");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(said.contains("only root may ask this"), "{said} {ran:?}");
    // Nothing is joined any more: nothing is taken.
    drop(scene.guard.guardctl(&["fleet", "leave"]).ok());
    let records = both("web/a", &scene.lab.attacker, 600);
    let answer = scene.ask(Request::FleetRecords { records });
    assert!(
        matches!(answer, Response::Failed { exit: 6, .. }),
        "{answer:?}"
    );
    drop(scene.guard.guardctl(&["fleet", "status"]).ok());
}

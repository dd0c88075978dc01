//! What a ban does to packets, and when it ends.

use std::time::{Duration, Instant};

use guard_tests::lab::{Conversation, within};

use super::scene::Scene;

#[test]
fn a_ban_of_five_seconds_ends_by_itself_with_no_process_alive() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    for (attacker, srv) in scene.families() {
        scene.comes_through(srv);
        let started = Instant::now();
        let _ = scene
            .guardctl(&["ban", &attacker.to_string(), "--for", "5s"])
            .ok();
        let banned = Instant::now();
        assert!(!scene.gets_through(srv), "{attacker} is not shut out");
        let free = within(Duration::from_secs(10), || {
            scene.gets_through(srv).then(Instant::now)
        });
        let free = free.expect("the ban ended");
        assert!(
            free - banned > Duration::from_secs(4) && free - started < Duration::from_secs(6),
            "{attacker}: ended {:?} after the command",
            free - banned
        );
        println!("{attacker}: 5 s lasted {:?}", free - started);
    }
    assert!(scene.guard.counted().reason("banned") > 0);
    assert_eq!(scene.sources(), [""; 0], "what is over is not listed");
}

#[test]
fn the_longest_ban_wins_and_lifting_is_immediate() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    for (attacker, srv) in scene.families() {
        let attacker = attacker.to_string();
        let _ = scene.guardctl(&["ban", &attacker, "--for", "1h"]).ok();
        let ran = scene.guardctl(&["ban", &attacker, "--for", "1s"]).ok();
        let _ = ran.says("at least as long");
        // The second that the shorter one asks for.
        let soon = within(Duration::from_millis(1500), || {
            scene.gets_through(srv).then_some(())
        });
        assert!(soon.is_none(), "the shorter ban counted");
        let lifted = scene.guardctl(&["unban", &attacker]).ok();
        assert!(scene.gets_through(srv), "{lifted}");
        let _ = scene
            .guardctl(&["unban", &attacker])
            .exit(6)
            .says("not banned");
    }
}

#[test]
fn a_ban_cuts_what_goes_on_and_its_end_lets_it_go_on() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    for (attacker, srv) in scene.families() {
        let mut talks = [Conversation::tcp(
            "attacker",
            scene.connection(&scene.lab.attacker, srv),
            1000,
        )];
        Conversation::assert_go_on(&mut talks);
        let _ = scene
            .guardctl(&["ban", &attacker.to_string(), "--for", "1h"])
            .ok();
        let before = scene.guard.counted().reason("banned");
        let cut = within(Duration::from_secs(10), || {
            (scene.guard.counted().reason("banned") > before).then_some(())
        });
        assert!(cut.is_some(), "no segment of {attacker} was dropped");
        let _ = scene.guardctl(&["unban", &attacker.to_string()]).ok();
        Conversation::assert_go_on(&mut talks);
        for talk in talks {
            let report = talk.stop();
            assert!(report.failure.is_none(), "{report:?}");
        }
    }
}

#[test]
fn the_never_list_wins_over_every_ban() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    for (attacker, srv) in scene.families() {
        let text = attacker.to_string();
        let _ = scene.guardctl(&["ban", &text]).ok();
        assert!(!scene.gets_through(srv));
        let _ = scene.guardctl(&["never", "add", &text]).ok();
        assert!(scene.gets_through(srv), "{text} is on the never list");
        let _ = scene.guardctl(&["ban", &text]).exit(7).says("never list");
        // A network around it may be banned, and it gets through all the same.
        let around = if attacker.is_ipv4() {
            "203.0.113.0/24"
        } else {
            "2001:db8:66::/48"
        };
        let _ = scene.guardctl(&["ban", around]).ok().says("never list");
        assert!(scene.gets_through(srv));
        let _ = scene.guardctl(&["never", "del", &text]).ok();
        assert!(!scene.gets_through(srv), "the bans are still there");
        let _ = scene.guardctl(&["unban", "--all"]).ok();
        assert!(scene.gets_through(srv));
    }
}

#[test]
fn an_ipv6_address_is_banned_with_its_network_and_alone_when_asked() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let srv = scene.lab.srv.v6;
    let _ = scene
        .guardctl(&["ban", "2001:db8:66::1234"])
        .ok()
        .says("/64");
    assert_eq!(scene.sources(), ["2001:db8:66::/64"]);
    assert!(!scene.gets_through(srv), "a neighbour in the /64");
    let _ = scene.guardctl(&["unban", "2001:db8:66::1234"]).ok();
    assert!(scene.gets_through(srv));

    let _ = scene.guardctl(&["ban", "2001:db8:66::1234/128"]).ok();
    assert!(scene.gets_through(srv), "a neighbour");
    let _ = scene.guardctl(&["ban", "2001:db8:66::66/128"]).ok();
    assert!(!scene.gets_through(srv));
    let _ = scene.guardctl(&["unban", "2001:db8:66::66/128"]).ok();
    assert!(scene.gets_through(srv));
    assert_eq!(scene.sources(), ["2001:db8:66::1234/128"]);
}

#[test]
fn nested_bans_are_lifted_one_by_one() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    for (networks, srv) in [
        (
            [
                "203.0.0.0/16",
                "203.0.113.0/24",
                "203.0.113.64/26",
                "203.0.113.66",
            ],
            scene.lab.srv.v4,
        ),
        (
            [
                "2001:db8::/32",
                "2001:db8:66::/48",
                "2001:db8:66::/64",
                "2001:db8:66::66/128",
            ],
            scene.lab.srv.v6,
        ),
    ] {
        // 2001:db8::/32 holds the server itself.
        let networks = networks.into_iter().filter(|net| *net != "2001:db8::/32");
        let networks: Vec<&str> = networks.collect();
        for network in &networks {
            let _ = scene.guardctl(&["ban", network]).ok();
        }
        for (index, network) in networks.iter().enumerate() {
            assert!(!scene.gets_through(srv), "{network} is still banned");
            let ran = scene.guardctl(&["unban", network]).ok();
            if index + 1 == networks.len() {
                assert!(scene.gets_through(srv), "{ran}");
            }
        }
    }
}

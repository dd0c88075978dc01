//! What fail2ban bans and lifts, guard does, however often it is said.

use std::time::Duration;

use guard_tests::lab::within;

use super::scene::Scene;

#[test]
fn whoever_fails_five_times_is_dropped_and_nobody_else() {
    let Some(scene) = Scene::new("bantime = 10m", "") else {
        return;
    };
    for (attacker, friend, srv) in scene.families() {
        assert!(scene.gets_through(srv), "{srv}");
        scene.fails(friend, 4);
        scene.fails(attacker, 5);
        scene.attacker_is(false, srv);
        assert!(scene.friend_gets_through(srv), "{srv}");
    }

    assert_eq!(scene.sources(), ["203.0.113.66", "2001:db8:66::/64"]);
    for ban in scene.bans() {
        let left = ban["seconds_left"].as_u64().expect("a time");
        assert!((580..=600).contains(&left), "{ban}");
        assert_eq!(ban["origin"], "jail fail2ban:sshd");
        assert_eq!(ban["reason"], "5 failures");
    }
    for (attacker, _, srv) in scene.families() {
        let _ = scene
            .fail2ban
            .ask(&["set", "sshd", "unbanip", &attacker.to_string()])
            .ok();
        scene.attacker_is(true, srv);
    }
    assert_eq!(scene.sources(), [""; 0]);
    scene.no_complaint();
}

#[test]
fn what_is_banned_or_lifted_already_is_no_error() {
    let Some(scene) = Scene::new("bantime = 10m", ", ipv6=\"/128\"") else {
        return;
    };
    for (attacker, _, srv) in scene.families() {
        let who = attacker.to_string();
        let alone = if attacker.is_ipv6() {
            format!("{who}/128")
        } else {
            who.clone()
        };
        // The operator was first, and for longer.
        let _ = scene.guardctl(&["ban", &alone, "--for", "1d"]).ok();
        let _ = scene.fail2ban.ask(&["set", "sshd", "banip", &who]).ok();
        scene.logged(&format!("[sshd] Ban {who}"), 1);
        scene.attacker_is(false, srv);
        assert_eq!(scene.sources(), [alone.clone(), alone.clone()]);

        // fail2ban lifts its own ban, and no other.
        let _ = scene.fail2ban.ask(&["set", "sshd", "unbanip", &who]).ok();
        scene.logged(&format!("[sshd] Unban {who}"), 1);
        let one = within(Duration::from_secs(10), || {
            (scene.sources() == [alone.clone()]).then_some(())
        });
        assert!(one.is_some(), "{:?}", scene.bans());
        scene.attacker_is(false, srv);

        // The operator lifts what fail2ban lifts afterwards.
        let _ = scene.fail2ban.ask(&["set", "sshd", "banip", &who]).ok();
        scene.logged(&format!("[sshd] Ban {who}"), 2);
        let _ = scene.guardctl(&["unban", &alone]).ok();
        let _ = scene.fail2ban.ask(&["set", "sshd", "unbanip", &who]).ok();
        scene.logged(&format!("[sshd] Unban {who}"), 2);
        scene.attacker_is(true, srv);
    }
    scene.no_complaint();
}

#[test]
fn a_ban_that_is_over_lifts_no_longer_one() {
    // fail2ban looks at a log every few seconds, and leaves a ban out that would be over by then.
    let Some(scene) = Scene::new("bantime = 15", "") else {
        return;
    };
    let [(attacker, _, srv), (attacker6, _, srv6)] = scene.families();
    scene.fails(attacker, 5);
    scene.fails(attacker6, 5);
    scene.logged("Ban ", 2);
    let _ = scene
        .guardctl(&["ban", &attacker.to_string(), "--for", "1d"])
        .ok();

    scene.logged("Unban ", 2);

    // fail2ban's own ban is over without a command.
    scene.attacker_is(true, srv6);
    assert!(!scene.gets_through(srv));
    assert_eq!(scene.sources(), [attacker.to_string()]);
    scene.no_complaint();
}

#[test]
fn a_restart_bans_again_for_what_is_left() {
    let Some(mut scene) = Scene::new("bantime = 60", "") else {
        return;
    };
    let families = scene.families();
    for (attacker, _, srv) in families {
        scene.fails(attacker, 5);
        scene.attacker_is(false, srv);
    }
    let left = |scene: &Scene| -> Vec<u64> {
        let bans = scene.bans();
        let left = bans.iter().map(|ban| ban["seconds_left"].as_u64());
        left.map(|left| left.expect("a time")).collect()
    };
    // Long enough for a whole second ban to be told from the rest of the first.
    let waited = within(Duration::from_secs(20), || {
        left(&scene).iter().all(|left| *left < 55).then_some(())
    });
    assert!(waited.is_some());

    scene.fail2ban.stop();
    for (_, _, srv) in families {
        scene.attacker_is(true, srv);
    }
    scene.start();
    for (_, _, srv) in families {
        scene.attacker_is(false, srv);
    }

    let left = left(&scene);
    assert!(
        left.len() == 2 && left.iter().all(|left| *left < 55),
        "{left:?}"
    );
    scene.logged("Restore Ban ", 2);
    scene.no_complaint();
}

#[test]
fn a_ban_without_end_is_permanent_until_it_is_lifted() {
    let Some(scene) = Scene::new("bantime = -1", "") else {
        return;
    };
    for (attacker, _, srv) in scene.families() {
        scene.fails(attacker, 5);
        scene.attacker_is(false, srv);
    }
    assert!(scene.bans().iter().all(|ban| ban["permanent"] == true));

    let _ = scene.fail2ban.ask(&["unban", "--all"]).ok();

    for (_, _, srv) in scene.families() {
        scene.attacker_is(true, srv);
    }
    scene.no_complaint();
}

#[test]
fn bans_made_while_guard_is_off_hold_when_it_is_on() {
    let Some(scene) = Scene::new("bantime = 10m", "") else {
        return;
    };
    let _ = scene.guardctl(&["disable"]).ok();
    for (attacker, _, srv) in scene.families() {
        scene.fails(attacker, 5);
        scene.logged(&format!("[sshd] Ban {attacker}"), 1);
        assert!(scene.gets_through(srv));
    }
    let listed = within(Duration::from_secs(10), || {
        (scene.sources().len() == 2).then_some(())
    });
    assert!(listed.is_some(), "{}", scene.fail2ban.log());

    let _ = scene.guardctl(&["enable"]).ok();

    for (_, friend_of, srv) in scene.families() {
        assert!(!scene.gets_through(srv), "{friend_of}");
        assert!(scene.friend_gets_through(srv));
    }
    scene.no_complaint();
}

#[test]
fn commands_of_many_jails_at_once_all_succeed() {
    let Some(scene) = Scene::new("bantime = 10m", "") else {
        return;
    };
    std::thread::scope(|scope| {
        for jail in 0..6 {
            let scene = &scene;
            scope.spawn(move || {
                for host in 1..=15 {
                    let source = format!("198.18.{jail}.{host}");
                    let _ = scene.guardctl(&["ban", &source, "--for=600"]).ok();
                    let _ = scene.guardctl(&["bans", "list"]).ok();
                    let _ = scene.guardctl(&["unban", &source]).ok();
                }
            });
        }
    });
    assert_eq!(scene.sources(), [""; 0]);
}

//! A15: whatever happens to an interface, a second after it is there it is protected; and as long as
//! it is not, `status` says so and the daemon tells.

mod clsact;
mod mode;
mod pulse;
mod scene;

use std::{
    fs,
    time::{Duration, Instant},
};

use guard_common::abi::ABI_VERSION;
use guard_tests::{
    lab::{Answer, UdpEcho, Wire, finish, until},
    require,
};
use guard_user::layout::pin_folder;
use pulse::Pulse;
use scene::{CLOSED, ON_ETH0, Scene};

/// From the moment at which an interface is there.
const HEALED: Duration = Duration::from_secs(1);

#[test]
fn an_interface_made_anew_is_protected_within_a_second() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    for to in [scene.lab.srv.v4, scene.lab.srv.v6] {
        scene.lab.srv.ip("link del eth0");
        scene
            .daemon
            .says("eth0: unprotected: there is no such interface");
        let status = scene.guard.guardctl(&["status"]).exit(8);
        drop(status.says("eth0 UNPROTECTED"));

        let pulse = Pulse::start(&scene.lab.attacker, to, CLOSED);
        let there = Instant::now();
        scene.lab.make_server_interface();
        until("the status to be right again", || {
            scene.guard.guardctl(&["status"]).code == Some(0)
        });
        scene.assert_filters();

        let last = pulse.stop().last().copied();
        let open_for = last.map_or(Duration::ZERO, |last| last.duration_since(there));
        println!("{to}: the closed port answered for {open_for:?}");
        assert!(open_for < HEALED, "{open_for:?}");
        scene.daemon.says("eth0: protected again after");
        drop(scene.guard.guardctl(&["daemon", "--status"]).ok());
    }
}

/// What the daemon is for: without it, an interface that is made anew is open.
#[test]
fn without_the_daemon_an_interface_made_anew_is_open_and_the_status_says_so() {
    if !require::root() {
        return;
    }
    let Scene {
        daemon,
        guard,
        echoes: _echoes,
        lab,
    } = Scene::new();
    drop(daemon);
    let pulse = Pulse::start(&lab.attacker, lab.srv.v4, CLOSED);

    lab.replace_server_interface();

    until("an answer of the closed port", || pulse.has_heard());
    drop(guard.guardctl(&["status"]).exit(8).says("eth0 UNPROTECTED"));
}

#[test]
fn an_interface_made_anew_before_anybody_looks_is_protected_within_a_second() {
    if !require::root() {
        return;
    }
    const TIMES: usize = 5;
    let scene = Scene::new();
    for time in 0..TIMES {
        let pulse = Pulse::start(&scene.lab.attacker, scene.lab.srv.v4, CLOSED);
        let there = Instant::now();
        scene.lab.replace_server_interface();
        let again = "protected again after";
        until("the event", || {
            scene.daemon.said().matches(again).count() > time
        });
        let took = there.elapsed();
        scene.assert_filters();
        let last = pulse.stop().last().copied();
        let open_for = last.map_or(Duration::ZERO, |last| last.duration_since(there));
        println!("told after {took:?}, the closed port answered for {open_for:?}");
        assert!(took < HEALED && open_for < HEALED);
    }
    // A rule for the interface means the new one of that name.
    for to in [scene.lab.srv.v4, scene.lab.srv.v6] {
        until(
            &format!("the rule for eth0 to mean the new one, {to}"),
            || scene.lab.friend.ask_udp(to, ON_ETH0) == Answer::Echo,
        );
    }
}

#[test]
fn a_flap_and_a_change_of_the_mtu_open_nothing() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    for to in [scene.lab.srv.v4, scene.lab.srv.v6] {
        let pulse = Pulse::start(&scene.lab.attacker, to, CLOSED);
        scene.lab.srv.ip("link set eth0 mtu 1400");
        scene.assert_filters();
        drop(scene.guard.guardctl(&["status"]).ok());
        scene.lab.srv.ip("link set eth0 mtu 1500");
        scene.lab.srv.ip("link set eth0 down");
        drop(scene.guard.guardctl(&["status"]).ok().says("eth0 (native)"));
        let mut off = scene.lab.srv.command("ip");
        let refused = off
            .args(["link", "set", "dev", "eth0", "xdp", "off"])
            .output();
        assert!(!refused.expect("ip").status.success());
        scene.up("eth0");
        scene.assert_filters();
        drop(scene.guard.guardctl(&["status"]).ok());
        assert_eq!(pulse.stop(), [], "answers of a closed port");
    }
    assert!(!scene.daemon.said().contains("unprotected"));
}

#[test]
fn a_renamed_interface_stays_protected_under_its_new_name() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let pulse = Pulse::start(&scene.lab.attacker, scene.lab.srv.v4, CLOSED);

    scene.rename("eth0", "wan0");

    scene
        .daemon
        .says("eth0 is called wan0 now, and stays protected");
    let status = scene.guard.guardctl(&["status"]).ok();
    drop(
        status
            .says("Interface: wan0 (")
            .says("`guardctl enable --iface wan0`"),
    );
    scene.assert_filters();

    scene.rename("wan0", "eth0");

    scene
        .daemon
        .says("wan0 is called eth0 now, and stays protected");
    drop(scene.guard.guardctl(&["status"]).ok());
    scene.assert_filters();
    assert_eq!(pulse.stop(), [], "answers of a closed port");
}

#[test]
fn an_interface_that_takes_the_name_is_protected_within_a_second() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    scene.rename("eth0", "old0");
    scene.daemon.says("eth0 is called old0 now");
    scene.lab.srv.ip("link add new0 type veth peer name new1");
    drop(scene.guard.guardctl(&["status"]).ok().says("old0 ("));

    let there = Instant::now();
    scene.lab.srv.ip("link set new0 name eth0");

    until("the new eth0 to be protected", || {
        let status = scene.guard.guardctl(&["status"]);
        status.code == Some(0) && status.stdout.contains("Interface: eth0 (")
    });
    assert!(there.elapsed() < HEALED, "{:?}", there.elapsed());
    let link = scene.lab.srv.ip("-d link show dev eth0");
    assert!(link.contains("prog/xdp"), "{link}");
    let old = scene.lab.srv.ip("-d link show dev old0");
    assert!(
        old.contains("prog/xdp"),
        "never taken off in silence: {old}"
    );
    scene
        .daemon
        .says("old0: runs the program, but the policy does not name it");
    assert!(!scene.daemon.said().contains("old0 is called"));
}

#[test]
fn a_new_address_of_our_own_is_no_source_for_others_within_a_second() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let generation = || {
        let status = scene.guard.guardctl(&["status", "--json"]).json();
        status["generation"].clone()
    };
    let before = generation();
    let wire = Wire::open(&scene.lab.wan, "srv");
    for (address, prefix) in [("192.0.2.77", "24"), ("2001:db8:2::77", "64")] {
        let frame = scene.frame_from(address);
        let is_dropped = || {
            let before = scene.guard.counted().reason("own-source");
            assert_eq!(wire.send(std::slice::from_ref(&frame)), 1);
            scene.guard.counted().reason("own-source") > before
        };
        assert!(!is_dropped(), "{address} is somebody else's");

        let added = Instant::now();
        scene
            .lab
            .srv
            .ip(&format!("addr add {address}/{prefix} dev eth0"));

        until(&format!("{address} to be ours"), is_dropped);
        assert!(added.elapsed() < HEALED, "{:?}", added.elapsed());
        scene
            .lab
            .srv
            .ip(&format!("addr del {address}/{prefix} dev eth0"));
        until(&format!("{address} to be anybody's"), || !is_dropped());
    }
    assert_eq!(generation(), before, "it is the same policy");
    drop(scene.guard.guardctl(&["status"]).ok());
    scene.assert_filters();
}

#[test]
fn nothing_is_renewed_while_the_files_are_not_what_is_in_force() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let policy = scene.guard.policy();
    scene.guard.write_policy(&policy.replace("1000", "3000"));

    scene.lab.replace_server_interface();
    scene.daemon.says("eth0: protected again after");

    scene.assert_filters();
    let status = scene.guard.guardctl(&["status"]).ok();
    drop(status.says("changed since they were applied"));
    assert!(
        !scene
            .daemon
            .said()
            .contains("addresses or interfaces changed")
    );
}

#[test]
fn a_link_that_somebody_took_away_comes_back() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let links = scene
        .guard
        .bpffs()
        .join(pin_folder(ABI_VERSION))
        .join("links");
    for pin in fs::read_dir(links).expect("pins").flatten() {
        fs::remove_file(pin.path()).expect("a pin");
    }
    let gone = Instant::now();

    scene
        .daemon
        .says("eth0: unprotected: it was recreated, or lost its program");

    scene.daemon.says("eth0: protected again after");
    // The daemon looks once a second, should nobody tell it.
    assert!(gone.elapsed() < 2 * HEALED, "{:?}", gone.elapsed());
    drop(scene.guard.guardctl(&["status"]).ok());
    scene.assert_filters();
}

#[test]
fn the_way_out_is_healed_within_two_seconds_when_somebody_deletes_the_qdisc() {
    if !require::root() || !require::program("tc") {
        return;
    }
    let scene = Scene::with_clsact();
    // Over both families, by conversations that are new.
    let answers = || {
        let echo = UdpEcho::start(&scene.lab.friend, CLOSED);
        let friend = &scene.lab.friend;
        let answers = [friend.v4, friend.v6].map(|to| scene.lab.srv.ask_udp(to, CLOSED));
        drop(echo);
        answers
    };
    let all = [Answer::Echo; 2];
    assert_eq!(answers(), all, "what the server asks is answered");
    let mut tc = scene.lab.srv.command("tc");
    tc.args(["qdisc", "del", "dev", "eth0", "clsact"]);

    drop(finish(&mut tc, Duration::from_secs(5)).ok());
    let gone = Instant::now();

    scene.daemon.says("eth0: the egress program was gone");
    assert!(gone.elapsed() < 2 * HEALED, "{:?}", gone.elapsed());
    assert_eq!(answers(), all);
    drop(scene.guard.guardctl(&["status"]).ok());
    scene.assert_filters();
}

#[test]
fn an_interface_that_gets_a_default_route_joins_and_none_leaves() {
    if !require::root() {
        return;
    }
    let scene = Scene::with_policy("");
    drop(scene.guard.guardctl(&["status"]).ok().says("eth0 (native)"));
    scene.lab.srv.ip_batch(
        "link add eth1 type veth peer name peer1\n\
         addr add 198.18.0.1/24 dev eth1\nlink set eth1 up\nlink set peer1 up\n",
    );

    scene
        .lab
        .srv
        .ip("route add default via 198.18.0.254 metric 500");

    scene.daemon.says("eth1: carries a default route");
    until("both interfaces in the status", || {
        let ran = scene.guard.guardctl(&["status"]);
        ran.code == Some(0) && ran.stdout.contains("eth0 (") && ran.stdout.contains("eth1 (")
    });
    scene.lab.srv.ip("route del default via 198.18.0.254");
    drop(scene.guard.guardctl(&["daemon", "--reconcile"]).ok());
    let link = scene.lab.srv.ip("-d link show dev eth1");
    assert!(link.contains("prog/xdp"), "{link}");
}

#[test]
fn an_interface_held_by_another_program_is_named_and_taken_when_it_is_free() {
    if !require::root() {
        return;
    }
    let scene = Scene::new();
    let other = guard_tests::lab::Instance::new(&scene.lab.srv);
    scene.lab.srv.ip("link del eth0");
    scene.daemon.says("eth0: unprotected");
    // Another instance of guard is as good a stranger as any.
    scene.lab.srv.ip("link add tmp0 type veth peer name tmp1");
    drop(other.guardctl(&["enable", "--iface", "tmp0"]).ok());
    scene.lab.srv.ip("link set tmp0 name eth0");

    scene.daemon.says("another XDP program is attached");
    drop(scene.guard.guardctl(&["status"]).exit(8));
    drop(scene.guard.guardctl(&["daemon", "--status"]).exit(8));

    drop(other.guardctl(&["disable"]).ok());
    scene.daemon.says("eth0: protected again after");
    drop(scene.guard.guardctl(&["status"]).ok());
}

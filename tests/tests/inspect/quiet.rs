//! Asking moves nothing: no counter, no flow, no file.

use serde_json::Value;

use super::scene::{Scene, over_v6};

/// The link itself: neighbours ask each other whenever they like, and `explain` never does.
const OF_THE_LINK: [&str; 4] = ["arp", "ndp", "mld", "igmp"];
const TIMES: usize = 5;

#[test]
fn fifty_questions_move_no_counter_no_flow_and_no_file() {
    let Some(scene) = Scene::new() else { return };
    let before = counted(&scene);
    let files = scene.guard.dump(&scene.lab.srv);

    for _ in 0..TIMES {
        for words in [
            "203.0.113.66 3000",
            "203.0.113.66 1000/udp",
            "198.51.100.10 4000 flags ack",
            "203.0.113.66 ping",
            "203.0.113.66 1000 flags none",
        ] {
            drop(scene.explain(words));
            drop(scene.explain(&over_v6(words)));
        }
    }

    assert_eq!(counted(&scene), before);
    assert_eq!(scene.guard.dump(&scene.lab.srv), files);
    // The counters do move when a packet comes.
    let answer = scene.lab.friend.ask_udp(scene.lab.srv.v4, 1000);
    assert_eq!(answer, guard_tests::lab::Answer::Echo);
    assert_ne!(counted(&scene), before);
}

/// `stats`, without what depends on the time and without the link's own traffic.
fn counted(scene: &Scene) -> [Value; 3] {
    let stats = scene.guard.guardctl(&["stats", "--json"]).ok().json();
    let mut reasons = stats["reasons"].clone();
    reasons
        .as_array_mut()
        .expect("reasons")
        .retain(|entry| !OF_THE_LINK.iter().any(|link| entry["reason"] == *link));
    let (ports, flows) = (stats["ports"].clone(), stats["flows"].clone());
    assert!(ports.is_array() && flows.is_object(), "{stats}");
    [reasons, ports, flows]
}

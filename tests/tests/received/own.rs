//! What this host banned itself, as guard-fleet is handed it.

use guard_user::control::fleet::OwnBans;

use super::scene::{Scene, both};

fn texts(own: &OwnBans) -> Vec<String> {
    let shown = own.bans.iter().map(|ban| match ban.left {
        Some(0) => format!("{} lifted", ban.prefix),
        Some(_) => format!("{} for a time: {}", ban.prefix, ban.reason),
        None => format!("{} for ever: {}", ban.prefix, ban.reason),
    });
    shown.collect()
}

#[test]
fn own_bans_are_handed_on_as_they_are_made_and_lifted_and_those_of_others_never() {
    let Some(scene) = Scene::joined() else {
        return;
    };
    let guardctl = |words: &[&str]| drop(scene.guard.guardctl(words).ok());
    guardctl(&["ban", "198.51.100.7", "--for", "1h", "--reason", "noisy"]);
    let note = scene.guard.run().join("bans.own");
    let first = std::fs::read_to_string(&note).expect("a note");
    scene.hand_over(both("web/a", &scene.lab.attacker, 600));
    let after = std::fs::read_to_string(&note).expect("a note");
    assert_eq!(first, after, "what others ban is no news for others");
    let own = scene.own(None);
    assert!(own.is_whole && own.next.is_none());
    assert_eq!(texts(&own), ["198.51.100.7 for a time: operator: noisy"]);
    guardctl(&["ban", "198.51.100.8", "--permanent"]);
    guardctl(&["unban", "198.51.100.7"]);
    let changed = scene.own(Some(own.mark));
    assert!(!changed.is_whole);
    assert_eq!(
        texts(&changed),
        ["198.51.100.8 for ever: operator: ", "198.51.100.7 lifted"]
    );
    assert_ne!(std::fs::read_to_string(&note).expect("a note"), after);
    let nothing = scene.own(Some(changed.mark));
    assert!(nothing.bans.is_empty());
}

//! A flood of our own making: every frame has another source, and every kind of frame occurs in both families.

use std::{env, time::Duration};

use guard_tests::lab::within;

use super::{
    flood::Forged,
    scene::{OPEN, SSH, Scene, assert_in_time},
};

/// Between two steps of a flood during which logins are timed: 100 000 frames a second. Who sends
/// them works on the very CPUs that the server needs, which no attacker does.
const PACE: Duration = Duration::from_micros(2_560);

/// How much there is: the short form is what CI runs.
struct Extent {
    /// As fast as the wire takes them.
    frames: u64,
    logins: usize,
    /// Of a hundred logins, within a second.
    percent: usize,
}

const SHORT: Extent = Extent {
    frames: 500_000,
    logins: 20,
    percent: 90,
};
/// With `GUARD_LONG=1`.
const LONG: Extent = Extent {
    frames: 5_000_000,
    logins: 100,
    percent: 99,
};

#[test]
fn a_flood_from_forged_sources_makes_no_flow_and_costs_no_session() {
    let Some(mut scene) = Scene::new(&[]) else {
        return;
    };
    let extent = if env::var_os("GUARD_LONG").is_some_and(|value| value == "1") {
        LONG
    } else {
        SHORT
    };
    let limit = scene.patience();

    let flood = Forged::start(&scene.lab, OPEN, SSH, Duration::ZERO);
    let all = within(Duration::from_secs(100), || {
        (flood.sent() >= extent.frames).then_some(())
    });
    assert!(all.is_some(), "only {} frames", flood.sent());
    scene.assert_lives();
    let at_full_speed = flood.sent();
    drop(flood);

    let flood = Forged::start(&scene.lab, OPEN, SSH, PACE);
    let logins: Vec<Option<Duration>> = (0..extent.logins)
        .map(|number| scene.login(number))
        .collect();
    scene.assert_lives();
    let sent = at_full_speed + flood.sent();
    drop(flood);

    println!("{sent} sent, {at_full_speed} of them at full speed");
    println!("logins: {logins:?}");
    let evaluated = scene.evaluated();
    assert!(
        evaluated > sent / 4,
        "the flood has not taken place: {evaluated}"
    );
    scene.assert_unharmed();
    assert_in_time(&logins, limit, extent.percent);
}

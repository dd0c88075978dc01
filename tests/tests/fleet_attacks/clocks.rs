//! Clocks that are wrong by a day: a ban ends everywhere so long after it was made, whatever time it is there.

use std::time::Instant;

use guard_tests::{
    lab::{FleetHost, NatsServer, until},
    require,
};

const DAY_S: i64 = 24 * 60 * 60;
const HOUR_S: u64 = 3600;

/// Seconds that are left of the only ban.
fn left(host: &FleetHost, source: &str) -> Option<u64> {
    let listed = host.guardctl(&["bans", "list", "--json"]).ok().json();
    let bans = listed["bans"].as_array().expect("bans");
    let ban = bans.iter().find(|ban| ban["source"] == source)?;
    ban["seconds_left"].as_u64()
}

#[test]
fn a_ban_ends_everywhere_at_the_same_time_whatever_the_clocks_say() {
    if !require::root() {
        return;
    }
    let Some(nats) = NatsServer::start(&["web/early", "web/right", "web/late"]) else {
        return;
    };
    let join = |name: &str, wrong_s| FleetHost::join_at(&nats, ("web", name), wrong_s);
    let (Some(early), Some(mut late)) = (join("early", DAY_S), join("late", -DAY_S)) else {
        return;
    };
    let right = FleetHost::join(&nats, "web", "right");
    let sources = ["11.0.0.1", "11.0.0.2", "11.0.0.3"];
    let began = Instant::now();
    for (host, source) in [&early, &right, &late].into_iter().zip(sources) {
        drop(host.guardctl(&["ban", source, "--for", "1h"]).ok());
    }
    let assert_left = |host: &FleetHost, when: &str| {
        for source in sources {
            until(&format!("{source} {when}"), || left(host, source).is_some());
            let left = left(host, source).expect("banned");
            let wanted = HOUR_S - began.elapsed().as_secs();
            assert!(
                left.abs_diff(wanted) <= 3,
                "{when}: {source}: {left}, not {wanted}"
            );
        }
    };
    for host in [&early, &right, &late] {
        assert_left(host, "as it was heard");
    }
    // Whoever comes later reads them out of the stream, by the server's clock.
    late.kill_fleet();
    late.restart_daemon();
    assert_left(&late, "after a restart");
    drop(late.guardctl(&["fleet", "quarantine", "web/right"]).ok());
    drop(
        late.guardctl(&["fleet", "quarantine", "web/right", "--end"])
            .ok(),
    );
    late.start_fleet();
    assert_left(&late, "as it was read");
}

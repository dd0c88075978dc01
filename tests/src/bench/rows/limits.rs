//! SYNs to a port with a limit per source.

use guard_common::{packet::TcpFlags, testing::packet};
use guard_user::ruleset::{
    limit::{Limit, Rate},
    model::RuleAction,
};

use super::{Before, Case, Draw, OPEN_PORT, STRANGERS, policy, rule};

/// Sources that are soon over their limit: each is let in once.
const OFFENDERS: Draw = Draw {
    sources: 10_000,
    first_source: 0x1000_0000,
    source_step: 4099,
    ports: 0,
    first_port: 0,
    is_paired: false,
};

/// The rows of this file.
#[must_use]
pub fn rows() -> Vec<Case> {
    let limited = |rate, burst| {
        let action = RuleAction::Limit(Limit {
            block: None,
            on_excess: None,
            rate,
            burst,
            ..Limit::default()
        });
        policy(1, |_| rule(action, Some(OPEN_PORT), Vec::new()))
    };
    let once_an_hour = Rate {
        count: 1,
        seconds: 3600,
    };
    let row = |packets, policy, draw, passes| Case {
        name: if passes {
            "limited port, below the limit"
        } else {
            "limited port, over the limit"
        },
        packets,
        policy,
        frame: packet().tcp(OPEN_PORT, TcpFlags::SYN).build(),
        draw,
        passes,
        before: Before::NOTHING,
    };
    vec![
        row("fixed", limited(once_an_hour, 1), Draw::default(), false),
        row(
            "random source of 10 000",
            limited(once_an_hour, 1),
            OFFENDERS,
            false,
        ),
        row(
            "random source",
            limited(Rate::DEFAULT, Rate::DEFAULT.count),
            STRANGERS,
            true,
        ),
    ]
}

//! `--confirm`: how long a change stays without an answer, and when that is so without being asked.

use std::time::Duration;

use serde_json::json;

use super::args::{Deadline, Global};
use crate::{
    controller::{Confirm, Consent, LONGEST, Pending, SHORTEST},
    host::sessions,
};

/// What holds over SSH when nothing is said.
const OVER_SSH: Duration = Duration::from_secs(60);

/// Could the command shut out the session that it came by?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Danger {
    /// It could.
    MayShutOut,
    /// It only lets more in.
    Harmless,
}

/// `60s`, `5m`, `1h`, or plain seconds; 0 = no deadline.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let parsed = match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    let Some(duration) = parsed else {
        return Err("write 60s, 5m, 1h, or a number of seconds".to_owned());
    };
    if duration.is_zero() || (SHORTEST..=LONGEST).contains(&duration) {
        return Ok(duration);
    }
    Err(format!(
        "between {} s and {} s, or 0 for no deadline",
        SHORTEST.as_secs(),
        LONGEST.as_secs()
    ))
}

/// What the operator allows, for a command without a deadline.
pub(super) fn plain(global: &Global) -> Consent {
    Consent {
        force: global.force,
        dry_run: global.dry_run,
        confirm: Confirm::NotNeeded,
    }
}

/// What the operator allows, with the deadline that holds.
pub(super) fn consent(global: &Global, deadline: Deadline, danger: Danger) -> Consent {
    let confirm = match (deadline.confirm, danger) {
        _ if deadline.no_confirm => Confirm::NotNeeded,
        (Some(Duration::ZERO), _) => Confirm::NotNeeded,
        (Some(limit), _) => Confirm::Within(limit),
        (None, Danger::MayShutOut) if sessions::is_remote() => Confirm::OverSsh(OVER_SSH),
        (None, Danger::MayShutOut | Danger::Harmless) => Confirm::NotNeeded,
    };
    Consent {
        confirm,
        ..plain(global)
    }
}

/// What happens when, for people.
pub(super) fn pending_line(pending: &Pending, confirm: Confirm) -> String {
    let then = pending.then();
    let seconds = pending.seconds();
    let pending_line =
        format!("PENDING: in {seconds} s {then} unless `guardctl confirm` comes first");
    match confirm {
        Confirm::NotNeeded | Confirm::Within(_) => pending_line,
        Confirm::OverSsh(_) => {
            format!(
                "{pending_line} (so over SSH, for what could shut you out; --no-confirm turns it off)"
            )
        }
    }
}

/// For programs.
pub(super) fn pending_json(pending: Option<&Pending>) -> serde_json::Value {
    match pending {
        None => serde_json::Value::Null,
        Some(pending) => json!({
            "deadline_seconds": pending.seconds(),
            "generation": pending.generation,
            "previous_generation": pending.previous_generation,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_write_them() {
        for (text, seconds) in [
            ("60", 60),
            ("60s", 60),
            ("5m", 300),
            ("1m 30s", 90),
            ("1h", 3600),
            ("5", 5),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_or_out_of_bounds_is_refused_with_what_is_meant() {
        for text in ["", "soon", "-5", "60 x", "1.5", "allow"] {
            let error = parse(text).expect_err(text);
            assert_eq!(error, "write 60s, 5m, 1h, or a number of seconds", "{text}");
        }
        for text in ["4", "4s", "1", "3601", "2h", "100ms", "1d"] {
            let error = parse(text).expect_err(text);
            assert_eq!(
                error, "between 5 s and 3600 s, or 0 for no deadline",
                "{text}"
            );
        }
    }
}

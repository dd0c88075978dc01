//! `--confirm`: how long a change stays without an answer, and when that is so without being asked.

use std::time::Duration;

use serde_json::json;

use super::options::{Deadline, Global};
use crate::{
    controller::{Confirm, Consent, Pending},
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

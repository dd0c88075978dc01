//! `confirm`, and its opposite.

use serde_json::json;

use crate::{
    controller::{Consent, Controller},
    failure::{Exit, Failure},
    output::Output,
};

pub(super) fn confirm(
    controller: &Controller,
    consent: Consent,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let confirmed = controller.confirm(consent)?;
    let (verb, stays) = if consent.dry_run {
        ("would confirm", "would stay")
    } else {
        ("confirmed", "stays")
    };
    output.show(
        |out| {
            writeln!(
                out,
                "{verb} `{}`: generation {} {stays}",
                confirmed.command, confirmed.generation
            )
        },
        || json!({"confirmed": !consent.dry_run, "dry_run": consent.dry_run, "generation": confirmed.generation, "command": confirmed.command}),
    );
    Ok(Exit::Ok)
}

/// Takes the pending change back, from the countdown.
pub(super) fn rollback_pending(
    controller: &Controller,
    consent: Consent,
    output: &mut Output,
) -> Result<(), Failure> {
    let changed = controller.rollback(None, consent)?;
    output.show(|out| writeln!(out, "{}", changed.message), || json!({}));
    Ok(())
}

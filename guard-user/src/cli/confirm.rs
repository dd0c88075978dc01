//! `confirm`, and its opposite.

use serde_json::json;

use super::context::Context;
use crate::{
    controller::Consent,
    failure::{Exit, Failure},
};

pub(super) fn confirm(context: &mut Context<'_>, consent: Consent) -> Result<Exit, Failure> {
    let confirmed = context.controller.confirm(consent)?;
    let (verb, stays) = if consent.dry_run {
        ("would confirm", "would stay")
    } else {
        ("confirmed", "stays")
    };
    context.output.show(
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
pub(super) fn rollback_pending(context: &mut Context<'_>, consent: Consent) -> Result<(), Failure> {
    let changed = context.controller.rollback(None, consent)?;
    context
        .output
        .show(|out| writeln!(out, "{}", changed.message), || json!({}));
    Ok(())
}

//! What a change of the policy came to.

use serde_json::json;

use super::{context::Context, countdown, deadline};
use crate::{
    controller::{Changed, Consent},
    failure::{Exit, Failure},
};

/// Says what was done, and waits for the confirmation where a person can give it.
pub(super) fn report(
    context: &mut Context<'_>,
    changed: &Changed,
    consent: Consent,
) -> Result<Exit, Failure> {
    context.output.warnings(&changed.warnings);
    context.output.show(
        |out| {
            writeln!(out, "{}", changed.message)?;
            if let Some(pending) = &changed.pending {
                writeln!(out, "{}", deadline::pending_line(pending, consent.confirm))?;
            }
            // What was done can be seen; what would be done is shown.
            let Some(difference) = changed.difference.as_ref().filter(|_| changed.dry_run) else {
                return Ok(());
            };
            for rule in &difference.removed {
                writeln!(out, "- {rule}")?;
            }
            for rule in &difference.added {
                writeln!(out, "+ {rule}")?;
            }
            Ok(())
        },
        || {
            json!({
                "changed": changed.changed,
                "dry_run": changed.dry_run,
                "message": changed.message,
                "rule": changed.rule,
                "generation": changed.generation,
                "difference": changed.difference,
                "warnings": changed.warnings,
                "pending": deadline::pending_json(changed.pending.as_ref()),
            })
        },
    );
    match changed.pending {
        Some(pending) if countdown::is_possible(context.global) => {
            countdown::wait(context, pending)
        }
        Some(_) | None => Ok(Exit::Ok),
    }
}

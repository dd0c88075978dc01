//! `load` and `attach`: what systemd and udev run.

use serde_json::json;

use super::context::Context;
use crate::{
    controller::{Appeared, Loading, PolicyOrigin},
    failure::{Exit, Failure},
};

/// Which program filters afterwards where one runs already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    AsItRuns,
    OfThisVersion,
}

pub(super) fn load(context: &mut Context<'_>, program: Program) -> Result<Exit, Failure> {
    let is_replaced = match program {
        Program::OfThisVersion => context.controller.exchange_program()?,
        Program::AsItRuns => false,
    };
    let Loading::Loaded {
        origin,
        generation,
        attached,
        unprotected,
        mut warnings,
    } = context.controller.load_at_boot()?
    else {
        context.output.show(
            |out| writeln!(out, "guard was not on: nothing to load"),
            || json!({"active": false, "unprotected": []}),
        );
        return Ok(Exit::Ok);
    };
    let word = match &origin {
        PolicyOrigin::Files => "files",
        PolicyOrigin::LastGood { why } => {
            warnings.push(format!(
                "THE POLICY FILES ARE NOT USABLE; the last policy that was in force is used instead:\n{why}"
            ));
            "last-good"
        }
        PolicyOrigin::Kernel => "kernel",
    };
    context.output.warnings(&warnings);
    super::feeds::refresh(context);
    let lost: Vec<String> = unprotected
        .iter()
        .map(|(name, why)| format!("{name}: UNPROTECTED: {why}"))
        .collect();
    context.output.warnings(&lost);
    context.output.show(
        |out| {
            if is_replaced {
                writeln!(out, "program replaced without a gap")?;
            }
            for attached in &attached {
                writeln!(
                    out,
                    "{}: attached, {} mode",
                    attached.interface,
                    attached.mode.label()
                )?;
            }
            writeln!(out, "guard is active (generation {generation})")
        },
        || {
            let names = attached.iter().map(|attached| &attached.interface);
            let unprotected = unprotected
                .iter()
                .map(|(name, why)| json!({"name": name, "why": why}));
            json!({
                "active": true,
                "origin": word,
                "program_replaced": is_replaced,
                "generation": generation,
                "attached": names.collect::<Vec<_>>(),
                "unprotected": unprotected.collect::<Vec<_>>(),
                "warnings": warnings,
            })
        },
    );
    Ok(if unprotected.is_empty() {
        Exit::Ok
    } else {
        Exit::Partial
    })
}

/// Says something only where something is protected: udev writes it into the journal.
pub(super) fn attach(context: &mut Context<'_>, index: u32) -> Result<Exit, Failure> {
    match context.controller.appear(index)? {
        Appeared::NotInForce | Appeared::NotMeant => {}
        Appeared::Protected { name } => {
            context.output.show(
                |out| writeln!(out, "{name}: protected"),
                || json!({"name": name, "protected": true}),
            );
        }
    }
    Ok(Exit::Ok)
}

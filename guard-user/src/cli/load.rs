//! `load` and `attach`: what systemd and udev run.

use serde_json::json;

use super::args::Global;
use crate::{
    controller::{Appeared, Controller, Loading, PolicyOrigin},
    failure::{Exit, Failure},
    output::Output,
};

pub(super) fn load(
    controller: &Controller,
    global: &Global,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let Loading::Loaded {
        origin,
        generation,
        attached,
        unprotected,
        mut warnings,
    } = controller.load_at_boot()?
    else {
        output.show(
            |out| writeln!(out, "guard was not on: nothing to load"),
            || json!({"active": false, "unprotected": []}),
        );
        return Ok(Exit::Ok);
    };
    let word = match &origin {
        PolicyOrigin::Files => "files",
        PolicyOrigin::LastGood { why } => {
            warnings.push(format!(
                "THE POLICY FILES ARE NOT USABLE; what is in force is the last policy that was:\n{why}"
            ));
            "last-good"
        }
        PolicyOrigin::Kernel => "kernel",
    };
    output.warnings(&warnings);
    super::feeds::refresh(controller, global, output);
    let lost: Vec<String> = unprotected
        .iter()
        .map(|(name, why)| format!("{name}: UNPROTECTED: {why}"))
        .collect();
    output.warnings(&lost);
    output.show(
        |out| {
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
pub(super) fn attach(
    controller: &Controller,
    index: u32,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match controller.appear(index)? {
        Appeared::NotInForce | Appeared::NotMeant => {}
        Appeared::Protected { name } => {
            output.show(
                |out| writeln!(out, "{name}: protected"),
                || json!({"name": name, "protected": true}),
            );
        }
    }
    Ok(Exit::Ok)
}

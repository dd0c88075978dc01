//! `enable` and `disable`.

use serde_json::json;

use super::{args::Global, prompt, service};
use crate::{
    controller::{Consent, Controller, Enabled},
    dataplane::installation::Change,
    failure::{Exit, Failure},
    output::Output,
    ruleset::describe,
};

/// What a newcomer must know until replies are recognised.
const NO_REPLIES: &str = "this version does not yet recognise replies: connections that this host \
     itself opens (DNS, apt, NTP) get no answer through a protected interface unless a rule lets \
     the answer in";

pub(super) fn consent(global: &Global) -> Consent {
    Consent {
        force: global.force,
        dry_run: global.dry_run,
    }
}

pub(super) fn enable(
    controller: &Controller,
    global: &Global,
    iface: &[String],
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut enabled = controller.enable(iface, consent(global), |at_risk| {
        prompt::may_cut(at_risk, global)
    })?;
    if enabled.default == "deny" {
        enabled.warnings.push(NO_REPLIES.to_owned());
    }
    output.warnings(&enabled.warnings);
    output.show(
        |out| {
            if enabled.dry_run {
                return writeln!(
                    out,
                    "would protect {} with {}, default {}",
                    enabled.interfaces.join(", "),
                    describe::rule_count(enabled.rules),
                    enabled.default
                );
            }
            for change in &enabled.changes {
                writeln!(out, "{}", change_line(change))?;
            }
            writeln!(
                out,
                "guard is active: {}, default {} (generation {})",
                describe::rule_count(enabled.rules),
                enabled.default,
                enabled.generation
            )
        },
        || enabled_json(&enabled),
    );
    if !enabled.dry_run {
        service::offer(controller, global, output);
    }
    Ok(Exit::Ok)
}

fn change_line(change: &Change) -> String {
    match change {
        Change::Attached(attached) => match &attached.why_generic {
            None => format!("{}: attached, native mode", attached.interface),
            Some(why) => format!(
                "{}: attached, generic mode (slower; the driver refuses native mode: {why})",
                attached.interface
            ),
        },
        Change::Replaced(name) => format!("{name}: program exchanged without a gap"),
        Change::Detached(name) => format!("{name}: detached"),
    }
}

fn enabled_json(enabled: &Enabled) -> serde_json::Value {
    let changes: Vec<_> = enabled
        .changes
        .iter()
        .map(|change| match change {
            Change::Attached(attached) => json!({
                "interface": attached.interface,
                "change": "attached",
                "mode": attached.mode.label(),
                "why_generic": attached.why_generic,
            }),
            Change::Replaced(name) => json!({"interface": name, "change": "replaced"}),
            Change::Detached(name) => json!({"interface": name, "change": "detached"}),
        })
        .collect();
    json!({
        "active": enabled.was_active || !enabled.dry_run,
        "dry_run": enabled.dry_run,
        "generation": enabled.generation,
        "default": enabled.default,
        "rules": enabled.rules,
        "interfaces": enabled.interfaces,
        "changes": changes,
        "warnings": enabled.warnings,
    })
}

pub(super) fn disable(
    controller: &Controller,
    global: &Global,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let disabled = controller.disable(consent(global))?;
    output.show(
        |out| match (disabled.was_active, global.dry_run) {
            (true, true) => writeln!(out, "would turn guard off"),
            (true, false) => writeln!(out, "guard is off; the policy stays in its files"),
            (false, _) => writeln!(out, "guard is off already"),
        },
        || {
            json!({
                "active": disabled.was_active && global.dry_run,
                "changed": disabled.was_active,
                "dry_run": global.dry_run,
            })
        },
    );
    Ok(Exit::Ok)
}

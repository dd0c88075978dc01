//! `enable` and `disable`.

use serde_json::json;

use super::{
    context::Context,
    countdown,
    deadline::{self, Danger},
    options::Deadline,
    prompt,
    service::{self, AfterReboot},
};
use crate::{
    controller::{Enabled, Enabling, LinkChange, Preset},
    failure::{Exit, Failure},
    ruleset::{describe, model::ModeChoice},
};

/// What `enable` was told.
pub(super) struct EnableArgs<'a> {
    pub(super) iface: &'a [String],
    pub(super) mode: Option<ModeChoice>,
    pub(super) preset: Preset,
    pub(super) deadline: Deadline,
    /// The text of guard.toml, where there is no policy yet.
    pub(super) policy: Option<String>,
    pub(super) after_reboot: AfterReboot,
}

pub(super) fn enable(context: &mut Context<'_>, args: &EnableArgs<'_>) -> Result<Exit, Failure> {
    let danger = match args.preset {
        Preset::Files | Preset::NoIngress => Danger::MayShutOut,
        Preset::Monitor => Danger::Harmless,
    };
    let consent = deadline::consent(context.global, args.deadline, danger);
    let wanted = Enabling {
        interfaces: args.iface.to_vec(),
        mode: args.mode,
        preset: args.preset,
        policy: args.policy.clone(),
    };
    let enabled = context.controller.enable(&wanted, consent, |at_risk| {
        prompt::may_cut(at_risk, context.global)
    })?;
    super::feeds::refresh(context);
    context.output.warnings(&enabled.warnings);
    context.output.show(
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
            )?;
            match &enabled.pending {
                Some(pending) => {
                    writeln!(out, "{}", deadline::pending_line(pending, consent.confirm))
                }
                None => Ok(()),
            }
        },
        || enabled_json(&enabled),
    );
    if !enabled.dry_run {
        service::offer(context, args.after_reboot);
    }
    match enabled.pending {
        Some(pending) if countdown::is_possible(context.global) => {
            countdown::wait(context, pending)
        }
        Some(_) | None => Ok(Exit::Ok),
    }
}

fn change_line(change: &LinkChange) -> String {
    match change {
        LinkChange::Attached(attached) => match &attached.why_generic {
            None => format!("{}: attached, native mode", attached.interface),
            Some(why) => format!(
                "{}: attached, generic mode (slower than native: {why})",
                attached.interface
            ),
        },
        LinkChange::Replaced(name) => format!("{name}: program replaced without a gap"),
        LinkChange::Detached(name) => format!("{name}: detached"),
    }
}

fn enabled_json(enabled: &Enabled) -> serde_json::Value {
    let changes: Vec<_> = enabled
        .changes
        .iter()
        .map(|change| match change {
            LinkChange::Attached(attached) => json!({
                "interface": attached.interface,
                "change": "attached",
                "mode": attached.mode.label(),
                "why_generic": attached.why_generic.as_ref().map(ToString::to_string),
            }),
            LinkChange::Replaced(name) => json!({"interface": name, "change": "replaced"}),
            LinkChange::Detached(name) => json!({"interface": name, "change": "detached"}),
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
        "pending": deadline::pending_json(enabled.pending.as_ref()),
    })
}

pub(super) fn disable(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let disabled = context
        .controller
        .disable(deadline::plain(context.global))?;
    context.output.show(
        |out| match (disabled.was_active, context.global.dry_run) {
            (true, true) => writeln!(out, "would turn guard off"),
            (true, false) => writeln!(out, "guard is off; the policy stays in its files"),
            (false, _) => writeln!(out, "guard is off already"),
        },
        || {
            json!({
                "active": disabled.was_active && context.global.dry_run,
                "changed": disabled.was_active,
                "dry_run": context.global.dry_run,
            })
        },
    );
    Ok(Exit::Ok)
}

//! `status` and `version`.

use guard_common::abi::{ABI_VERSION, ban::BanMap};
use serde_json::json;

use super::{args::View, context::Context, deadline, service};
use crate::{
    control::{Request, client},
    controller::{Controller, Cookies, EmbeddedObject, ProgramFault, Protection, RuleView, Status},
    failure::{Exit, Failure},
    output::{
        Output,
        human::{self, Detail},
    },
};

pub(super) fn status(context: &mut Context<'_>, view: Option<View>) -> Result<Exit, Failure> {
    let mut status = context.controller.status()?;
    // Who asks for the rules as they stand gets the same answer as long as nobody changes them.
    if view.is_some() {
        context.controller.count_hits(&mut status)?;
    }
    let nobody = nobody_bans(context.controller, &status);
    status.warnings.extend(nobody);
    context.output.warnings(&status.warnings);
    let detail = match view {
        None => Detail::Plain,
        Some(View::Numbered) => Detail::Numbered,
        Some(View::Verbose) => Detail::Verbose,
    };
    context.output.show(
        |out| {
            human::status(out, &status, detail)?;
            service::boot_line(out, context.controller, &status)
        },
        || {
            let mut value = status_json(&status);
            value["boot"] = service::boot_json(context.controller);
            value["ban_tables"] = ban_tables_json(context.controller);
            value
        },
    );
    Ok(status.exit())
}

/// A rule in force bans those who go on above its limit, and there is no daemon that does it.
fn nobody_bans(controller: &Controller, status: &Status) -> Option<String> {
    let bans = |rule: &RuleView| rule.on_excess.is_some();
    if !status.protection.is_in_force() || !status.rules.iter().any(bans) {
        return None;
    }
    // A daemon that does not answer is another matter, and may ban all the same.
    let failure = client::ask(controller.layout(), Request::Ping).err()?;
    (failure.exit == Exit::Inactive).then(|| {
        "no daemon is running, so nobody is banned by `on-excess` (`systemctl start guard` starts it): limits only \
         drop what exceeds them"
            .to_owned()
    })
}

/// Bytes of each table of bans.
fn ban_tables_json(controller: &Controller) -> serde_json::Value {
    let Some(sizes) = controller.ban_table_sizes() else {
        return serde_json::Value::Null;
    };
    json!({
        "filter_bytes": sizes.bytes_of(BanMap::Filter),
        "tops_bytes": sizes.bytes_of(BanMap::Tops),
        "chunks_bytes": sizes.bytes_of(BanMap::Chunks),
        "set_bytes": sizes.bytes_of(BanMap::Set),
        "addresses_bytes": sizes.bytes_of(BanMap::Addresses),
        "fingerprint_filter_bytes": sizes.bytes_of(BanMap::Fingerprints),
        "total_bytes": sizes.bytes(),
    })
}

fn status_json(status: &Status) -> serde_json::Value {
    let interfaces: Vec<_> = status
        .interfaces
        .iter()
        .map(|interface| {
            json!({
                "name": interface.name,
                "mode": interface.mode.map(crate::host::XdpMode::label),
                "why_generic": interface.why_generic.as_ref().map(ToString::to_string),
                "fault": interface.fault.map(ProgramFault::label),
                "protected": interface.mode.is_some() && interface.fault != Some(ProgramFault::Blind),
                "replies": interface.replies,
            })
        })
        .collect();
    json!({
        "active": status.protection.is_in_force(),
        "should_be_active": status.protection != Protection::Inactive,
        "why_inactive": status.absence,
        "protected": status.protection == Protection::Active,
        "default": status.default,
        "generation": status.generation,
        "interfaces": interfaces,
        "rules": status.rules,
        "databases": super::list::databases_json(&status.databases),
        "names": status.host_names,
        "floods": status.floods.map(|floods| json!({
            "syn_cookies": floods.cookies == Cookies::Ready,
            "ceiling_per_second": floods.ceiling.per_second(),
            "out_of_state_per_second": floods.out_of_state.admitted_per_second(),
            "udp_per_second": floods.udp.admitted_per_second(),
        })),
        "flow_table": status.flow_table.map(|table| json!({
            "flows": table.size.flows(),
            "percent_full": table.percent.own.midpoint(table.percent.others),
            "percent_full_own": table.percent.own,
            "percent_full_others": table.percent.others,
        })),
        "never": status.never,
        "files": status.files,
        "warnings": status.warnings,
        "mode": if status.is_monitor() { "monitor" } else { "enforce" },
        "pending": deadline::pending_json(status.pending.as_ref()),
        "fallback": status.fallback,
        "exposed": status.exposures.iter().map(|exposure| {
            json!({"name": exposure.interface, "why": exposure.why.to_string()})
        }).collect::<Vec<_>>(),
        "reverted": status.reverted.as_ref().map(|reverted| {
            json!({"command": reverted.command, "when": reverted.when})
        }),
    })
}

pub(super) fn version(output: &mut Output) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let EmbeddedObject { digest, bytes } = EmbeddedObject::of_this_build();
    output.show(
        |out| {
            writeln!(out, "guardctl {version}")?;
            writeln!(out, "ABI {ABI_VERSION}")?;
            writeln!(out, "BPF object {digest:016x}, {bytes} bytes")
        },
        || {
            json!({
                "version": version,
                "abi": ABI_VERSION,
                "object": format!("{digest:016x}"),
                "object_bytes": bytes,
            })
        },
    );
    Ok(Exit::Ok)
}

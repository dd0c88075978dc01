//! `fleet status`: does this host hear the others, and what did it take of whom?

use std::io::{self, Write};

use serde_json::json;

use super::{super::context::Context, ask};
use crate::{
    control::{
        Request, Response,
        fleet::{CrowdsecReport, FleetView, MemberView, NatsReport, PolicyState},
        unexpected,
    },
    failure::{Exit, Failure},
    fleet::{FleetSettings, settings::NatsSettings},
    text::duration,
};

pub(super) fn status(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let settings = context.controller.joined()?;
    if !settings.is_joined() {
        context.output.show(
            |out| writeln!(out, "this host has joined no fleet"),
            || json!({"joined": false}),
        );
        return Ok(Exit::Ok);
    }
    let response = ask(context, Request::Fleet)?;
    let Response::Fleet(view) = response else {
        return Err(unexpected(response));
    };
    let is_current = is_current(&settings, &view);
    context.output.show(
        |out| text(out, &settings, &view),
        || json!({"joined": true, "current": is_current, "fleet": view}),
    );
    Ok(match is_current {
        true => Exit::Ok,
        false => Exit::Partial,
    })
}

/// Seconds of silence after which nothing that guard-fleet said counts.
const SILENCE_S: u64 = 10;

fn is_current(settings: &FleetSettings, view: &FleetView) -> bool {
    let Some(report) = view
        .report
        .as_ref()
        .filter(|_| view.report_age_s < SILENCE_S)
    else {
        return false;
    };
    let nats = report.nats.as_ref().is_some_and(|nats| nats.is_current);
    let crowdsec = report.crowdsec.as_ref();
    let crowdsec = crowdsec.is_some_and(|crowdsec| crowdsec.is_current);
    (nats || settings.nats.is_none()) && (crowdsec || settings.crowdsec.is_none())
}

fn text(out: &mut dyn Write, settings: &FleetSettings, view: &FleetView) -> io::Result<()> {
    let fresh = view.report_age_s < SILENCE_S;
    match &view.report {
        None => writeln!(
            out,
            "guard-fleet: does not run (`systemctl enable --now guard-fleet`)"
        )?,
        Some(report) if !fresh => writeln!(
            out,
            "guard-fleet: silent for {} (process {})",
            duration::rounded(view.report_age_s),
            report.pid
        )?,
        Some(report) => writeln!(out, "guard-fleet: process {}", report.pid)?,
    }
    let report = view.report.as_ref().filter(|_| fresh);
    if let Some(nats) = &settings.nats {
        nats_text(out, nats, report.and_then(|report| report.nats.as_ref()))?;
    }
    if let Some(policy) = &view.policy {
        writeln!(out, "  policy: {}", policy_words(policy))?;
    }
    if let Some(crowdsec) = &settings.crowdsec {
        let report = report.and_then(|report| report.crowdsec.as_ref());
        crowdsec_text(out, &crowdsec.url, report)?;
    }
    if !view.members.is_empty() {
        writeln!(
            out,
            "\n{:<32} {:<10} {:>9} {:>7} {:>8}  STATE",
            "MEMBER", "TRUST", "IN FORCE", "NOTED", "REFUSED"
        )?;
    }
    for member in &view.members {
        member_text(out, member)?;
    }
    if view.more_members > 0 {
        writeln!(out, "and {} more", view.more_members)?;
    }
    Ok(())
}

fn state(is_current: bool, stale_s: u64, state: &str) -> String {
    if is_current {
        format!("connected ({state})")
    } else {
        format!("STALE for {}: {state}", duration::rounded(stale_s))
    }
}

fn nats_text(
    out: &mut dyn Write,
    settings: &NatsSettings,
    report: Option<&NatsReport>,
) -> io::Result<()> {
    let name = format!("{}/{}", settings.group, settings.host);
    let Some(report) = report else {
        return writeln!(out, "NATS: {name}: STALE");
    };
    writeln!(
        out,
        "NATS: {name}: {}",
        state(report.is_current, report.stale_s, &report.state)
    )?;
    writeln!(
        out,
        "  {} members, {} of our bans published, {} not acknowledged, {} withheld; {} behind, {} unreadable",
        report.members,
        report.published,
        report.unacknowledged,
        report.withheld,
        report.behind,
        report.unreadable
    )?;
    for (count, what) in [
        (
            report.forged,
            "records were not of the member in whose name they came: somebody's key is misused",
        ),
        (
            report.overfull,
            "records of members that say more than is kept",
        ),
    ] {
        if count > 0 {
            writeln!(out, "  {count} {what}")?;
        }
    }
    Ok(())
}

/// `3 confirmed`.
pub(super) fn policy_words(policy: &PolicyState) -> String {
    let PolicyState {
        generation,
        step,
        why,
    } = policy;
    match (generation, why.as_str()) {
        (0, "") => "none was published yet".to_owned(),
        (_, "") => format!("{generation} {step}"),
        (_, why) => format!("{generation} {step}: {why}"),
    }
}

fn crowdsec_text(
    out: &mut dyn Write,
    url: &str,
    report: Option<&CrowdsecReport>,
) -> io::Result<()> {
    let Some(report) = report else {
        return writeln!(out, "CrowdSec: {url}: STALE");
    };
    writeln!(
        out,
        "CrowdSec: {url}: {}",
        state(report.is_current, report.stale_s, &report.state)
    )?;
    write!(
        out,
        "  {} decisions, {} alerts pushed",
        report.decisions, report.pushed
    )?;
    for (scope, count) in &report.skipped {
        match scope.as_str() {
            "malformed" | "no address" | "no duration" => {
                write!(out, ", {count} not enforced: {scope}")?;
            }
            _ => write!(out, ", {count} of scope {scope} not enforced")?,
        }
    }
    writeln!(out)
}

fn member_text(out: &mut dyn Write, member: &MemberView) -> io::Result<()> {
    let refused: u64 = member.refused.iter().map(|(_, count)| count).sum();
    let state = match &member.quarantined {
        Some(why) => format!("QUARANTINED: {why}"),
        None => {
            let reasons = member.refused.iter();
            let reasons: Vec<String> = reasons
                .map(|(why, count)| format!("{count} {why}"))
                .collect();
            reasons.join(", ")
        }
    };
    let line = format!(
        "{:<32} {:<10} {:>9} {:>7} {refused:>8}  {state}",
        member.member, member.trust, member.in_force, member.noted
    );
    writeln!(out, "{}", line.trim_end())
}

//! `audit`.

use std::io::{self, Write};

use serde_json::json;

use super::context::Context;
use crate::{
    controller::{Audit, Audited, World},
    failure::{Exit, Failure},
    host::exposure::Guests,
};

/// Sources that a line of the table names.
const SHOWN: usize = 4;

pub(super) fn audit(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let audit = context.controller.audit()?;
    context.output.warnings(&audit.warnings);
    context
        .output
        .show(|out| table(out, &audit), || audit_json(&audit));
    Ok(Exit::Ok)
}

fn table(out: &mut dyn Write, audit: &Audit) -> io::Result<()> {
    if !audit.active {
        writeln!(
            out,
            "guard is off: what listens is reachable unless something else blocks it.\n"
        )?;
    }
    for guests in &audit.guests {
        writeln!(out, "{}", guests_told(guests, audit.active))?;
    }
    if !audit.guests.is_empty() {
        writeln!(out)?;
    }
    if audit.ports.is_empty() {
        return writeln!(out, "Nothing listens, and no container publishes a port.");
    }
    writeln!(
        out,
        "{:<11} {:<12} {:<26} {:<24} Let in",
        "Port", "World", "Owner", "Listens on"
    )?;
    for port in &audit.ports {
        let addresses: Vec<String> = port.addresses.iter().map(ToString::to_string).collect();
        writeln!(
            out,
            "{:<11} {:<12} {:<26} {:<24} {}",
            format!("{}/{}", port.port, port.protocol.label()),
            world(port.world),
            port.owner,
            addresses.join(", "),
            let_in(port)
        )?;
    }
    Ok(())
}

/// Guests have addresses of their own, so no list of what listens here can say what listens there.
fn guests_told(guests: &Guests, is_active: bool) -> String {
    let who = format!(
        "Guests behind bridge {}: {} (what listens there is not listed)",
        guests.bridge,
        guests.ports.join(", ")
    );
    match guests.past.as_slice() {
        _ if !is_active => format!("{who}; no guard"),
        [] => format!("{who}; the rules apply to them as to this host"),
        past => format!("{who}; reachable PAST GUARD by {}", past.join(", ")),
    }
}

/// Who gets in, in words.
fn let_in(port: &Audited) -> String {
    let mut parts = Vec::new();
    if let Some(rule) = port.rule {
        parts.push(format!("everybody, by rule {rule}"));
    }
    if !port.allowed.is_empty() {
        let mut shown = port.allowed[..port.allowed.len().min(SHOWN)].join(", ");
        if port.allowed.len() > SHOWN {
            shown.push_str(&format!(" and {} more", port.allowed.len() - SHOWN));
        }
        parts.push(shown);
    }
    if !port.unprotected.is_empty() {
        parts.push(format!(
            "all on {} (no guard there)",
            port.unprotected.join(", ")
        ));
    }
    if parts.is_empty() {
        "-".to_owned()
    } else {
        parts.join("; ")
    }
}

fn world(world: World) -> String {
    match world {
        World::Open => "OPEN".to_owned(),
        World::OpenOver(family) => format!("OPEN {family}"),
        World::Closed => "closed".to_owned(),
        World::PastGuard => "PAST GUARD".to_owned(),
        World::Local => "local only".to_owned(),
        World::Unfiltered => "no guard".to_owned(),
    }
}

fn audit_json(audit: &Audit) -> serde_json::Value {
    let ports: Vec<_> = audit
        .ports
        .iter()
        .map(|port| {
            json!({
                "protocol": port.protocol.label(),
                "port": port.port,
                "addresses": port.addresses,
                "owner": port.owner,
                "world": match port.world {
                    World::Open => "open",
                    World::OpenOver("IPv4") => "open-ipv4",
                    World::OpenOver(_) => "open-ipv6",
                    World::Closed => "closed",
                    World::PastGuard => "past-guard",
                    World::Local => "local",
                    World::Unfiltered => "unfiltered",
                },
                "reachable": !matches!(port.world, World::Local)
                    && (!matches!(port.world, World::Closed)
                        || !port.allowed.is_empty()
                        || !port.unprotected.is_empty()),
                "rule": port.rule,
                "allowed": port.allowed,
                "unprotected_interfaces": port.unprotected,
            })
        })
        .collect();
    let guests: Vec<_> = audit
        .guests
        .iter()
        .map(|guests| {
            json!({
                "bridge": guests.bridge,
                "ports": guests.ports,
                "past_guard": guests.past,
            })
        })
        .collect();
    json!({"active": audit.active, "ports": ports, "guests": guests, "warnings": audit.warnings})
}

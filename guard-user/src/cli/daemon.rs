//! `daemon`: being it, and talking to the one that runs.

use std::io::{self, Write};

use serde_json::json;

use super::args::DaemonAsked;
use super::context::Context;
use crate::{
    control::{Report, Request, Response, client, unexpected},
    daemon,
    failure::{Exit, Failure, from_io},
    host::resolver,
    output::Output,
    text::duration,
};

/// Answers who asks for the addresses of names.
pub(super) fn resolver() -> Result<Exit, Failure> {
    resolver::serve().map_err(|error| {
        from_io("standard input is no socket that listens", &error)
            .help("guard-names.service runs this; nobody else needs it")
    })?;
    Ok(Exit::Ok)
}

pub(super) fn daemon(context: &mut Context<'_>, asked: DaemonAsked) -> Result<Exit, Failure> {
    let layout = context.controller.layout();
    if asked.status {
        let response = client::ask(layout, Request::Status)?;
        let Response::Status(report) = response else {
            return Err(unexpected(response));
        };
        // The daemon knows what is in force; whoever may only look cannot see the pins.
        let absence = match report.generation {
            Some(_) => None,
            None => context.controller.absence().ok().flatten(),
        };
        return Ok(status(&report, absence.as_deref(), context.output));
    }
    let (request, said) = match asked {
        DaemonAsked { stop: true, .. } => (
            Request::Stop,
            "the daemon has stopped; the policy stays in force",
        ),
        DaemonAsked {
            reconcile: true, ..
        } => (Request::Reconcile, "the daemon has checked every interface"),
        DaemonAsked { .. } => {
            daemon::run(context.controller)?;
            return Ok(Exit::Ok);
        }
    };
    let response = client::ask(layout, request)?;
    let Response::Done = response else {
        return Err(unexpected(response));
    };
    context
        .output
        .show(|out| writeln!(out, "{said}"), || json!({"done": true}));
    Ok(Exit::Ok)
}

fn status(report: &Report, absence: Option<&str>, output: &mut Output) -> Exit {
    output.show(
        |out| text(out, report, absence),
        || serde_json::to_value(report).unwrap_or_default(),
    );
    if absence.is_some() {
        Exit::Partial
    } else if report.generation.is_none() {
        Exit::Inactive
    } else if report
        .interfaces
        .iter()
        .all(|interface| interface.protected)
    {
        Exit::Ok
    } else {
        Exit::Partial
    }
}

fn text(out: &mut dyn Write, report: &Report, absence: Option<&str>) -> io::Result<()> {
    let now = daemon::now();
    let ago = |then: u64| duration::rounded(now.saturating_sub(then));
    writeln!(
        out,
        "Daemon: process {}, version {}, running for {}",
        report.pid,
        report.version,
        ago(report.since)
    )?;
    match (report.generation, absence) {
        (Some(generation), _) => writeln!(out, "Generation: {generation}")?,
        (None, Some(why)) => writeln!(out, "UNPROTECTED: guard should be on: {why}")?,
        (None, None) => writeln!(out, "guard is off")?,
    }
    for interface in &report.interfaces {
        let since = ago(interface.since);
        match &interface.why {
            None => writeln!(out, "Interface: {} protected for {since}", interface.name)?,
            Some(why) => writeln!(
                out,
                "Interface: {} UNPROTECTED for {since}: {why}",
                interface.name
            )?,
        }
    }
    for event in &report.events {
        writeln!(
            out,
            "{:>8} ago  {:<8} {}",
            ago(event.at),
            event.level.label(),
            event.message
        )?;
    }
    Ok(())
}

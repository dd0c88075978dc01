//! `metrics`: what programs that collect figures read, once; or into a file for node_exporter.

use std::{
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use clap::Args as Group;
use serde_json::json;

use super::context::Context;
use crate::{
    control::{Request, Response, client},
    controller::Notes,
    failure::{Exit, Failure, from_io},
    metrics::{DaemonFacts, Form, MetricReader},
    text::staged::Staged,
};

/// Below `metrics --help`.
pub(super) const HELP: &str = "\
The daemon serves the same over HTTP where [metrics] in guard.toml says: listen = \"unix:/run/guard/metrics\" or \
\"127.0.0.1:9977\". Without it nothing listens.";

#[derive(Clone, Debug, Group)]
pub(super) struct MetricsArgs {
    /// Write them into a file of node_exporter's textfile collector, whose name must end in .prom
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,
    /// Print OpenMetrics
    #[arg(long, conflicts_with = "textfile")]
    openmetrics: bool,
}

pub(super) fn metrics(context: &mut Context<'_>, args: &MetricsArgs) -> Result<Exit, Failure> {
    if let Some(path) = &args.textfile {
        may_be_written(path)?;
    }
    let form = if args.openmetrics {
        Form::OpenMetrics
    } else {
        Form::Prometheus
    };
    let daemon = daemon(context);
    // A daemon keeps the list of ports.
    let notes = match &daemon {
        Some(_) => Notes::Read,
        None => Notes::Write,
    };
    let mut reader = MetricReader::new(context.controller.clone(), notes);
    let text = reader.read(daemon)?.text(form);
    let Some(path) = &args.textfile else {
        context.output.show(
            |out| out.write_all(text.as_bytes()),
            || json!({"text": text}),
        );
        return Ok(Exit::Ok);
    };
    let staged = Staged::write(path, &text).map_err(|error| error.failure())?;
    // The collector runs as somebody else.
    staged
        .readable_by_all()
        .and_then(|()| staged.commit())
        .map_err(|error| error.failure())?;
    context.output.show(
        |out| writeln!(out, "wrote {}", path.display()),
        || json!({"changed": true, "file": path.display().to_string()}),
    );
    Ok(Exit::Ok)
}

/// What the daemon knows, if one runs.
fn daemon(context: &Context<'_>) -> Option<DaemonFacts> {
    let layout = context.controller.layout();
    let Ok(Response::Status(report)) = client::ask(layout, Request::Status) else {
        return None;
    };
    let jails = match client::ask(layout, Request::Jails) {
        Ok(Response::Jails(jails)) => jails,
        // It has ended meanwhile.
        Ok(_) | Err(_) => return None,
    };
    Some(DaemonFacts {
        since: report.since,
        jails,
        events_lost: report.events_lost,
        fleet: report.fleet,
    })
}

/// The folder must be there, as the collector has it, and only a regular file is replaced.
fn may_be_written(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    if path.extension().is_none_or(|extension| extension != "prom") {
        return Err(Failure::new(
            Exit::Usage,
            format!("--textfile: {shown} does not end in .prom"),
        )
        .help("node_exporter reads no other file: write e.g. /var/lib/prometheus/node-exporter/guard.prom"));
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Failure::new(
            Exit::NotFound,
            format!("--textfile: {} is no folder", folder.display()),
        )
        .help(
            "name the folder that node_exporter was started with (--collector.textfile.directory)",
        ));
    }
    let kind = match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata
            .map_err(|error| from_io(path.display(), &error))?
            .file_type(),
    };
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_symlink() {
        "a link"
    } else {
        "no regular file"
    };
    Err(Failure::new(
        Exit::Failed,
        format!("--textfile: {shown} is {what}, and is left as it is"),
    )
    .help("remove it, or name another file"))
}

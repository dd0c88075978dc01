//! `service`, and what `enable` and `status` say about reboots.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{args::ServiceWord, context::Context, shared_files};
use crate::{
    controller::{Controller, Protection, ServiceChange, Status},
    failure::{Exit, Failure},
    output::Output,
};

/// Shall guard be on again after a reboot?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterReboot {
    /// Whoever is there is asked.
    IfAgreed,
    /// He has said so.
    Wanted,
}

pub(super) fn service(context: &mut Context<'_>, action: ServiceWord) -> Result<Exit, Failure> {
    match action {
        ServiceWord::Install => {
            let change = context
                .controller
                .install_service(&shared_files::shared()?)?;
            context.output.warnings(&change.warnings);
            report(
                &change,
                "installed",
                "the units are installed already",
                context.output,
            );
            Ok(Exit::Ok)
        }
        ServiceWord::Remove => {
            let change = context.controller.remove_service()?;
            report(&change, "removed", "no units are installed", context.output);
            Ok(Exit::Ok)
        }
        ServiceWord::Status => {
            let status = context.controller.service_status();
            let absence = context.controller.absence()?;
            let units = [
                ("guard-load.service", &status.load),
                ("guard.service", &status.daemon),
            ];
            context.output.show(
                |out| {
                    for (name, path) in units {
                        match path {
                            Some(path) => writeln!(out, "{name}: {}", path.display())?,
                            None => writeln!(out, "{name}: not installed")?,
                        }
                    }
                    if let Some(why) = &absence {
                        writeln!(
                            out,
                            "UNPROTECTED: guard should be on, and no policy is in force: {why}"
                        )?;
                    }
                    Ok(())
                },
                || {
                    json!({
                        "boot": boot_json(context.controller),
                        "load": status.load,
                        "daemon": status.daemon,
                        "why_inactive": absence,
                    })
                },
            );
            Ok(match (&absence, &status.load) {
                (Some(_), _) => Exit::Partial,
                (None, Some(_)) => Exit::Ok,
                (None, None) => Exit::Inactive,
            })
        }
    }
}

fn report(change: &ServiceChange, done: &str, nothing: &str, output: &mut Output) {
    output.show(
        |out| {
            if let Some(folder) = &change.package {
                return report_packaged(out, change, folder, done);
            }
            if change.files.is_empty() {
                return writeln!(out, "{nothing}");
            }
            let is_page = |file: &&PathBuf| file.extension().is_some_and(|end| end == "1");
            let (pages, others): (Vec<_>, Vec<_>) = change.files.iter().partition(is_page);
            if let Some(folder) = pages.first().and_then(|page| page.parent()) {
                let folder = folder.display();
                writeln!(out, "{done} the manual, {} pages in {folder}", pages.len())?;
            }
            for file in others {
                writeln!(out, "{done} {}", file.display())?;
            }
            if !change.systemd_reloaded {
                writeln!(
                    out,
                    "systemd does not run here, or not from this folder: nothing was started"
                )?;
            }
            Ok(())
        },
        || {
            json!({
                "changed": !change.files.is_empty(),
                "files": change.files,
                "package": change.package,
                "told_systemd": change.systemd_reloaded,
            })
        },
    );
}

/// A package owns the units: they are where they were, and on or off.
fn report_packaged(
    out: &mut dyn Write,
    change: &ServiceChange,
    folder: &Path,
    done: &str,
) -> io::Result<()> {
    for file in &change.files {
        writeln!(out, "removed {}, which hid the package's", file.display())?;
    }
    let state = match (done, change.systemd_reloaded) {
        (_, false) => "systemd does not run here: nothing was started",
        ("removed", true) => "now off",
        (_, true) => "now on",
    };
    writeln!(
        out,
        "the units are those of the package, in {}: {state}",
        folder.display()
    )
}

/// After `enable`: units where they are missing. A host without systemd is told nothing that it
/// cannot do. What fails here is said and no failure of `enable`.
pub(super) fn offer(context: &mut Context<'_>, after_reboot: AfterReboot) {
    if !context.controller.has_systemd() || context.controller.service_status().load.is_some() {
        return;
    }
    let is_asked = io::stdin().is_terminal() && !context.global.json && !context.global.quiet;
    let is_wanted =
        after_reboot == AfterReboot::Wanted || context.global.yes || is_asked && agrees();
    if !is_wanted {
        context.output.warnings(&[HINT.to_owned()]);
        return;
    }
    let installed =
        shared_files::shared().and_then(|pages| context.controller.install_service(&pages));
    let message = match installed {
        Ok(change) => {
            context.output.warnings(&change.warnings);
            return;
        }
        Err(failure) => format!("{HINT} ({})", failure.message),
    };
    context.output.warnings(&[message]);
}

const HINT: &str = "after a reboot guard is NOT in force: `guardctl service install`";

fn agrees() -> bool {
    let mut error = io::stderr();
    let asked = write!(
        error,
        "Put guard in force after a reboot, too (systemd)? [Y/n] "
    )
    .and_then(|()| error.flush());
    let mut answer = String::new();
    asked.is_ok()
        && io::stdin().lock().read_line(&mut answer).is_ok()
        && matches!(answer.trim_end_matches('\n'), "" | "y" | "Y" | "yes")
        && !answer.is_empty()
}

/// A line of `status`.
pub(super) fn boot_line(
    out: &mut dyn Write,
    controller: &Controller,
    status: &Status,
) -> io::Result<()> {
    match status.protection {
        Protection::Inactive => Ok(()),
        Protection::Absent | Protection::Active | Protection::Partial => {
            match controller.service_status().load {
                Some(_) => writeln!(out, "\nAfter a reboot: guard-load.service is installed"),
                None => writeln!(
                    out,
                    "\nAfter a reboot: NOT protected; `guardctl service install`"
                ),
            }
        }
    }
}

pub(super) fn boot_json(controller: &Controller) -> serde_json::Value {
    json!({"installed": controller.service_status().load.is_some()})
}

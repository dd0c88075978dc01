//! What the operator typed, and what he is told. One file per group of commands; the work is done
//! in `controller`.

mod args;
mod audit;
mod edit;
mod explain;
mod papers;
mod power;
mod prompt;
mod refused;
mod stats;
mod status;
mod usage;

use std::{ffi::OsString, io::Write as _, process::ExitCode};

use clap::Parser as _;

use crate::{
    controller::Controller,
    failure::{Exit, Failure},
    layout::Layout,
    output::Output,
};
use args::{Args, Command};

/// Runs one command.
#[must_use]
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    let args = match Args::try_parse_from(&words) {
        Ok(args) => args,
        Err(error) if error.use_stderr() => {
            let mut output = Output::new(usage::wants_json(&words), false);
            let failure = usage::failure(&error, &words);
            output.failure(&failure);
            return code(failure.exit);
        }
        Err(help) => {
            // Help and version; a reader that went away is no failure.
            help.print().unwrap_or_default();
            return code(Exit::Ok);
        }
    };
    let wants_json =
        args.global.json || matches!(args.command, Command::Other(_)) && usage::wants_json(&words);
    let mut output = Output::new(wants_json, args.global.quiet);
    let exit = match dispatch(&args, &mut output) {
        Ok(exit) => exit,
        Err(failure) => {
            let exit = failure.exit;
            output.failure(&failure);
            exit
        }
    };
    // A reader that went away (`guardctl stats | head`) is no failure.
    std::io::stdout().flush().unwrap_or_default();
    code(exit)
}

fn code(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}

fn dispatch(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let controller = Controller::new(Layout::from_environment());
    let global = &args.global;
    match &args.command {
        Command::Enable { iface } => power::enable(&controller, global, iface, output),
        Command::Disable => power::disable(&controller, global, output),
        Command::Status { view } => status::status(&controller, *view, output),
        Command::Allow { words } => edit::add(&controller, global, "allow", words, output),
        Command::Deny { words } => edit::add(&controller, global, "deny", words, output),
        Command::Insert { number, words } => {
            edit::insert(&controller, global, *number, words, output)
        }
        Command::Prepend { words } => edit::insert(&controller, global, 1, words, output),
        Command::Delete { words } => edit::delete(&controller, global, words, output),
        Command::Default { action, direction } => {
            edit::default(&controller, global, *action, direction.as_deref(), output)
        }
        Command::Never { action } => edit::never(&controller, global, action, output),
        Command::Reload => edit::reload(&controller, global, output),
        Command::Check { file } => edit::check(&controller, file.as_deref(), output),
        Command::Stats { watch, all } => stats::stats(&controller, *watch, *all, output),
        Command::Explain { file, words } => {
            explain::explain(&controller, words, file.as_deref(), output)
        }
        Command::Audit => audit::audit(&controller, output),
        Command::Version => status::version(output),
        Command::Man { folder } => papers::man(folder),
        Command::Completions { shell } => Ok(papers::completions(*shell)),
        Command::Other(words) => Err(refused::unknown(words)),
    }
}

//! What the operator typed, and what he is told. One file per group of commands; the work is done
//! in `controller`.

mod args;
mod audit;
mod ban;
mod confirm;
mod countdown;
mod daemon;
mod deadline;
#[cfg(test)]
mod documents;
mod edit;
mod enable;
mod explain;
mod f2b;
mod feeds;
mod filter;
mod import;
mod jail;
mod load;
mod prompt;
mod refused;
mod service;
mod shared_files;
mod stats;
mod status;
mod usage;

use std::{ffi::OsString, io::Write as _, process::ExitCode};

use clap::Parser as _;

use crate::{
    controller::{Controller, Preset},
    failure::{Exit, Failure},
    layout::Layout,
    output::Output,
    ruleset::model::ModeChoice,
};
use args::{Args, Command, ModeWord};

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
    let exit = match dispatch(&args, usage::typed(&words), &mut output) {
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

fn dispatch(args: &Args, typed: String, output: &mut Output) -> Result<Exit, Failure> {
    let controller = Controller::new(Layout::from_environment()).for_command(typed);
    let global = &args.global;
    match &args.command {
        Command::Enable {
            iface,
            mode,
            monitor,
            no_ingress,
            deadline,
        } => {
            let args = enable::EnableArgs {
                iface,
                mode: mode.map(|mode| match mode {
                    ModeWord::Auto => ModeChoice::Auto,
                    ModeWord::Native => ModeChoice::Native,
                    ModeWord::Generic => ModeChoice::Generic,
                }),
                preset: match (monitor, no_ingress) {
                    (true, _) => Preset::Monitor,
                    (false, true) => Preset::NoIngress,
                    (false, false) => Preset::Files,
                },
                deadline: *deadline,
            };
            enable::enable(&controller, global, &args, output)
        }
        Command::Disable => enable::disable(&controller, global, output),
        Command::Daemon { asked } => daemon::daemon(&controller, *asked, output),
        Command::Load => load::load(&controller, global, output),
        Command::Attach { index } => load::attach(&controller, *index, output),
        Command::Service { action } => service::service(&controller, *action, output),
        Command::Status { view } => status::status(&controller, *view, output),
        Command::Allow { words, deadline } => {
            edit::add(&controller, global, "allow", words, *deadline, output)
        }
        Command::Deny { words, deadline } => {
            edit::add(&controller, global, "deny", words, *deadline, output)
        }
        Command::Limit { words, deadline } => {
            edit::add(&controller, global, "limit", words, *deadline, output)
        }
        Command::Insert {
            number,
            words,
            deadline,
        } => edit::insert(&controller, global, *number, words, *deadline, output),
        Command::Prepend { words, deadline } => {
            edit::insert(&controller, global, 1, words, *deadline, output)
        }
        Command::Delete { words, deadline } => {
            edit::delete(&controller, global, words, *deadline, output)
        }
        Command::Default {
            action,
            direction,
            deadline,
        } => {
            let direction = direction.as_deref();
            edit::default(&controller, global, *action, direction, *deadline, output)
        }
        Command::Never { action } => edit::never(&controller, global, action, output),
        Command::Ban {
            sources,
            sentence,
            jail,
        } => ban::ban(
            &controller,
            global,
            sources,
            sentence,
            jail.as_deref(),
            output,
        ),
        Command::Unban { sources, all, jail } => {
            let jail = jail.as_deref();
            ban::unban(&controller, global, sources, *all, jail, output)
        }
        Command::Bans { action } => ban::bans(&controller, global, action.as_ref(), output),
        Command::Feeds { action } => feeds::feeds(&controller, *action, output),
        Command::Jail { action } => jail::jail(&controller, global, action.as_ref(), output),
        Command::F2b { words } => f2b::f2b(&controller, global, words, output),
        Command::Filter { action } => filter::filter(action, output),
        Command::Import { what } => import::import(&controller, global, what, output),
        Command::Reload { deadline } => edit::reload(&controller, global, *deadline, output),
        Command::Apply { file, deadline } => {
            edit::apply(&controller, global, file.as_deref(), *deadline, output)
        }
        Command::Confirm => confirm::confirm(&controller, deadline::plain(global), output),
        Command::Rollback { number, deadline } => {
            confirm::rollback(&controller, global, *number, *deadline, output)
        }
        Command::History => confirm::history(&controller, output),
        Command::Diff { against } => confirm::diff(&controller, against.as_deref(), output),
        Command::Check { file } => edit::check(&controller, file.as_deref(), output),
        Command::Stats { watch, all } => stats::stats(&controller, *watch, *all, output),
        Command::Explain { file, words } => {
            explain::explain(&controller, words, file.as_deref(), output)
        }
        Command::Audit => audit::audit(&controller, output),
        Command::Version => status::version(output),
        Command::Man { folder } => shared_files::man(folder),
        Command::Completions { shell } => Ok(shared_files::completions(*shell)),
        Command::Other(words) => Err(refused::unknown(words)),
    }
}

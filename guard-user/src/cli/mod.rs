//! What the operator typed, and what he is told. One file per group of commands; the work is done
//! in `controller`.

mod args;
mod audit;
mod ban;
mod capture;
mod change_report;
mod complete;
mod confirm;
mod context;
mod countdown;
mod crowdsec;
mod daemon;
mod deadline;
mod doctor;
#[cfg(test)]
mod documents;
mod edit;
mod edit_file;
mod enable;
mod explain;
mod f2b;
mod feeds;
mod filter;
mod fleet;
mod help;
mod history;
mod import;
mod jail;
mod list;
mod load;
mod me;
mod metrics;
mod monitor;
mod options;
mod prompt;
mod readable;
mod refused;
mod service;
mod setup;
mod shared_files;
mod stats;
mod status;
mod top;
mod trace;
mod usage;
mod verify;
mod watch;
mod web;

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
use context::Context;

/// Runs one command.
#[must_use]
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    match complete::answer(&words) {
        Ok(false) => {}
        Ok(true) => return code(Exit::Ok),
        Err(failure) => {
            Output::new(false, false).failure(&failure);
            return code(failure.exit);
        }
    }
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
    let context = &mut Context {
        controller: &controller,
        global: &args.global,
        output,
    };
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
                policy: None,
                after_reboot: service::AfterReboot::IfAgreed,
            };
            enable::enable(context, &args)
        }
        Command::Disable => enable::disable(context),
        Command::Daemon { asked } => daemon::daemon(context, *asked),
        Command::Load { new_program } => {
            let program = match new_program {
                true => load::Program::OfThisVersion,
                false => load::Program::AsItRuns,
            };
            load::load(context, program)
        }
        Command::Attach { index } => load::attach(context, *index),
        Command::Resolver => daemon::resolver(),
        Command::Service { action } => service::service(context, *action),
        Command::Status { view } => status::status(context, *view),
        Command::Allow {
            words,
            labels,
            ends,
            deadline,
        } => edit::add(
            context,
            "allow",
            &ends.before(&labels.before(words)),
            *deadline,
        ),
        Command::Deny {
            words,
            labels,
            ends,
            deadline,
        } => edit::add(
            context,
            "deny",
            &ends.before(&labels.before(words)),
            *deadline,
        ),
        Command::Limit {
            words,
            labels,
            ends,
            deadline,
        } => edit::add(
            context,
            "limit",
            &ends.before(&labels.before(words)),
            *deadline,
        ),
        Command::Insert {
            before,
            words,
            labels,
            ends,
            deadline,
        } => edit::insert(
            context,
            before,
            &ends.after_first(&labels.after_first(words)),
            *deadline,
        ),
        Command::Prepend {
            words,
            labels,
            ends,
            deadline,
        } => edit::insert(
            context,
            "1",
            &ends.after_first(&labels.after_first(words)),
            *deadline,
        ),
        Command::Delete {
            words,
            labels,
            ends,
            deadline,
        } => edit::delete(
            context,
            &ends.after_first(&labels.after_first(words)),
            *deadline,
        ),
        Command::Rule { action } => edit::switch(context, action),
        Command::List { tag } => list::list(context, tag.as_deref()),
        Command::Default {
            action,
            direction,
            deadline,
        } => {
            let direction = direction.as_deref();
            edit::default(context, *action, direction, *deadline)
        }
        Command::Never { action } => edit::never(context, action),
        Command::Ban {
            sources,
            sentence,
            jail,
        } => ban::ban(context, sources, sentence, jail.as_deref()),
        Command::Unban { sources, all, jail } => {
            let jail = jail.as_deref();
            ban::unban(context, sources, *all, jail)
        }
        Command::Bans { action } => ban::bans(context, action.as_ref()),
        Command::Feeds { action } => feeds::feeds(context, *action),
        Command::Jail { action } => jail::jail(context, action.as_ref()),
        Command::F2b { words } => f2b::f2b(context, words),
        Command::Filter { action } => filter::filter(action, output),
        Command::Import { what } => import::import(context, what),
        Command::Reload { deadline } => edit::reload(context, *deadline),
        Command::Apply { file, deadline } => edit::apply(context, file.as_deref(), *deadline),
        Command::Edit { file, deadline } => edit_file::edit(context, file.as_deref(), *deadline),
        Command::Confirm => confirm::confirm(context, deadline::plain(&args.global)),
        Command::Rollback { number, deadline } => history::rollback(context, *number, *deadline),
        Command::History => history::history(context),
        Command::Diff { against } => history::diff(context, against.as_deref()),
        Command::Check { file } => edit::check(context, file.as_deref()),
        Command::Stats { args } => stats::stats(context, args),
        Command::Top { args } => top::top(context, args),
        Command::Metrics { args } => metrics::metrics(context, args),
        Command::Explain { file, words } => explain::explain(context, words, file.as_deref()),
        Command::Monitor { which, all } => monitor::monitor(context, which, *all),
        Command::Capture {
            write,
            which,
            all,
            snap_length,
        } => {
            let args = capture::CaptureArgs {
                which,
                file: write,
                is_all: *all,
                snap: *snap_length,
            };
            capture::capture(context, &args)
        }
        Command::Trace { which, all } => trace::trace(context, which, *all),
        Command::Web(args) => web::web(context, args),
        Command::Fleet(args) => fleet::fleet(context, args),
        Command::Crowdsec(args) => crowdsec::crowdsec(context, args),
        Command::Audit => audit::audit(context),
        Command::Doctor => doctor::doctor(context),
        Command::Verify {
            from,
            to,
            known_as,
            ssh,
        } => {
            let host = from.as_deref();
            let args = verify::VerifyArgs {
                host,
                to,
                known_as,
                ssh,
            };
            verify::verify(context, &args)
        }
        Command::Setup { iface, deadline } => {
            let deadline = *deadline;
            setup::setup(context, &setup::SetupArgs { iface, deadline })
        }
        Command::Version => status::version(output),
        Command::Man { folder } => shared_files::man(folder),
        Command::Completions { shell } => Ok(shared_files::completions(*shell)),
        Command::Other(words) => Err(refused::unknown(words)),
    }
}

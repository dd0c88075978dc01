//! `filter`: which filters there are, whether they are right, and what they make of a log.

mod trial;

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    failure::{Exit, Failure},
    filters::{Catalog, Filter, Problem, Spec},
    layout::Layout,
    output::Output,
};

/// What `filter check` and `filter test` call a filter.
const NAMES: &str = "\
A filter is a name from `guardctl filter list`, a file, builtin:NAME or fail2ban:NAME, each with options in \
brackets as jails write them: 'sshd[mode=aggressive]', './mine.conf[logtype=journal]'.";

#[derive(Debug, Subcommand)]
pub(super) enum Filters {
    /// Show every filter and where it comes from; those in /etc/guard/filter.d take precedence over the
    /// built-in ones, and
    /// these over fail2ban's, unless the installed fail2ban is newer than what they follow
    List,
    /// Check filters for mistakes; without a name, all of them. Exits 5 if there are any
    #[command(after_help = NAMES)]
    Check {
        /// Names or files
        #[arg(value_name = "FILTER")]
        filters: Vec<String>,
    },
    /// Show what a filter finds in a log, as fail2ban-regex does. Exits 6 if no line matches
    #[command(after_help = NAMES)]
    Test {
        /// Name or file
        filter: String,
        /// A log file; - for standard input
        #[arg(required_unless_present = "journal")]
        log: Option<PathBuf>,
        /// Read the journal of this systemd unit instead of a file; journalctl matches (FIELD=value) work, too
        #[arg(long, value_name = "UNIT", conflicts_with = "log")]
        journal: Option<String>,
        /// Show the lines that are not failures
        #[arg(long)]
        missed: bool,
        /// Show the lines that are failures, and whose
        #[arg(long)]
        matched: bool,
    },
}

pub(super) fn filter(action: &Filters, output: &mut Output) -> Result<Exit, Failure> {
    let catalog = Catalog::new(&Layout::from_environment());
    match action {
        Filters::List => Ok(list(&catalog, output)),
        Filters::Check { filters } => check(&catalog, filters, output),
        Filters::Test {
            filter,
            log,
            journal,
            missed,
            matched,
        } => {
            let mut spec = Spec::parse(filter).map_err(Problem::failure)?;
            if journal.is_some() {
                let kind = "logtype".to_owned();
                spec.given
                    .entry(kind)
                    .or_insert_with(|| "journal".to_owned());
            }
            let mut filter = catalog.load(&spec).map_err(Problem::failure)?;
            let wanted = trial::Wanted {
                missed: *missed,
                matched: *matched,
            };
            let source = match (journal, log) {
                (Some(unit), _) => trial::Source::Journal(unit),
                (None, Some(log)) => trial::Source::File(log),
                (None, None) => {
                    return Err(Failure::new(Exit::Usage, "there is no log to read")
                        .help("name a log file, - for standard input, or --journal UNIT"));
                }
            };
            trial::run(&mut filter, source, wanted, output)
        }
    }
}

fn load(catalog: &Catalog, text: &str) -> Result<Filter, Problem> {
    catalog.load(&Spec::parse(text)?)
}

fn list(catalog: &Catalog, output: &mut Output) -> Exit {
    let entries = catalog.entries();
    let width = entries
        .iter()
        .map(|entry| entry.name.len())
        .max()
        .unwrap_or(0);
    output.show(
        |out| {
            for entry in &entries {
                let file = entry.file.display();
                let follows = entry.follows.as_deref().unwrap_or("-");
                writeln!(
                    out,
                    "{:width$}  {:8}  {follows:19}  {file}",
                    entry.name,
                    entry.origin.label()
                )?;
            }
            Ok(())
        },
        || {
            let one = |entry: &crate::filters::catalog::FilterEntry| {
                json!({
                    "name": entry.name,
                    "origin": entry.origin.label(),
                    "follows": entry.follows,
                    "file": entry.file,
                })
            };
            json!({"filters": entries.iter().map(one).collect::<Vec<_>>()})
        },
    );
    Exit::Ok
}

fn check(catalog: &Catalog, names: &[String], output: &mut Output) -> Result<Exit, Failure> {
    let names: Vec<String> = if names.is_empty() {
        catalog
            .entries()
            .into_iter()
            .map(|entry| entry.name)
            .collect()
    } else {
        names.to_vec()
    };
    let checked: Vec<(String, Result<Filter, Problem>)> = names
        .into_iter()
        .map(|name| {
            let loaded = load(catalog, &name);
            (name, loaded)
        })
        .collect();
    // One that was asked for by name and does not exist is another mistake than a wrong one.
    let exit = if checked.iter().all(|(_, loaded)| loaded.is_ok()) {
        Exit::Ok
    } else if checked
        .iter()
        .all(|(_, loaded)| !matches!(loaded, Err(problem) if !problem.is_missing))
    {
        Exit::NotFound
    } else {
        Exit::BadConfiguration
    };
    output.show(
        |out| {
            for (name, loaded) in &checked {
                match loaded {
                    Ok(filter) => {
                        writeln!(out, "{name}: {}", summary(filter))?;
                        for warning in filter.definition().warnings.iter().chain(&filter.remarks())
                        {
                            writeln!(out, "  warning: {warning}")?;
                        }
                    }
                    Err(problem) => {
                        writeln!(out, "{name}: refused\n  {problem}")?;
                        if let Some(help) = &problem.help {
                            writeln!(out, "  help: {help}")?;
                        }
                    }
                }
            }
            Ok(())
        },
        || json!({"filters": checked.iter().map(checked_json).collect::<Vec<_>>()}),
    );
    Ok(exit)
}

fn summary(filter: &Filter) -> String {
    let definition = filter.definition();
    let count = |number: usize, what: &str| {
        format!("{number} {what}{}", if number == 1 { "" } else { "s" })
    };
    let mut parts = vec![count(definition.failures.len(), "pattern")];
    if !definition.ignored.is_empty() {
        parts.push(count(definition.ignored.len(), "exception"));
    }
    if filter.backtracking() > 0 {
        parts.push(format!(
            "{} of them backtracking (slower)",
            filter.backtracking()
        ));
    }
    if definition.max_lines > 1 {
        parts.push(format!("spans {}", count(definition.max_lines, "line")));
    }
    format!("right, {}", parts.join(", "))
}

fn checked_json((name, loaded): &(String, Result<Filter, Problem>)) -> Value {
    let problem = |problem: &Problem| {
        json!({
            "file": problem.place.as_ref().map(|place| place.path.as_ref()),
            "line": problem.place.as_ref().map(|place| place.line),
            "message": problem.message,
            "help": problem.help,
        })
    };
    match loaded {
        Ok(filter) => {
            let definition = filter.definition();
            json!({
                "filter": name,
                "right": true,
                "patterns": definition.failures.len(),
                "exceptions": definition.ignored.len(),
                "backtracking": filter.backtracking(),
                "max_lines": definition.max_lines,
                "journal": definition.journal,
                "files": definition.files.iter().map(|file| file.as_ref()).collect::<Vec<_>>(),
                "warnings": definition.warnings.iter().chain(&filter.remarks()).map(problem).collect::<Vec<_>>(),
            })
        }
        Err(wrong) => json!({"filter": name, "right": false, "problem": problem(wrong)}),
    }
}

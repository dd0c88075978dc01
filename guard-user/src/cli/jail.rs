//! `jail`: who is banned for what logs say, and changing that.

mod show;

use std::net::IpAddr;

use clap::Subcommand;
use serde_json::{Value, json};

use super::context::Context;
use crate::{
    bans::{
        BanTerm,
        store::{BanOrigin, BanRow, Now},
    },
    control::{JailsReport, Request, Response, client, unexpected},
    controller::Controller,
    failure::{Exit, Failure},
    filters::Catalog,
    jails::{JournalUse, Settings, forgeable, span},
};

/// Below `jail --help`.
pub(super) const HELP: &str = "\
A jail counts failures that a filter finds in logs; a source with maxretry of them within findtime is banned \
for bantime, longer each time. A host with sshd has a jail for it. Jails are defined in \
/etc/guard/jails.d/*.toml; `set` changes one setting there: enabled, filter, mode, logpath, container, journal, \
maxretry, findtime, bantime, bantime.increment, bantime.factor, bantime.multipliers, bantime.maxtime, ignoreip, \
ignoreself, proxies.

`guardctl daemon` does the work. Bans hold without it, and survive reboots.

Examples: jail set sshd maxretry 3    jail set sshd ignoreip 198.51.100.0/24 2001:db8::/48";

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Jails {
    /// List the jails, one per line
    List,
    /// Show one jail, or all: logs and whether they are read, failures, bans. Exits 8 if one does not work, 3
    /// without a daemon
    Status {
        /// Its name
        jail: Option<String>,
    },
    /// Turn a jail on; if there is none of that name, make one for the filter of that name
    Enable {
        /// Its name
        jail: String,
    },
    /// Turn a jail off; its bans end when they were due to
    Disable {
        /// Its name
        jail: String,
    },
    /// Change a setting
    Set {
        /// Its name
        jail: String,
        /// The setting
        key: String,
        /// Its value; several for a list
        #[arg(required = true, allow_hyphen_values = true)]
        value: Vec<String>,
    },
    /// Show the settings of a jail, or one of them
    Get {
        /// Its name
        jail: String,
        /// The setting
        key: Option<String>,
    },
    /// Count a failure of a source, as if a log had reported it
    Attempt {
        /// Its name
        jail: String,
        /// The source that failed
        source: IpAddr,
    },
}

pub(super) fn jail(context: &mut Context<'_>, action: Option<&Jails>) -> Result<Exit, Failure> {
    match action.unwrap_or(&Jails::List) {
        Jails::List => list(context),
        Jails::Status { jail } => status(context, jail.as_deref()),
        Jails::Enable { jail } => {
            let value = ["true".to_owned()];
            change(context, jail, "enabled", &value)
        }
        Jails::Disable { jail } => {
            context.controller.jail(jail)?;
            let value = ["false".to_owned()];
            change(context, jail, "enabled", &value)
        }
        Jails::Set { jail, key, value } => {
            context.controller.jail(jail)?;
            change(context, jail, key, value)
        }
        Jails::Get { jail, key } => get(context, jail, key.as_deref()),
        Jails::Attempt { jail, source } => attempt(context, jail, *source),
    }
}

/// What the daemon says of its jails, or why it does not.
pub(super) fn asked(controller: &Controller) -> Result<JailsReport, Failure> {
    let response = client::ask(controller.layout(), Request::Jails)?;
    let Response::Jails(report) = response else {
        return Err(unexpected(response));
    };
    Ok(report)
}

/// The bans of jails that hold, and the time.
pub(super) fn banned(controller: &Controller) -> Result<(Vec<BanRow>, Now), Failure> {
    let (mut records, now) = controller.bans()?;
    records.retain(|record| matches!(record.origin, BanOrigin::Jail(_)));
    Ok((records, now))
}

pub(super) fn is_of(record: &BanRow, jail: &str) -> bool {
    matches!(&record.origin, BanOrigin::Jail(name) if name == jail)
}

fn list(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let jails = context.controller.jails();
    let (records, _) = banned(context.controller)?;
    let report = asked(context.controller);
    if let Err(failure) = &report {
        let message = format!("no log is read: {}", failure.message);
        context.output.warnings(&[message]);
    }
    let report = report.ok();
    let catalog = Catalog::new(context.controller.layout());
    let rows = show::rows(&jails, &catalog, report.as_ref(), &records);
    context.output.show(
        |out| show::table(out, &rows),
        || json!({"jails": rows.iter().map(show::row_json).collect::<Vec<_>>(), "daemon": report.is_some()}),
    );
    context
        .output
        .warnings(&show::problems(&jails, report.as_ref()));
    for row in &rows {
        context.output.warnings(&row.warnings);
    }
    let is_right = rows.iter().all(|row| row.broken.is_none());
    Ok(if is_right { Exit::Ok } else { Exit::Partial })
}

fn status(context: &mut Context<'_>, name: Option<&str>) -> Result<Exit, Failure> {
    let jails = context.controller.jails();
    if let Some(name) = name
        && !jails.broken.contains(name)
    {
        context.controller.jail(name)?;
    }
    let report = asked(context.controller)?;
    let (records, now) = banned(context.controller)?;
    let catalog = Catalog::new(context.controller.layout());
    let mut rows = show::rows(&jails, &catalog, Some(&report), &records);
    rows.retain(|row| name.is_none_or(|name| row.name == name));
    context.output.show(
        |out| {
            for row in &rows {
                show::whole(out, row, &report, &records, &now)?;
            }
            Ok(())
        },
        || {
            let whole = |row| show::whole_json(row, &report, &records, &now);
            json!({
                "jails": rows.iter().map(whole).collect::<Vec<_>>(),
                "journal": report.journal,
                "problems": report.problems,
            })
        },
    );
    context
        .output
        .warnings(&show::problems(&jails, Some(&report)));
    let is_right = rows.iter().all(|row| row.broken.is_none());
    Ok(if is_right { Exit::Ok } else { Exit::Partial })
}

pub(super) fn change(
    context: &mut Context<'_>,
    jail: &str,
    key: &str,
    words: &[String],
) -> Result<Exit, Failure> {
    let done = context
        .controller
        .set_jail(jail, key, words, context.global.dry_run)?;
    let said = match (context.global.dry_run, done.has_changed) {
        (true, true) => "would be changed",
        (true, false) | (false, false) => "is set to that already",
        (false, true) => "changed",
    };
    if !done.is_taken && !context.global.dry_run {
        context.output.warnings(&[
            "no daemon is running: it takes effect when one does (`systemctl start guard`)"
                .to_owned(),
        ]);
    }
    let catalog = Catalog::new(context.controller.layout());
    let of_logs = context
        .controller
        .jail(jail)
        .ok()
        .filter(|settings| settings.is_enabled);
    let of_logs = of_logs.map_or_else(Vec::new, |settings| {
        forgeable::warnings(&settings, &catalog)
    });
    context.output.warnings(&of_logs);
    context.output.show(
        |out| writeln!(out, "{}: {key} of jail {jail}: {said}", done.file.display()),
        || {
            json!({
                "jail": jail,
                "key": key,
                "file": done.file,
                "changed": done.has_changed && !context.global.dry_run,
                "taken": done.is_taken,
                "dry_run": context.global.dry_run,
                "warnings": of_logs,
            })
        },
    );
    Ok(Exit::Ok)
}

fn get(context: &mut Context<'_>, name: &str, key: Option<&str>) -> Result<Exit, Failure> {
    let settings = context.controller.jail(name)?;
    let all = values(&settings);
    let shown: Vec<&(&str, Value)> = all
        .iter()
        .filter(|(known, _)| key.is_none_or(|key| key == *known))
        .collect();
    if shown.is_empty() {
        let keys: Vec<&str> = all.iter().map(|(known, _)| *known).collect();
        let message = format!("a jail has no setting {}", key.unwrap_or_default());
        return Err(
            Failure::new(Exit::Usage, message).help(format!("there are {}", keys.join(", ")))
        );
    }
    context.output.show(
        |out| {
            for (known, value) in &shown {
                match (key, value) {
                    (Some(_), Value::String(text)) => writeln!(out, "{text}")?,
                    (Some(_), other) => writeln!(out, "{other}")?,
                    (None, other) => writeln!(out, "{known} = {other}")?,
                }
            }
            Ok(())
        },
        || {
            let pairs = shown.iter().map(|(known, value)| ((*known).to_owned(), value.clone()));
            json!({"jail": name, "settings": pairs.collect::<serde_json::Map<_, _>>(), "file": settings.file})
        },
    );
    Ok(Exit::Ok)
}

/// The settings of a jail under the names that its file has for them.
pub(super) fn values(settings: &Settings) -> Vec<(&'static str, Value)> {
    let length = span::text;
    let term = |term: BanTerm| match term {
        BanTerm::For(time) => length(time),
        BanTerm::Permanent => "-1".to_owned(),
    };
    let texts = |prefixes: &[crate::bans::Prefix]| {
        prefixes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let growth = &settings.growth;
    vec![
        ("enabled", json!(settings.is_enabled)),
        ("filter", json!(settings.filter)),
        ("mode", json!(settings.mode)),
        ("logpath", json!(settings.files)),
        ("container", json!(settings.containers)),
        (
            "journal",
            match &settings.journal {
                JournalUse::OfFilter => json!(true),
                JournalUse::Matches(matches) => json!(matches),
                JournalUse::No => json!(false),
            },
        ),
        ("maxretry", json!(settings.max_retry)),
        ("findtime", json!(length(settings.find_time))),
        ("bantime", json!(term(settings.ban_time))),
        ("bantime.increment", json!(growth.is_on)),
        ("bantime.factor", json!(growth.factor)),
        ("bantime.multipliers", json!(growth.multipliers)),
        (
            "bantime.maxtime",
            json!(growth.most.map_or("-1".to_owned(), length)),
        ),
        ("ignoreip", json!(settings.ignored_texts())),
        ("ignoreself", json!(settings.ignores_self)),
        ("proxies", json!(texts(&settings.proxies))),
    ]
}

pub(super) fn attempt(
    context: &mut Context<'_>,
    jail: &str,
    source: IpAddr,
) -> Result<Exit, Failure> {
    let request = Request::Attempt {
        jail: jail.to_owned(),
        source,
    };
    let response = client::ask(context.controller.layout(), request)?;
    let Response::Counted { banned, message } = response else {
        return Err(unexpected(response));
    };
    context.output.show(
        |out| writeln!(out, "{message}"),
        || json!({"jail": jail, "source": source, "banned": banned, "message": message}),
    );
    Ok(Exit::Ok)
}

//! Where the lines of a jail come from: files or the journal.

use super::{
    super::{config::Options, warnings::Warnings},
    ImportedJail,
    filter::{JournalMatch, Logs},
};
use crate::{filters::Problem, jails::forgeable, logs::matches::Matches};

/// Files or the journal.
pub(super) fn sources(
    options: &Options<'_>,
    logs: Logs,
    journal: JournalMatch,
    carried: &mut ImportedJail,
    warnings: &mut Warnings,
) -> Result<(), Problem> {
    let backend = options.get("backend")?.unwrap_or_default();
    if !backend.starts_with("systemd") {
        let mut files = Vec::new();
        for line in options.lines("logpath")? {
            // `FILE head` and `FILE tail` say where to begin; guard reads what is written from now on.
            let file = line
                .rsplit_once(' ')
                .map_or(line.as_str(), |(file, _)| file)
                .trim();
            let wrong = if !file.starts_with('/') {
                "is not absolute"
            } else if file.contains("**") || glob::Pattern::new(file).is_err() {
                "is a pattern that guard does not know"
            } else {
                let file = match logs {
                    Logs::AccessOfNginx if forgeable::is_error_log(file) => {
                        let access = forgeable::access_log(file);
                        warnings.add(options.at("logpath", unforged(options.jail, file, &access)));
                        access
                    }
                    Logs::AccessOfNginx | Logs::AsNamed => file.to_owned(),
                };
                if !files.contains(&file) {
                    files.push(file);
                }
                continue;
            };
            let problem = Problem::new(format!("logpath {file} {wrong}"))
                .help("write logpath = [\"/var/log/…\"] into the jail");
            warnings.add(options.at("logpath", problem));
        }
        if !files.is_empty() {
            carried.set("logpath", files);
            return Ok(());
        }
        if options.get("logpath")?.is_some() {
            let problem = Problem::new("none of its logs can be followed")
                .help("correct logpath there, and import again");
            return Err(options.at("logpath", problem));
        }
    }
    if backend.contains('[') {
        let problem = Problem::new(format!(
            "the options of backend = {backend} are not carried over"
        ))
        .help("guard reads the journal of this host");
        warnings.add(options.at("backend", problem));
    }
    let mut matches = Vec::new();
    for line in options.lines("journalmatch")? {
        if Matches::parse(&line).is_some() {
            matches.push(line);
            continue;
        }
        let problem = Problem::new(format!("journalmatch {line} is not a journalctl match"))
            .help("write journal = \"_SYSTEMD_UNIT=NAME.service\" into the jail");
        warnings.add(options.at("journalmatch", problem));
    }
    if matches.is_empty() && journal == JournalMatch::Unstated {
        let problem = Problem::new(
            "neither the jail nor its filter says which part of the journal it reads, and every user can \
             write to the whole of it",
        )
        .help("write journalmatch = _SYSTEMD_UNIT=NAME.service into the jail there, and import again");
        return Err(options.at("backend", problem));
    }
    if matches.is_empty() {
        carried.set("journal", true);
    } else {
        carried.set("journal", matches);
    }
    Ok(())
}

/// Why a jail reads another log here.
fn unforged(jail: &str, error: &str, access: &str) -> Problem {
    Problem::new(format!(
        "the jail {jail} reads {access} instead of {error}: anyone who connects can write whole lines into \
         nginx's error log, and get anyone banned"
    ))
    .help("see that nginx writes that access log in its usual format (combined)")
}

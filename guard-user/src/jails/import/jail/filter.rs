//! The filter of a jail: which one fail2ban means, with what options, and what follows from it.

use std::{fs, path::Path};

use super::{
    super::{STOCK, Surroundings, config::Options, warnings::Warnings},
    ImportedJail,
};
use crate::{
    filters::{Problem, Spec, builtin},
    jails::settings::{JailInput, RECIDIVE},
};

/// Options of a jail that are those of its filter.
const OF_FILTER: [&str; 5] = [
    "failregex",
    "ignoreregex",
    "prefregex",
    "datepattern",
    "maxlines",
];

/// What is read with a filter.
pub(super) struct Filter {
    pub(super) watched: JailInput,
    pub(super) logs: Logs,
    pub(super) journal: JournalMatch,
}

/// Does a filter say what of the journal it is for?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JournalMatch {
    Stated,
    Unstated,
}

/// The logs that a filter knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logs {
    /// nginx's access log, where fail2ban's filter of the same name reads the error log, which can be forged.
    AccessOfNginx,
    /// Those that the jail names.
    AsNamed,
}

/// The filter, its options and its mode.
pub(super) fn filter(
    from: &Path,
    options: &Options<'_>,
    surroundings: &Surroundings<'_>,
    carried: &mut ImportedJail,
    warnings: &mut Warnings,
) -> Result<Filter, Problem> {
    let wrong = |problem: Problem| options.at("filter", problem);
    let Some(text) = options.get("filter")? else {
        return Err(wrong(Problem::new("it has no filter").help(
            "put its failregex into a file of /etc/guard/filter.d, and name that with filter",
        )));
    };
    let mut spec = Spec::parse(&text).map_err(wrong)?;
    if spec.name == RECIDIVE {
        carried.set("filter", RECIDIVE);
        return Ok(Filter {
            watched: JailInput::Bans,
            logs: Logs::AsNamed,
            journal: JournalMatch::Unstated,
        });
    }
    for name in OF_FILTER {
        if let Some(value) = options.get(name)? {
            spec.given.insert(name.to_owned(), value);
        }
    }
    let mode = spec.given.remove("mode");
    let name = spec.name.clone();
    spec.name = place_of(from, &name, surroundings.is_edited);
    let text = written(&spec).ok_or_else(|| {
        wrong(
            Problem::new("an option of its filter has both kinds of quotation marks")
                .help("put that into a file of /etc/guard/filter.d, and name it with filter"),
        )
    })?;
    let mut checked = Spec::parse(&text).map_err(wrong)?;
    if let Some(mode) = &mode {
        checked.given.insert("mode".to_owned(), mode.clone());
    }
    let usable = (surroundings.check_filter)(&checked).map_err(|problem| {
        let help = problem
            .help
            .clone()
            .unwrap_or_else(|| "`guardctl filter check` tells more".to_owned());
        wrong(Problem::new(format!("its filter cannot be used: {problem}")).help(help))
    })?;
    if spec.name != name && builtin::file(&name).is_some() {
        let jail = options.jail;
        warnings.add(wrong(
            Problem::new(format!(
                "the filter {name} of the jail {jail} differs from the packaged one: it is used instead of \
                 the built-in one"
            ))
            .help(format!("write filter = \"{name}\" into the jail to use the built-in one")),
        ));
    }
    for problem in usable.warnings {
        let jail = options.jail;
        let mut warning = Problem::new(format!(
            "the filter {name} of the jail {jail}: {}",
            problem.message
        ));
        warning.help = problem.help;
        warnings.add(wrong(warning));
    }
    let is_builtin = builtin::file(&spec.name).is_some();
    if !is_builtin {
        carried.stock_filter = Some(name);
    }
    let logs = match is_builtin && spec.name.starts_with("nginx-") {
        true => Logs::AccessOfNginx,
        false => Logs::AsNamed,
    };
    carried.set("filter", text);
    if let Some(mode) = mode {
        carried.set("mode", mode);
    }
    Ok(Filter {
        watched: JailInput::Lines,
        logs,
        journal: match usable.knows_journal {
            true => JournalMatch::Stated,
            false => JournalMatch::Unstated,
        },
    })
}

/// The name by which guard finds the filter that fail2ban means: what somebody changed goes before
/// the one that is built in.
fn place_of(from: &Path, name: &str, is_edited: &dyn Fn(&Path) -> bool) -> String {
    let folder = from.join("filter.d");
    let real = |path: &Path| fs::canonicalize(path).ok();
    let is_stock = real(from).is_some_and(|from| Some(from) == real(Path::new(STOCK)));
    let file = folder.join(format!("{name}.conf"));
    let is_builtin = builtin::file(name).is_some();
    let has_additions = ["local", "d"]
        .iter()
        .any(|end| folder.join(format!("{name}.{end}")).exists());
    let is_changed = has_additions
        || file.exists()
            && is_builtin
            && (folder.join("common.local").exists() || is_edited(&file));
    match (is_stock, is_changed) {
        (true, true) => format!("fail2ban:{name}"),
        (false, _) if file.exists() && (is_changed || !is_builtin) => {
            let file = fs::canonicalize(&file).unwrap_or(file);
            file.to_string_lossy().into_owned()
        }
        (true | false, _) => name.to_owned(),
    }
}

/// A filter with its options, as jails name it.
fn written(spec: &Spec) -> Option<String> {
    let mut given = Vec::new();
    for (name, value) in &spec.given {
        let quote = ['"', '\'']
            .into_iter()
            .find(|quote| !value.contains(*quote))?;
        given.push(format!("{name}={quote}{value}{quote}"));
    }
    if given.is_empty() {
        return Some(spec.name.clone());
    }
    Some(format!("{}[{}]", spec.name, given.join(", ")))
}

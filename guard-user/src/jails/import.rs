//! fail2ban's jails in guard's words: from its files to the text of one file of `jails.d`, and what
//! could not be carried over. Writes nothing.

mod actions;
mod config;
mod jail;
mod package;
mod running;
mod time;
mod warnings;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::read::is_name;
use crate::{
    filters::{Problem, Spec},
    text::import_mark::marked,
};
use config::Config;
use warnings::Warnings;

pub use package::Package;
pub use running::{RunningBan, running_bans};

/// Where the fail2ban package has its files.
pub const STOCK: &str = "/etc/fail2ban";
/// The file of `jails.d` that is written.
pub const FILE: &str = "fail2ban.toml";

/// What the import must know besides fail2ban's files.
pub struct Surroundings<'a> {
    /// Jails that other files of `jails.d` have already, and which.
    pub taken: &'a BTreeMap<String, PathBuf>,
    /// Can guard use this filter, and what of it must be known?
    pub check_filter: &'a dyn Fn(&Spec) -> Result<CheckedFilter, Problem>,
    /// Has an administrator edited this file of fail2ban's?
    pub is_edited: &'a dyn Fn(&Path) -> bool,
}

/// A filter that guard can use.
#[derive(Debug, Default)]
pub struct CheckedFilter {
    /// What is odd about it.
    pub warnings: Vec<Problem>,
    /// Does it say what of the journal it is for?
    pub knows_journal: bool,
}

/// What became of fail2ban's jails.
#[derive(Debug)]
pub struct Import {
    /// The text of the file.
    pub text: String,
    /// Names of the jails in it.
    pub jails: Vec<String>,
    /// Those of them that are not enabled here; a warning says why.
    pub off: Vec<String>,
    /// Enabled jails of fail2ban that are not in it; a warning says why.
    pub left_out: Vec<String>,
    /// Filters that are read from fail2ban's own files, where they stand.
    pub stock_filters: Vec<String>,
    /// What could not be carried over, and what to do instead.
    pub warnings: Vec<Problem>,
}

/// Reads the jails below fail2ban's folder.
///
/// # Errors
/// There are none (`is_missing`), or the files cannot be read.
pub fn import(from: &Path, surroundings: &Surroundings<'_>) -> Result<Import, Problem> {
    let config = Config::read(from)?;
    let mut warnings = Warnings::default();
    let mut import = Import {
        text: String::new(),
        jails: Vec::new(),
        off: Vec::new(),
        left_out: Vec::new(),
        stock_filters: Vec::new(),
        warnings: Vec::new(),
    };
    let mut body = String::new();
    for section in config.jails() {
        let options = config.options(section);
        match options.switch("enabled") {
            Ok(Some(true)) => {}
            Ok(Some(false) | None) => continue,
            Err(problem) => {
                warnings.left_out(section, problem);
                import.left_out.push(section.to_owned());
                continue;
            }
        }
        let carried = name_for(section, surroundings, &import.jails)
            .map_err(|problem| options.at("enabled", problem))
            .and_then(|name| {
                let carried = jail::carry(from, &options, surroundings, &mut warnings)?;
                Ok((name, carried))
            });
        match carried {
            Ok((name, carried)) => {
                if name != section {
                    let message = format!("the jail {section} is called {name} here");
                    let problem =
                        Problem::new(message).help("names have letters, digits, `-` and `_`");
                    warnings.add(options.at("enabled", problem));
                }
                body.push_str(&carried.table(&name));
                if let Some(filter) = carried.stock_filter
                    && !import.stock_filters.contains(&filter)
                {
                    import.stock_filters.push(filter);
                }
                if carried.is_off {
                    import.off.push(name.clone());
                }
                import.jails.push(name);
            }
            Err(problem) => {
                warnings.left_out(section, problem);
                import.left_out.push(section.to_owned());
            }
        }
    }
    import.text = marked("fail2ban", from, &body);
    import.warnings = warnings.into_problems();
    Ok(import)
}

/// What a jail of fail2ban's is called here.
#[must_use]
pub fn plain_name(section: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    section
        .chars()
        .map(|letter| if is_plain(letter) { letter } else { '-' })
        .collect()
}

/// The name of a jail here, if it can have one.
fn name_for(
    section: &str,
    surroundings: &Surroundings<'_>,
    others: &[String],
) -> Result<String, Problem> {
    let name = plain_name(section);
    if !is_name(&name) {
        return Err(
            Problem::new("its name is longer than 64 characters").help("give it a shorter name")
        );
    }
    if let Some(file) = surroundings.taken.get(&name) {
        return Err(
            Problem::new(format!("{} has a jail {name} already", file.display()))
                .help("take it out there, and import again"),
        );
    }
    if others.contains(&name) {
        return Err(
            Problem::new(format!("another jail is called {name} here already"))
                .help("give it a name of letters, digits, `-` and `_`"),
        );
    }
    Ok(name)
}

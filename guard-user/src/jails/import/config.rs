//! fail2ban's jails as its files say them: each option of a jail with everything put in, and its place.

use std::path::Path;

use crate::filters::{
    Problem,
    config::{
        Given,
        files::{self, Merged},
        ini::{DEFAULT, Raw},
        problem::ConfigLine,
        values::Values,
    },
};

/// All sections of `jail.conf` and the files beside it.
pub(super) struct Config {
    merged: Merged,
    given: Given,
}

impl Config {
    pub(super) fn read(from: &Path) -> Result<Self, Problem> {
        let mut merged = files::read_existing(&from.join("jail.conf"))?;
        let Some(first) = merged.files.first().cloned() else {
            return Err(Problem::missing(format!(
                "{}: there are no jails of fail2ban",
                from.display()
            ))
            .help("name the folder that has jail.conf or jail.local: --from FOLDER"));
        };
        // What fail2ban itself puts in.
        let said = |text: &str| Raw {
            text: text.replace('%', "%%"),
            place: ConfigLine::new(&first, 1),
        };
        for (name, section) in &mut merged.sections {
            section.insert("__name__".to_owned(), said(name));
        }
        let defaults = merged.sections.entry(DEFAULT.to_owned()).or_default();
        defaults.remove("__name__");
        for (name, text) in [
            ("fail2ban_confpath", from.to_string_lossy().as_ref()),
            ("fail2ban_version", "1.0"),
        ] {
            defaults
                .entry(name.to_owned())
                .or_insert_with(|| said(text));
        }
        Ok(Self {
            merged,
            given: Given::new(),
        })
    }

    /// The file in which fail2ban keeps its bans, as fail2ban.conf and the files beside it say.
    pub(super) fn database(from: &Path) -> Option<String> {
        let merged = files::read_existing(&from.join("fail2ban.conf")).ok()?;
        let given = Given::new();
        let values = Values::new(&merged, &given);
        let file = values.get("Definition", "dbfile").ok()??;
        Some(file.trim().to_owned()).filter(|file| file.starts_with('/'))
    }

    /// The names of the jails, enabled or not.
    pub(super) fn jails(&self) -> impl Iterator<Item = &str> {
        let sections = self.merged.sections.keys().map(String::as_str);
        sections.filter(|name| ![DEFAULT, "INCLUDES"].contains(name) && !name.starts_with("KNOWN/"))
    }

    pub(super) fn options<'c>(&'c self, jail: &'c str) -> Options<'c> {
        Options {
            values: Values::new(&self.merged, &self.given),
            jail,
        }
    }
}

/// The options of one jail.
pub(super) struct Options<'c> {
    values: Values<'c>,
    pub(super) jail: &'c str,
}

impl Options<'_> {
    /// An option with everything put in; none if it is not there, or empty.
    pub(super) fn get(&self, name: &str) -> Result<Option<String>, Problem> {
        let value = self.values.get(self.jail, name)?;
        Ok(value
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty()))
    }

    /// The words of an option, between blanks and commas.
    pub(super) fn words(&self, name: &str) -> Result<Vec<String>, Problem> {
        let text = self.get(name)?.unwrap_or_default();
        let words = text.split(|letter: char| letter == ',' || letter.is_whitespace());
        Ok(words
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect())
    }

    /// Its lines.
    pub(super) fn lines(&self, name: &str) -> Result<Vec<String>, Problem> {
        let text = self.get(name)?.unwrap_or_default();
        let lines = text.lines().map(str::trim);
        Ok(lines
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect())
    }

    /// Whatever is none of fail2ban's words for yes is no.
    pub(super) fn switch(&self, name: &str) -> Result<Option<bool>, Problem> {
        let value = self.get(name)?;
        let is_yes = |value: String| {
            ["1", "on", "true", "yes"].contains(&value.to_ascii_lowercase().as_str())
        };
        Ok(value.map(is_yes))
    }

    /// A problem at the place of an option, unless it has one.
    pub(super) fn at(&self, name: &str, mut problem: Problem) -> Problem {
        if problem.place.is_none() {
            problem.place = self.place(name);
        }
        problem
    }

    fn place(&self, name: &str) -> Option<ConfigLine> {
        self.values
            .raw(self.jail, name)
            .map(|raw| raw.place.clone())
    }
}

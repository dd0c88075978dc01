//! What a filter is made of, after its files were read: patterns, date patterns, journal matches.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    files::{self, Merged},
    ini::DEFAULT,
    problem::{ConfigLine, Problem},
    values::{Given, Values, fill_tags},
};
use crate::{filters::forgeable, text::nearest::nearest};

/// Options that fail2ban reads from a filter.
const OPTIONS: &[&str] = &[
    "usedns",
    "prefregex",
    "ignoreregex",
    "failregex",
    "maxlines",
    "datepattern",
    "journalmatch",
];
/// Options that mean something although nothing in the file asks for them.
const WORDS: &[&str] = &["mode", "logtype"];
/// What jails of fail2ban give to every filter.
const USUAL_MODE: &str = "normal";
const SECTIONS: &[&str] = &["Definition", "Init", "INCLUDES", DEFAULT];
/// Most lines that a pattern may span; the largest filter known wants 10.
const MAX_LINES: usize = 100;

/// One pattern as the files say it, with all options put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// In fail2ban's language: Python's regular expressions with `<HOST>` and `<F-…>`.
    pub text: String,
    /// `failregex`, `ignoreregex` or `prefregex`.
    pub option: &'static str,
    /// Counted from 1, in the order of the file.
    pub number: usize,
    /// Where its option begins, if a file says it.
    pub place: Option<ConfigLine>,
}

impl Expression {
    pub(crate) fn problem(&self, message: impl std::fmt::Display) -> Problem {
        let message = format!(
            "{} {}: {message}\n  in: {}",
            self.option, self.number, self.text
        );
        match &self.place {
            Some(place) => Problem::at(place, message),
            None => Problem::new(message),
        }
    }
}

/// A filter before its patterns are compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// What failures look like; the first that matches counts.
    pub failures: Vec<Expression>,
    /// What is no failure although it looks like one.
    pub ignored: Vec<Expression>,
    /// What must match first; its `<F-CONTENT>` is what the failures are looked for in.
    pub prefix: Option<Expression>,
    /// Date patterns in order of preference; none: the default ones.
    pub dates: Vec<String>,
    /// Where the date patterns stand.
    pub dates_place: Option<ConfigLine>,
    /// Matches for `journalctl`, one set of words per line.
    pub journal: Vec<String>,
    /// Are the lines those of the journal (`logtype=journal`)?
    pub is_for_journal: bool,
    /// How many lines a pattern may span.
    pub max_lines: usize,
    /// Are some of its patterns for a log that a client can forge whole?
    pub is_forgeable: bool,
    /// The files that were read.
    pub files: Vec<Arc<PathBuf>>,
    /// What is odd but does not keep the filter from working.
    pub warnings: Vec<Problem>,
}

impl Definition {
    /// Reads a filter's files.
    ///
    /// # Errors
    /// Whatever is wrong in them first: where, what, the value, and a way out.
    pub fn read(file: &Path, given: &Given) -> Result<Self, Problem> {
        let merged = files::read(file)?;
        sections_known(&merged)?;
        let values = Values::new(&merged, given);
        let mut options = BTreeMap::new();
        for option in OPTIONS {
            if given.contains_key(*option) {
                continue;
            }
            if let Some(value) = values.get("Definition", option)? {
                options.insert((*option).to_owned(), value);
            }
        }
        let mut all = options;
        all.extend(
            given
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        if let Some(init) = merged.sections.get("Init") {
            for name in init.keys() {
                let Some(value) = values.get("Init", name)? else {
                    continue;
                };
                all.insert(format!("known/{name}"), value.clone());
                if !given.contains_key(name) {
                    all.insert(name.clone(), value);
                }
            }
        }
        let all = fill_tags(&values, &all)?;
        Self::from_options(&merged, &values, &all, given)
    }

    fn from_options(
        merged: &Merged,
        values: &Values<'_>,
        all: &BTreeMap<String, String>,
        given: &Given,
    ) -> Result<Self, Problem> {
        let place = |option: &str| {
            let raw = values
                .raw("Definition", option)
                .or_else(|| values.raw("Init", option));
            raw.map(|raw| raw.place.clone())
        };
        let patterns = |option: &'static str| -> Vec<Expression> {
            let text = all.get(option).map_or("", String::as_str);
            text.split('\n')
                .filter(|line| !line.trim().is_empty())
                .enumerate()
                .map(|(index, line)| Expression {
                    text: line.to_owned(),
                    option,
                    number: index + 1,
                    place: place(option),
                })
                .collect()
        };
        let prefix = all.get("prefregex").filter(|text| !text.is_empty());
        let prefix = prefix.map(|text| Expression {
            text: text.clone(),
            option: "prefregex",
            number: 1,
            place: place("prefregex"),
        });
        let lines = |option: &str| -> Vec<String> {
            let text = all.get(option).map_or("", String::as_str);
            text.split('\n')
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let definition = Self {
            failures: patterns("failregex"),
            ignored: patterns("ignoreregex"),
            prefix,
            dates: lines("datepattern"),
            dates_place: place("datepattern"),
            journal: lines("journalmatch"),
            is_for_journal: all.get("logtype").is_some_and(|kind| kind == "journal"),
            max_lines: max_lines(values, all)?,
            files: merged.files.clone(),
            warnings: unused(merged, values, given)?,
            is_forgeable: false,
        };
        if definition.failures.is_empty() {
            let first = merged.files.last().map(|file| ConfigLine::new(file, 1));
            let problem = match place("failregex").or(first) {
                Some(place) => Problem::at(&place, "the filter has no failregex"),
                None => Problem::new("the filter has no failregex"),
            };
            return Err(problem.help("write `failregex = …` in [Definition]"));
        }
        let definition = definition.with_forgeable_told();
        for expression in definition.failures.iter().chain(&definition.prefix) {
            if let Some(problem) = choice_unknown(merged, expression) {
                return Err(problem);
            }
        }
        Ok(definition)
    }
}

impl Definition {
    fn with_forgeable_told(mut self) -> Self {
        self.is_forgeable =
            forgeable::are_for_it(self.failures.iter().map(|failure| failure.text.as_str()));
        if self.is_forgeable {
            let problem = Problem::new(
                "it is for nginx's error log, which contains what clients send verbatim, line feeds \
                 included: anyone who connects can get anyone banned",
            );
            let help = "use a filter that reads the access log, as the built-in ones do";
            self.warnings.push(problem.help(help));
        }
        self
    }
}

fn max_lines(values: &Values<'_>, all: &BTreeMap<String, String>) -> Result<usize, Problem> {
    let Some(text) = all.get("maxlines") else {
        return Ok(1);
    };
    match text.trim().parse::<usize>() {
        Ok(lines) if (1..=MAX_LINES).contains(&lines) => Ok(lines),
        Ok(_) | Err(_) => Err(values.problem(
            "Definition",
            "maxlines",
            format!("maxlines = {text}: not a number from 1 to {MAX_LINES}"),
        )),
    }
}

fn sections_known(merged: &Merged) -> Result<(), Problem> {
    for (name, options) in &merged.sections {
        if SECTIONS.contains(&name.as_str()) {
            continue;
        }
        if let Some(near) = nearest(name, SECTIONS.iter().copied())
            && let Some(raw) = options.values().next()
        {
            return Err(
                Problem::at(&raw.place, format!("there is no section [{name}]"))
                    .help(format!("did you mean [{near}]?")),
            );
        }
    }
    Ok(())
}

/// Options that nothing uses: slips of the hand are errors, the rest is worth a word.
fn unused(merged: &Merged, values: &Values<'_>, given: &Given) -> Result<Vec<Problem>, Problem> {
    let used = values.used();
    // Of `mdre-normal` and `mdre-aggressive`, which `<mdre-<mode>>` chooses from, one is used.
    let chosen: BTreeSet<&str> = used
        .iter()
        .filter_map(|name| Some(name.split_once('-')?.0))
        .collect();
    let mut warnings = Vec::new();
    for (name, value) in given {
        // The kind of log is not given by operators alone.
        let is_usual = name == "logtype" || name == "mode" && value == USUAL_MODE;
        let is_known = OPTIONS.contains(&name.as_str()) || is_usual;
        if !is_known && !used.contains(name) {
            let message = format!("the option `{name}` has no effect: nothing refers to it");
            warnings.push(Problem::new(message).help("leave it out, or correct its name"));
        }
    }
    let names: BTreeSet<(&str, &String)> = ["Definition", "Init"]
        .into_iter()
        .filter_map(|section| Some((section, merged.sections.get(section)?)))
        .flat_map(|(section, options)| options.keys().map(move |name| (section, name)))
        .collect();
    for (section, name) in names {
        let is_known = OPTIONS.contains(&name.as_str()) || WORDS.contains(&name.as_str());
        let is_choice = name
            .split_once('-')
            .is_some_and(|(stem, _)| chosen.contains(stem));
        // Names with an underscore are the file's own; another mode may want them.
        let is_own = name.starts_with('_');
        if is_known || is_choice || is_own || used.contains(name) || is_asked_for(merged, name) {
            continue;
        }
        let problem = values.problem(
            section,
            name,
            format!("unknown option `{name}`, and nothing refers to it"),
        );
        match nearest(name, OPTIONS.iter().copied()) {
            Some(near) => return Err(problem.help(format!("did you mean `{near}`?"))),
            None => warnings.push(problem),
        }
    }
    Ok(warnings)
}

/// Does any option ask for it, be it one that another choice would take?
fn is_asked_for(merged: &Merged, name: &str) -> bool {
    let (tag, reference) = (format!("<{name}>"), format!("%({name})s"));
    let mut options = merged
        .sections
        .values()
        .flat_map(|section| section.values());
    options.any(|raw| raw.text.contains(&tag) || raw.text.contains(&reference))
}

/// `<mdre-agressive>`, left over because `mode` names no choice that the filter has.
fn choice_unknown(merged: &Merged, expression: &Expression) -> Option<Problem> {
    let names: BTreeSet<&str> = ["Definition", "Init", DEFAULT]
        .into_iter()
        .filter_map(|section| merged.sections.get(section))
        .flat_map(|options| options.keys().map(String::as_str))
        .collect();
    for part in expression.text.split('<').skip(1) {
        let Some((tag, _)) = part.split_once('>') else {
            continue;
        };
        let Some((stem, choice)) = tag.split_once('-') else {
            continue;
        };
        let stem = format!("{stem}-");
        let choices: Vec<&str> = names
            .iter()
            .filter_map(|name| name.strip_prefix(&stem))
            .collect();
        if !choices.is_empty() && !choices.contains(&choice) {
            let problem = expression.problem(format!("<{tag}> is not defined"));
            return Some(problem.help(format!("`{choice}` is none of: {}", choices.join(", "))));
        }
    }
    None
}

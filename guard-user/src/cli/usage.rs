//! What is said about a command line that makes no sense: clap's findings in guard's form.

use std::ffi::OsString;

use clap::{CommandFactory as _, error::ErrorKind};

use super::args::Args;
use crate::failure::{Exit, Failure};

/// Was JSON asked for? The question must be answered although the line could not be read.
pub(super) fn wants_json(words: &[OsString]) -> bool {
    words
        .iter()
        .skip(1)
        .filter_map(|word| word.to_str())
        .take_while(|word| *word != "--")
        .any(|word| {
            let is_cluster = word.starts_with('-') && !word.starts_with("--");
            word == "--json" || is_cluster && word.contains('j')
        })
}

/// One line of what is wrong, one of help.
pub(super) fn failure(error: &clap::Error, words: &[OsString]) -> Failure {
    let command = command(words);
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Failure::new(Exit::Usage, "a command is missing")
            .help(format!("`{command} --help` lists the commands"));
    }
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n");
    let message = one_line(paragraphs.next().unwrap_or_default());
    let mut help = Vec::new();
    for paragraph in paragraphs {
        if let Some(tip) = paragraph.trim_start().strip_prefix("tip: ") {
            help.push(one_line(tip));
        } else if let Some(usage) = paragraph.strip_prefix("Usage: ") {
            help.push(format!("usage: `{}`", one_line(usage)));
        }
    }
    if help.is_empty() {
        help.push(format!("`{command} --help` shows what there is"));
    }
    Failure::new(Exit::Usage, message.trim_start_matches("error: ")).help(help.join("; "))
}

/// The command as it was typed, for the history.
pub(super) fn typed(words: &[OsString]) -> String {
    let words = words.iter().skip(1).map(|word| word.to_string_lossy());
    let words: Vec<_> = words.map(|word| shown(&word)).collect();
    words.join(" ")
}

/// One line, and quotes where a shell would want them.
fn shown(word: &str) -> String {
    let is_plain = !word.is_empty() && !word.chars().any(|c| c.is_whitespace() || c.is_control());
    if is_plain {
        word.to_owned()
    } else {
        format!("'{}'", word.replace(char::is_control, " "))
    }
}

/// The program and the command that was meant, as far as it is one.
fn command(words: &[OsString]) -> String {
    let verb = words
        .iter()
        .skip(1)
        .filter_map(|word| word.to_str())
        .find(|word| !word.starts_with('-'));
    let is_known = |verb: &&str| Args::command().find_subcommand(verb).is_some();
    match verb.filter(is_known) {
        Some(verb) => format!("guardctl {verb}"),
        None => "guardctl".to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

//! What documents tell operators to type is read by the readers that they will meet.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use clap::{Parser as _, error::ErrorKind};

use super::{
    super::{
        args::{Args, Command},
        jail::Jails as JailCommand,
    },
    blocks::Piece,
    documents,
};
use crate::{
    explain,
    jails::{self, edit},
    ruleset::{
        SetTable,
        labels::Which,
        mmdb::written::Database,
        names::Names,
        source::Source,
        testing::Folder,
        words::{self, Scope},
    },
};

/// What stands for something that the operator knows.
const PLACEHOLDERS: &[(&str, &str)] = &[
    ("ADDRESS", "203.0.113.7"),
    ("COMMAND", "status"),
    ("DURATION", "60s"),
    ("FROM", "203.0.113.7"),
    ("NUMBER", "1"),
    ("PORT", "22"),
    ("SOURCE", "203.0.113.7"),
];

/// Words between two commands.
const SEPARATORS: &[&str] = &["&&", "||", "|", ";", ">"];

/// The words of each `guardctl` command of a line of shell; `None` when the line is not shell.
fn commands(line: &str) -> Option<Vec<Vec<String>>> {
    let words = shlex::split(line)?;
    let of_guardctl = words
        .split(|word| SEPARATORS.contains(&word.as_str()))
        .filter_map(|part| {
            let begin = part
                .iter()
                .position(|word| !word.contains('=') && word != "sudo")?;
            (part[begin] == "guardctl").then(|| part[begin..].to_vec())
        });
    Some(of_guardctl.collect())
}

/// Why guard would not take this command.
fn problem(words: &[String]) -> Option<String> {
    let words: Vec<String> = words.iter().map(|word| filled_in(word)).collect();
    let args = match Args::try_parse_from(&words) {
        Ok(args) => args,
        Err(error) => {
            return error.use_stderr().then(|| error.to_string());
        }
    };
    let rule = |action: Option<&str>, words: &[String]| {
        let words: Vec<&str> = action
            .into_iter()
            .chain(words.iter().map(String::as_str))
            // Where whoever types it is logged in from.
            .map(|word| if word == "me" { "203.0.113.7" } else { word })
            .collect();
        let (names, sets) = (Names::embedded(), sets());
        let scope = Scope {
            names: &names,
            sets: &sets,
        };
        words::parse(&words, &scope)
            .err()
            .map(|error| error.to_string())
    };
    // Every other command is read by clap alone.
    if let Command::Allow { words, ends, .. } = &args.command {
        rule(Some("allow"), &ends.before(words))
    } else if let Command::Deny { words, ends, .. } = &args.command {
        rule(Some("deny"), &ends.before(words))
    } else if let Command::Limit { words, ends, .. } = &args.command {
        rule(Some("limit"), &ends.before(words))
    } else if let Command::Insert { words, ends, .. } | Command::Prepend { words, ends, .. } =
        &args.command
    {
        rule(None, &ends.after_first(words))
    } else if let Command::Delete { words, .. } = &args.command {
        let is_which = words.len() == 1 && Which::parse(&words[0]).is_ok();
        (!is_which).then(|| rule(None, words)).flatten()
    } else if let Command::Explain { words, .. } = &args.command {
        let question = explain::parse(words, &Names::embedded());
        question.err().map(|failure| failure.to_string())
    } else if let Command::Jail {
        action: Some(JailCommand::Set { jail, key, value }),
    } = &args.command
    {
        setting(jail, key, value)
    } else if let Command::Other(words) = &args.command {
        Some(format!("there is no command {words:?}"))
    } else {
        None
    }
}

/// The same for a command within a sentence, which may be named without its arguments: `guardctl unban`.
fn problem_of_mention(words: &[String]) -> Option<String> {
    let missing = ErrorKind::MissingRequiredArgument;
    let parsed = Args::try_parse_from(words);
    let is_name = parsed.is_err_and(|error| error.kind() == missing);
    (!is_name).then(|| problem(words)).flatten()
}

/// A setting of a jail is written, and read again.
fn setting(jail: &str, key: &str, value: &[String]) -> Option<String> {
    match edit::set("", jail, key, value) {
        Ok(text) => jail_problem(&text),
        Err(error) => Some(error.to_string()),
    }
}

fn filled_in(word: &str) -> String {
    let known = PLACEHOLDERS.iter().find(|(name, _)| *name == word);
    known.map_or(word, |(_, value)| *value).to_owned()
}

fn sets() -> SetTable {
    let network = || -> Arc<[_]> { ["203.0.113.0/24".parse().expect("a prefix")].into() };
    ["office", "admins", "de", "hoster", "home.example.org"]
        .map(|name| (name.to_owned(), network()))
        .into()
}

fn jail_problem(text: &str) -> Option<String> {
    let folder = Folder::new();
    folder.write("jails.d/shown.toml", text);
    let jails = jails::read(folder.path(), &[]);
    (jails.problems.error_count() > 0).then(|| jails.problems.to_string())
}

fn policy_problem(text: &str) -> Option<String> {
    let folder = Folder::new();
    for file in ["partners.txt", "feeds/drop.txt"] {
        folder.write(file, "192.0.2.0/24\n");
    }
    let countries = ["DE", "DK", "NO", "SE"].into_iter().zip(1..);
    let countries = countries.fold(Database::new("GeoLite2-Country"), |database, (code, n)| {
        database.country(&format!("192.0.2.{n}/32"), code, "EU")
    });
    folder.write("GeoLite2-Country.mmdb", countries.bytes());
    let networks = Database::new("GeoLite2-ASN").asn("192.0.2.0/24", 64496);
    folder.write(
        "GeoLite2-ASN.mmdb",
        networks.asn("198.51.100.0/24", 64511).bytes(),
    );
    folder.write("guard.toml", text);
    let names = Names::embedded();
    let home = BTreeMap::from([(
        "home.example.org".to_owned(),
        vec!["192.0.2.9".parse().expect("an address")],
    )]);
    let source = Source::new(folder.path()).with_names(&names);
    let loaded = source.with_hosts(Arc::new(home)).load();
    loaded.err().map(|problems| problems.to_string())
}

/// A whole of many: those that are wrong, each with its place.
fn wrong(pieces: &[Piece], problem: impl Fn(&str) -> Option<String>) -> String {
    let found = pieces.iter().filter_map(|piece| {
        let what = problem(&piece.text)?;
        Some(format!("{}: {}\n{what}\n", piece.place, piece.text))
    });
    found.collect()
}

#[test]
fn every_command_of_the_documents_is_one_that_guardctl_takes() {
    let mut shown = BTreeSet::new();
    let mut complaints = String::new();
    for document in documents() {
        let of_all = |piece: &str, problem: fn(&[String]) -> Option<String>| {
            commands(piece)?.iter().find_map(|words| problem(words))
        };
        complaints += &wrong(&document.shell, |line| of_all(line, problem));
        // `guardctl … --confirm 60s` and `status [NAME]` are shapes, not commands.
        let is_command = |piece: &&Piece| {
            piece.text.starts_with("guardctl ") && !piece.text.contains(['…', '[', '<'])
        };
        let spans: Vec<Piece> = document.spans.iter().filter(is_command).cloned().collect();
        complaints += &wrong(&spans, |span| of_all(span, problem_of_mention));
        for piece in document.shell.iter().chain(&spans) {
            shown.extend(commands(&piece.text).into_iter().flatten());
        }
    }
    assert!(complaints.is_empty(), "{complaints}");
    // A reader that finds nothing would agree with everything.
    assert!(shown.len() > 60, "only {} commands found", shown.len());
}

#[test]
fn every_policy_and_jail_of_the_documents_is_read() {
    let (mut policies, mut jails) = (0, 0);
    let mut complaints = String::new();
    for document in documents() {
        let (of_jails, of_policies): (Vec<Piece>, Vec<Piece>) =
            document.toml.into_iter().partition(|piece| {
                ["[jail", "[default]"]
                    .iter()
                    .any(|head| piece.text.contains(head))
            });
        policies += of_policies.len();
        jails += of_jails.len();
        complaints += &wrong(&of_policies, policy_problem);
        complaints += &wrong(&of_jails, jail_problem);
    }
    assert!(complaints.is_empty(), "{complaints}");
    assert!(policies >= 4 && jails >= 1, "{policies} and {jails} found");
}

#[test]
fn what_guard_does_not_take_is_found() {
    let wrong = [
        "guardctl alow 22/tcp",
        "guardctl allow 22/tcpp",
        "guardctl enable --mood generic",
        "guardctl delete reject 23",
        "sudo guardctl explain 203.0.113.7 22 porto tcp",
        "guardctl jail set sshd maxrety 3",
        "cd /etc && guardctl ban 203.0.113.7 --four 1d",
    ];
    for line in wrong {
        let words = commands(line).expect("shell").remove(0);
        assert!(problem(&words).is_some(), "{line}");
    }
    let named = ["guardctl".to_owned(), "unban".to_owned()];
    assert!(problem(&named).is_some() && problem_of_mention(&named).is_none());
    assert!(policy_problem("defualt = \"deny\"").is_some());
    assert!(jail_problem("[jail.sshd]\nmaxrety = 3").is_some());
}

#[test]
fn comments_and_pipes_are_no_part_of_a_command() {
    let found = commands("guardctl bans export > bans.txt   # lines | of text");
    assert_eq!(
        found,
        Some(vec![vec![
            "guardctl".into(),
            "bans".into(),
            "export".into()
        ]])
    );
    assert_eq!(commands("curl http://192.0.2.1/ | head"), Some(vec![]));
}

//! What shells offer when a command is half typed: `GUARD_COMPLETE=bash guardctl -- WORDS`. It reads what this user may
//! read, writes nothing, and offers nothing where something is wrong.

mod rule_words;
mod values;

use std::{
    ffi::{OsStr, OsString},
    io::Write as _,
};

use clap::{Command as Cli, CommandFactory as _, Id};
use clap_complete::{
    CompleteEnv, Shell,
    engine::{ArgValueCompleter, CompletionCandidate},
    env::Shells,
};

use super::args::Args;
use crate::failure::{Exit, Failure};
use rule_words::RuleWords;

/// The variable that asks for completions.
pub(super) const VARIABLE: &str = "GUARD_COMPLETE";
/// Most values that are offered: more are no help, and bans may be a million.
const MOST: usize = 200;
/// The program, as scripts call it.
const PROGRAM: &str = "guardctl";

type Offer = fn(&str) -> Vec<CompletionCandidate>;

/// What is offered where: subcommands, the argument, and the values.
const OFFERS: &[(&[&str], &str, Offer)] = &[
    (&["enable"], "iface", values::interfaces),
    (&["insert"], "before", values::rules),
    (&["rule", "disable"], "rule", values::rules),
    (&["rule", "enable"], "rule", values::rules),
    (&["list"], "tag", values::tags),
    (&["never", "add"], "entry", values::sets),
    (&["never", "del"], "entry", values::never),
    (&["unban"], "sources", values::banned),
    (&["unban"], "jail", values::jails),
    (&["jail", "status"], "jail", values::jails),
    (&["jail", "enable"], "jail", values::jails),
    (&["jail", "disable"], "jail", values::jails),
    (&["jail", "set"], "jail", values::jails),
    (&["jail", "set"], "key", values::jail_keys),
    (&["jail", "get"], "jail", values::jails),
    (&["jail", "get"], "key", values::jail_keys),
    (&["jail", "attempt"], "jail", values::jails),
];

/// Commands whose words are a rule, and what may stand before them.
const RULES: &[(&str, RuleWords)] = &[
    ("allow", RuleWords::Alone),
    ("deny", RuleWords::Alone),
    ("limit", RuleWords::Alone),
    ("insert", RuleWords::BehindAction),
    ("prepend", RuleWords::BehindAction),
    ("delete", RuleWords::OrNumber),
];

/// Answers a shell that asks for completions; `false` when the command is one to be run.
///
/// # Errors
/// Exit 2 for a shell that is not known: nobody shall take a command that was not run for one that was.
pub(super) fn answer(words: &[OsString]) -> Result<bool, Failure> {
    let here = std::env::current_dir().ok();
    CompleteEnv::with_factory(cli)
        .var(VARIABLE)
        .bin(PROGRAM)
        .completer(PROGRAM)
        .try_complete(words, here.as_deref())
        .map_err(|error| {
            Failure::new(
                Exit::Usage,
                format!("{VARIABLE}: {}", error.to_string().trim()),
            )
            .help("scripts of shells set it; `guardctl completions bash` prints one")
        })
}

/// The script that has a shell ask.
pub(super) fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    if let Some(known) = shells.completer(&shell.to_string()) {
        let written = known.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script);
        written.expect("memory takes it");
    }
    if shell == Shell::Zsh {
        // zsh reads the file when it is asked for the first time, and wants an answer then, too.
        writeln!(
            script,
            "if [[ ${{funcstack[1]}} == _{PROGRAM} ]]; then _clap_dynamic_completer_{PROGRAM} \"$@\"; fi"
        )
        .expect("memory takes it");
    }
    script
}

/// The command line with what is offered for its arguments.
fn cli() -> Cli {
    let mut cli = Args::command();
    for (path, argument, offer) in OFFERS {
        let offer: Offer = *offer;
        let offer = move |current: &OsStr| current.to_str().map(offer).unwrap_or_default();
        cli = with(cli, path, argument, ArgValueCompleter::new(offer));
    }
    for (command, words) in RULES {
        cli = with(cli, &[command], "words", ArgValueCompleter::new(*words));
    }
    cli
}

fn with(cli: Cli, path: &[&'static str], argument: &'static str, offer: ArgValueCompleter) -> Cli {
    match path.split_first() {
        Some((first, rest)) => cli.mut_subcommand(first, |sub| with(sub, rest, argument, offer)),
        None => {
            // What is changed goes to the end: each in turn, so that they stay in their order.
            let names: Vec<Id> = cli
                .get_arguments()
                .map(|one| one.get_id().clone())
                .collect();
            names.into_iter().fold(cli, |cli, name| {
                let is_it = name == argument;
                cli.mut_arg(name, |one| if is_it { one.add(offer.clone()) } else { one })
            })
        }
    }
}

/// Those of `all` that go on as typed, without what a terminal or a shell would take for more than text.
fn offered<'a>(
    current: &str,
    all: impl IntoIterator<Item = (String, Option<&'a str>)>,
) -> Vec<CompletionCandidate> {
    let is_plain = |value: &str| {
        let mut letters = value.chars();
        letters.all(|letter| letter.is_ascii_alphanumeric() || "._:/@%+,=-".contains(letter))
    };
    let text = |help: &str| -> String {
        let plain = help.chars().filter(|letter| !letter.is_control());
        plain.take(80).collect()
    };
    all.into_iter()
        .filter(|(value, _)| value.starts_with(current) && is_plain(value))
        .take(MOST)
        .map(|(value, help)| {
            CompletionCandidate::new(value).help(help.map(|help| text(help).into()))
        })
        .collect()
}

/// The word before the one that is typed; `None` when there is none.
fn word_before() -> Option<String> {
    let words: Vec<OsString> = std::env::args_os()
        .skip_while(|word| word != "--")
        .skip(1)
        .collect();
    let index = std::env::var("_CLAP_COMPLETE_INDEX").ok();
    let index = index.and_then(|index| index.parse().ok());
    let at: usize = index.unwrap_or(words.len().saturating_sub(1));
    words.get(at.checked_sub(1)?)?.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offer_is_for_an_argument_that_there_is() {
        // An argument that is not there is a panic, and so is one that is out of its order.
        let mut cli = cli();
        for words in [
            "guardctl jail set sshd maxretry 3",
            "guardctl insert 1 deny 22",
            "guardctl unban 192.0.2.1",
        ] {
            let read = cli.try_get_matches_from_mut(words.split(' '));
            assert!(read.is_ok(), "{words}");
        }
    }

    #[test]
    fn nothing_that_a_terminal_or_a_shell_would_act_on_is_offered() {
        let all = [
            "ok",
            "o\u{1b}[31m",
            "o b",
            "o$(id)",
            "o`id`",
            "o*",
            "o;x",
            "o'",
            "other",
            "x",
        ];
        let help = "a\u{1b}]0;title\u{7}b";
        let offered = offered("o", all.map(|value| (value.to_owned(), Some(help))));
        let values: Vec<_> = offered
            .iter()
            .map(|found| found.get_value().to_owned())
            .collect();
        assert_eq!(values, ["ok", "other"]);
        for found in &offered {
            assert_eq!(
                found.get_help().map(ToString::to_string).as_deref(),
                Some("a]0;titleb")
            );
        }
    }

    #[test]
    fn no_more_is_offered_than_helps() {
        let many = (0..100_000).map(|n| (format!("10.0.{n}"), None));
        assert_eq!(offered("10.", many).len(), MOST);
    }

    #[test]
    fn every_shell_has_a_script_that_asks_guardctl() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish] {
            let script = String::from_utf8(script(shell)).expect("text");
            assert!(
                script.contains("GUARD_COMPLETE=") && script.contains("guardctl"),
                "{shell}: {script}"
            );
        }
    }
}

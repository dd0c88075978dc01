//! Verbs that guard does not have, above all those of ufw's users, each with what to use instead.

use clap::CommandFactory as _;

use super::args::Args;
use crate::{
    failure::{Exit, Failure},
    text::{nearest::nearest, value::quoted},
};

/// A verb, why it is not there, and the way out.
const VERBS: &[(&str, &str, &str)] = &[
    (
        "reject",
        "`reject` is not in guard: it answers no packet that it drops, so that a flood is not \
         answered either",
        "use `guardctl deny …`",
    ),
    (
        "route",
        "`route` is not in guard: it filters what arrives on an interface, forwarded packets \
         included",
        "use `guardctl allow|deny [on IFACE] … to ADDRESS`",
    ),
    (
        "reset",
        "`reset` is not in guard: no command throws a policy away",
        "`guardctl disable` turns guard off; the policy is in guard.toml below /etc/guard, move it \
         away to begin anew",
    ),
    (
        "logging",
        "`logging` is not in guard: it counts every packet instead of logging some",
        "use `guardctl stats`, by port and by reason",
    ),
    (
        "show",
        "`show` is not in guard",
        "use `guardctl status numbered` for the rules, `guardctl stats` for counters, `ss -tuln` for \
         what listens",
    ),
    (
        "app",
        "`app` is not in guard: it takes the application profiles of ufw as they are installed",
        "use their names as ufw does: `guardctl allow 'Nginx Full'`; /etc/ufw/applications.d has them",
    ),
    (
        "out",
        "`out` is not in guard: it filters what arrives, not what this host sends",
        "outgoing traffic is a matter for nftables",
    ),
    ("start", "`start` is not in guard", "use `guardctl enable`"),
    ("stop", "`stop` is not in guard", "use `guardctl disable`"),
    (
        "restart",
        "`restart` is not in guard: nothing must run for it to filter",
        "use `guardctl reload`",
    ),
    (
        "list",
        "`list` is not in guard",
        "use `guardctl status numbered`",
    ),
    (
        "add",
        "`add` is not in guard",
        "use `guardctl allow …` or `guardctl deny …`",
    ),
    (
        "accept",
        "`accept` is not in guard",
        "use `guardctl allow …`",
    ),
    ("drop", "`drop` is not in guard", "use `guardctl deny …`"),
    ("block", "`block` is not in guard", "use `guardctl deny …`"),
    (
        "remove",
        "`remove` is not in guard",
        "use `guardctl delete …`",
    ),
    (
        "save",
        "`save` is not in guard: every change is saved when it is made",
        "nothing is left to do",
    ),
    (
        "flush",
        "`flush` is not in guard: no command throws a policy away",
        "use `guardctl delete …`, or edit guard.toml and `guardctl reload`",
    ),
];

/// What to say about a command that does not exist.
pub(super) fn unknown(words: &[String]) -> Failure {
    let verb = words.first().map_or("", String::as_str);
    let lower = verb.to_lowercase();
    if let Some((_, what, help)) = VERBS.iter().find(|(known, ..)| *known == lower) {
        return Failure::new(Exit::Usage, *what).help(*help);
    }
    let command = Args::command();
    let known: Vec<&str> = command
        .get_subcommands()
        .filter(|known| !known.is_hide_set())
        .map(clap::Command::get_name)
        .collect();
    let message = match nearest(&lower, known.iter().copied()) {
        Some(near) => format!("{} is not a command; did you mean \"{near}\"", quoted(verb)),
        None => format!("{} is not a command", quoted(verb)),
    };
    let is_rule = verb.parse::<u16>().is_ok() || verb.contains('/');
    Failure::new(Exit::Usage, message).help(if is_rule {
        format!("a rule begins with `allow`, `deny` or `limit`: `guardctl allow {verb}`")
    } else {
        "`guardctl --help` lists the commands".to_owned()
    })
}

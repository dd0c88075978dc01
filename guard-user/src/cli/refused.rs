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
        "guard has no `reject`: it does not answer packets that it drops, so that floods are not answered either",
        "use `guardctl deny …`",
    ),
    (
        "route",
        "guard has no `route`: it filters what arrives on an interface, forwarded packets \
         included",
        "use `guardctl allow|deny [on IFACE] … to ADDRESS`",
    ),
    (
        "reset",
        "guard has no `reset`: no command discards a policy",
        "`guardctl disable` turns guard off; the policy is in guard.toml below /etc/guard, move it away to \
         start over",
    ),
    (
        "logging",
        "`logging` is a setting: [log] drops = true in guard.toml logs dropped packets; every packet is counted",
        "use `guardctl stats`, by port and by reason",
    ),
    (
        "show",
        "guard has no `show`",
        "use `guardctl status numbered` for the rules, `guardctl stats` for counters, `ss -tuln` for \
         what listens",
    ),
    (
        "app",
        "guard has no `app`: it takes the application profiles of ufw as they are installed",
        "use their names as ufw does: `guardctl allow 'Nginx Full'`; /etc/ufw/applications.d has them",
    ),
    (
        "out",
        "guard has no `out`: it filters what arrives, not what this host sends",
        "outgoing traffic is a matter for nftables",
    ),
    ("start", "guard has no `start`", "use `guardctl enable`"),
    ("stop", "guard has no `stop`", "use `guardctl disable`"),
    (
        "restart",
        "guard has no `restart`: it filters without a running process",
        "use `guardctl reload`",
    ),
    (
        "add",
        "guard has no `add`",
        "use `guardctl allow …` or `guardctl deny …`",
    ),
    ("accept", "guard has no `accept`", "use `guardctl allow …`"),
    ("drop", "guard has no `drop`", "use `guardctl deny …`"),
    ("block", "guard has no `block`", "use `guardctl deny …`"),
    ("remove", "guard has no `remove`", "use `guardctl delete …`"),
    (
        "save",
        "guard has no `save`: every change is saved when it is made",
        "nothing is left to do",
    ),
    (
        "flush",
        "guard has no `flush`: no command discards a policy",
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

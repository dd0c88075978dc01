//! The keys of a jail, and what to say about any other.

use crate::text::{nearest::nearest, value::quoted};

/// Keys of a jail and of `[default]`.
pub const KEYS: [&str; 15] = [
    "enabled",
    "filter",
    "mode",
    "logpath",
    "container",
    "journal",
    "maxretry",
    "findtime",
    "bantime",
    "ignoreip",
    "ignoreself",
    "proxies",
    "usedns",
    "aggregation",
    "bantime.increment",
];
/// Keys that begin with `bantime.`.
pub(super) const GROWTH: [&str; 6] = [
    "increment",
    "factor",
    "multipliers",
    "maxtime",
    "rndtime",
    "overalljails",
];

/// fail2ban's words that mean nothing here, why, and what to do.
const REFUSED: [(&[&str], &str, &str); 9] = [
    (
        &[
            "action",
            "action_",
            "action_mw",
            "action_mwl",
            "banaction",
            "banaction_allports",
            "chain",
            "blocktype",
        ],
        "a ban of guard is always one in its tables, for all ports",
        "leave it out",
    ),
    (
        &["port", "protocol"],
        "a ban of guard shuts out all ports",
        "leave it out; what a source may open is said by the rules of guard.toml",
    ),
    (
        &["backend", "systemd"],
        "guard follows files as soon as they change, and the journal if it is asked to",
        "write logpath = [\"…\"] for files, or journal = true",
    ),
    (
        &["journalmatch"],
        "it is called journal here",
        "write journal = \"_SYSTEMD_UNIT=ssh.service\", or journal = true for the match of the filter",
    ),
    (
        &["ignorecommand", "ignorecache"],
        "guard runs no programs for log lines",
        "write ignoreip = [\"…\"], or never = [\"…\"] in guard.toml",
    ),
    (
        &["logencoding"],
        "lines are bytes; bytes that are not UTF-8 do no harm",
        "leave it out",
    ),
    (
        &[
            "failregex",
            "ignoreregex",
            "prefregex",
            "datepattern",
            "maxlines",
        ],
        "patterns belong to the filter",
        "write a filter in /etc/guard/filter.d and name it with filter",
    ),
    (
        &[
            "maxmatches",
            "dbpurgeage",
            "dbfile",
            "dbmaxmatches",
            "destemail",
            "sender",
            "mta",
        ],
        "guard keeps what it needs by itself, and sends no mail",
        "leave it out",
    ),
    (
        &["bantime.formula"],
        "it is a Python expression",
        "write \"bantime.multipliers\" = [1, 2, 4, 8], or \"bantime.factor\"",
    ),
];

/// What is wrong with a key that no jail has, and a way out.
pub(super) fn unknown(key: &str) -> (String, String) {
    let refused = REFUSED.iter().find(|(words, _, _)| words.contains(&key));
    if let Some((_, why, help)) = refused {
        return (
            format!("key {} is refused: {why}", quoted(key)),
            (*help).to_owned(),
        );
    }
    let growth = GROWTH.map(|word| format!("bantime.{word}"));
    let known = KEYS.into_iter().chain(growth.iter().map(String::as_str));
    let help = match nearest(key, known) {
        Some(near) if near.contains('.') => format!("did you mean \"{near}\"?"),
        Some(near) => format!("did you mean {near}?"),
        None => format!("a jail has {}", KEYS[..14].join(", ")),
    };
    (format!("unknown key {}", quoted(key)), help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::schema_check::{JAILS, Schema};

    #[test]
    fn the_schema_has_every_key_and_no_other() {
        let schema = Schema::read(JAILS);
        let growth = GROWTH.map(|word| format!("bantime.{word}"));
        let words = KEYS.into_iter().chain(growth.iter().map(String::as_str));
        let mut keys: Vec<&str> = words.collect();
        keys.sort_unstable();
        keys.dedup();
        schema.assert_keys("/$defs/jail", keys.clone());
        keys.retain(|key| !["filter", "mode", "logpath", "container"].contains(key));
        schema.assert_keys("/properties/default", keys);
    }

    #[test]
    fn the_reference_has_every_key() {
        const REFERENCE: &str = include_str!("../../../docs/reference/jails.md");
        let growth = GROWTH.map(|word| format!("bantime.{word}"));
        for key in KEYS.into_iter().chain(growth.iter().map(String::as_str)) {
            assert!(REFERENCE.contains(&format!("\n| `{key}` |")), "{key}");
        }
    }
}

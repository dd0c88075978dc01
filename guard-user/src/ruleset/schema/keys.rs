//! The keys of a policy file, and what to say about any other.

use crate::text::{
    nearest::nearest,
    value::{BadValue, quoted},
};

/// Keys at the top of a file.
pub(super) const ROOT_KEYS: [&str; 12] = [
    "interfaces",
    "unguarded",
    "xdp-mode",
    "default",
    "never",
    "sets",
    "limits",
    "rule",
    "bans",
    "feed",
    "metrics",
    "log",
];
/// Those of them that begin with a line of their own, so that they never slip below another one: sets
/// may have these names.
pub(super) const HEADED: [&str; 5] = ["bans", "feed", "limits", "metrics", "log"];
/// Keys of `[bans]`.
const BANS_KEYS: [&str; 4] = ["ipv4", "ipv6", "cidrs", "default"];
/// Keys of `[[feed]]`.
const FEED_KEYS: [&str; 3] = ["name", "file", "wide"];
/// Keys of `[metrics]`.
const METRICS_KEYS: [&str; 1] = ["listen"];
/// Keys of `[log]`.
const LOG_KEYS: [&str; 2] = ["drops", "rate"];
/// Keys of a rule.
const RULE_KEYS: [&str; 18] = [
    "action",
    "port",
    "sport",
    "proto",
    "icmp-type",
    "from",
    "to",
    "on",
    "rate",
    "packets",
    "burst",
    "block",
    "on-excess",
    "until",
    "comment",
    "name",
    "tags",
    "enabled",
];
/// Keys of a set that is a table.
pub(super) const SET_KEYS: [&str; 5] = ["file", "mmdb", "country", "continent", "asn"];
/// Keys of the limits.
const LIMIT_KEYS: [&str; 6] = [
    "ipv4-prefix",
    "ipv6-prefix",
    "ceiling",
    "out-of-state",
    "udp",
    "flow-table",
];

/// Words of other firewalls at the top of a file, and ours.
const ROOT_SYNONYMS: [(&str, &str); 14] = [
    ("mode", "xdp-mode"),
    ("xdp", "xdp-mode"),
    ("iface", "interfaces"),
    ("interface", "interfaces"),
    ("nic", "interfaces"),
    ("policy", "default"),
    ("default_policy", "default"),
    ("allowlist", "never"),
    ("whitelist", "never"),
    ("ignoreip", "never"),
    ("ipset", "sets"),
    ("set", "sets"),
    ("rules", "rule"),
    ("allow", "rule"),
];
/// Words of other firewalls in a rule, and ours.
const RULE_SYNONYMS: [(&str, &str); 30] = [
    ("type", "icmp-type"),
    ("icmp_type", "icmp-type"),
    ("source_port", "sport"),
    ("source-port", "sport"),
    ("protocol", "proto"),
    ("protocols", "proto"),
    ("ports", "port"),
    ("dport", "port"),
    ("service", "port"),
    ("source", "from"),
    ("src", "from"),
    ("saddr", "from"),
    ("destination", "to"),
    ("dest", "to"),
    ("dst", "to"),
    ("daddr", "to"),
    ("interface", "on"),
    ("iface", "on"),
    ("in", "on"),
    ("description", "comment"),
    ("id", "name"),
    ("label", "name"),
    ("tag", "tags"),
    ("disabled", "enabled"),
    ("policy", "action"),
    ("target", "action"),
    ("for", "until"),
    ("end", "until"),
    ("expires", "until"),
    ("timeout", "until"),
];

/// How the mode of an interface is written.
pub(super) const XDP_MODE_HELP: &str =
    "write xdp-mode = { eth0 = \"generic\" }; the modes are auto, native and generic";

pub(super) fn unknown_root(key: &str) -> BadValue {
    if let Some(near) = near(key, &ROOT_SYNONYMS, &ROOT_KEYS) {
        let bad = unknown(key, Some(near));
        return match near {
            "rule" => bad.help("each rule begins with a line [[rule]]"),
            "sets" => bad.help("sets stand below a line [sets]"),
            "bans" => bad.help("sizes and the default length stand below a line [bans]"),
            "feed" => bad.help("each feed begins with a line [[feed]]"),
            "limits" => bad.help(
                "ipv4-prefix, ipv6-prefix, ceiling, out-of-state, udp and flow-table stand below a line [limits]",
            ),
            "metrics" => bad.help("listen stands below a line [metrics]"),
            "log" => bad.help("drops stands below a line [log]"),
            "xdp-mode" => bad.help(XDP_MODE_HELP),
            _ => bad.help(format!("write {near} = …")),
        };
    }
    if RULE_KEYS.contains(&key) {
        return BadValue::new(format!("key {} belongs to a rule", quoted(key)))
            .help("write [[rule]] on a line above it");
    }
    if LIMIT_KEYS.contains(&key) {
        return BadValue::new(format!("key {} belongs to the limits", quoted(key)))
            .help("write [limits] on a line above it");
    }
    unknown(key, None).help(
        "a file has interfaces, unguarded, xdp-mode, default, never, [sets], [limits], [bans], [metrics], [log], [[feed]] and [[rule]]",
    )
}

pub(super) fn unknown_in_rule(key: &str) -> BadValue {
    match key {
        "limit" => {
            return BadValue::new("unknown key \"limit\"")
                .help("write action = \"limit\", and rate = \"20/s\" for another rate than 6/30s");
        }
        "log" => {
            return BadValue::new("key \"log\" is refused: rules do not log")
                .help("every rule counts its packets: `guardctl stats`");
        }
        _ => {}
    }
    if ROOT_KEYS.contains(&key) {
        return misplaced(key, "[[rule]]");
    }
    let near = near(key, &RULE_SYNONYMS, &RULE_KEYS);
    unknown(key, near)
        .help("a rule has action, port, sport, proto, from, to, on, rate, packets, burst, block, on-excess, until, comment, name, tags and enabled")
}

pub(super) fn only_with_limit() -> BadValue {
    BadValue::new(
        "rate, packets, burst, block and on-excess belong to a rule with action \"limit\"",
    )
    .help("write action = \"limit\": it allows, and no more connections than that")
}

pub(super) fn rate_and_packets() -> BadValue {
    BadValue::new("rate counts connections and packets counts packets; a rule has one limit")
        .help("keep one of them")
}

pub(super) fn unknown_in_limits(key: &str) -> BadValue {
    if ROOT_KEYS.contains(&key) {
        return misplaced(key, "[limits]");
    }
    unknown(key, nearest(key, LIMIT_KEYS)).help(
        "[limits] has ipv4-prefix, ipv6-prefix, ceiling, out-of-state, udp and flow-table; rate and burst belong to the rule with action = \"limit\"",
    )
}

pub(super) fn unknown_in_bans(key: &str) -> BadValue {
    if [
        "interfaces",
        "never",
        "sets",
        "limits",
        "rule",
        "feed",
        "metrics",
        "log",
    ]
    .contains(&key)
    {
        return misplaced(key, "[bans]");
    }
    let near = near(
        key,
        &[("bantime", "default"), ("for", "default")],
        &BANS_KEYS,
    );
    unknown(key, near).help("[bans] has ipv4, ipv6, cidrs and default")
}

pub(super) fn unknown_in_log(key: &str) -> BadValue {
    if ROOT_KEYS.contains(&key) {
        return misplaced(key, "[log]");
    }
    let synonyms = [
        ("dropped", "drops"),
        ("blocked", "drops"),
        ("limit", "rate"),
    ];
    let near = near(key, &synonyms, &LOG_KEYS);
    unknown(key, near).help("[log] has drops = true and rate, e.g. \"10/s\"")
}

pub(super) fn unknown_in_metrics(key: &str) -> BadValue {
    if ROOT_KEYS.contains(&key) {
        return misplaced(key, "[metrics]");
    }
    let synonyms = [
        ("port", "listen"),
        ("address", "listen"),
        ("socket", "listen"),
    ];
    let near = near(key, &synonyms, &METRICS_KEYS);
    unknown(key, near)
        .help("[metrics] has listen, e.g. \"unix:/run/guard/metrics\" or \"127.0.0.1:9977\"")
}

pub(super) fn unknown_in_feed(key: &str) -> BadValue {
    if ROOT_KEYS.contains(&key) {
        return misplaced(key, "[[feed]]");
    }
    let near = near(key, &[("path", "file"), ("url", "file")], &FEED_KEYS);
    unknown(key, near).help("a feed has name, file and wide; something else fetches the file")
}

pub(super) fn unknown_in_set(key: &str) -> BadValue {
    unknown(key, nearest(key, SET_KEYS)).help(
        "a set is a list of prefixes, { file = \"…\" }, or { mmdb = \"…\" } with country, continent or asn",
    )
}

/// A key of the top that TOML puts into the table above it.
pub(super) fn misplaced(key: &str, table: &str) -> BadValue {
    BadValue::new(format!("key {} stands below {table}", quoted(key))).help(format!(
        "move it to the top of the file: in TOML, everything after {table} belongs to it"
    ))
}

pub(super) fn unknown_default(value: &str) -> BadValue {
    let near = match value {
        "drop" | "reject" | "block" => Some("deny"),
        "accept" | "pass" => Some("allow"),
        other => nearest(other, ["deny", "allow", "monitor"]),
    };
    let known = format!("default {} is unknown", quoted(value));
    with_guess(known, near).help("use \"deny\", \"allow\" or \"monitor\"")
}

pub(super) fn unknown_action(value: &str) -> BadValue {
    match value {
        "reject" => BadValue::new("action \"reject\" is refused: the filter answers no packet")
            .help("use \"deny\": it drops without an answer"),
        "route" | "out" => BadValue::new(format!(
            "action {} is refused: guard filters what arrives",
            quoted(value)
        ))
        .help("use nftables for other directions"),
        _ => {
            let near = match value {
                "drop" | "block" => Some("deny"),
                "accept" | "pass" => Some("allow"),
                other => nearest(other, ["allow", "deny", "limit"]),
            };
            let known = format!("action {} is unknown", quoted(value));
            with_guess(known, near).help("use \"allow\", \"deny\" or \"limit\"")
        }
    }
}

/// Words the parser's message for someone who edits a firewall.
pub(super) fn syntax_problem(message: &str) -> BadValue {
    let bad = BadValue::new(format!("not valid TOML: {message}"));
    if message.contains("duplicate key") {
        bad.help("keep one of the two; several values stand in a list: [\"a\", \"b\"]")
    } else if message.contains("recursion limit") {
        bad.help("lists and tables are nested too deeply")
    } else {
        bad.help("texts stand in quotes, lists in [ ], and each rule begins with [[rule]]")
    }
}

fn near<'k>(key: &str, synonyms: &[(&str, &'k str)], known: &[&'k str]) -> Option<&'k str> {
    let lower = key.to_lowercase();
    let synonym = synonyms.iter().find(|(word, _)| *word == lower);
    synonym
        .map(|(_, ours)| *ours)
        .or_else(|| nearest(key, known.iter().copied()))
}

fn unknown(key: &str, near: Option<&str>) -> BadValue {
    with_guess(format!("unknown key {}", quoted(key)), near)
}

fn with_guess(problem: String, near: Option<&str>) -> BadValue {
    BadValue::new(match near {
        Some(near) => format!("{problem}; did you mean \"{near}\""),
        None => problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::schema_check::{POLICY, Schema};

    #[test]
    fn the_schema_has_every_key_and_no_other() {
        let schema = Schema::read(POLICY);
        schema.assert_keys("", ROOT_KEYS);
        schema.assert_keys("/$defs/rule", RULE_KEYS);
        schema.assert_keys("/$defs/limits", LIMIT_KEYS);
        schema.assert_keys("/$defs/bans", BANS_KEYS);
        schema.assert_keys("/$defs/feed", FEED_KEYS);
        schema.assert_keys("/$defs/metrics", METRICS_KEYS);
        schema.assert_keys("/$defs/log", LOG_KEYS);
        let mut of_sets = schema.keys("/$defs/set/oneOf/2");
        of_sets.extend(schema.keys("/$defs/set/oneOf/3"));
        for key in SET_KEYS {
            assert!(
                of_sets.contains(&key),
                "packaging/schema, sets: missing {key}"
            );
        }
    }

    #[test]
    fn the_reference_has_every_key() {
        const REFERENCE: &str = include_str!("../../../../docs/reference/policy-file.md");
        let plain = ["interfaces", "unguarded", "xdp-mode", "default", "never"];
        let headed = [
            "`[sets]`",
            "`[limits]`",
            "`[bans]`",
            "`[metrics]`",
            "`[log]`",
            "`[[feed]]`",
            "`[[rule]]`",
        ];
        assert_eq!(plain.len() + headed.len(), ROOT_KEYS.len());
        let below = [
            &plain[..],
            &BANS_KEYS,
            &FEED_KEYS,
            &METRICS_KEYS,
            &LOG_KEYS,
            &RULE_KEYS,
            &LIMIT_KEYS,
            &SET_KEYS,
        ];
        let keys = below.into_iter().flatten().map(|key| format!("`{key}`"));
        for name in keys.chain(headed.map(str::to_owned)) {
            assert!(REFERENCE.contains(&format!("| {name} |")), "{name}");
        }
    }
}

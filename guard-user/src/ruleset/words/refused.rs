//! What to say about words that are no rule of guard's, above all those that ufw accepts.

use crate::{
    ruleset::{
        describe,
        model::{PortRange, Traffic},
        names::Names,
        profiles::{Mistake, Profile},
    },
    text::{
        nearest::nearest,
        value::{BadValue, quoted},
    },
};

/// Words that may begin a clause.
const KEYWORDS: [&str; 12] = [
    "in",
    "on",
    "from",
    "to",
    "proto",
    "type",
    "rate",
    "packets",
    "burst",
    "block",
    "on-excess",
    "comment",
];

/// A word where `allow`, `deny` or `limit` is expected.
pub(super) fn action(word: &str) -> BadValue {
    match word.to_lowercase().as_str() {
        "reject" => BadValue::new("`reject` is refused: the filter answers no packet")
            .help("use `deny`: it drops without an answer"),
        "route" => route(),
        "out" => out(),
        lower => {
            let near = nearest(lower, ["allow", "deny", "limit"]);
            let message = format!("{} is not an action", quoted(word));
            BadValue::new(match near {
                Some(near) => format!("{message}; did you mean \"{near}\""),
                None => message,
            })
            .help("begin with `allow`, `deny` or `limit`")
        }
    }
}

/// A word that ufw takes for a keyword and guard does not.
pub(super) fn keyword(word: &str) -> Option<BadValue> {
    let bad = match word {
        "out" => out(),
        "route" => route(),
        "reject" | "limit" | "allow" | "deny" => {
            let one = BadValue::new(format!("a rule has one action; `{word}` is a second one"));
            one.help("write one rule for each action")
        }
        "port" => BadValue::new("`port` stands without an address")
            .help("write `to any port 22`, or only `22/tcp`"),
        "log" | "log-all" => BadValue::new(format!("`{word}` is refused: rules do not log"))
            .help("every rule counts its packets: `guardctl stats`"),
        "for" | "until" => BadValue::new(format!("`{word}` stands alone"))
            .help("write `--for 10m`, or `--until 2026-12-01T12:00:00Z`"),
        "any" => BadValue::new("`any` stands alone").help("write `from any` for every packet"),
        _ => return slip(word),
    };
    Some(bad)
}

/// A keyword with a slip of the hand. Service names are short too, so only near misses count that
/// cannot be one.
fn slip(word: &str) -> Option<BadValue> {
    let near = nearest(word, KEYWORDS.into_iter().filter(|known| known.len() > 3))?;
    (near != word).then(|| {
        BadValue::new(format!(
            "unknown word {}; did you mean \"{near}\"",
            quoted(word)
        ))
        .help(format!("write `{near}` and its value"))
    })
}

pub(super) fn no_limit(word: &str) -> BadValue {
    BadValue::new(format!("{} belongs to `limit`", quoted(word)))
        .help("begin the rule with `limit`: it allows, and no more connections than that")
}

pub(super) fn nothing_said() -> BadValue {
    BadValue::new("the rule is empty")
        .help("say what it is about, e.g. `allow 22/tcp` or `allow from 192.0.2.1`")
}

pub(super) fn twice(what: &str) -> BadValue {
    BadValue::new(format!("`{what}` is given twice")).help("keep one, or write two rules")
}

pub(super) fn two_ends() -> BadValue {
    BadValue::new("the rule has two ends").help("keep one `--for` or one `--until`")
}

pub(super) fn rate_and_packets() -> BadValue {
    BadValue::new("`rate` counts connections and `packets` counts packets; a rule has one limit")
        .help("keep one of them")
}

pub(super) fn two_sources(word: &str) -> BadValue {
    BadValue::new(format!(
        "the rule has a source already, before {}",
        quoted(word)
    ))
    .help("separate several sources by commas, without spaces")
}

pub(super) fn two_ports(word: &str) -> BadValue {
    BadValue::new(format!(
        "the rule has a port already, before {}",
        quoted(word)
    ))
    .help("separate several ports by commas, without spaces, e.g. 80,443/tcp")
}

pub(super) fn address_after_port(word: &str) -> BadValue {
    BadValue::new(format!("address {} stands after the port", quoted(word))).help(format!(
        "the source comes first: `{word} PORT`, or write `from {word}`"
    ))
}

pub(super) fn bare_protocol(word: &str) -> BadValue {
    let bad = BadValue::new(format!("{} is a protocol, not a port", quoted(word)));
    bad.help(if word.to_lowercase().contains("icmp") {
        format!("write `ping`, `{word} type time-exceeded`, or `proto {word}` for all of it")
    } else {
        format!("write `proto {word}`")
    })
}

pub(super) fn source_profile() -> BadValue {
    BadValue::new("an application profile is about ports of this host, not about a source port")
        .help("name the port of the sender: `from ADDRESS port 547`; or write the profile behind `to any`")
}

/// Many who write this mean a port of this host.
pub(super) fn only_source_port(ports: &[PortRange]) -> String {
    let ports = describe::ports(ports).unwrap_or_default();
    format!(
        "port {ports} behind `from` is the port of the sender, who chooses it; for a port of this host write `to any port \
         {ports}`"
    )
}

pub(super) fn after_comment(word: &str) -> BadValue {
    BadValue::new(format!("{} stands after the comment", quoted(word)))
        .help("put the comment last, in quotes: comment 'two words'")
}

pub(super) fn any_in_list(list: &str) -> BadValue {
    BadValue::new(format!(
        "`any` makes the rest of {} pointless",
        quoted(list)
    ))
    .help("write only `any`, or only the rest")
}

pub(super) fn missing_after(keyword: &str, expected: &str) -> BadValue {
    BadValue::new(format!("a value is missing after `{keyword}`"))
        .help(format!("`{keyword}` needs {expected}"))
}

/// A name that is no service's and no profile's, if a profile is near.
pub(super) fn perhaps_profile(name: &str, names: &Names) -> Option<BadValue> {
    let lower = name.to_lowercase();
    let begin_so: Vec<String> = names
        .profiles
        .names()
        .filter(|known| known.to_lowercase().starts_with(&format!("{lower} ")))
        .map(|known| format!("'{known}'"))
        .collect();
    if !begin_so.is_empty() {
        let message = format!("{} is not an application profile", quoted(name));
        return Some(BadValue::new(message).help(format!(
            "in quotes, with the rest of the name: {}",
            begin_so.join(", ")
        )));
    }
    // A service that is near is named with the ports.
    let is_service = nearest(&lower, names.services.names()).is_some();
    let is_profile = name.contains(' ') || !is_service && near_profile(&lower, names).is_some();
    is_profile.then(|| unknown_profile(name, names))
}

/// What stands where a profile should.
pub(super) fn unknown_profile(name: &str, names: &Names) -> BadValue {
    let message = format!("unknown application profile {}", quoted(name));
    BadValue::new(match near_profile(&name.to_lowercase(), names) {
        Some(near) => format!("{message}; did you mean '{near}'"),
        None => message,
    })
    .help(match names.profiles.unreadable() {
        [] => "write the ports, e.g. 80,443/tcp; profiles are in /etc/ufw/applications.d and the manual".to_owned(),
        problems => format!(
            "perhaps it is in what could not be read ({}); or write the ports, e.g. 80,443/tcp",
            problems.join("; ")
        ),
    })
}

fn near_profile<'n>(lower: &str, names: &'n Names) -> Option<&'n str> {
    let known: Vec<String> = names.profiles.names().map(str::to_lowercase).collect();
    let near = nearest(lower, known.iter().map(String::as_str))?;
    names
        .profiles
        .names()
        .find(|name| name.to_lowercase() == near)
}

pub(super) fn name_of_two(profile: &str) -> BadValue {
    BadValue::new(format!(
        "the application profile {} means two rules, for tcp and for udp, and a name means one",
        quoted(profile)
    ))
    .help("give both a `--tag`, or write two rules with the ports")
}

/// A profile whose file is wrong: its ports are not guessed.
pub(super) fn broken_profile(mistake: &Mistake) -> BadValue {
    BadValue::new(mistake.to_string())
        .help("correct the file, or write the ports instead of the profile, e.g. 80,443/tcp")
}

pub(super) fn protocol_of_profile(name: &str) -> BadValue {
    BadValue::new(format!(
        "the application profile {} specifies its own protocols",
        quoted(name)
    ))
    .help("leave the protocol out, or write the ports instead of the profile")
}

/// A profile that is called like a service and means something else.
pub(super) fn not_the_service(profile: &Profile, service: &Traffic) -> String {
    let traffic: Vec<String> = profile
        .traffic
        .iter()
        .map(describe::short_traffic)
        .collect();
    let whose = match &profile.file {
        Some(file) => format!("of {}", file.display()),
        None => "of ufw".to_owned(),
    };
    let name = &profile.name;
    let lower = name.to_lowercase();
    let instead = if *name == lower {
        "write its ports".to_owned()
    } else {
        format!("write `{lower}`")
    };
    format!(
        "{name} is taken as the application profile {whose} ({}), not for the service {lower} ({}); for \
         that, {instead}",
        traffic.join(" and "),
        describe::short_traffic(service)
    )
}

fn out() -> BadValue {
    BadValue::new("`out` is refused: guard filters what arrives, not what this host sends")
        .help("leave `out` out; outgoing traffic is a matter for nftables")
}

fn route() -> BadValue {
    BadValue::new("`route` is refused: guard's rules apply to forwarded packets as to local ones")
        .help("write the rule without `route`, with `to` for the address behind this host")
}

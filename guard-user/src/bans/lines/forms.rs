//! Lines of lists in the forms that programs and publishers have for them: JSON lines, CSV, tables, ranges,
//! `hosts.deny`, `deny` of nginx. What a line names is said as texts; whether these are networks is asked elsewhere.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr as _,
};

use serde_json::Value;

use super::error::{LineError, MOST_NETWORKS};
use crate::bans::target::BanTarget;

/// Where an address stands in a line of JSON: Spamhaus, CrowdSec, and others.
const KEYS: [&str; 7] = [
    "cidr",
    "ip",
    "prefix",
    "network",
    "address",
    "ip_address",
    "value",
];
/// Words of a heading above addresses.
const HEADINGS: [&str; 6] = ["ip", "addr", "cidr", "net", "host", "range"];
/// What may stand behind an address in `ipset save`, so that the line is none of a table.
const OPTIONS: [&str; 6] = [
    "timeout", "comment", "packets", "bytes", "nomatch", "-exist",
];
/// How lines of `ipset save` begin.
const COMMANDS: [&str; 4] = ["add", "-A", "create", "-N"];

/// The networks that a line of one of these forms names; none if it is of none of them.
pub(super) fn networks(line: &str, is_first: bool) -> Option<Result<Vec<String>, LineError>> {
    let text = line.split('#').next().unwrap_or_default().trim();
    if text.is_empty() || text.starts_with(';') {
        return None;
    }
    if line.trim_start().starts_with('{') {
        return Some(json(line.trim()));
    }
    let mut words = text.split_whitespace();
    let is_of_ipset = words.next().is_some_and(|word| COMMANDS.contains(&word))
        || words.next().is_some_and(|word| OPTIONS.contains(&word));
    if is_of_ipset {
        return None;
    }
    directive(text)
        .or_else(|| hosts_deny(text))
        .or_else(|| range(text))
        .or_else(|| csv(text, is_first))
        .or_else(|| table(text))
}

fn json(text: &str) -> Result<Vec<String>, LineError> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| LineError::NoJson(error.to_string()))?;
    let found = KEYS.iter().find_map(|key| value.get(key)?.as_str());
    match found {
        Some(text) => Ok(vec![text.to_owned()]),
        // What a list says of itself.
        None if value.get("type").is_some() || value.get("timestamp").is_some() => Ok(Vec::new()),
        None => Err(LineError::JsonWithoutAddress(KEYS.join(", "))),
    }
}

/// `deny 192.0.2.1;` of nginx and `Deny from 192.0.2.1 …` of Apache.
fn directive(text: &str) -> Option<Result<Vec<String>, LineError>> {
    let mut words = text.split([' ', '\t', ';']).filter(|word| !word.is_empty());
    match words.next()?.to_ascii_lowercase().as_str() {
        "deny" => {}
        "allow" => {
            return Some(Err(LineError::IsException("allow")));
        }
        _ => return None,
    }
    let named: Vec<String> = words
        .filter(|word| !word.eq_ignore_ascii_case("from"))
        .map(str::to_owned)
        .collect();
    match named.first().map(String::as_str) {
        None | Some("all") => Some(Err(LineError::DenyAll)),
        Some(_) => Some(Ok(named)),
    }
}

/// `ALL: 192.0.2.1, [2001:db8::]/32, 198.51.100. : deny`
fn hosts_deny(text: &str) -> Option<Result<Vec<String>, LineError>> {
    let (services, clients) = text.split_once(':')?;
    let services = services.trim().replace(", ", ",");
    let is_service = |letter: char| letter.is_ascii_alphanumeric() || "_-.,".contains(letter);
    let has_letter = services.chars().any(|letter| letter.is_ascii_alphabetic());
    let first = text.split([' ', '\t', '/']).next().unwrap_or_default();
    if !has_letter || !services.chars().all(is_service) || first.parse::<IpAddr>().is_ok() {
        return None;
    }
    let mut found = Vec::new();
    for word in clients
        .split([' ', '\t', ','])
        .filter(|word| !word.is_empty())
    {
        match word {
            // What follows is to be done, or let in.
            ":" => break,
            "EXCEPT" => {
                return Some(Err(LineError::IsException("EXCEPT")));
            }
            word => found.push(client(word)),
        }
    }
    match found.is_empty() {
        true => Some(Err(LineError::Nobody(text.to_owned()))),
        false => Some(Ok(found)),
    }
}

/// A client as tcp wrappers write it.
fn client(word: &str) -> String {
    if let Some((address, rest)) = word.strip_prefix('[').and_then(|open| open.split_once(']')) {
        return format!("{address}{rest}");
    }
    if let Some((address, mask)) = word.split_once('/')
        && let Ok(mask) = Ipv4Addr::from_str(mask)
    {
        let mask = u32::from(mask);
        if mask.leading_ones() + mask.trailing_zeros() == u32::BITS {
            return format!("{address}/{}", mask.leading_ones());
        }
    }
    let parts = word.matches('.').count();
    if word.ends_with('.') && (1..=3).contains(&parts) {
        return format!("{word}{}/{}", vec!["0"; 4 - parts].join("."), 8 * parts);
    }
    word.to_owned()
}

/// `192.0.2.3-192.0.2.9`
fn range(text: &str) -> Option<Result<Vec<String>, LineError>> {
    let (first, rest) = text.split_once('-')?;
    let last = rest.split([',', ';', '\t']).next()?;
    between(first.trim(), last.trim())
}

/// The networks from one address to another, if both are addresses.
fn between(first: &str, last: &str) -> Option<Result<Vec<String>, LineError>> {
    let (first, last): (IpAddr, IpAddr) = (first.parse().ok()?, last.parse().ok()?);
    let wrong = || LineError::NoRange(first, last);
    let (from, to, width) = match (first, last) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (u32::from(from).into(), u32::from(to).into(), 32),
        (IpAddr::V6(from), IpAddr::V6(to)) => (u128::from(from), u128::from(to), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
            return Some(Err(wrong()));
        }
    };
    if from > to {
        return Some(Err(wrong()));
    }
    let mut found = Vec::new();
    let mut at: u128 = from;
    loop {
        if found.len() == MOST_NETWORKS {
            return Some(Err(LineError::RangeTooLarge(first, last)));
        }
        // The widest network that begins here and does not go too far.
        let mut free = at.trailing_zeros().min(width);
        while free > 0 && (free == 128 || (1u128 << free) - 1 > to - at) {
            free -= 1;
        }
        let length = width - free;
        found.push(match width {
            32 => format!("{}/{length}", Ipv4Addr::from(at as u32)),
            _ => format!("{}/{length}", Ipv6Addr::from(at)),
        });
        let end = at + ((1u128 << free) - 1);
        if end >= to {
            return Some(Ok(found));
        }
        at = end + 1;
    }
}

/// The first field that is a network.
fn csv(text: &str, is_first: bool) -> Option<Result<Vec<String>, LineError>> {
    if !text.contains(',') {
        return None;
    }
    let fields: Vec<&str> = text
        .split(',')
        .map(|field| field.trim().trim_matches(['"', '\'']))
        .collect();
    if let Some(found) = fields.iter().find(|field| is_network(field)) {
        return Some(Ok(vec![(*found).to_owned()]));
    }
    if let Some(found) = fields.iter().find_map(|field| range(field)) {
        return Some(found);
    }
    let is_heading = fields.iter().any(|field| {
        let field = field.to_ascii_lowercase();
        HEADINGS.iter().any(|word| field.contains(word))
    });
    match is_first && is_heading {
        true => Some(Ok(Vec::new())),
        false => Some(Err(LineError::NoField(text.to_owned()))),
    }
}

/// The first column, or the range of the first two.
fn table(text: &str) -> Option<Result<Vec<String>, LineError>> {
    let (first, rest) = text.split_once(char::is_whitespace)?;
    let is_column = text[first.len()..].starts_with('\t') || rest.starts_with([' ', '\t']);
    let second = rest.split_whitespace().next()?;
    if !is_column || OPTIONS.contains(&second) || !is_network(first) {
        return None;
    }
    let range = second
        .parse::<IpAddr>()
        .is_ok()
        .then(|| between(first, second));
    match range.flatten() {
        Some(Ok(networks)) => Some(Ok(networks)),
        // Two addresses that are no range: the second is something else.
        Some(Err(_)) | None => Some(Ok(vec![first.to_owned()])),
    }
}

fn is_network(text: &str) -> bool {
    let address = text.split('/').next().unwrap_or_default();
    address.parse::<IpAddr>().is_ok() && (text == address || BanTarget::parse(text).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_they_are_published() {
        for (line, expected) in [
            (
                r#"{"cidr":"1.10.16.0/20","sblid":"SBL256894","rir":"apnic"}"#,
                &["1.10.16.0/20"][..],
            ),
            (r#"{"ip":"203.0.113.7","score":9}"#, &["203.0.113.7"]),
            (r#"{"type":"metadata","timestamp":1,"size":2}"#, &[]),
            ("2026-11-28 10:00,203.0.113.7,443,online", &["203.0.113.7"]),
            ("\"203.0.113.7\",\"a, b\"", &["203.0.113.7"]),
            ("203.0.113.0-203.0.113.255", &["203.0.113.0/24"]),
            (
                "203.0.113.3 - 203.0.113.9",
                &["203.0.113.3/32", "203.0.113.4/30", "203.0.113.8/31"],
            ),
            ("2001:db8::-2001:db8::3", &["2001:db8::/126"]),
            (
                "203.0.113.0\t203.0.113.255\t24\t99\tEXAMPLE",
                &["203.0.113.0/24"],
            ),
            ("203.0.113.7\t10", &["203.0.113.7"]),
            ("203.0.113.7    2026-11-28   spam", &["203.0.113.7"]),
            ("ALL: 203.0.113.7", &["203.0.113.7"]),
            (
                "sshd : 203.0.113.7, 198.51.100. : deny",
                &["203.0.113.7", "198.51.100.0/24"],
            ),
            (
                "ALL: [2001:db8::]/32 192.0.2.0/255.255.255.0",
                &["2001:db8::/32", "192.0.2.0/24"],
            ),
            ("deny 203.0.113.0/24;", &["203.0.113.0/24"]),
            ("  deny 2001:db8::7; # spam", &["2001:db8::7"]),
            (
                "Deny from 203.0.113.7 203.0.113.8",
                &["203.0.113.7", "203.0.113.8"],
            ),
        ] {
            let found = networks(line, false).expect(line).expect(line);
            assert_eq!(found, expected, "{line}");
        }
        assert_eq!(
            networks("first_seen,dst_ip,dst_port", true),
            Some(Ok(Vec::new()))
        );
    }

    #[test]
    fn other_lines_are_none_of_these() {
        for line in [
            "",
            "# a-b, c",
            "; deny 1.2.3.4",
            "203.0.113.7",
            "2001:db8::7",
            "fe80::1/64",
            "dead:beef::1 timeout 5",
            "1.10.16.0/20 ; SBL256894",
            "203.0.113.7  timeout 600",
            "add bad 203.0.113.7",
            "203.0.113.7 x",
            "203.0.113.7 comment \"a, b\"",
            "add bad 203.0.113.7 comment \"a, b\"",
            "create bad hash:ip family inet timeout 300",
            "<html>",
        ] {
            assert_eq!(networks(line, true), None, "{line}");
        }
    }

    #[test]
    fn what_names_nobody_is_told() {
        for (line, part) in [
            ("{", "no JSON"),
            (r#"{"a":1}"#, "without any of"),
            ("deny all;", "names no source"),
            ("allow 203.0.113.7;", "never list"),
            ("ALL: ALL EXCEPT 192.0.2.1", "never list"),
            ("203.0.113.9-203.0.113.3", "not a range"),
            ("203.0.113.9-2001:db8::", "not a range"),
            ("a,b,c", "no field"),
        ] {
            let wrong = networks(line, false).expect(line).expect_err(line);
            assert!(wrong.to_string().contains(part), "{line}: {wrong}");
        }
    }
}

//! `me` in the words of a rule: the address from which this command is given.

use std::{collections::BTreeSet, net::IpAddr};

use crate::{
    failure::{Exit, Failure},
    host::sessions,
};

/// Behind these a word is a value of its own.
const BEFORE_VALUES: [&str; 8] = [
    "on", "to", "app", "comment", "--name", "--tag", "--for", "--until",
];

/// The words with addresses in the place of `me`.
pub(super) fn replaced(words: &[String]) -> Result<Vec<String>, Failure> {
    let Some(at) = place(words) else {
        return Ok(words.to_vec());
    };
    let address = address(&sessions::callers())?;
    let mut words = words.to_vec();
    words[at] = address.to_string();
    Ok(words)
}

/// Where a source is expected and `me` stands.
fn place(words: &[String]) -> Option<usize> {
    let is_value = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| words.get(before));
        before.is_some_and(|word| BEFORE_VALUES.contains(&word.to_lowercase().as_str()))
    };
    (1..words.len()).find(|at| words[*at].eq_ignore_ascii_case("me") && !is_value(*at))
}

/// The one address that is meant.
fn address(callers: &BTreeSet<IpAddr>) -> Result<IpAddr, Failure> {
    let callers: BTreeSet<IpAddr> = callers
        .iter()
        .map(IpAddr::to_canonical)
        .filter(|ip| !ip.is_loopback())
        .collect();
    let mut all = callers.iter();
    match (all.next(), all.next()) {
        (Some(one), None) => Ok(*one),
        (None, _) => Err(Failure::new(
            Exit::NotFound,
            "`me` is the address that you are logged in from, and this command does not come from a session of SSH",
        )
        .help("write the address instead: `guardctl allow 198.51.100.7 22`")),
        (Some(_), Some(_)) => {
            let list: Vec<String> = callers.iter().map(IpAddr::to_string).collect();
            let message = format!("`me` may be one of several addresses: {}", list.join(", "));
            Err(Failure::new(Exit::NotFound, message).help("write the one that is meant instead"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn me_is_a_source_and_nothing_else() {
        for (line, expected) in [
            ("allow me 22", Some(1)),
            ("allow --for 1h me 22", Some(3)),
            ("allow from me to any port 22", Some(2)),
            ("allow ME 22", Some(1)),
            ("allow 22/tcp", None),
            ("allow on me 22", None),
            ("allow --name me 22", None),
            ("allow 22 comment me", None),
            ("me", None),
        ] {
            assert_eq!(place(&words(line)), expected, "{line}");
        }
    }

    #[test]
    fn it_must_be_one_address_that_comes_by_the_network() {
        let set = |texts: &[&str]| {
            let ips = texts.iter().map(|text| text.parse().expect("an address"));
            ips.collect::<BTreeSet<IpAddr>>()
        };
        let one = address(&set(&["::ffff:198.51.100.7", "198.51.100.7", "127.0.0.1"]));
        assert_eq!(one.expect("one").to_string(), "198.51.100.7");
        for none in [&[][..], &["::1"], &["198.51.100.7", "2001:db8::7"]] {
            let failure = address(&set(none)).expect_err("refused");
            assert_eq!(failure.exit, Exit::NotFound, "{none:?}");
        }
    }
}

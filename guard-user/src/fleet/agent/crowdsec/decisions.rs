//! The answer to a pull, read as it comes: of a list of 100 000 decisions, only what guard needs is ever in memory. At
//! most [`MOST`] of each list are kept; further ones are counted.

use std::{
    fmt,
    io::{self, BufReader, Read},
};

use bytes::{Buf as _, Bytes};
use ipnetwork::IpNetwork;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use tokio::sync::mpsc;

use super::{
    client::Body,
    go_duration,
    trouble::{Trouble, short, shown},
};
use crate::{control::fleet::MOST_REASON, text::address::parse_network};

/// Most decisions of a list.
pub(super) const MOST: usize = 250_000;
/// Pieces of a body between the connection and the reader.
const PIECES: usize = 4;

/// What the scenario of a pushed decision is made of.
const OWN: &str = "guard/";
const ON: &str = " on ";

/// A decision that guard can enforce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) prefix: IpNetwork,
    pub(super) id: u64,
    /// Seconds that are left.
    pub(super) left: u64,
    pub(super) reason: String,
}

/// One element of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// To be enforced.
    Ban(Decision),
    /// This host's own, which it has already.
    Own(IpNetwork),
    /// Of a scope or a type that guard cannot enforce, or no address: which.
    Other(String),
}

/// Both lists of an answer.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) new: Vec<Listed>,
    pub(super) deleted: Vec<Listed>,
    /// Elements beyond [`MOST`].
    pub(super) beyond: u64,
}

/// The scenario of what a machine pushes: by it, its decisions are known again when they come back. Their origin must be
/// CrowdSec's own, or `cscli alerts list` does not show them.
pub(super) fn own_scenario(jail: &str, machine: &str) -> String {
    format!("{OWN}{jail}{ON}{machine}")
}

fn is_own(scenario: &str, machine: &str) -> bool {
    let jail_and_machine = scenario.strip_prefix(OWN);
    // Neither name has a space.
    jail_and_machine
        .and_then(|rest| rest.split_once(ON))
        .is_some_and(|(_, name)| name == machine)
}

/// Reads the answer to a pull. `own` is this host's name as a machine.
pub(super) async fn read(mut body: Body, own: Option<String>) -> Result<Lists, Trouble> {
    let (sender, receiver) = mpsc::channel(PIECES);
    let pieces = Pieces {
        receiver,
        piece: Bytes::new(),
    };
    let reading = tokio::task::spawn_blocking(move || parse(pieces, own.as_deref()));
    let mut cut = None;
    loop {
        match body.next().await {
            Ok(Some(piece)) => {
                // The reader has given up: it says why.
                if sender.send(piece).await.is_err() {
                    break;
                }
            }
            Ok(None) => break,
            Err(trouble) => {
                cut = Some(trouble);
                break;
            }
        }
    }
    drop(sender);
    let lists = reading.await;
    if let Some(trouble) = cut {
        return Err(trouble);
    }
    lists
        .map_err(|error| Trouble::Nonsense(shown(error)))?
        .map_err(|error| Trouble::Nonsense(shown(error)))
}

fn parse(pieces: impl Read, own: Option<&str>) -> Result<Lists, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_reader(BufReader::new(pieces));
    let lists = deserializer.deserialize_map(ListsVisitor { own })?;
    deserializer.end()?;
    Ok(lists)
}

/// The pieces of a body, as a file.
struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

struct ListsVisitor<'o> {
    own: Option<&'o str>,
}

impl<'de> Visitor<'de> for ListsVisitor<'_> {
    type Value = Lists;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lists of decisions")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Lists, A::Error> {
        let mut lists = Lists::default();
        let own = self.own;
        let (mut has_new, mut has_deleted) = (false, false);
        while let Some(key) = map.next_key::<String>()? {
            let (list, is_there) = match key.as_str() {
                "new" => (&mut lists.new, &mut has_new),
                "deleted" => (&mut lists.deleted, &mut has_deleted),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *is_there = true;
            let beyond = &mut lists.beyond;
            map.next_value_seed(ListSeed { own, list, beyond })?;
        }
        if has_new && has_deleted {
            Ok(lists)
        } else {
            Err(serde::de::Error::custom("it has no lists of decisions"))
        }
    }
}

/// A list, or `null` for an empty one.
struct ListSeed<'a> {
    own: Option<&'a str>,
    list: &'a mut Vec<Listed>,
    beyond: &'a mut u64,
}

impl<'de> DeserializeSeed<'de> for ListSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ListSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of decisions, or null")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(wire) = elements.next_element::<Wire>()? {
            if self.list.len() < MOST {
                self.list.push(wire.listed(self.own));
            } else {
                *self.beyond += 1;
            }
        }
        Ok(())
    }
}

/// A decision as the LAPI writes it.
#[derive(Deserialize)]
struct Wire {
    id: Option<u64>,
    duration: Option<String>,
    origin: Option<String>,
    scenario: Option<String>,
    scope: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    value: Option<String>,
}

impl Wire {
    fn listed(self, own: Option<&str>) -> Listed {
        let scope = self.scope.unwrap_or_default();
        if !["ip", "range"].contains(&scope.to_ascii_lowercase().as_str()) {
            return Listed::Other(short(&scope.to_lowercase(), 32));
        }
        let kind = self.kind.unwrap_or_default();
        if !kind.eq_ignore_ascii_case("ban") {
            return Listed::Other(short(&format!("type {}", kind.to_lowercase()), 32));
        }
        let Ok((prefix, _)) = parse_network(&self.value.unwrap_or_default()) else {
            return Listed::Other("no address".to_owned());
        };
        let origin = self.origin.unwrap_or_default();
        let scenario = self.scenario.unwrap_or_default();
        if own.is_some_and(|machine| is_own(&scenario, machine)) {
            return Listed::Own(prefix);
        }
        let Some(left) = self.duration.as_deref().and_then(go_duration::seconds) else {
            return Listed::Other("no duration".to_owned());
        };
        Listed::Ban(Decision {
            prefix,
            id: self.id.unwrap_or(0),
            left,
            reason: short(&format!("{scenario} ({origin})"), MOST_REASON),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(text: &str) -> Result<Lists, serde_json::Error> {
        parse(text.as_bytes(), Some("web-1"))
    }

    #[test]
    fn null_and_an_empty_list_are_the_same() {
        for text in [
            r#"{"deleted":null,"new":null}"#,
            r#"{"new":[],"deleted":[]}"#,
            r#"{"new":[],"deleted":null,"links":{"a":[1]}}"#,
        ] {
            let lists = lists(text).expect(text);
            assert!(lists.new.is_empty() && lists.deleted.is_empty());
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"new":[]}"#,
            r#"{"new":5,"deleted":[]}"#,
            r#"{"new":[],"deleted":[]"#,
            r#"{"new":[],"deleted":[]}}"#,
            r#"{"new":[{"id":1,"value":"203.0.113.7"#,
            r#"{"new":[{"id":-1}],"deleted":[]}"#,
            r#"{"new":[{"value":["203.0.113.7"]}],"deleted":[]}"#,
            "<html>",
        ] {
            assert!(lists(text).is_err(), "{text}");
        }
        let deep = format!(r#"{{"x":{}"#, "[".repeat(1000));
        assert!(lists(&deep).is_err());
    }

    #[test]
    fn decisions_are_told_apart_by_scope_type_value_and_origin() {
        let wire = |scope: &str, kind: &str, value: &str, scenario: &str, duration: &str| {
            let wire = Wire {
                id: Some(7),
                duration: Some(duration.to_owned()),
                origin: Some("CAPI".to_owned()),
                scenario: Some(scenario.to_owned()),
                scope: Some(scope.to_owned()),
                kind: Some(kind.to_owned()),
                value: Some(value.to_owned()),
            };
            wire.listed(Some("web-1"))
        };
        let prefix: IpNetwork = "2001:db8::/48".parse().expect("a prefix");
        let ban = Listed::Ban(Decision {
            prefix,
            id: 7,
            left: 14_400,
            reason: "ssh-bf (CAPI)".to_owned(),
        });
        assert_eq!(wire("Range", "ban", "2001:db8::1/48", "ssh-bf", "4h"), ban);
        assert_eq!(
            wire("range", "Ban", "2001:db8::/48", "guard/sshd on web-1", "4h"),
            Listed::Own(prefix)
        );
        for (scope, kind, value, duration, other) in [
            ("Country", "ban", "CN", "4h", "country"),
            ("", "ban", "203.0.113.7", "4h", ""),
            ("A\u{1b}S", "ban", "1", "4h", "a\\u{1b}s"),
            ("Ip", "captcha", "203.0.113.7", "4h", "type captcha"),
            ("Ip", "ban", "203.0.113", "4h", "no address"),
            ("Ip", "ban", "", "4h", "no address"),
            ("Ip", "ban", "203.0.113.7/33", "4h", "no address"),
            ("Ip", "ban", "203.0.113.7", "soon", "no duration"),
        ] {
            let listed = wire(scope, kind, value, "guard/sshd on web-2", duration);
            assert_eq!(
                listed,
                Listed::Other(other.to_owned()),
                "{scope} {kind} {value}"
            );
        }
    }
}

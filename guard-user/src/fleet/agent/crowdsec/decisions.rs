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

/// What is read of a decision.
const FIELDS: [&str; 7] = [
    "id", "duration", "origin", "scenario", "scope", "type", "value",
];

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
#[derive(Default)]
struct Wire {
    id: Option<u64>,
    duration: Option<String>,
    origin: Option<String>,
    scenario: Option<String>,
    scope: Option<String>,
    kind: Option<String>,
    value: Option<String>,
    /// It is no object, or something in it is of another kind: others in its list are none the worse for it.
    is_malformed: bool,
}

impl<'de> Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Loose::Object(wire) = Loose::deserialize(deserializer)? else {
            return Ok(Self::malformed());
        };
        Ok(*wire)
    }
}

impl Wire {
    fn malformed() -> Self {
        Self {
            is_malformed: true,
            ..Self::default()
        }
    }

    fn take(&mut self, key: &str, value: Loose) {
        let text = match key {
            "id" => {
                match value {
                    Loose::Number(id) => self.id = Some(id),
                    Loose::Nothing => {}
                    Loose::Text(_) | Loose::Object(_) | Loose::Other => self.is_malformed = true,
                }
                return;
            }
            "duration" => &mut self.duration,
            "origin" => &mut self.origin,
            "scenario" => &mut self.scenario,
            "scope" => &mut self.scope,
            "type" => &mut self.kind,
            "value" => &mut self.value,
            _ => return,
        };
        match value {
            Loose::Text(found) => *text = Some(found),
            Loose::Nothing => {}
            Loose::Number(_) | Loose::Object(_) | Loose::Other => self.is_malformed = true,
        }
    }

    fn listed(self, own: Option<&str>) -> Listed {
        if self.is_malformed {
            return Listed::Other("malformed".to_owned());
        }
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

/// A value of any kind: whatever it is, what comes after it can be read.
enum Loose {
    Text(String),
    Number(u64),
    Nothing,
    /// As far as it is a decision.
    Object(Box<Wire>),
    Other,
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Loose, E> {
        Ok(Loose::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Loose, E> {
        Ok(Loose::Text(text))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Loose, E> {
        Ok(Loose::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Loose, E> {
        Ok(Loose::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Loose, E> {
        Ok(Loose::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Loose, E> {
        Ok(Loose::Other)
    }

    fn visit_unit<E>(self) -> Result<Loose, E> {
        Ok(Loose::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Loose, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose, A::Error> {
        let mut wire = Wire::default();
        while let Some(key) = map.next_key::<String>()? {
            if FIELDS.contains(&key.as_str()) {
                wire.take(&key, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Loose::Object(Box::new(wire)))
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
            "<html>",
        ] {
            assert!(lists(text).is_err(), "{text}");
        }
        let deep = format!(r#"{{"x":{}"#, "[".repeat(1000));
        assert!(lists(&deep).is_err());
    }

    #[test]
    fn a_malformed_decision_is_counted_and_those_beside_it_are_read() {
        let good = r#"{"id":7,"duration":"4h","origin":"CAPI","scenario":"ssh-bf","scope":"Ip","type":"ban",
            "value":"203.0.113.7","simulated":false,"more":{"a":[1,{}]}}"#;
        for bad in [
            "5",
            "null",
            "true",
            "-1.5",
            "\"text\"",
            "[]",
            "[[{\"a\":[]}]]",
            r#"{"id":-1,"scope":"Ip","type":"ban","value":"203.0.113.8","duration":"4h"}"#,
            r#"{"id":1e3,"scope":"Ip","type":"ban","value":"203.0.113.8","duration":"4h"}"#,
            r#"{"scope":"Ip","type":"ban","value":["203.0.113.8"],"duration":"4h"}"#,
            r#"{"scope":"Ip","type":"ban","value":"203.0.113.8","duration":14400}"#,
            r#"{"scope":{"a":{"b":null}},"type":"ban","value":"203.0.113.8","duration":"4h"}"#,
            r#"{"scope":"Ip","type":true,"value":"203.0.113.8","duration":"4h"}"#,
        ] {
            let text = format!(r#"{{"new":[{good},{bad},{good}],"deleted":[{bad},{good}]}}"#);
            let lists = lists(&text).expect(bad);
            let malformed = Listed::Other("malformed".to_owned());
            assert_eq!(lists.new[1], malformed, "{bad}");
            assert_eq!(lists.deleted[0], malformed, "{bad}");
            assert!(matches!(lists.new[0], Listed::Ban(_)));
            assert_eq!(
                (&lists.new[2], &lists.deleted[1]),
                (&lists.new[0], &lists.new[0])
            );
        }
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
                is_malformed: false,
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

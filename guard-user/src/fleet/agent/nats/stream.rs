//! The stream in which bans are stored: what it must be like, and how it is read from some place on.

use async_nats::{Client, HeaderMap, Message, client::Request};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

use super::{
    record::MOST_BYTES,
    subject::{HEARD_POLICY, REPUBLISHED, STORED, STORED_POLICY},
};
use crate::fleet::bundle::MOST_BUNDLE;

/// Its name.
pub(in crate::fleet::agent) const STREAM: &str = "KV_guard";
/// Where signs of life are stored.
pub(in crate::fleet::agent) const HOSTS: &str = "KV_hosts";
/// Where policies are stored, one for each group.
pub(in crate::fleet::agent) const POLICIES: &str = "KV_policy";
/// For an answer of the server.
pub(in crate::fleet::agent) const PATIENCE: Duration = Duration::from_secs(2);
/// Messages of one answer.
const BATCH: u64 = 1_000;

/// What is wrong, in words for an operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::fleet::agent) struct StreamFault(pub(in crate::fleet::agent) String);

/// What the server says of a stream.
#[derive(Debug, Deserialize)]
pub(in crate::fleet::agent) struct Info {
    pub(in crate::fleet::agent) config: Value,
    pub(in crate::fleet::agent) state: State,
    /// The server's clock.
    ts: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::fleet::agent) struct State {
    pub(in crate::fleet::agent) last_seq: u64,
    #[serde(default)]
    pub(in crate::fleet::agent) num_subjects: u64,
}

/// The settings of the streams, as they are made and as they must be.
pub(in crate::fleet::agent) fn settings(name: &str, replicas: u8) -> Value {
    let (subjects, most, longest) = match name {
        STREAM => (vec![format!("{STORED}>")], 512 << 20, MOST_BYTES),
        POLICIES => (vec![format!("{STORED_POLICY}*")], 64 << 20, MOST_BUNDLE),
        _ => (vec!["$KV.hosts.>".to_owned()], 64 << 20, MOST_BYTES),
    };
    let mut settings = json!({
        "name": name,
        "subjects": subjects,
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "num_replicas": replicas,
        "max_msgs_per_subject": 1,
        "max_msg_size": longest,
        "max_bytes": most,
        "allow_rollup_hdrs": false,
        "deny_delete": true,
        "deny_purge": true,
        "allow_direct": true,
        "allow_msg_ttl": true,
    });
    if name == STREAM {
        settings["republish"] =
            json!({"src": format!("{STORED}>"), "dest": format!("{REPUBLISHED}>")});
    }
    if name == POLICIES {
        settings["republish"] = json!({"src": format!("{STORED_POLICY}*"), "dest": format!("{HEARD_POLICY}{{{{wildcard(1)}}}}")});
    }
    settings
}

/// Is the stream one in which nobody can change what others said, and in which records end by themselves?
pub(in crate::fleet::agent) fn check(config: &Value) -> Result<(), StreamFault> {
    let wanted = settings(STREAM, 1);
    let keys = [
        ("allow_msg_ttl", "records would never end"),
        ("allow_rollup_hdrs", "a member could wipe what others said"),
        ("deny_delete", "records of others could be deleted"),
        ("deny_purge", "all records could be deleted"),
        ("allow_direct", "it could not be read by many"),
        ("max_msgs_per_subject", "one ban would be stored many times"),
        ("subjects", "it has other records"),
        ("republish", "nobody would hear of new bans"),
    ];
    for (key, why) in keys {
        let found = config.get(key).cloned().unwrap_or(Value::Bool(false));
        let is_right = match key {
            "republish" => {
                found["src"] == wanted[key]["src"] && found["dest"] == wanted[key]["dest"]
            }
            _ => found == wanted[key],
        };
        if !is_right {
            return Err(StreamFault(format!(
                "stream {STREAM}: {key} is not {}: {why}; `guard-fleet prepare` says how to put it right",
                wanted[key]
            )));
        }
    }
    Ok(())
}

/// An answer of the server's API, or what it complains of.
pub(in crate::fleet::agent) async fn call(
    client: &Client,
    subject: String,
    payload: Vec<u8>,
) -> Result<Value, StreamFault> {
    let request = Request::new()
        .payload(Bytes::from(payload))
        .timeout(Some(PATIENCE));
    let answer = client.send_request(subject.clone(), request).await;
    let answer =
        answer.map_err(|error| StreamFault(format!("the server does not answer: {error}")))?;
    let value: Value = serde_json::from_slice(&answer.payload)
        .map_err(|error| StreamFault(format!("{subject}: an answer that is no JSON: {error}")))?;
    if let Some(error) = value.get("error") {
        let text = error["description"].as_str().unwrap_or("refused");
        return Err(StreamFault(format!("{subject}: {text}")));
    }
    Ok(value)
}

pub(in crate::fleet::agent) async fn info(
    client: &Client,
    name: &str,
) -> Result<Info, StreamFault> {
    let value = call(client, format!("$JS.API.STREAM.INFO.{name}"), Vec::new()).await?;
    serde_json::from_value(value)
        .map_err(|error| StreamFault(format!("stream {name}: an answer of another kind: {error}")))
}

impl Info {
    /// Milliseconds from then to now, by the server's clock; 0 for times that make no sense.
    pub(in crate::fleet::agent) fn since(&self, then: Option<jiff::Timestamp>) -> u64 {
        let now: Option<jiff::Timestamp> = self.ts.parse().ok();
        let Some((now, then)) = now.zip(then) else {
            return 0;
        };
        u64::try_from(now.duration_since(then).as_millis()).unwrap_or(0)
    }
}

/// A message as it is stored.
#[derive(Debug)]
pub(in crate::fleet::agent) struct Stored {
    /// Behind `$KV.guard.`, or whatever it begins with.
    pub(in crate::fleet::agent) subject: String,
    pub(in crate::fleet::agent) sequence: u64,
    pub(in crate::fleet::agent) at: Option<jiff::Timestamp>,
    pub(in crate::fleet::agent) payload: Bytes,
}

/// Every message from this place on, and the place behind the last.
pub(in crate::fleet::agent) async fn read_from(
    client: &Client,
    first: u64,
    each: impl FnMut(Stored),
) -> Result<(), StreamFault> {
    read(client, (STREAM, STORED), first, each).await
}

/// Every message of a stream whose subjects begin so.
pub(in crate::fleet::agent) async fn read_all(
    client: &Client,
    stream: &str,
    beginning: &str,
    each: impl FnMut(Stored),
) -> Result<(), StreamFault> {
    read(client, (stream, beginning), 1, each).await
}

async fn read(
    client: &Client,
    (stream, beginning): (&str, &str),
    first: u64,
    mut each: impl FnMut(Stored),
) -> Result<(), StreamFault> {
    let mut next = first;
    loop {
        let inbox = client.new_inbox();
        let mut answers = client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| StreamFault(error.to_string()))?;
        let ask = json!({"batch": BATCH, "seq": next, "next_by_subj": format!("{beginning}>")});
        client
            .publish_with_reply(
                format!("$JS.API.DIRECT.GET.{stream}"),
                inbox,
                Bytes::from(ask.to_string()),
            )
            .await
            .map_err(|error| StreamFault(error.to_string()))?;
        let pending = loop {
            let message = timeout(PATIENCE, answers.next()).await;
            let Ok(Some(message)) = message else {
                return Err(StreamFault("the server stops in the middle".to_owned()));
            };
            let headers = message.headers.clone().unwrap_or_default();
            match message.status.map(|status| status.as_u16()) {
                // Nothing there, or nothing more.
                Some(404) => return Ok(()),
                Some(204) => {
                    break number(&headers, "Nats-Num-Pending").unwrap_or(0);
                }
                Some(503) | Some(408) => {
                    return Err(StreamFault(format!("stream {stream} cannot be read now")));
                }
                Some(_) | None => {}
            }
            let Some(stored) = stored(&message, &headers, beginning) else {
                continue;
            };
            next = stored.sequence + 1;
            each(stored);
        };
        if pending == 0 {
            return Ok(());
        }
    }
}

fn stored(message: &Message, headers: &HeaderMap, beginning: &str) -> Option<Stored> {
    Some(Stored {
        subject: text(headers, "Nats-Subject")?
            .strip_prefix(beginning)?
            .to_owned(),
        sequence: number(headers, "Nats-Sequence")?,
        at: text(headers, "Nats-Time-Stamp").and_then(|at| at.parse().ok()),
        payload: message.payload.clone(),
    })
}

pub(in crate::fleet::agent) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.as_str())
}

pub(in crate::fleet::agent) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_a_member_could_misuse_is_refused_with_the_reason() {
        let right = settings(STREAM, 3);
        assert!(check(&right).is_ok());
        for (key, value, why) in [
            ("allow_rollup_hdrs", json!(true), "wipe"),
            ("allow_msg_ttl", json!(false), "never end"),
            ("deny_purge", json!(false), "deleted"),
            ("max_msgs_per_subject", json!(5), "many times"),
            ("republish", Value::Null, "hear of new"),
            ("subjects", json!(["$KV.other.>"]), "other records"),
        ] {
            let mut wrong = right.clone();
            wrong[key] = value;
            let fault = check(&wrong).expect_err(key).to_string();
            assert!(fault.contains(why), "{key}: {fault}");
            // What is not named is off.
            wrong.as_object_mut().expect("an object").remove(key);
            assert_eq!(check(&wrong).is_ok(), key == "allow_rollup_hdrs", "{key}");
        }
    }
}

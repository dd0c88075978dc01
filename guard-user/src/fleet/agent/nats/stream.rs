//! The stream in which bans are stored: what it must be like.

use std::time::Duration;

use async_nats::{Client, client::Request};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

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

/// Room for the headers of a message that is as long as it may be: the server counts both.
const HEADERS: usize = 1024;

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
        POLICIES => (
            vec![format!("{STORED_POLICY}*")],
            64 << 20,
            MOST_BUNDLE + HEADERS,
        ),
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

/// Settings that must be as they are made, and what were wrong else. What the server does not name is off.
const MUST_BE: [(&str, &str); 10] = [
    ("allow_msg_ttl", "records would never end"),
    ("allow_rollup_hdrs", "a member could wipe what others said"),
    ("deny_delete", "records of others could be deleted"),
    ("deny_purge", "all records could be deleted"),
    ("allow_direct", "it could not be read by many"),
    ("max_msgs_per_subject", "one ban would be stored many times"),
    ("subjects", "it has other records"),
    ("republish", "nobody would hear of new bans"),
    (
        "discard",
        "a member that fills it could push out what others said",
    ),
    ("retention", "records would go before they end"),
];
/// Settings that must be off: nothing, `false` or 0.
const MUST_BE_OFF: [(&str, &str); 6] = [
    (
        "allow_msg_schedules",
        "a member could have the server speak in the name of others",
    ),
    ("max_age", "records would end too early"),
    ("mirror", "it would have records of another stream"),
    ("sources", "it would have records of other streams"),
    ("subject_transform", "records would change their names"),
    ("sealed", "nothing could be stored"),
];

/// Is the stream one in which nobody can change what others said, and in which records end by themselves?
pub(in crate::fleet::agent) fn check(config: &Value) -> Result<(), StreamFault> {
    let wanted = settings(STREAM, 1);
    let fault = |key: &str, wanted: &Value, why: &str| {
        Err(StreamFault(format!(
            "stream {STREAM}: {key} is not {wanted}: {why}; `guard-fleet prepare` says how to put it right"
        )))
    };
    let off = Value::Bool(false);
    for (key, why) in MUST_BE {
        let found = config.get(key).unwrap_or(&off);
        let is_right = match key {
            "republish" => {
                let is_same = |part: &str| found[part] == wanted[key][part];
                is_same("src") && is_same("dest") && is_off(&found["headers_only"])
            }
            _ => *found == wanted[key],
        };
        if !is_right {
            return fault(key, &wanted[key], why);
        }
    }
    for (key, why) in MUST_BE_OFF {
        if !is_off(&config[key]) {
            return fault(key, &off, why);
        }
    }
    Ok(())
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(list) => list.is_empty(),
        Value::Bool(true) | Value::String(_) | Value::Object(_) => false,
    }
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

/// The server's clock: what it said, and when.
#[derive(Clone, Copy, Debug)]
pub(in crate::fleet::agent) struct ServerClock {
    said: jiff::Timestamp,
    at: Instant,
}

impl Info {
    /// `None` for a time that makes no sense.
    pub(in crate::fleet::agent) fn clock(&self) -> Option<ServerClock> {
        let said = self.ts.parse().ok()?;
        let at = Instant::now();
        Some(ServerClock { said, at })
    }
}

impl ServerClock {
    /// Milliseconds from then to now; 0 for times that make no sense.
    pub(in crate::fleet::agent) fn since(
        clock: Option<Self>,
        then: Option<jiff::Timestamp>,
    ) -> u64 {
        let Some((clock, then)) = clock.zip(then) else {
            return 0;
        };
        let before = clock.said.duration_since(then).as_millis();
        u64::try_from(before + clock.at.elapsed().as_millis() as i128).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago_a_message_was_stored_is_said_by_the_servers_clock_alone() {
        let info = |ts: &str| Info {
            config: Value::Null,
            state: State {
                last_seq: 1,
                num_subjects: 1,
            },
            ts: ts.to_owned(),
        };
        let then = |text: &str| text.parse::<jiff::Timestamp>().ok();
        let clock = info("2031-01-01T00:00:10.5Z").clock();
        let late = ServerClock::since(clock, then("2031-01-01T00:00:00Z"));
        assert!((10_500..11_500).contains(&late), "{late}");
        // Of the future, or no time at all.
        assert_eq!(ServerClock::since(clock, then("2031-01-01T01:00:00Z")), 0);
        assert_eq!(ServerClock::since(clock, None), 0);
        assert!(info("yesterday").clock().is_none());
        assert_eq!(ServerClock::since(None, then("2031-01-01T00:00:00Z")), 0);
    }

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
            ("discard", json!("old"), "push out"),
            ("retention", json!("workqueue"), "before they end"),
            ("allow_msg_schedules", json!(true), "name of others"),
            ("max_age", json!(3_600_000_000_000_u64), "too early"),
            ("mirror", json!({"name": "KV_other"}), "another stream"),
            ("sources", json!([{"name": "KV_other"}]), "other streams"),
            (
                "subject_transform",
                json!({"src": ">", "dest": "x.>"}),
                "change their names",
            ),
            ("sealed", json!(true), "could be stored"),
        ] {
            let mut wrong = right.clone();
            wrong[key] = value;
            let fault = check(&wrong).expect_err(key).to_string();
            assert!(fault.contains(why), "{key}: {fault}");
            // What is not named is off.
            wrong.as_object_mut().expect("an object").remove(key);
            let may_be_off = key == "allow_rollup_hdrs"
                || MUST_BE_OFF
                    .iter()
                    .any(|(must_be_off, _)| *must_be_off == key);
            assert_eq!(check(&wrong).is_ok(), may_be_off, "{key}");
        }
        let mut wrong = right.clone();
        wrong["republish"]["headers_only"] = json!(true);
        assert!(check(&wrong).is_err());
    }

    #[test]
    fn a_stream_as_a_real_server_shows_it_is_taken() {
        // nats-server 2.15.1, of the stream that `guard-fleet prepare` makes.
        let shown = r#"{"name":"KV_guard","subjects":["$KV.guard.\u003e"],"retention":"limits","max_consumers":-1,
            "max_msgs":-1,"max_bytes":1048576,"max_age":0,"max_msgs_per_subject":1,"max_msg_size":1024,"discard":"new",
            "storage":"file","num_replicas":1,"duplicate_window":120000000000,"compression":"none",
            "republish":{"src":"$KV.guard.\u003e","dest":"fleet.ev.\u003e"},"allow_direct":true,"mirror_direct":false,
            "sealed":false,"deny_delete":true,"deny_purge":true,"allow_rollup_hdrs":false,"consumer_limits":{},
            "allow_msg_ttl":true,"metadata":{"_nats.level":"5","_nats.req.level":"1","_nats.ver":"2.15.1"}}"#;
        let shown: Value = serde_json::from_str(shown).expect("JSON");
        assert!(check(&shown).is_ok());
    }
}

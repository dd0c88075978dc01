//! Messages as the server stored them: whose word they really are, and how they are read from some place on. A member
//! chooses the headers of what it publishes, and can have the server send an answer to any subject, so a message counts
//! only with exactly the headers that an honest member and the server write.

use std::{str, sync::atomic::Ordering, time::Duration};

use async_nats::{Client, HeaderMap, Message, client::Request};
use bytes::Bytes;
use data_encoding::BASE64;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    select,
    time::{sleep, timeout},
};

use super::{
    stream::{PATIENCE, STREAM, StreamFault, call},
    subject::STORED,
};

/// What the server writes, behind whatever the sender wrote.
const OF_STREAM: &str = "Nats-Stream";
const OF_SUBJECT: &str = "Nats-Subject";
const OF_SEQUENCE: &str = "Nats-Sequence";
const OF_TIME: &str = "Nats-Time-Stamp";
/// What an honest sender writes, and nothing else.
const OF_END: &str = "Nats-TTL";
/// Messages of one answer, 5 MB at most: with each, the server counts all that follow.
const BATCH: u64 = 10_000;
/// Messages that are read one by one after an answer that nobody can read; twice as many the next time.
const ONE_BY_ONE: u64 = 64;
/// So many subjects with messages that nobody can read are passed over; each costs a connection.
const MOST_UNREADABLE: u32 = 16;
/// Between two looks whether the connection is another.
const LOOK: Duration = Duration::from_millis(20);
/// Attempts to read one message.
const ATTEMPTS: u32 = 3;

/// A message as it is stored.
#[derive(Debug)]
pub(super) struct Stored {
    /// Behind `$KV.guard.`.
    pub(super) subject: String,
    pub(super) sequence: u64,
    pub(super) at: Option<jiff::Timestamp>,
    /// Has its subject's member sent it?
    pub(super) is_genuine: bool,
    pub(super) payload: Bytes,
}

/// What the headers say of a stored message; `None` when it is none.
pub(super) fn stored(message: &Message) -> Option<Stored> {
    stored_in((STREAM, STORED), message)
}

/// The same of another stream, and of subjects that begin so.
fn stored_in((stream, beginning): (&str, &str), message: &Message) -> Option<Stored> {
    let headers = message.headers.as_ref()?;
    // The server's come last.
    let last = |name: &str| headers.get_last(name).map(|value| value.as_str());
    let of_server = [OF_STREAM, OF_SUBJECT, OF_SEQUENCE, OF_TIME];
    let is_once = of_server.iter().all(|name| count(headers, name) == 1);
    Some(Stored {
        subject: last(OF_SUBJECT)?.strip_prefix(beginning)?.to_owned(),
        sequence: last(OF_SEQUENCE)?.parse().ok()?,
        at: last(OF_TIME).and_then(|at| at.parse().ok()),
        is_genuine: is_once && last(OF_STREAM) == Some(stream) && has_end(headers),
        payload: message.payload.clone(),
    })
}

/// Is this a member's own word, that is not stored yet? What the server took out of a stream is none.
pub(super) fn is_unstored(message: &Message) -> bool {
    message.headers.as_ref().is_some_and(|headers| {
        let of_server = [OF_STREAM, OF_SUBJECT, OF_SEQUENCE, OF_TIME];
        of_server.iter().all(|name| count(headers, name) == 0) && has_end(headers)
    })
}

/// What others send with a message: that it ends, as every ban does.
pub(super) fn end_header(seconds: u32) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(OF_END, format!("{seconds}s").as_str());
    headers
}

fn count(headers: &HeaderMap, name: &str) -> usize {
    headers.get_all(name).count()
}

/// An answer without headers can be had of the server, so there must be one; and one that never ends is no ban's.
fn has_end(headers: &HeaderMap) -> bool {
    count(headers, OF_END) == 1
        && headers
            .get(OF_END)
            .is_some_and(|value| is_end(value.as_str()))
}

fn is_end(text: &str) -> bool {
    let seconds = text.strip_suffix('s').unwrap_or_default();
    !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit())
}

/// Every message from `first` to `last`. More may be stored meanwhile: that is heard otherwise.
pub(super) async fn read_from(
    client: &Client,
    first: u64,
    last: u64,
    mut each: impl AsyncFnMut(Stored),
) -> Result<(), StreamFault> {
    let mut next = first;
    let mut most = ONE_BY_ONE;
    while next <= last {
        match read_batch(client, (STREAM, STORED), next, &mut each).await? {
            Batch::Whole => return Ok(()),
            Batch::More(at) => next = at,
            // Headers that are no headers end the connection of whoever reads them: past those one by one.
            Batch::Broken(at) => {
                next = read_one_by_one(client, at, most, &mut each).await?;
                most = most.saturating_mul(2);
            }
        }
    }
    Ok(())
}

enum Batch {
    Whole,
    More(u64),
    Broken(u64),
}

/// The last message of every subject that begins so, without those that nobody can read; some of them twice then.
pub(super) async fn read_all(
    client: &Client,
    which: (&str, &str),
    mut each: impl AsyncFnMut(Stored),
) -> Result<(), StreamFault> {
    let mut next = 1;
    loop {
        match read_batch(client, which, next, &mut each).await? {
            Batch::Whole => return Ok(()),
            Batch::More(at) => next = at,
            Batch::Broken(_) => return read_by_subject(client, which, &mut each).await,
        }
    }
}

/// Which connection it is, counted from the first on.
fn connection(client: &Client) -> u64 {
    client.statistics().connects.load(Ordering::Relaxed)
}

/// Waits until the connection is another: what was on its way to us is lost.
async fn another_than(before: u64, client: &Client) {
    while connection(client) == before {
        sleep(LOOK).await;
    }
}

/// Headers that are no headers hide what comes behind them: each subject by itself.
async fn read_by_subject(
    client: &Client,
    (stream, beginning): (&str, &str),
    each: &mut impl AsyncFnMut(Stored),
) -> Result<(), StreamFault> {
    let ask = json!({"subjects_filter": format!("{beginning}>")}).to_string();
    let info = format!("$JS.API.STREAM.INFO.{stream}");
    let value = call(client, info, ask.into_bytes()).await?;
    let subjects = value["state"]["subjects"].as_object();
    let mut unreadable = 0;
    for subject in subjects.into_iter().flat_map(|all| all.keys()) {
        let ask = json!({"last_by_subj": subject}).to_string();
        let request = Request::new()
            .payload(Bytes::from(ask))
            .timeout(Some(PATIENCE));
        let place = format!("$JS.API.DIRECT.GET.{stream}");
        let before = connection(client);
        let answer = select! {
            biased;
            answer = client.send_request(place, request) => answer.ok(),
            () = another_than(before, client) => None,
        };
        match answer {
            Some(message) => {
                // Without one, it has ended meanwhile.
                if let Some(stored) = stored_in((stream, beginning), &message) {
                    each(stored).await;
                }
            }
            None if unreadable < MOST_UNREADABLE => unreadable += 1,
            None => {
                let what = format!("stream {stream} has too many messages that nobody can read");
                return Err(StreamFault(what));
            }
        }
    }
    Ok(())
}

async fn read_batch(
    client: &Client,
    (stream, beginning): (&str, &str),
    first: u64,
    each: &mut impl AsyncFnMut(Stored),
) -> Result<Batch, StreamFault> {
    let mut next = first;
    let before = connection(client);
    let inbox = client.new_inbox();
    let fault = |error: &dyn std::fmt::Display| StreamFault(error.to_string());
    let mut answers = client
        .subscribe(inbox.clone())
        .await
        .map_err(|error| fault(&error))?;
    let ask = json!({"batch": BATCH, "seq": next, "next_by_subj": format!("{beginning}>")});
    client
        .publish_with_reply(
            format!("$JS.API.DIRECT.GET.{stream}"),
            inbox,
            Bytes::from(ask.to_string()),
        )
        .await
        .map_err(|error| fault(&error))?;
    loop {
        let message = select! {
            biased;
            message = timeout(PATIENCE, answers.next()) => message,
            () = another_than(before, client) => return Ok(Batch::Broken(next)),
        };
        let Ok(Some(message)) = message else {
            return Ok(Batch::Broken(next));
        };
        if let Some(stored) = stored_in((stream, beginning), &message) {
            next = stored.sequence + 1;
            each(stored).await;
            continue;
        }
        match message.status.map(|status| status.as_u16()) {
            // Nothing there, or nothing more.
            Some(404) => return Ok(Batch::Whole),
            Some(204) => {
                let headers = message.headers.as_ref();
                let pending = headers.and_then(|all| all.get_last("Nats-Num-Pending"));
                return Ok(match pending.map(|value| value.as_str()) {
                    None | Some("0") => Batch::Whole,
                    Some(_) => Batch::More(next),
                });
            }
            Some(503) | Some(408) => {
                return Err(StreamFault(format!("stream {stream} cannot be read now")));
            }
            Some(_) | None => {}
        }
    }
}

/// A message in JSON, where no header means anything.
#[derive(Debug, Deserialize)]
struct Shown {
    subject: String,
    seq: u64,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
    time: String,
}

#[derive(Debug, Deserialize)]
struct ShownAnswer {
    message: Option<Shown>,
    error: Option<ShownError>,
}

#[derive(Debug, Deserialize)]
struct ShownError {
    code: u16,
}

/// So many messages, slowly; the place behind them.
async fn read_one_by_one(
    client: &Client,
    first: u64,
    most: u64,
    each: &mut impl AsyncFnMut(Stored),
) -> Result<u64, StreamFault> {
    let mut next = first;
    for _ in 0..most {
        let answer = read_one(client, next).await?;
        match (answer.message, answer.error) {
            (Some(shown), _) => {
                next = shown.seq + 1;
                if let Some(stored) = shown.stored() {
                    each(stored).await;
                }
            }
            // Nothing more.
            (None, Some(error)) if error.code == 404 => return Ok(u64::MAX),
            (None, _) => return Err(StreamFault(format!("stream {STREAM} cannot be read now"))),
        }
    }
    Ok(next)
}

async fn read_one(client: &Client, next: u64) -> Result<ShownAnswer, StreamFault> {
    let ask = json!({"seq": next, "next_by_subj": format!("{STORED}>")}).to_string();
    for _ in 0..ATTEMPTS {
        let request = Request::new()
            .payload(Bytes::from(ask.clone()))
            .timeout(Some(PATIENCE));
        let subject = format!("$JS.API.STREAM.MSG.GET.{STREAM}");
        // An answer may be lost with the connection, which others can bring about.
        if let Ok(answer) = client.send_request(subject, request).await {
            return serde_json::from_slice(&answer.payload)
                .map_err(|error| StreamFault(format!("a message that is no JSON: {error}")));
        }
    }
    Err(StreamFault("the server stops in the middle".to_owned()))
}

/// The last message of a subject: its place in the stream, and what it says.
pub(super) async fn read_last(
    client: &Client,
    stream: &str,
    subject: &str,
) -> Result<Option<(u64, Bytes)>, StreamFault> {
    let ask = json!({"last_by_subj": subject}).to_string();
    let request = Request::new()
        .payload(Bytes::from(ask))
        .timeout(Some(PATIENCE));
    let fault = |error: &dyn std::fmt::Display| {
        StreamFault(format!("stream {stream} cannot be read: {error}"))
    };
    let answer = client
        .send_request(format!("$JS.API.STREAM.MSG.GET.{stream}"), request)
        .await
        .map_err(|error| fault(&error))?;
    let answer: ShownAnswer =
        serde_json::from_slice(&answer.payload).map_err(|error| fault(&error))?;
    match (answer.message, answer.error) {
        (Some(shown), _) => {
            let data = BASE64
                .decode(shown.data.as_bytes())
                .map_err(|error| fault(&error))?;
            Ok(Some((shown.seq, Bytes::from(data))))
        }
        (None, Some(error)) if error.code == 404 => Ok(None),
        (None, Some(error)) => Err(fault(&error.code)),
        (None, None) => Err(fault(&"an answer of another kind")),
    }
}

impl Shown {
    fn stored(&self) -> Option<Stored> {
        let headers = BASE64.decode(self.hdrs.as_bytes()).unwrap_or_default();
        Some(Stored {
            subject: self.subject.strip_prefix(STORED)?.to_owned(),
            sequence: self.seq,
            at: self.time.parse().ok(),
            is_genuine: are_headers_of_a_member(&headers),
            payload: Bytes::from(BASE64.decode(self.data.as_bytes()).ok()?),
        })
    }
}

/// Nothing but the end.
fn are_headers_of_a_member(bytes: &[u8]) -> bool {
    let text = str::from_utf8(bytes).unwrap_or_default();
    let lines: Vec<&str> = text.split("\r\n").collect();
    match lines.as_slice() {
        ["NATS/1.0", line, "", ""] => line
            .strip_prefix(OF_END)
            .and_then(|rest| rest.strip_prefix(':'))
            .is_some_and(|value| is_end(value.trim())),
        _ => false,
    }
}

#[cfg(test)]
mod tests;

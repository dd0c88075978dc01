//! A message on its way to the server, until it acknowledges or refuses; meanwhile the others hear it directly.

use std::time::Duration;

use async_nats::{Client, client::Request};
use bytes::Bytes;
use ipnetwork::IpNetwork;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::{
    own::Published,
    record::Record,
    stored::end_header,
    stream::StreamFault,
    subject::{self, STORED, UNSTORED},
};
use crate::fleet::Member;

/// Without an acknowledgement after so long, the others are told directly, too.
const FAST: Duration = Duration::from_millis(250);
/// Before the third attempt; each later one waits so many times longer, and so long at most. When servers have chosen who
/// leads, what waits must not come all at once: each that is stored is a message to every host.
const SLOW: Duration = Duration::from_secs(1);
const SLOWER: u32 = 3;
const SLOWEST: Duration = Duration::from_secs(9);
/// With so many attempts the others are told directly, in case one of them is just changing its server; then with each of
/// so many: each is a message to every host.
const TWICE: u32 = 2;
const SELDOM: u32 = 4;
/// The number of the server's error when a stream takes no more.
const NOT_STORED: u64 = 10_077;

/// Publishes until the server acknowledges or refuses.
pub(super) async fn publish(
    client: Client,
    member: Member,
    network: IpNetwork,
    record: Record,
    kept_s: u32,
) -> Published {
    let subject = subject::of_ban(&member, network);
    let payload = Bytes::from(record.bytes());
    let mut published = Published {
        network,
        id: record.id,
        is_lift: record.left == 0,
        refused: None,
    };
    let mut patience = FAST;
    let mut attempts = 0_u32;
    loop {
        match store(
            &client,
            format!("{STORED}{subject}"),
            &payload,
            kept_s,
            patience,
        )
        .await
        {
            Some(Ok(())) => return published,
            Some(Err(why)) => {
                say_unstored(&client, &subject, &payload, kept_s).await;
                published.refused = Some(why);
                return published;
            }
            None => {
                attempts += 1;
                if attempts <= TWICE || attempts.is_multiple_of(SELDOM) {
                    say_unstored(&client, &subject, &payload, kept_s).await;
                }
                patience = if attempts == 1 {
                    SLOW
                } else {
                    SLOWEST.min(SLOWER * patience)
                };
            }
        }
    }
}

/// Nobody leads the stream, or it is full: the others hear it all the same.
async fn say_unstored(client: &Client, subject: &str, payload: &Bytes, kept_s: u32) {
    let now = format!("{UNSTORED}{subject}");
    client
        .publish_with_headers(now, end_header(kept_s), payload.clone())
        .await
        .ok();
}

/// What the servers cannot do now, they may be able to do when another one leads; a stream that is full stays so.
fn is_final(error: &Value) -> bool {
    error["err_code"] == NOT_STORED || error["code"].as_u64().is_none_or(|code| code < 500)
}

/// Stores a message for so many seconds; `None` without an answer.
pub(in crate::fleet::agent) async fn store(
    client: &Client,
    subject: String,
    payload: &Bytes,
    kept_s: u32,
    patience: Duration,
) -> Option<Result<(), StreamFault>> {
    let request = Request::new()
        .payload(payload.clone())
        .headers(end_header(kept_s))
        .timeout(Some(patience));
    let until = Instant::now() + patience;
    let answer = client.send_request(subject, request).await.ok();
    let value: Option<Value> =
        answer.and_then(|answer| serde_json::from_slice(&answer.payload).ok());
    if let Some(value) = value {
        match value.get("error") {
            None if value.get("seq").is_some() => return Some(Ok(())),
            Some(error) if is_final(error) => {
                let why = error["description"].as_str().unwrap_or("refused");
                return Some(Err(StreamFault(why.to_owned())));
            }
            None | Some(_) => {}
        }
    }
    // It may have failed at once, for nobody listens.
    sleep_until(until).await;
    None
}

//! The policy of this host's group, from the server to the daemon, which checks whose it is; and the proof that this host
//! can still be reached under it.

use std::{cell::RefCell, future::pending, rc::Rc, time::Duration};

use async_nats::{Client, HeaderMap, client::Request};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::{
    select,
    time::{Instant, sleep},
};

use super::{
    Never, connect,
    hosts::say_alive,
    stream::{PATIENCE, POLICIES, StreamFault, info},
    subject::{HEARD_POLICY, STORED_POLICY},
};
use crate::{
    control::fleet::{PolicyState, PolicyStep},
    failure::{Exit, Failure},
    fleet::{
        Member,
        agent::daemon::DaemonLink,
        bundle::{self, Bundle, MOST_BUNDLE},
        settings::NatsSettings,
    },
    text::value::printable,
};

/// Between two questions what is stored: what was published while this host was cut off.
const ASK: Duration = Duration::from_secs(10);
/// Between two questions how it is with a policy that waits or is pending.
const LOOK: Duration = Duration::from_secs(2);
/// A policy is in force so long before this host proves that it works under it.
const SOAK: Duration = Duration::from_secs(3);
/// Longest explanation.
const MOST_WHY: usize = 200;

/// How it is with the policy; `None` when this host takes none.
pub(super) type SharedPolicy = Rc<RefCell<Option<PolicyState>>>;

/// What is followed.
struct Follower {
    client: Client,
    settings: NatsSettings,
    member: Member,
    daemon: DaemonLink,
    shared: SharedPolicy,
    sealed: Option<String>,
    /// When it is handed over next, and since when it is in force.
    due: Option<Instant>,
    pending_since: Option<Instant>,
}

/// Goes on until the connection ends with whoever polls it.
pub(super) async fn follow(
    client: Client,
    settings: NatsSettings,
    daemon: DaemonLink,
    shared: SharedPolicy,
) -> Never {
    let Some(member) = settings
        .member()
        .ok()
        .filter(|_| settings.policy_key.is_some())
    else {
        *shared.borrow_mut() = None;
        return pending().await;
    };
    shared.borrow_mut().get_or_insert_default();
    let mut follower = Follower {
        client,
        settings,
        member,
        daemon,
        shared,
        sealed: None,
        due: None,
        pending_since: None,
    };
    let subject = format!("{HEARD_POLICY}{}", follower.member.group());
    let mut heard = loop {
        match follower.client.subscribe(subject.clone()).await {
            Ok(heard) => break heard,
            Err(_) => sleep(LOOK).await,
        }
    };
    let mut ask_at = Instant::now();
    loop {
        let due = follower.due;
        select! {
            message = heard.next() => match message {
                Some(message) => follower.take(&message.payload),
                None => return pending().await,
            },
            () = tokio::time::sleep_until(ask_at) => {
                ask_at = Instant::now() + ASK;
                if let Ok(Some((_, payload))) = last(&follower.client, follower.member.group()).await {
                    follower.take(&payload);
                }
            }
            () = tokio::time::sleep_until(due.unwrap_or(ask_at)), if due.is_some() => {
                follower.hand_over().await;
            }
        }
    }
}

impl Follower {
    /// What is new is handed over at once.
    fn take(&mut self, payload: &[u8]) {
        let Ok(text) = std::str::from_utf8(payload) else {
            return;
        };
        if text.len() > MOST_BUNDLE || self.sealed.as_deref() == Some(text) {
            return;
        }
        // The daemon decides. But who can have the server send something here must not push out what is pending; with
        // nothing to push out, the daemon says what is wrong with it.
        if self.sealed.is_some() && !self.is_signed(text) {
            return;
        }
        self.sealed = Some(text.to_owned());
        self.due = Some(Instant::now());
    }

    fn is_signed(&self, text: &str) -> bool {
        let signer = self.settings.policy_key.as_deref().unwrap_or_default();
        bundle::signer(signer).is_ok_and(|signer| Bundle::open(text, &signer).is_ok())
    }

    async fn hand_over(&mut self) {
        self.due = None;
        let Some(sealed) = self.sealed.clone() else {
            return;
        };
        let mut answer = self.daemon.policy(sealed).await;
        if let Ok(state) = &answer
            && state.step == PolicyStep::Pending
        {
            let since = *self.pending_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= SOAK && self.reaches_server().await.is_ok() {
                answer = self.daemon.proven(state.generation).await;
            }
        }
        let state = match answer {
            Ok(state) => {
                match state.step {
                    PolicyStep::Pending => self.due = Some(Instant::now() + LOOK),
                    PolicyStep::Waiting => self.due = Some(Instant::now() + ASK),
                    PolicyStep::Confirmed | PolicyStep::Failed => {}
                }
                state
            }
            Err(failure) => {
                // Refused for good; a daemon that is not there comes back.
                if failure.exit != Exit::Refused {
                    self.due = Some(Instant::now() + LOOK);
                }
                PolicyState {
                    why: printable(&failure.in_brackets(), MOST_WHY),
                    ..self.shared.borrow().clone().unwrap_or_default()
                }
            }
        };
        if state.step != PolicyStep::Pending {
            self.pending_since = None;
        }
        let before = self.shared.replace(Some(state.clone()));
        if before.as_ref() != Some(&state) {
            say_alive(self.client.clone(), self.member.clone(), Some(state)).await;
        }
    }

    /// What is established survives a policy under which nothing new comes: only a new connection proves anything.
    async fn reaches_server(&self) -> Result<(), Failure> {
        let failed = |fault: StreamFault| Failure::new(Exit::NoAnswer, fault.0);
        let client = connect(&self.settings).await?;
        info(&client, POLICIES).await.map_err(failed)?;
        client.drain().await.ok();
        info(&self.client, POLICIES).await.map_err(failed)?;
        Ok(())
    }
}

/// The policy of a group as it is stored, with its place in the stream.
///
/// # Errors
/// When the server does not say.
pub(in crate::fleet::agent) async fn last(
    client: &Client,
    group: &str,
) -> Result<Option<(u64, Bytes)>, StreamFault> {
    let subject = format!("$JS.API.DIRECT.GET.{POLICIES}.{STORED_POLICY}{group}");
    let request = Request::new().timeout(Some(PATIENCE));
    let answer = client.send_request(subject, request).await;
    let answer =
        answer.map_err(|error| StreamFault(format!("the server does not answer: {error}")))?;
    match answer.status.map(|status| status.as_u16()) {
        None => {}
        Some(404) => return Ok(None),
        Some(other) => {
            return Err(StreamFault(format!(
                "stream {POLICIES} cannot be read: {other}"
            )));
        }
    }
    let headers = answer.headers.unwrap_or_default();
    // The server's own comes last.
    let sequence = headers
        .get_last("Nats-Sequence")
        .and_then(|value| value.as_str().parse().ok())
        .ok_or_else(|| StreamFault(format!("stream {POLICIES}: a message without a number")))?;
    Ok(Some((sequence, answer.payload)))
}

/// Stores a policy in the place of the one that was read, and in no other's.
///
/// # Errors
/// When somebody else has published meanwhile, and what the server says.
pub(in crate::fleet::agent) async fn replace(
    client: &Client,
    group: &str,
    sealed: String,
    before: u64,
) -> Result<u64, StreamFault> {
    let mut headers = HeaderMap::new();
    let expected = before.to_string();
    headers.insert("Nats-Expected-Last-Subject-Sequence", expected.as_str());
    let request = Request::new()
        .payload(Bytes::from(sealed))
        .headers(headers)
        .timeout(Some(PATIENCE));
    let answer = client
        .send_request(format!("{STORED_POLICY}{group}"), request)
        .await
        .map_err(|error| StreamFault(format!("the server has not acknowledged it: {error}")))?;
    let value: serde_json::Value = serde_json::from_slice(&answer.payload)
        .map_err(|error| StreamFault(format!("an answer that is no JSON: {error}")))?;
    match (value["seq"].as_u64(), value.get("error")) {
        (Some(sequence), None) => Ok(sequence),
        (_, Some(error)) => {
            let why = error["description"].as_str().unwrap_or("refused");
            Err(StreamFault(format!("the server: {why}")))
        }
        (None, None) => Err(StreamFault("an answer without a number".to_owned())),
    }
}

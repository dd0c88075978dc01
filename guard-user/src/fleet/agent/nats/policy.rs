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
    stored::read_last,
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
                if let Ok(Some(payload)) = last(&follower.client, follower.member.group()).await {
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
        // The daemon decides. But who can have the server send something here must not push out what is pending, also not
        // with what was signed before it; with nothing to push out, the daemon says what is wrong with it.
        let signer = self.settings.policy_key.as_deref().unwrap_or_default();
        if let Some(sealed) = &self.sealed
            && !comes_after(text, sealed, signer)
        {
            return;
        }
        self.sealed = Some(text.to_owned());
        self.due = Some(Instant::now());
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

/// Was a policy signed, and later than another, or for more hosts?
fn comes_after(text: &str, other: &str, signer: &str) -> bool {
    let Ok(signer) = bundle::signer(signer) else {
        return false;
    };
    let order = |text: &str| {
        let bundle = Bundle::open(text, &signer).ok()?;
        Some((bundle.generation, bundle.released))
    };
    // What nobody signed comes before everything.
    order(text) > order(other)
}

/// The policy of a group as its hosts may read it.
async fn last(client: &Client, group: &str) -> Result<Option<Bytes>, StreamFault> {
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
    Ok(Some(answer.payload))
}

/// The policy of a group as it is stored, with its place in the stream; as the publisher reads it, whom no header can
/// keep from it.
///
/// # Errors
/// When the server does not say.
pub(in crate::fleet::agent) async fn stored_policy(
    client: &Client,
    group: &str,
) -> Result<Option<(u64, Bytes)>, StreamFault> {
    read_last(client, POLICIES, &format!("{STORED_POLICY}{group}")).await
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

#[cfg(test)]
mod tests {
    use nkeys::KeyPair;

    use super::*;

    #[test]
    fn what_is_pending_is_pushed_out_by_nothing_but_what_was_signed_after_it() {
        let (key, other) = (KeyPair::new_account(), KeyPair::new_account());
        let public = key.public_key();
        let sealed = |generation, released, by: &KeyPair| {
            let bundle = Bundle {
                group: "web".to_owned(),
                generation,
                released,
                confirm_s: 10,
                policy: String::new(),
            };
            bundle.seal(by).expect("sealed")
        };
        let pending = sealed(2, 50, &key);
        let comes = |text: &str, other: &str| comes_after(text, other, &public);
        assert!(comes(&sealed(3, 0, &key), &pending));
        assert!(comes(&sealed(2, 51, &key), &pending), "the next wave");
        assert!(comes(&pending, "garbage"));
        for before in [
            sealed(1, u64::MAX, &key),
            sealed(2, 49, &key),
            pending.clone(),
            sealed(3, 50, &other),
            String::new(),
            "{}".to_owned(),
        ] {
            assert!(!comes(&before, &pending), "{before}");
        }
        assert!(!comes("garbage", "{}"));
    }
}

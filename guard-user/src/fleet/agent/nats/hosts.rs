//! Signs of life: who is there, which version, and how far its policy has come. What others say of themselves is shown,
//! and decides nothing on this host.

use std::{collections::BTreeMap, time::Duration};

use async_nats::Client;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    publish::store,
    stored::read_all,
    stream::{HOSTS, ServerClock, StreamFault, info},
};
use crate::{control::fleet::PolicyState, fleet::Member, text::value::printable};

/// Before each sign of life in the subject of a host.
const BEGINNING: &str = "$KV.hosts.";
/// How long one counts, in seconds.
const ALIVE_FOR_S: u32 = 60;
/// For its acknowledgement; the next one comes soon.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest texts that are shown.
const MOST_VERSION: usize = 32;
const MOST_WHY: usize = 256;

/// What a host says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::fleet::agent) struct SignOfLife {
    v: u8,
    pub(in crate::fleet::agent) version: String,
    /// `None` when it takes no policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::fleet::agent) policy: Option<PolicyState>,
}

/// A host that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet::agent) struct LiveHost {
    pub(in crate::fleet::agent) member: Member,
    pub(in crate::fleet::agent) said: SignOfLife,
    pub(in crate::fleet::agent) seconds_ago: u64,
}

/// Says that this host is there.
pub(super) async fn say_alive(client: Client, member: Member, policy: Option<PolicyState>) {
    let subject = format!("{BEGINNING}{}.{}", member.group(), member.host());
    let said = SignOfLife {
        v: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        policy,
    };
    // A number, a version and a short text are always JSON.
    let payload = serde_json::to_vec(&said).unwrap_or_default();
    store(
        &client,
        subject,
        &Bytes::from(payload),
        ALIVE_FOR_S,
        PATIENCE,
    )
    .await;
}

/// Who is there, in order; of one group only, if it is named.
///
/// # Errors
/// When the server does not say.
pub(in crate::fleet::agent) async fn live_hosts(
    client: &Client,
    group: Option<&str>,
) -> Result<Vec<LiveHost>, StreamFault> {
    let found = info(client, HOSTS).await?;
    let clock = found.clock();
    // Some are read twice, if there are messages that nobody can read.
    let mut hosts = BTreeMap::new();
    read_all(client, (HOSTS, BEGINNING), async |stored| {
        // Somebody else may have had the server write it.
        if !stored.is_genuine {
            return;
        }
        let Some((of_group, host)) = stored.subject.split_once('.') else {
            return;
        };
        let Ok(member) = Member::new(of_group, host) else {
            return;
        };
        if group.is_some_and(|group| group != member.group()) {
            return;
        }
        let Some(said) = read(&stored.payload) else {
            return;
        };
        let seconds_ago = ServerClock::since(clock, stored.at) / 1000;
        let host = LiveHost {
            member: member.clone(),
            said,
            seconds_ago,
        };
        hosts.insert(member, host);
    })
    .await?;
    Ok(hosts.into_values().collect())
}

fn read(payload: &[u8]) -> Option<SignOfLife> {
    let mut said: SignOfLife = serde_json::from_slice(payload).ok()?;
    said.version = printable(&said.version, MOST_VERSION);
    if let Some(policy) = &mut said.policy {
        policy.why = printable(&policy.why, MOST_WHY);
    }
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_of_itself_moves_no_cursor_and_is_short() {
        let text = r#"{"v":1,"version":"1\u001b[2J","policy":{"generation":3,"step":"failed","why":"LONG"}}"#;
        let said = read(text.replace("LONG", &"x".repeat(9_000)).as_bytes()).expect("read");
        assert!(!said.version.contains('\u{1b}'), "{}", said.version);
        assert!(said.policy.expect("a policy").why.len() <= MOST_WHY);
        for wrong in ["", "{}", "null", "1.2.3", "{\"v\":1,\"version\":7}"] {
            assert!(read(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}

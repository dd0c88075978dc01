//! What a connection brings: messages of the stream, as they are stored or read later, and those that no server could store.
//! Each counts only in the name of the member who really sent it.

use async_nats::{Client, Message};
use ipnetwork::IpNetwork;
use tokio::time::Instant;

use super::{
    Session, now_ms,
    record::Record,
    stored::{Stored, is_unstored, read_from, stored},
    stream::{STREAM, StreamFault, check, info},
    subject::{self, REPUBLISHED, UNSTORED},
};

impl Session {
    /// Reads what the stream has and was not heard.
    pub(super) async fn catch_up(&mut self, client: &Client) -> Result<(), StreamFault> {
        let found = info(client, STREAM).await?;
        check(&found.config)?;
        let now = now_ms();
        let first = self.last + 1;
        let (known, own) = (&mut self.known, &self.member);
        let (unreadable, forged) = (&mut self.unreadable, &mut self.forged);
        let own_bans = &mut self.own;
        let mut last = self.last;
        if last == 0 {
            self.stored.clear();
        }
        let own_stored = &mut self.stored;
        read_from(client, first, found.state.last_seq, |stored| {
            last = last.max(stored.sequence);
            let late = found.since(stored.at);
            let Some(about) = subject::read(&stored.subject) else {
                *unreadable += 1;
                return;
            };
            let record = Record::read(&stored.payload).filter(|_| stored.is_genuine);
            match (about, record) {
                (subject::About::Ban(member, network), record) if member == *own => {
                    own_bans.is_stored_as(network, record.as_ref());
                    let left_ms = record
                        .as_ref()
                        .map_or(0, |record| u64::from(record.left) * 1000);
                    if let Some(record) = record.filter(|_| left_ms > late) {
                        own_stored.push((network, record.id, now + left_ms - late));
                    }
                }
                (about, Some(record)) => known.hear(about, record, stored.sequence, now, late),
                (_, None) if stored.is_genuine => *unreadable += 1,
                (_, None) => *forged += 1,
            }
        })
        .await?;
        self.last = last.max(found.state.last_seq);
        self.head = self.last;
        self.current = Some(Instant::now());
        Ok(())
    }

    /// A message that was stored just now; `false` when some before it were not heard.
    pub(super) fn hear_event(&mut self, event: &Message) -> bool {
        let Some(stored) = stored(event) else {
            self.forged += 1;
            return true;
        };
        if event.subject.strip_prefix(REPUBLISHED) != Some(stored.subject.as_str()) {
            self.forged += 1;
            return true;
        }
        if stored.sequence > self.last + 1 {
            return false;
        }
        self.last = self.last.max(stored.sequence);
        self.head = self.head.max(stored.sequence);
        self.hear(&stored);
        true
    }

    /// A ban that the stream could not take at once. Only bans come so.
    pub(super) fn hear_unstored(&mut self, event: &Message) {
        let about = event.subject.strip_prefix(UNSTORED).and_then(subject::read);
        let Some(about @ subject::About::Ban(..)) = about else {
            self.unreadable += 1;
            return;
        };
        if !is_unstored(event) {
            self.forged += 1;
            return;
        }
        if self.is_own(&about).is_some() {
            return;
        }
        match Record::read(&event.payload) {
            Some(record) => self.known.hear(about, record, 0, now_ms(), 0),
            None => self.unreadable += 1,
        }
    }

    fn hear(&mut self, stored: &Stored) {
        let Some(about) = subject::read(&stored.subject) else {
            self.unreadable += 1;
            return;
        };
        let record = Record::read(&stored.payload).filter(|_| stored.is_genuine);
        if !stored.is_genuine {
            self.forged += 1;
        } else if record.is_none() {
            self.unreadable += 1;
        }
        // This host's own word comes back to it, unless somebody wrote over it.
        if let Some(network) = self.is_own(&about) {
            self.own.is_stored_as(network, record.as_ref());
            return;
        }
        if let Some(record) = record {
            self.known.hear(about, record, stored.sequence, now_ms(), 0);
        }
    }

    fn is_own(&self, about: &subject::About) -> Option<IpNetwork> {
        match about {
            subject::About::Ban(member, network) => (*member == self.member).then_some(*network),
            subject::About::Lift(_) => None,
        }
    }
}

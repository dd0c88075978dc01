//! What a connection brings: messages of the stream, as they are stored or read later, and those that no server could store.
//! Each counts only in the name of the member who really sent it.

use async_nats::{Client, Message};
use ipnetwork::IpNetwork;
use tokio::time::Instant;

use super::{
    Session,
    missed::Missed,
    now_ms,
    record::Record,
    stored::{Stored, is_unstored, read_from, stored},
    stream::{STREAM, ServerClock, StreamFault, check, info},
    subject::{self, REPUBLISHED, UNSTORED},
};

impl Session {
    /// Reads all that the stream has.
    pub(super) async fn read_all(&mut self, client: &Client) -> Result<(), StreamFault> {
        let found = info(client, STREAM).await?;
        check(&found.config)?;
        let clock = found.clock();
        self.missed = Missed::new();
        self.last = 0;
        self.stored.clear();
        read_from(client, 1, found.state.last_seq, async |stored| {
            self.last = self.last.max(stored.sequence);
            self.hear_stored(&stored, ServerClock::since(clock, stored.at));
        })
        .await?;
        self.last = self.last.max(found.state.last_seq);
        self.head = self.last;
        self.clock = clock;
        self.current = Some(Instant::now());
        Ok(())
    }

    /// A message that was read, so many milliseconds after it was stored.
    pub(super) fn hear_stored(&mut self, stored: &Stored, late_ms: u64) {
        let Some(about) = subject::read(&stored.subject) else {
            self.unreadable += 1;
            return;
        };
        let record = self.genuine(stored);
        if let Some(network) = self.is_own(&about) {
            self.own.is_stored_as(network, record.as_ref());
            let left_ms = record
                .as_ref()
                .map_or(0, |record| u64::from(record.left) * 1000);
            if let Some(record) = record.filter(|_| left_ms > late_ms) {
                let end_ms = now_ms() + left_ms - late_ms;
                self.stored.push((network, record.id, end_ms));
            }
            return;
        }
        if let Some(record) = record {
            self.known
                .hear(about, record, stored.sequence, now_ms(), late_ms);
        }
    }

    /// A message that was stored just now; some before it may not have been heard.
    pub(super) fn hear_event(&mut self, event: &Message) {
        let Some(stored) = stored(event) else {
            self.forged += 1;
            return;
        };
        if event.subject.strip_prefix(REPUBLISHED) != Some(stored.subject.as_str()) {
            self.forged += 1;
            return;
        }
        if stored.sequence > self.last + 1 {
            self.missed.note(self.last + 1);
        }
        self.last = self.last.max(stored.sequence);
        self.head = self.head.max(stored.sequence);
        self.hear(&stored);
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
        let record = self.genuine(stored);
        // This host's own word comes back to it, unless somebody wrote over it.
        if let Some(network) = self.is_own(&about) {
            self.own.is_stored_as(network, record.as_ref());
            return;
        }
        if let Some(record) = record {
            self.known.hear(about, record, stored.sequence, now_ms(), 0);
        }
    }

    /// The record, if it is of the member in whose name it stands.
    fn genuine(&mut self, stored: &Stored) -> Option<Record> {
        if !stored.is_genuine {
            self.forged += 1;
            return None;
        }
        let record = Record::read(&stored.payload);
        if record.is_none() {
            self.unreadable += 1;
        }
        record
    }

    fn is_own(&self, about: &subject::About) -> Option<IpNetwork> {
        match about {
            subject::About::Ban(member, network) => (*member == self.member).then_some(*network),
            subject::About::Lift(_) => None,
        }
    }
}

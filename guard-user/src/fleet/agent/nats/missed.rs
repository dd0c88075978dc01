//! What was stored and not heard: read from the stream beside what is heard meanwhile, and again when that fails. Nobody
//! stops listening for it, for what is heard is all that there is while nobody leads the stream.

use std::time::Duration;

use async_nats::Client;
use tokio::{sync::mpsc, time::Instant};

use super::{
    stored::{Stored, read_from},
    stream::{ServerClock, StreamFault},
};

/// Messages that are read and wait for being taken in.
const WAITING: usize = 64;
/// Between two attempts.
const RETRY: Duration = Duration::from_secs(1);

/// What there is to read, and what was read.
#[derive(Debug)]
pub(super) struct Missed {
    /// The first that may not have been heard; all behind it is read again.
    from: Option<u64>,
    /// The same of what is being read.
    reading: Option<u64>,
    not_before: Instant,
    sender: mpsc::Sender<(Stored, u64)>,
    read: mpsc::Receiver<(Stored, u64)>,
}

impl Missed {
    pub(super) fn new() -> Self {
        let (sender, read) = mpsc::channel(WAITING);
        Self {
            from: None,
            reading: None,
            not_before: Instant::now(),
            sender,
            read,
        }
    }

    /// This one and others behind it may not have been heard.
    pub(super) fn note(&mut self, first: u64) {
        self.from = Some(self.from.map_or(first, |from| from.min(first)));
    }

    /// The first that may not have been heard, if any.
    pub(super) fn first(&self) -> Option<u64> {
        [self.from, self.reading].into_iter().flatten().min()
    }

    /// Reads it, if there is anything to read and nothing is being read. Any server that has the stream answers that, also
    /// while none leads it.
    pub(super) fn begin(
        &mut self,
        client: &Client,
        clock: Option<ServerClock>,
    ) -> Option<impl Future<Output = Result<(), StreamFault>> + use<>> {
        if self.reading.is_some() || Instant::now() < self.not_before {
            return None;
        }
        let first = self.from.take()?;
        self.reading = Some(first);
        let (client, sender) = (client.clone(), self.sender.clone());
        Some(async move {
            // To the end, wherever that is by then.
            read_from(&client, first, u64::MAX - 1, async |stored| {
                let late = ServerClock::since(clock, stored.at);
                // Whoever would take it in is gone: so is the session.
                sender.send((stored, late)).await.ok();
            })
            .await
        })
    }

    /// It has come to its end, or has failed and is to be read again.
    pub(super) fn ended(&mut self, is_read: bool) {
        let Some(first) = self.reading.take() else {
            return;
        };
        if !is_read {
            self.note(first);
            self.not_before = Instant::now() + RETRY;
        }
    }

    /// The next that was read, and how many milliseconds ago it was stored.
    pub(super) async fn next(&mut self) -> Option<(Stored, u64)> {
        self.read.recv().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_could_not_be_read_is_read_again_with_what_was_missed_meanwhile() {
        let mut missed = Missed::new();
        assert_eq!(missed.first(), None);
        missed.note(7);
        missed.note(12);
        assert_eq!(missed.first(), Some(7));
        // As `begin` does it, without a server.
        missed.reading = missed.from.take();
        missed.note(20);
        assert_eq!(missed.first(), Some(7));
        missed.ended(false);
        assert_eq!((missed.from, missed.reading), (Some(7), None));
        missed.reading = missed.from.take();
        missed.note(20);
        missed.ended(true);
        assert_eq!(missed.first(), Some(20));
    }
}

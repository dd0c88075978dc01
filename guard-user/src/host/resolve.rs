//! Asks for the addresses of names, without waiting for them longer than one is willing to.

use std::{
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel},
    thread,
    time::Duration,
};

use super::{
    lookup::{self, Answer, ResolveError},
    resolver,
};

/// A question under way. Dropping it leaves its thread to the resolver, whose own patience ends it.
#[derive(Debug)]
pub struct Resolving {
    answer: Receiver<Answer>,
}

impl Resolving {
    /// Asks, by way of the process that listens at `service` if there is one.
    #[must_use]
    pub fn begin(name: &str, service: &Path) -> Self {
        let (sender, answer) = channel();
        let (name, service) = (name.to_owned(), service.to_owned());
        let failed = sender.clone();
        let spawned = thread::Builder::new()
            .name("resolve".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || {
                // Nobody may be waiting any more.
                sender.send(ask(&name, &service)).unwrap_or_default();
            });
        if let Err(error) = spawned {
            failed
                .send(Err(ResolveError::Busy(error.to_string())))
                .unwrap_or_default();
        }
        Self { answer }
    }

    /// Waits for the answer.
    pub fn wait(&self, patience: Duration) -> Answer {
        match self.answer.recv_timeout(patience) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Err(ResolveError::Late)
            }
        }
    }

    /// The answer, if it is there.
    #[must_use]
    pub fn poll(&self) -> Option<Answer> {
        match self.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(ResolveError::Late)),
        }
    }
}

fn ask(name: &str, service: &Path) -> Answer {
    if let Some(answer) = resolver::ask_service(service, name) {
        return answer;
    }
    lookup::checked(lookup::addresses(name)?.into_iter())
}

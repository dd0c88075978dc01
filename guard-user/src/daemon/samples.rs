//! Samples of the counters, one a minute, for `stats --since`.

use std::time::Instant;

use crate::{
    controller::{Controller, TrafficSample},
    failure::Failure,
};

/// When the next one is due.
#[derive(Debug)]
pub(super) struct SampleKeeper {
    next: Instant,
}

impl Default for SampleKeeper {
    fn default() -> Self {
        Self {
            next: Instant::now(),
        }
    }
}

impl SampleKeeper {
    /// Takes one if it is due; `None` when it is not.
    pub(super) fn round(&mut self, controller: &Controller) -> Option<Result<(), Failure>> {
        let now = Instant::now();
        if now < self.next {
            return None;
        }
        self.next = now + TrafficSample::EVERY;
        let sampled = controller
            .traffic()
            .and_then(|mut counters| counters.read())
            .and_then(|traffic| controller.keep_sample(&traffic));
        Some(sampled)
    }
}

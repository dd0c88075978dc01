//! Listeners that the host has, and what a SYN is answered with.

use std::net::SocketAddr;

use anyhow::Context as _;
use aya::programs::{TestRun as _, TestRunOptions};
use guard_common::{abi::reason::Reason, policy::ListenerState};

use super::{Harness, LONGER, XDP_TX};

impl Harness {
    /// Is there a program that answers SYNs? Where there is none, it cannot see listeners either.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.object.answering().is_ok()
    }

    /// Tells the model of a listening socket that the kernel has. Where the program cannot answer, it
    /// cannot see it either.
    pub fn model_listener(&mut self, at: SocketAddr, listener: ListenerState) {
        if self.answers() {
            let place = (at.ip().into(), at.port());
            self.model.listeners.insert(place, listener);
        }
    }

    /// Evaluates frames one after the other in kernel and model: how many pass, for this reason. The others are
    /// above a ceiling.
    ///
    /// # Panics
    /// When the two differ, or something else becomes of one.
    pub fn passing(&mut self, frames: impl IntoIterator<Item = Vec<u8>>, reason: Reason) -> usize {
        self.passing_but(frames, reason, Reason::Ceiling)
    }

    /// The same where what does not pass is dropped for another reason.
    ///
    /// # Panics
    /// As [`Harness::passing`].
    pub fn passing_but(
        &mut self,
        frames: impl IntoIterator<Item = Vec<u8>>,
        reason: Reason,
        above: Reason,
    ) -> usize {
        let mut passed = 0;
        for frame in frames {
            let verdict = self.model(&frame).verdict;
            let action = self.verdict(&frame, None).expect("the frame is evaluated");
            assert_eq!(action, verdict.action, "{verdict:?}");
            let is_known = verdict.reason == reason || verdict.reason == above;
            assert!(is_known, "{verdict:?}");
            passed += usize::from(verdict.reason == reason);
        }
        self.drain();
        passed
    }

    /// The frame that a SYN is answered with, which is counted as such and nowhere else.
    ///
    /// # Panics
    /// When it is not answered.
    pub fn answer(&mut self, case: &str, frame: &[u8]) -> Vec<u8> {
        let model = self.model(frame).verdict.reason;
        assert_eq!(model, Reason::SynCookie, "model: {case}");
        let mut answer = vec![0; frame.len() + LONGER];
        let run = self
            .object
            .ingress()
            .expect("the program")
            .test_run(TestRunOptions {
                data_in: Some(frame),
                data_out: Some(&mut answer),
                ..TestRunOptions::default()
            })
            .with_context(|| format!("{case}: BPF_PROG_TEST_RUN"))
            .expect("the frame is evaluated");
        assert_eq!(run.return_value, XDP_TX, "{case}: {frame:02x?}");
        let reasons: Vec<Reason> = self.drain_reasons().into_iter().map(|(r, _)| r).collect();
        assert_eq!(reasons, [Reason::SynCookie], "{case}");
        answer.truncate(run.data_size_out as usize);
        answer
    }
}

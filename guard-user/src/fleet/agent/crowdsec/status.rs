//! How it is with the LAPI, for the report to the daemon.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::trouble::Trouble;
use crate::control::fleet::CrowdsecReport;

/// Shared between those who ask the LAPI and those who report.
#[derive(Clone, Debug)]
pub struct CrowdsecStatus(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    report: CrowdsecReport,
    /// When a pull succeeded last, or when we began.
    last: Instant,
    pull: String,
    push: Option<String>,
}

impl Default for CrowdsecStatus {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            report: CrowdsecReport::default(),
            last: Instant::now(),
            pull: "has not answered yet".to_owned(),
            push: None,
        })))
    }
}

impl CrowdsecStatus {
    /// How it is at this moment.
    #[must_use]
    pub fn report(&self) -> CrowdsecReport {
        let state = self.state();
        let mut report = state.report.clone();
        report.stale_s = if report.is_current {
            0
        } else {
            state.last.elapsed().as_secs()
        };
        report.state = match &state.push {
            None => state.pull.clone(),
            Some(push) => format!("{}; pushing: {push}", state.pull),
        };
        report
    }

    pub(super) fn pulled(&self, decisions: u64, skipped: Vec<(String, u64)>, too_many: u64) {
        let mut state = self.state();
        state.last = Instant::now();
        state.report.is_current = true;
        state.report.decisions = decisions;
        state.report.skipped = skipped;
        state.pull = match too_many {
            0 => "the LAPI answers".to_owned(),
            more => format!("the LAPI answers; {more} decisions are more than guard keeps"),
        };
    }

    pub(super) fn failed(&self, trouble: &Trouble, decisions: u64) {
        let mut state = self.state();
        state.report.is_current = false;
        state.report.decisions = decisions;
        state.pull = trouble.to_string();
    }

    pub(super) fn pushed(&self, alerts: u64) {
        let mut state = self.state();
        state.report.pushed += alerts;
        state.push = None;
    }

    pub(super) fn push_failed(&self, why: String) {
        self.state().push = Some(why);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

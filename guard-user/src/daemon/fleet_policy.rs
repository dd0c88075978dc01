//! Policies that somebody signed for this host's group: taken, kept or taken back by the controller, and said in the log.

use super::fleet::FleetState;
use crate::{
    control::{
        Level, Response,
        fleet::{PolicyState, PolicyStep},
    },
    failure::{Exit, Failure},
    fleet::settings::NatsSettings,
};

impl FleetState {
    pub(super) fn take_policy(&mut self, sealed: &str) -> Result<Response, Failure> {
        let settings = self.joined_by_nats()?;
        let state = self.controller.take_fleet_policy(&settings, sealed)?;
        self.note_policy(&state);
        Ok(Response::FleetPolicy(state))
    }

    pub(super) fn prove_policy(&mut self, generation: u64) -> Result<Response, Failure> {
        let settings = self.joined_by_nats()?;
        let state = self.controller.prove_fleet_policy(&settings, generation)?;
        self.note_policy(&state);
        Ok(Response::FleetPolicy(state))
    }

    fn joined_by_nats(&mut self) -> Result<NatsSettings, Failure> {
        let settings = self.joined()?;
        settings
            .nats
            .ok_or_else(|| Failure::new(Exit::NotFound, "this host has joined no fleet over NATS"))
    }

    /// What is new is said once.
    fn note_policy(&mut self, state: &PolicyState) {
        if self.policy.as_ref() == Some(state) {
            return;
        }
        let generation = state.generation;
        let why = match state.why.as_str() {
            "" => String::new(),
            why => format!(": {why}"),
        };
        let (level, what) = match state.step {
            PolicyStep::Waiting => (Level::Info, "waits"),
            PolicyStep::Pending => (
                Level::Info,
                "is in force until this host has proven that it can be reached",
            ),
            PolicyStep::Confirmed => (Level::Info, "is in force"),
            PolicyStep::Failed => (Level::Error, "is NOT in force"),
        };
        self.log(level, format!("fleet: policy {generation} {what}{why}"));
        self.policy = Some(state.clone());
    }
}

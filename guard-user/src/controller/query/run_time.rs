//! How much of a CPU the data path takes.

use crate::{controller::Controller, dataplane::run_time::RunTimes};

impl Controller {
    /// Has the kernel measure how long its programs run, as long as the answer lives; that costs a packet two
    /// readings of the clock.
    #[must_use]
    pub fn run_times(&self) -> RunTimes {
        RunTimes::begin(&self.layout)
    }
}

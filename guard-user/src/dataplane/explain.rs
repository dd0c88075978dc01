//! Asking the loaded program about a packet: a second instance of the same object, on the same maps,
//! with a constant that forbids every write.

use aya::programs::{TestRun as _, TestRunOptions};
use guard_common::abi::{explain, reason::Reason, rule::RuleRef};

use super::{
    object::{Object, load_error::load_failure, parameters::Purpose},
    pins, preflight,
    spare::map_numbers,
};
use crate::{
    failure::{Exit, Failure},
    layout::Layout,
};

/// An instance that explains, for packets that arrive on one interface.
#[derive(Debug)]
pub struct Explainer {
    object: Object,
    maps: Vec<u64>,
}

impl Explainer {
    /// Loads one on the maps that are pinned now.
    ///
    /// # Errors
    /// Exit 3 when guard is not active, exit 4 without capabilities.
    pub fn load(layout: &Layout, ifindex: u32) -> Result<Self, Failure> {
        preflight::may_load()?;
        if pins::open(layout)?.is_none() {
            return Err(Failure::new(Exit::Inactive, "guard is not active").help(
                "`guardctl enable` turns it on; `guardctl explain --file FILE …` asks a policy file",
            ));
        }
        let parameters = pins::parameters(layout, Purpose::Explain(ifindex))?;
        let maps = layout.maps();
        Ok(Self {
            object: Object::load(parameters, Some((&maps, &[]))).map_err(load_failure)?,
            maps: map_numbers(layout)?,
        })
    }

    /// Are its maps still those of the firewall that runs?
    #[must_use]
    pub fn is_current(&self, layout: &Layout) -> bool {
        map_numbers(layout).is_ok_and(|maps| maps == self.maps)
    }

    /// What the firewall makes of a frame.
    ///
    /// # Errors
    /// When the test run fails.
    pub fn ask(&mut self, frame: &[u8]) -> Result<(Reason, RuleRef), Failure> {
        let run = self
            .object
            .ingress()
            .map_err(load_failure)?
            .test_run(TestRunOptions {
                data_in: Some(frame),
                ..TestRunOptions::default()
            })
            .map_err(|error| Failure::new(Exit::Failed, format!("the test run failed: {error}")))?;
        explain::unpack(run.return_value).ok_or_else(|| {
            Failure::new(
                Exit::Failed,
                format!("the program answered {:#x}", run.return_value),
            )
        })
    }
}

/// What the running firewall makes of a frame that arrives on an interface.
///
/// # Errors
/// As [`Explainer::load`].
pub fn ask(layout: &Layout, ifindex: u32, frame: &[u8]) -> Result<(Reason, RuleRef), Failure> {
    Explainer::load(layout, ifindex)?.ask(frame)
}

//! A device that has just appeared, or been renamed: udev asks for it before it tells anybody else.

use std::time::Duration;

use crate::{
    controller::{Applied, Controller, state::last_good},
    dataplane::{heal, pins},
    failure::{Exit, Failure},
};

/// How long a `load` may take on a slow machine; udev itself gives up after three minutes.
const PATIENCE: Duration = Duration::from_secs(120);

/// What became of a device that appeared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appeared {
    /// guard is off, or `load` has yet to come, and will find it.
    NotInForce,
    /// The policy means others.
    NotMeant,
    /// It runs the program: since now, or already.
    Protected {
        /// What it is called.
        name: String,
    },
}

impl Controller {
    /// Puts the program on the interface of this number, if the policy in force means it.
    ///
    /// # Errors
    /// When it should have the program and cannot, or the lock, the pins or the network cannot be read.
    pub fn appear(&self, index: u32) -> Result<Appeared, Failure> {
        if !last_good::is_enabled(&self.layout) {
            return Ok(Appeared::NotInForce);
        }
        let network = self.network()?;
        let Some(interface) = network.by_index(index) else {
            return Ok(Appeared::NotMeant);
        };
        let name = interface.name.clone();
        // Most devices are those of containers: they are told apart without the lock, and without
        // an operator's look at files that do not load.
        let mut meant = Applied::read(&self.layout)
            .map(|applied| applied.interfaces)
            .unwrap_or_default();
        if let Ok(loaded) = self.load() {
            meant.extend(loaded.policy.interfaces);
        }
        let is_meant = self.names_now(&meant, &network)?.contains(&name);
        if !is_meant && !network.default_routes.contains(&index) {
            return Ok(Appeared::NotMeant);
        }
        if heal::protected(&self.layout, &network)?.contains(&index) {
            return Ok(Appeared::Protected { name });
        }
        // A `load` that is at work has the lock, and may have looked before the device was there.
        let Some(healing) = self.heal_within(PATIENCE, &mut None)? else {
            return Ok(Appeared::NotInForce);
        };
        if let Some((_, failure)) = healing
            .failed
            .into_iter()
            .find(|(failed, _)| *failed == name)
        {
            return Err(failure);
        }
        let is_linked = pins::links(&self.layout)?
            .iter()
            .any(|link| link.ifindex == index);
        if is_linked {
            return Ok(Appeared::Protected { name });
        }
        Err(healing.problems.into_iter().next().unwrap_or_else(|| {
            Failure::new(Exit::Partial, format!("{name}: does not run the program"))
                .help("`guardctl status` and `guardctl reload`")
        }))
    }
}

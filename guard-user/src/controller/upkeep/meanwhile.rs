//! Interfaces that are open while another command has the lock, for as long as a large import takes:
//! they get the program all the same. Nothing else is changed, and no file written.

use crate::{
    controller::{
        Applied, Controller, Healing, state::devices::current_names, transaction::targets,
    },
    dataplane::{heal, pins, spare::Spare},
    failure::{Exit, Failure},
};

impl Controller {
    /// Puts the program, with the tables in place, on what should have it and has not. `None` when
    /// nothing is in force.
    ///
    /// # Errors
    /// When the pins or the network cannot be read.
    pub(in crate::controller) fn attach_meanwhile(
        &self,
        spare: &mut Option<Spare>,
    ) -> Result<Option<Healing>, Failure> {
        let Some(running) = pins::open(&self.layout)? else {
            return Ok(None);
        };
        let mut healing = Healing::nothing(self.name_of(&running));
        let network = self.network()?;
        let applied = Applied::read(&self.layout).unwrap_or_default();
        healing.renamed = self.renamed(&applied.interfaces, &network)?;
        healing.names = current_names(&applied.interfaces, &healing.renamed);
        let protected = heal::protected(&self.layout, &network)?;
        let modes = self.modes_now(&applied.modes, &network)?;
        let mut open = targets::unattended(&self.layout, &network, &healing.names, &modes);
        open.retain(|target| !protected.contains(&target.interface.index));
        if open.is_empty() {
            return Ok(Some(healing));
        }
        let before = heal::tables_in_place(&self.layout)?;
        let healed = heal::heal(&self.layout, &open, &network, spare)?;
        // Whoever exchanges tables shows the next ones before looking for links: either our links
        // were there to be found, or this finds other tables than before.
        if before.is_some() && heal::tables_in_place(&self.layout)? == before {
            healing.attached = healed.attached;
            healing.failed = healed.failed;
            healing.problems.extend(healed.problem);
            return Ok(Some(healing));
        }
        for target in &open {
            heal::let_go(&self.layout, target.interface.index)?;
        }
        healing.problems.push(Failure::new(
            Exit::Failed,
            "another command is replacing tables; open interfaces are handled once it has finished",
        ));
        Ok(Some(healing))
    }
}

//! How many packets each rule in force let in or dropped.

use crate::{
    controller::{Controller, Hits, RuleView, Status},
    dataplane::rule_hits,
    failure::Failure,
};

impl Controller {
    /// The rules in force, with what each let in or dropped since `enable`, where that is counted.
    ///
    /// # Errors
    /// As [`Controller::status`].
    pub fn rules_with_hits(&self) -> Result<Vec<RuleView>, Failure> {
        let mut status = self.status()?;
        self.count_hits(&mut status)?;
        Ok(status.rules)
    }

    /// Adds to the rules of a status what each let in or dropped since `enable`. Nothing is added where guard is off,
    /// where the program that runs is of a version that does not count it, or where the policy has changed meanwhile.
    ///
    /// # Errors
    /// When the pins cannot be opened.
    pub fn count_hits(&self, status: &mut Status) -> Result<(), Failure> {
        if !status.protection.is_in_force() {
            return Ok(());
        }
        let Some(counters) = rule_hits::read(&self.layout)? else {
            return Ok(());
        };
        if counters.len() == status.rules.len() {
            for (rule, counter) in status.rules.iter_mut().zip(counters) {
                rule.hits = Some(Hits {
                    packets: counter.packets,
                    bytes: counter.bytes,
                });
            }
        }
        Ok(())
    }
}

//! Turning guard on and off.

use super::{
    Applied, AtRisk, Consent, Controller, Lock, boot, edit_failure,
    force::{commit, image, stage, stage_failure},
};
use crate::{
    dataplane::{
        bpffs,
        installation::{self, Change as LinkChange, Term},
        pins, preflight,
    },
    failure::Failure,
    ruleset::{
        Overlay,
        compile::Stamp,
        edit::{self, Change, Outcome},
        source::Loaded,
    },
};

/// What a policy file says before anybody wrote one.
const TEMPLATE: &str = "\
# guard's policy. `guardctl allow`, `deny` and `delete` edit this file and keep its comments;
# after editing it by hand: `guardctl check`, then `guardctl reload`.
#
# Rules are tried in order, the first match decides, the default takes the rest.
#
# [[rule]]
# action = \"allow\"
# port = 22
# proto = \"tcp\"
# from = \"198.51.100.10\"
# comment = \"ssh from the office\"

default = \"deny\"
";

/// What `enable` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enabled {
    /// What happened to each interface.
    pub changes: Vec<LinkChange>,
    /// Generation in force.
    pub generation: u32,
    /// Number of rules.
    pub rules: usize,
    /// `deny` or `allow`.
    pub default: &'static str,
    /// What the operator should look at.
    pub warnings: Vec<String>,
    /// Nothing was done, this is what would be.
    pub dry_run: bool,
    /// Was guard active before?
    pub was_active: bool,
    /// Interfaces that are (or would be) protected.
    pub interfaces: Vec<String>,
}

/// What `disable` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// Was guard active before?
    pub was_active: bool,
}

impl Controller {
    /// Attaches guard to these interfaces (none = those of the policy, else those with default
    /// routes) with the policy on disk. `consent_to_cut` is asked when an SSH session would be cut.
    ///
    /// # Errors
    /// Exit 4 without capabilities, 5 for a wrong policy, 6 for an unknown interface, 7 when a
    /// session would be cut, 9 when the kernel cannot, 10 for a foreign program, 11 for another
    /// version's pins, 13 without a BPF file system. Nothing has changed then.
    pub fn enable(
        &self,
        named: &[String],
        consent: Consent,
        consent_to_cut: impl FnOnce(&AtRisk) -> Result<(), Failure>,
    ) -> Result<Enabled, Failure> {
        preflight::may_load()?;
        let _lock = Lock::unless_dry_run(&self.layout, consent)?;
        let (loaded, changes) = self.with_interfaces(named)?;
        let network = self.network()?;
        let running = pins::open(&self.layout)?;
        let interfaces = self.interfaces(&loaded.policy, &network)?;
        let targets = preflight::interfaces(&self.layout, &network, &interfaces)?;
        let before = running.as_ref().map(|running| running.slots.switch());
        let generation = running
            .as_ref()
            .map_or(0, |running| running.slots.generation())
            .wrapping_add(1)
            .max(1);
        let image = image(
            &loaded.policy,
            &network,
            Stamp {
                generation,
                digest: loaded.digest,
            },
        )?;
        if !consent.force {
            let at_risk = AtRisk::under(&image, &network, &interfaces);
            if !at_risk.is_empty() {
                consent_to_cut(&at_risk)?;
            }
        }
        let mut enabled = Enabled {
            changes: Vec::new(),
            generation,
            rules: loaded.policy.rules.len(),
            default: super::applied::default_word(loaded.policy.default),
            warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
            dry_run: consent.dry_run,
            was_active: before.is_some(),
            interfaces: interfaces.clone(),
        };
        if consent.dry_run {
            return Ok(enabled);
        }
        let staged = stage(&changes)?;
        let applied = Applied::new(&loaded.policy, generation, interfaces).stage(&self.layout)?;
        bpffs::prepare(&self.layout)?;
        enabled.changes =
            installation::install(&self.layout, &image, &targets, &network, Term::Settled)?;
        let saved =
            commit(staged).and_then(|()| applied.commit().map_err(|error| stage_failure(&error)));
        if let Err(failure) = saved {
            match before {
                Some(before) => installation::undo(&self.layout, before)?,
                None => pins::remove(&self.layout)?,
            }
            return Err(failure);
        }
        let kept = [
            boot::mark_enabled(&self.layout),
            boot::save_last_good(&self.layout, &loaded),
        ];
        let lost = kept.into_iter().filter_map(Result::err);
        enabled.warnings.extend(lost.map(|failure| failure.message));
        Ok(enabled)
    }

    /// Takes guard off every interface and forgets its state in the kernel. The policy stays.
    ///
    /// # Errors
    /// When a pin cannot be removed.
    pub fn disable(&self, consent: Consent) -> Result<Disabled, Failure> {
        preflight::may_detach()?;
        let _lock = Lock::unless_dry_run(&self.layout, consent)?;
        let was_active = self.layout.pins().exists();
        if was_active && !consent.dry_run {
            pins::remove(&self.layout)?;
            match std::fs::remove_file(self.layout.applied()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(crate::failure::from_io(
                        self.layout.applied().display(),
                        &error,
                    ));
                }
                Ok(()) | Err(_) => {}
            }
        }
        if !consent.dry_run {
            boot::mark_disabled(&self.layout)?;
        }
        Ok(Disabled { was_active })
    }

    /// The policy with the named interfaces saved in it, and the file texts that say so.
    fn with_interfaces(&self, named: &[String]) -> Result<(Loaded, Vec<Change>), Failure> {
        let mut source = self.source();
        let main = source.main_file();
        let mut changes = Vec::new();
        if !main.exists() {
            changes.push(Change {
                path: main.clone(),
                text: TEMPLATE.to_owned(),
            });
            let mut overlay = Overlay::default();
            overlay.insert(main, TEMPLATE.to_owned());
            source = source.with_overlay(overlay);
        }
        let loaded = source.load().map_err(super::bad_configuration)?;
        if named.is_empty() {
            return Ok((loaded, changes));
        }
        match edit::set_interfaces(&source, &loaded, named).map_err(|error| edit_failure(&error))? {
            Outcome::Edited(edited) => {
                let edited = *edited;
                changes.retain(|change| edited.changes.iter().all(|new| new.path != change.path));
                changes.extend(edited.changes);
                Ok((edited.loaded, changes))
            }
            Outcome::Unchanged | Outcome::Covered { .. } => Ok((loaded, changes)),
        }
    }
}

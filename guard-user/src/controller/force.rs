//! Putting a policy in force: files and kernel together or neither.

use super::{
    Applied, AtRisk, Changed, Consent, Controller, Difference, Lock, RuleView, bad_configuration,
};
use crate::{
    dataplane::{
        installation::{self, Term},
        pins,
    },
    failure::{Exit, Failure},
    host::Network,
    ruleset::{
        compile::{Image, Stamp, TooComplex, compile},
        describe,
        diagnostic::Diagnostics,
        edit::Change,
        model::Policy,
        source::Loaded,
        staged::{StageError, Staged},
    },
};
use guard_common::abi::switch::SwitchWord;

/// A policy that may go into force on a running guard: it compiles and cuts nobody.
pub(super) struct Ready {
    image: Image,
    network: Network,
    interfaces: Vec<String>,
    generation: u32,
    generation_before: u32,
    before: SwitchWord,
}

impl Controller {
    /// Puts the files into force as they are.
    ///
    /// # Errors
    /// As [`Controller::change`]; exit 3 when guard is not active.
    pub fn reload(&self, consent: Consent) -> Result<Changed, Failure> {
        let _lock = Lock::unless_dry_run(&self.layout, consent)?;
        let loaded = self.load()?;
        let mut warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        let ready = self.ready(&loaded, consent)?;
        let Some(ready) = ready else {
            return Err(Failure::new(Exit::Inactive, "guard is not active")
                .help("`guardctl enable` turns it on"));
        };
        let before = Applied::read(&self.layout)
            .filter(|applied| applied.generation == ready.generation_before);
        let difference = before.map(|before| {
            let after = RuleView::all(&loaded.policy);
            Difference::between(&before.rules, &after)
        });
        let what = match &difference {
            Some(difference) => difference.to_string(),
            None => describe::rule_count(loaded.policy.rules.len()),
        };
        let etc = self.layout.etc.display();
        let (message, generation) = if consent.dry_run {
            (
                format!("would apply {etc}: {what}"),
                Some(ready.generation_before),
            )
        } else {
            let generation = self.put_in_force(&loaded, &[], Some(ready), &mut warnings)?;
            let number = generation.unwrap_or_default();
            (
                format!("applied {etc}: {what} (generation {number})"),
                generation,
            )
        };
        Ok(Changed {
            changed: true,
            message,
            rule: None,
            generation,
            warnings,
            dry_run: consent.dry_run,
            difference,
        })
    }

    /// Everything that can be refused before something changes. `None` when guard is not active.
    pub(super) fn ready(
        &self,
        loaded: &Loaded,
        consent: Consent,
    ) -> Result<Option<Ready>, Failure> {
        let Some(running) = pins::open(&self.layout)? else {
            // Too complex for the kernel is too complex for the file.
            let network = Network::read().unwrap_or_default();
            image(&loaded.policy, &network, Stamp::default())?;
            return Ok(None);
        };
        let network = self.network()?;
        let generation = running.slots.generation().wrapping_add(1).max(1);
        let image = image(
            &loaded.policy,
            &network,
            Stamp {
                generation,
                digest: loaded.digest,
            },
        )?;
        let interfaces = self.interfaces(&loaded.policy, &network)?;
        if !consent.force {
            let active = Image {
                words: running.slots.active_image(),
            };
            let lost_already = AtRisk::under(&active, &network, &interfaces);
            AtRisk::under(&image, &network, &interfaces)
                .beyond(&lost_already)
                .refuse()?;
        }
        Ok(Some(Ready {
            image,
            network,
            interfaces,
            generation,
            generation_before: running.slots.generation(),
            before: running.slots.switch(),
        }))
    }

    /// New texts onto disk, the policy into the kernel, then the texts into place. If the last step
    /// fails, the kernel returns to the policy from before.
    pub(super) fn put_in_force(
        &self,
        loaded: &Loaded,
        changes: &[Change],
        ready: Option<Ready>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<u32>, Failure> {
        let staged = stage(changes)?;
        let Some(ready) = ready else {
            commit(staged)?;
            return Ok(None);
        };
        let Ready {
            image,
            network,
            interfaces,
            generation,
            before,
            generation_before: _,
        } = ready;
        let applied = Applied::new(&loaded.policy, generation, interfaces.clone());
        let applied = applied.stage(&self.layout)?;
        self.put_into_kernel(&image, &network, &interfaces)?;
        if let Err(failure) = commit(staged) {
            installation::undo(&self.layout, before)?;
            return Err(failure.help("the policy in force is the one from before"));
        }
        // Only listings need it, and they find it missing.
        if let Err(error) = applied.commit() {
            warnings.push(error.to_string());
        }
        Ok(Some(generation))
    }

    /// Switches the policy; where an interface has lost its program, puts it back.
    fn put_into_kernel(
        &self,
        image: &Image,
        network: &Network,
        interfaces: &[String],
    ) -> Result<(), Failure> {
        let wanted: Vec<_> = interfaces
            .iter()
            .filter_map(|name| network.interface(name))
            .collect();
        let linked = pins::links(&self.layout)?;
        let complete = linked.len() == wanted.len()
            && wanted.iter().all(|interface| {
                interface.xdp.is_some() && linked.iter().any(|link| link.ifindex == interface.index)
            });
        if complete {
            return installation::apply(&self.layout, image, network, Term::Settled);
        }
        installation::install(&self.layout, image, &wanted, network, Term::Settled).map(|_| ())
    }

    /// The interfaces to protect: those of the policy, else those with default routes, else those
    /// that were protected last.
    pub(super) fn interfaces(
        &self,
        policy: &Policy,
        network: &Network,
    ) -> Result<Vec<String>, Failure> {
        if !policy.interfaces.is_empty() {
            return Ok(policy.interfaces.clone());
        }
        let mut names = network.default_interfaces();
        if let Some(applied) = Applied::read(&self.layout).filter(|_| names.is_empty()) {
            names = applied.interfaces;
        }
        if names.is_empty() {
            return Err(
                Failure::new(Exit::NotFound, "no interface carries a default route")
                    .help("name the one to protect: `guardctl enable --iface eth0`"),
            );
        }
        Ok(names)
    }
}

/// Compiles, in the terms of a command.
pub(super) fn image(policy: &Policy, network: &Network, stamp: Stamp) -> Result<Image, Failure> {
    compile(policy, &network.host(), stamp).map_err(|error: TooComplex| {
        let help = error.help();
        Failure::new(Exit::BadConfiguration, error.to_string()).help(help)
    })
}

pub(super) fn stage(changes: &[Change]) -> Result<Vec<Staged>, Failure> {
    changes
        .iter()
        .map(|change| {
            Staged::write(&change.path, &change.text).map_err(|error| stage_failure(&error))
        })
        .collect()
}

pub(super) fn commit(staged: Vec<Staged>) -> Result<(), Failure> {
    staged
        .into_iter()
        .try_for_each(|file| file.commit().map_err(|error| stage_failure(&error)))
}

/// A file that could not be replaced.
pub(super) fn stage_failure(error: &StageError) -> Failure {
    let exit = if error.source.kind() == std::io::ErrorKind::PermissionDenied {
        Exit::NotPermitted
    } else {
        Exit::Failed
    };
    let failure = Failure::new(exit, error.to_string());
    match error.help() {
        Some(help) => failure.help(help),
        None => failure,
    }
}

/// For `check`: the same wording for a policy that does not load.
pub(super) fn loaded_or_failure(result: Result<Loaded, Diagnostics>) -> Result<Loaded, Failure> {
    result.map_err(bad_configuration)
}

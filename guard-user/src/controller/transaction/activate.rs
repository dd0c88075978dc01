//! Activates a policy: files and kernel together or neither.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{later_risk::LaterRisk, lockout::Ways, targets};
use crate::{
    controller::{
        Applied, AtRisk, Confirm, Consent, Controller, Pending, Renamed, RuleView,
        bad_configuration,
        state::{
            devices::{Devices, current_names, forget_interfaces},
            ends,
            history::{self, ChangeOutcome},
            journal::{ChangeJournal, Stage},
            policy_files::{FileChange, StagedFiles},
        },
    },
    dataplane::{
        heal,
        installation::{self, Commitment},
        interface::{attachments::Attachments, attempt::AttachTarget, reattach},
        pins::{self, Running},
        removal,
    },
    failure::{Exit, Failure},
    host::{Network, clock, conntrack, sessions},
    ruleset::{
        compile::{Host, Image, Jiffy, Stamp, TooComplex, compile},
        model::{ModeChoice, Policy},
        source::Loaded,
        until::Moments,
    },
    text::diagnostic::Diagnostics,
};
use guard_common::abi::switch::SwitchWord;

/// A policy that may go into force on a running guard: it compiles and shuts nobody out.
pub(in crate::controller) struct CheckedPolicy {
    image: Image,
    network: Network,
    interfaces: Vec<String>,
    modes: BTreeMap<String, ModeChoice>,
    generation: u32,
    pub(in crate::controller) generation_before: u32,
    before: SwitchWord,
    moments: Moments,
    pub(in crate::controller) warnings: Vec<String>,
}

/// What came of putting a policy in force.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::controller) struct Activated {
    /// Generation in force; `None` when guard is not active.
    pub(in crate::controller) generation: Option<u32>,
    /// What must be confirmed to stay.
    pub(in crate::controller) pending: Option<Pending>,
}

/// A change on its way into files and kernel.
pub(in crate::controller) struct Activation<'a> {
    pub(in crate::controller) loaded: &'a Loaded,
    pub(in crate::controller) changes: Vec<FileChange>,
    pub(in crate::controller) applied: Applied,
    /// The switch as it is; `None` when guard is off.
    pub(in crate::controller) before: Option<SwitchWord>,
    /// Time to confirm in.
    pub(in crate::controller) limit: Option<Duration>,
}

impl Controller {
    /// Everything that can be refused before something changes. `None` when guard is not active.
    pub(in crate::controller) fn check_policy(
        &self,
        loaded: &Loaded,
        consent: Consent,
    ) -> Result<Option<CheckedPolicy>, Failure> {
        let moments = self.moments();
        let Some(running) = pins::open(&self.layout)? else {
            // Too complex for the kernel is too complex for the file.
            let network = Network::read().unwrap_or_default();
            image(&loaded.policy, &network, Stamp::default(), &moments)?;
            return Ok(None);
        };
        let network = self.network()?;
        let generation = running.slots.next_generation();
        let image = image(
            &loaded.policy,
            &network,
            Stamp {
                generation,
                digest: loaded.digest,
            },
            &moments,
        )?;
        let interfaces = self.interfaces(&loaded.policy, &network)?;
        if consent.confirm.limit().is_some() {
            self.refuse_other_interfaces(&running, &interfaces)?;
        }
        let mut warnings = Vec::new();
        if !consent.force {
            let active = Image {
                words: running.slots.active_image(),
            };
            let operators = sessions::operators();
            let ways = Ways::of(&operators, &network, &interfaces);
            let lost_already = AtRisk::under(&active, &ways);
            AtRisk::under(&image, &ways)
                .beyond(&lost_already)
                .refuse()?;
            let later = LaterRisk::of(&image, Some(&active), &ways);
            warnings.extend(later.check(&loaded.policy, &moments)?);
        }
        Ok(Some(CheckedPolicy {
            image,
            network,
            interfaces,
            modes: loaded.policy.modes.clone(),
            generation,
            generation_before: running.slots.generation(),
            before: running.slots.switch(),
            moments,
            warnings,
        }))
    }

    /// New texts onto disk, the policy into the kernel, then the texts into place, unless they have to
    /// be confirmed first. If the last step fails, the kernel returns to the policy from before.
    pub(in crate::controller) fn activate(
        &self,
        loaded: &Loaded,
        changes: Vec<FileChange>,
        checked: Option<CheckedPolicy>,
        consent: Consent,
        warnings: &mut Vec<String>,
    ) -> Result<Activated, Failure> {
        let Some(checked) = checked else {
            if let Confirm::Within(_) = consent.confirm {
                return Err(Failure::new(
                    Exit::Inactive,
                    "guard is not active: there is no policy to return to",
                )
                .help("leave --confirm out; `guardctl enable --confirm 60s` turns guard on"));
            }
            ends::keep(&self.layout, &loaded.policy, &self.moments())?;
            StagedFiles::write(&changes)?.commit()?;
            note(self.names.save(&loaded.host_names), warnings);
            return Ok(Activated::default());
        };
        let CheckedPolicy {
            image,
            network,
            interfaces,
            modes,
            generation,
            before,
            generation_before: _,
            moments,
            warnings: of_check,
        } = checked;
        // Of before the change: whoever reads the new files knows what their names mean.
        self.names.save(&loaded.host_names)?;
        warnings.extend(of_check);
        // What is noted and not put in force does no harm.
        ends::keep(&self.layout, &loaded.policy, &moments)?;
        let activation = Activation {
            loaded,
            changes,
            applied: Applied::new(&loaded.policy, generation, interfaces.clone()),
            before: Some(before),
            limit: consent.confirm.limit(),
        };
        let kernel = |term| {
            self.note_all_blind(&network)?;
            let modes = self.modes_now(&modes, &network)?;
            let targets = targets::unattended(&self.layout, &network, &interfaces, &modes);
            self.activate_in_kernel(&image, &network, &targets, term)
        };
        let ((), pending) = self.carry_out(activation, kernel, warnings)?;
        let remembered = self.remember_devices(&loaded.policy, &interfaces, &network);
        note(remembered, warnings);
        Ok(Activated {
            generation: Some(generation),
            pending,
        })
    }

    /// Journal, kernel, files, words. A kill between two of them is put in order by the next command.
    pub(in crate::controller) fn carry_out<T>(
        &self,
        activation: Activation<'_>,
        kernel: impl FnOnce(Commitment) -> Result<T, Failure>,
        warnings: &mut Vec<String>,
    ) -> Result<(T, Option<Pending>), Failure> {
        let layout = &self.layout;
        let journal = ChangeJournal {
            stage: match activation.limit {
                Some(_) => Stage::AwaitingConfirmation,
                None => Stage::Settling,
            },
            command: self.command.clone(),
            applied: activation.applied,
            digest: activation.loaded.digest,
            changes: activation.changes,
            files: history::texts(&layout.etc, activation.loaded),
        };
        // Also with a deadline: what cannot be written shall not have to be confirmed.
        let files = StagedFiles::write(&journal.changes)?;
        let applied = journal.applied.stage(layout)?;
        journal.write(layout)?;
        let term = match activation.limit {
            None => Commitment::Settled,
            Some(limit) => Commitment::Until(clock::boot_time_ns() + limit.as_nanos() as u64),
        };
        let take_back = || {
            if let Some(before) = activation.before {
                installation::undo(layout, before)?;
            } else if layout.pins().exists() {
                removal::remove(layout)?;
                forget_interfaces(layout)?;
            }
            ChangeJournal::remove(layout)
        };
        let done = match kernel(term) {
            Ok(done) => done,
            Err(failure) => {
                take_back()?;
                return Err(failure);
            }
        };
        if activation.limit.is_some() {
            drop((files, applied));
            note(
                history::record(layout, &journal, ChangeOutcome::Pending),
                warnings,
            );
            return Ok((done, self.pending()?));
        }
        if let Err(failure) = files.commit() {
            take_back()?;
            return Err(failure.help("the policy in force is the one from before"));
        }
        // Only listings need these, and they find them missing.
        if let Err(error) = applied.commit() {
            warnings.push(error.to_string());
        }
        note(
            history::record(layout, &journal, ChangeOutcome::Applied),
            warnings,
        );
        note(ChangeJournal::remove(layout), warnings);
        note(self.remember_for_boot(activation.loaded), warnings);
        Ok((done, None))
    }

    /// The kernel returns to the policy from before by itself, but not to other interfaces.
    pub(in crate::controller) fn refuse_other_interfaces(
        &self,
        running: &Running,
        interfaces: &[String],
    ) -> Result<(), Failure> {
        let before = match self.words_in_force(running) {
            Some(applied) => applied.interfaces,
            None => self.linked_interfaces()?,
        };
        let (before, after): (BTreeSet<_>, BTreeSet<_>) =
            (before.iter().collect(), interfaces.iter().collect());
        if before == after {
            return Ok(());
        }
        let list = |names: &BTreeSet<&String>| {
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            names.join(", ")
        };
        Err(Failure::new(
            Exit::Refused,
            format!(
                "this would protect {} instead of {}, and only the policy returns automatically, not the interfaces",
                list(&after),
                list(&before)
            ),
        )
        .help("change the interfaces with --no-confirm, and the rules before or afterwards"))
    }

    /// What is in force, in words: of the files, or of the change that waits for its confirmation.
    pub(in crate::controller) fn words_in_force(&self, running: &Running) -> Option<Applied> {
        let generation = running.slots.generation();
        let is_it = |applied: &Applied| applied.generation == generation;
        Applied::read(&self.layout).filter(is_it).or_else(|| {
            let journal = ChangeJournal::read(&self.layout);
            journal.map(|journal| journal.applied).filter(is_it)
        })
    }

    /// The rules in force; `None` when they are not known in words.
    pub(in crate::controller) fn rules_in_force(&self, running: &Running) -> Option<Vec<RuleView>> {
        self.words_in_force(running).map(|applied| applied.rules)
    }

    /// Switches the policy; where an interface has lost a program, on either way, puts it back.
    fn activate_in_kernel(
        &self,
        image: &Image,
        network: &Network,
        targets: &[AttachTarget<'_>],
        term: Commitment,
    ) -> Result<(), Failure> {
        let linked = pins::links(&self.layout)?;
        let complete = linked.len() == targets.len()
            && targets.iter().all(|target| {
                let interface = target.interface;
                interface.xdp.is_some()
                    && !reattach::is_needed(target, &Attachments::read(&self.layout))
                    && linked.iter().any(|link| link.ifindex == interface.index)
                    && !self.lacks_way_out(interface)
            });
        if complete {
            return installation::apply(&self.layout, image, network, term);
        }
        installation::install(&self.layout, image, targets, network, term).map(|_| ())
    }

    /// What the devices of these names are called, those that were renamed too.
    ///
    /// # Errors
    /// When the pins cannot be read.
    pub(in crate::controller) fn names_now(
        &self,
        names: &[String],
        network: &Network,
    ) -> Result<Vec<String>, Failure> {
        let renamed = self.renamed(names, network)?;
        Ok(current_names(names, &renamed))
    }

    /// Modes of the policy by the names that the devices have.
    ///
    /// # Errors
    /// When the pins cannot be read.
    pub(in crate::controller) fn modes_now(
        &self,
        modes: &BTreeMap<String, ModeChoice>,
        network: &Network,
    ) -> Result<BTreeMap<String, ModeChoice>, Failure> {
        let names: Vec<String> = modes.keys().cloned().collect();
        let mut now = modes.clone();
        for Renamed { from, to } in self.renamed(&names, network)? {
            if let Some(mode) = modes.get(&from) {
                now.insert(to, *mode);
            }
        }
        Ok(now)
    }

    /// Which of these names belong to devices that are called something else.
    ///
    /// # Errors
    /// When the pins cannot be read.
    pub(in crate::controller) fn renamed(
        &self,
        names: &[String],
        network: &Network,
    ) -> Result<Vec<Renamed>, Failure> {
        let linked = heal::protected(&self.layout, network)?;
        Ok(Devices::read(&self.layout).renamed(names, network, &linked))
    }

    /// Remembers the devices that the policy means, to find them again under another name.
    ///
    /// # Errors
    /// When pins or state cannot be read or written.
    pub(in crate::controller) fn remember_devices(
        &self,
        policy: &Policy,
        protected: &[String],
        network: &Network,
    ) -> Result<(), Failure> {
        let mut names = if policy.interfaces.is_empty() {
            protected.to_vec()
        } else {
            policy.interfaces.clone()
        };
        for name in policy.modes.keys() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let renamed = self.renamed(&names, network)?;
        Devices::read(&self.layout).remember(&names, &renamed, network, &self.layout)
    }

    /// The interfaces to protect: those of the policy, else those with default routes, else those
    /// that were protected last.
    pub(in crate::controller) fn interfaces(
        &self,
        policy: &Policy,
        network: &Network,
    ) -> Result<Vec<String>, Failure> {
        if !policy.interfaces.is_empty() {
            return self.names_now(&policy.interfaces, network);
        }
        let mut names = network.default_interfaces();
        if let Some(applied) = Applied::read(&self.layout).filter(|_| names.is_empty()) {
            names = self.names_now(&applied.interfaces, network)?;
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
pub(in crate::controller) fn image(
    policy: &Policy,
    network: &Network,
    stamp: Stamp,
    moments: &Moments,
) -> Result<Image, Failure> {
    let interfaces = network.interfaces.iter();
    let host = Host {
        interfaces: interfaces
            .map(|interface| (interface.name.clone(), interface.index))
            .collect(),
        own: network.never_sources(),
        jiffy: Jiffy(clock::jiffy_ns()),
        tracked: conntrack::most(),
        moments: moments.clone(),
    };
    compile(policy, &host, stamp).map_err(|error: TooComplex| {
        let help = error.help();
        Failure::new(Exit::BadConfiguration, error.to_string()).help(help)
    })
}

/// What only listings need may fail, but not in silence.
fn note(result: Result<(), Failure>, warnings: &mut Vec<String>) {
    if let Err(failure) = result {
        warnings.push(failure.to_string());
    }
}

/// For `check`: the same wording for a policy that does not load.
pub(in crate::controller) fn loaded_or_failure(
    result: Result<Loaded, Diagnostics>,
) -> Result<Loaded, Failure> {
    result.map_err(bad_configuration)
}

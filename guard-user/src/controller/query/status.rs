//! What is in force, and whether it is in force everywhere.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use super::{fault::ProgramFault, flow_table::FlowTableUse};
use crate::{
    controller::{
        Applied, Controller, Floods, KnownNames, Pending, Renamed, RuleView,
        state::{
            absence,
            applied::default_word,
            history::{self, ChangeOutcome},
            journal::{ChangeJournal, Stage},
            last_good,
        },
    },
    dataplane::{
        interface::{attachments::Attachments, why::WhyGeneric},
        pins::{self, Running},
    },
    failure::{Exit, Failure},
    host::{Network, XdpMode, exposure::Exposure},
    ruleset::{mmdb::DatabaseSet, source::Loaded},
    text::address,
};
use guard_common::abi::{
    ceiling::Ceiling,
    image::{HEADER_CEILING, HEADER_DATAGRAMS, HEADER_DIGEST, HEADER_OUT_OF_STATE},
    switch::SwitchWord,
};

/// How much of what should be protected is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// guard is off.
    Inactive,
    /// guard should be on, and no policy is in force.
    Absent,
    /// Every interface is protected.
    Active,
    /// Some interface is not.
    Partial,
}

impl Protection {
    /// Is a policy in force?
    #[must_use]
    pub fn is_in_force(self) -> bool {
        match self {
            Self::Inactive | Self::Absent => false,
            Self::Active | Self::Partial => true,
        }
    }
}

/// An interface that should be protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Where the program runs; `None` = unprotected.
    pub mode: Option<XdpMode>,
    /// Why it does not run in the driver.
    pub why_generic: Option<WhyGeneric>,
    /// It runs, and does not do all that it should.
    pub fault: Option<ProgramFault>,
    /// Is the way out watched? If not, replies of new conversations are not recognised.
    pub replies: bool,
}

impl InterfaceStatus {
    /// Does all of guard work there?
    fn is_complete(&self) -> bool {
        self.mode.is_some() && self.replies && self.fault.is_none()
    }
}

/// The answer of `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Overall.
    pub protection: Protection,
    /// Why no policy is in force although guard should be on.
    pub absence: Option<String>,
    /// `deny`, `allow` or `monitor`.
    pub default: String,
    /// Generation in force, 0 when inactive.
    pub generation: u32,
    /// What should be protected.
    pub interfaces: Vec<InterfaceStatus>,
    /// The rules in force; of the files, when inactive.
    pub rules: Vec<RuleView>,
    /// Names of hosts in the policy files, with the addresses that they have.
    pub host_names: KnownNames,
    /// Sets that come from databases, of the same policy.
    pub databases: Vec<DatabaseSet>,
    /// What acts when there is a flood of SYNs; `None` when guard is off.
    pub floods: Option<Floods>,
    /// The flow table; `None` when guard is off.
    pub flow_table: Option<FlowTableUse>,
    /// Sources that are never banned or limited; of the files.
    pub never: Vec<String>,
    /// The policy files.
    pub files: Vec<String>,
    /// What the operator should look at.
    pub warnings: Vec<String>,
    /// The change that waits for its confirmation.
    pub pending: Option<Pending>,
    /// The last change, if it was not confirmed.
    pub reverted: Option<Reverted>,
    /// Why the policy in force is a copy of the last one, and not what the files say.
    pub fallback: Option<String>,
    /// Interfaces without guard by which strangers can come.
    pub exposures: BTreeSet<Exposure>,
}

/// A change that was not confirmed in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reverted {
    /// The command that made it.
    pub command: String,
    /// When it came into force, as `2026-11-21T11:48:01Z`.
    pub when: String,
}

impl Status {
    /// Exit code of `status`.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.protection {
            Protection::Inactive => Exit::Inactive,
            Protection::Active if self.fallback.is_none() && self.exposures.is_empty() => Exit::Ok,
            Protection::Active | Protection::Partial | Protection::Absent => Exit::Partial,
        }
    }

    /// Does guard only count what it would drop?
    #[must_use]
    pub fn is_monitor(&self) -> bool {
        self.protection.is_in_force() && self.default == "monitor"
    }
}

/// How long files and kernel may differ while another command changes both.
const CHANGE_LASTS: Duration = Duration::from_secs(1);

/// What the kernel says of its policy.
#[derive(Clone, Copy, PartialEq, Eq)]
struct KernelPolicy {
    generation: u32,
    digest: u64,
    ceiling: Ceiling,
    out_of_state: Ceiling,
    udp: Ceiling,
    switch: SwitchWord,
    /// Generation and digest of what returns, while a change is pending.
    previous: Option<(u32, u64)>,
}

impl KernelPolicy {
    fn of(running: &Running) -> Self {
        let slots = &running.slots;
        let previous = slots.switch().previous();
        Self {
            generation: slots.generation(),
            digest: slots.digest(),
            ceiling: Ceiling::from_word(slots.word(slots.in_force(), HEADER_CEILING)),
            out_of_state: Ceiling::from_word(slots.word(slots.in_force(), HEADER_OUT_OF_STATE)),
            udp: Ceiling::from_word(slots.word(slots.in_force(), HEADER_DATAGRAMS)),
            switch: slots.switch(),
            previous: Pending::of(slots).map(|pending| {
                (
                    pending.previous_generation,
                    slots.word(previous, HEADER_DIGEST),
                )
            }),
        }
    }

    /// Can the files on disk be right beside this? Those of a pending change may be the ones from
    /// before as well; before the very first policy there were any.
    fn is_of(&self, files: u64) -> bool {
        let is_previous = |(generation, digest): (u32, u64)| generation == 0 || digest == files;
        self.digest == files || self.previous.is_some_and(is_previous)
    }
}

/// Files and kernel, read one after the other.
struct StatusSnapshot {
    loaded: Result<Loaded, Failure>,
    applied: Option<Applied>,
    journal: Option<ChangeJournal>,
    before: Option<KernelPolicy>,
    kernel: Option<KernelPolicy>,
    pending: Option<Pending>,
}

impl StatusSnapshot {
    /// Did a change happen meanwhile, or is one half done?
    fn is_torn(&self) -> bool {
        let is_told =
            |kernel: &KernelPolicy| self.words(kernel).is_some() || kernel.generation == 0;
        self.before != self.kernel || self.kernel.is_some_and(|kernel| !is_told(&kernel))
    }

    /// The words of what is in force: those of the files, or of the change that is pending.
    fn words(&self, kernel: &KernelPolicy) -> Option<&Applied> {
        let is_it = |applied: &&Applied| applied.generation == kernel.generation;
        let candidate = || {
            let journal = self.journal.as_ref()?;
            let is_pending = journal.stage == Stage::AwaitingConfirmation;
            (is_pending && kernel.previous.is_some()).then_some(&journal.applied)
        };
        self.applied
            .as_ref()
            .filter(is_it)
            .or_else(|| candidate().filter(is_it))
    }
}

impl Controller {
    /// What is in force.
    ///
    /// # Errors
    /// When the pins cannot be opened, exit 4 or 11.
    pub fn status(&self) -> Result<Status, Failure> {
        let mut reading = self.read_once()?;
        let deadline = Instant::now() + CHANGE_LASTS;
        while reading.is_torn() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
            reading = self.read_once()?;
        }
        let applied = reading
            .kernel
            .and_then(|kernel| reading.words(&kernel).cloned());
        let reverted = self.reverted(&reading);
        let StatusSnapshot {
            loaded,
            kernel,
            pending,
            ..
        } = reading;
        // A first policy that was not confirmed: every packet passes, guard is as good as off.
        let kernel = kernel.filter(|kernel| kernel.generation != 0);
        let mut warnings = Vec::new();
        let loaded = match loaded {
            Ok(loaded) => Some(loaded),
            Err(failure) => {
                warnings.push(format!("the policy files do not load:\n{failure}"));
                None
            }
        };
        let host_names = loaded.as_ref().map(|loaded| self.known_of(loaded));
        let host_names = host_names.unwrap_or_default();
        let never = loaded.iter().flat_map(|loaded| &loaded.policy.never);
        let never = never.map(address::show).collect();
        let files = loaded.iter().flat_map(|loaded| &loaded.files);
        let files = files.map(|file| file.display().to_string()).collect();
        let Some(in_force) = kernel else {
            let policy = loaded.map(|loaded| loaded.policy).unwrap_or_default();
            let is_wanted = last_good::is_enabled(&self.layout);
            let mut rules = RuleView::all(&policy);
            self.tell_time_left(&mut rules);
            return Ok(Status {
                protection: if is_wanted {
                    Protection::Absent
                } else {
                    Protection::Inactive
                },
                absence: is_wanted.then(|| absence::why(&self.layout)),
                default: default_word(policy.default).to_owned(),
                generation: 0,
                interfaces: Vec::new(),
                floods: None,
                flow_table: None,
                rules,
                host_names,
                databases: policy.databases,
                never,
                files,
                warnings,
                pending: None,
                reverted,
                fallback: None,
                exposures: BTreeSet::new(),
            });
        };
        let KernelPolicy {
            generation, digest, ..
        } = in_force;
        let fallback = self.fallback(digest);
        if loaded
            .as_ref()
            .filter(|_| fallback.is_none())
            .is_some_and(|loaded| !in_force.is_of(loaded.digest))
        {
            warnings.push(
                "the policy files were changed since they were applied; `guardctl reload` applies \
                 them"
                    .to_owned(),
            );
        }
        let network = self.network()?;
        let unguarded = loaded
            .as_ref()
            .map(|loaded| loaded.policy.unguarded.clone());
        let unguarded = unguarded.unwrap_or_default();
        if let Some(loaded) = &loaded {
            let renamed = self.renamed(&loaded.policy.interfaces, &network)?;
            warnings.extend(renamed.iter().map(renamed_warning));
        }
        let flow_table = FlowTableUse::now(&self.layout);
        warnings.extend(flow_table.and_then(FlowTableUse::warning));
        if !in_force.out_of_state.is_none() {
            warnings.extend(self.unseen_answers(&network));
        }
        // Where the state folder could not be written.
        let kept = last_good::last_good(&self.layout).ok().flatten();
        let kept = kept.filter(|kept| applied.is_none() && kept.digest == digest);
        let mut applied = match (applied, loaded) {
            (Some(applied), _) => applied,
            (None, Some(loaded)) if loaded.digest == digest => {
                let interfaces = self.interfaces(&loaded.policy, &network)?;
                Applied::new(&loaded.policy, generation, interfaces)
            }
            (None, _) if kept.is_some() => {
                let policy = kept.map(|kept| kept.policy).unwrap_or_default();
                let interfaces = self.linked_interfaces()?;
                Applied::new(&policy, generation, interfaces)
            }
            (None, _) => {
                warnings.push(
                    "the text of the policy in force is lost; `guardctl reload` applies the \
                     files"
                        .to_owned(),
                );
                Applied {
                    interfaces: self.linked_interfaces()?,
                    ..Applied::default()
                }
            }
        };
        // Between a renaming and the daemon's next look the words have the old name.
        let names = self.names_now(&applied.interfaces, &network)?;
        let interfaces = self.interface_status(&names, &network)?;
        self.tell_time_left(&mut applied.rules);
        let is_complete = interfaces.iter().all(InterfaceStatus::is_complete);
        Ok(Status {
            protection: if is_complete {
                Protection::Active
            } else {
                Protection::Partial
            },
            absence: None,
            default: applied.default,
            generation,
            interfaces,
            flow_table,
            floods: Some(self.floods(in_force.ceiling, in_force.out_of_state, in_force.udp)),
            rules: applied.rules,
            host_names,
            databases: applied.databases,
            never,
            files,
            warnings,
            pending,
            reverted,
            fallback,
            exposures: self.unwanted_exposures(&network, &unguarded)?,
        })
    }

    /// Kernel, words, files, kernel: a change writes them in the order kernel, files, words, so words
    /// of the kernel's generation mean that the files are there too. A pending change leaves both as
    /// they are, and its words are in the journal.
    fn read_once(&self) -> Result<StatusSnapshot, Failure> {
        let in_force = || {
            let running = pins::open(&self.layout)?;
            Ok(running.map(|running| (KernelPolicy::of(&running), Pending::of(&running.slots))))
        };
        let before = in_force()?.map(|(kernel, _)| kernel);
        let applied = Applied::read(&self.layout);
        let journal = ChangeJournal::read(&self.layout);
        let loaded = self.load();
        let (kernel, pending) = in_force()?.unzip();
        Ok(StatusSnapshot {
            loaded,
            applied,
            journal,
            before,
            kernel,
            pending: pending.flatten(),
        })
    }

    /// The last change, if its time has passed without an answer, settled or not.
    fn reverted(&self, reading: &StatusSnapshot) -> Option<Reverted> {
        let newest = history::entries(&self.layout).into_iter().next()?;
        let is_over = match newest.outcome {
            ChangeOutcome::NotConfirmed => true,
            ChangeOutcome::Pending => reading.pending.is_none(),
            ChangeOutcome::Applied | ChangeOutcome::Confirmed | ChangeOutcome::RolledBack => false,
        };
        is_over.then(|| Reverted {
            when: newest.when(),
            command: newest.command,
        })
    }

    /// Names of the interfaces that have a link of ours.
    pub(in crate::controller) fn linked_interfaces(&self) -> Result<Vec<String>, Failure> {
        let network = self.network()?;
        let links = pins::links(&self.layout)?;
        Ok(links
            .iter()
            .filter_map(|link| network.by_index(link.ifindex))
            .map(|interface| interface.name.clone())
            .collect())
    }

    /// Which of these carry the program of one of our links, and the one on the way out.
    pub(super) fn interface_status(
        &self,
        names: &[String],
        network: &Network,
    ) -> Result<Vec<InterfaceStatus>, Failure> {
        let links = pins::links(&self.layout)?;
        let known = Attachments::read(&self.layout);
        let is_alone = links.len() == 1;
        let status = names.iter().map(|name| {
            let interface = network.interface(name);
            let mode = interface
                .filter(|interface| {
                    links.iter().any(|link| {
                        link.ifindex == interface.index
                            && interface.xdp.is_some_and(|xdp| link.runs(xdp.program))
                    })
                })
                .and_then(|interface| interface.xdp)
                .map(|xdp| xdp.mode);
            let known = known.of(name);
            let why_generic = known.and_then(|known| known.why_generic.clone());
            let attached = interface.filter(|_| mode.is_some());
            InterfaceStatus {
                name: name.clone(),
                mode,
                why_generic: why_generic.filter(|_| mode == Some(XdpMode::Generic)),
                fault: attached.and_then(|interface| self.fault(interface, known, is_alone)),
                replies: interface.is_some_and(|interface| !self.lacks_way_out(interface)),
            }
        });
        Ok(status.collect())
    }
}

fn renamed_warning(renamed: &Renamed) -> String {
    let Renamed { from, to } = renamed;
    format!(
        "{from} is called {to} now and stays protected; the policy still says {from}: `guardctl enable \
         --iface {to}`, with every interface to protect, corrects that"
    )
}

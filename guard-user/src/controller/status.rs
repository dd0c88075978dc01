//! What is in force, and whether it is in force everywhere.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{Applied, Controller, RuleView, applied::default_word};
use crate::{
    dataplane::pins,
    failure::{Exit, Failure},
    host::XdpMode,
    ruleset::{address, source::Loaded},
};

/// How much of what should be protected is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// guard is off.
    Inactive,
    /// Every interface is protected.
    Active,
    /// Some interface is not.
    Partial,
}

impl Protection {
    /// Exit code of `status`.
    #[must_use]
    pub fn exit(self) -> Exit {
        match self {
            Self::Inactive => Exit::Inactive,
            Self::Active => Exit::Ok,
            Self::Partial => Exit::Partial,
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
}

/// The answer of `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Overall.
    pub protection: Protection,
    /// `deny` or `allow`.
    pub default: String,
    /// Generation in force, 0 when inactive.
    pub generation: u32,
    /// What should be protected.
    pub interfaces: Vec<InterfaceStatus>,
    /// The rules in force; of the files, when inactive.
    pub rules: Vec<RuleView>,
    /// Sources that are never banned or limited; of the files.
    pub never: Vec<String>,
    /// The policy files.
    pub files: Vec<String>,
    /// What the operator should look at.
    pub warnings: Vec<String>,
}

/// How long files and kernel may differ while another command changes both.
const CHANGE_LASTS: Duration = Duration::from_secs(1);

/// What the kernel says of its policy.
#[derive(Clone, Copy, PartialEq, Eq)]
struct InForce {
    generation: u32,
    digest: u64,
}

/// Files and kernel, read one after the other.
struct Reading {
    loaded: Result<Loaded, Failure>,
    applied: Option<Applied>,
    before: Option<InForce>,
    kernel: Option<InForce>,
}

impl Reading {
    /// Did a change happen meanwhile, or is one half done?
    fn is_torn(&self) -> bool {
        let words = self.applied.as_ref().map(|applied| applied.generation);
        self.before != self.kernel
            || self
                .kernel
                .is_some_and(|kernel| words != Some(kernel.generation))
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
        let Reading {
            loaded,
            applied,
            kernel,
            ..
        } = reading;
        let mut warnings = Vec::new();
        let loaded = match loaded {
            Ok(loaded) => Some(loaded),
            Err(failure) => {
                warnings.push(format!("the policy files do not load:\n{failure}"));
                None
            }
        };
        let never = loaded.iter().flat_map(|loaded| &loaded.policy.never);
        let never = never.map(address::show).collect();
        let files = loaded.iter().flat_map(|loaded| &loaded.files);
        let files = files.map(|file| file.display().to_string()).collect();
        let Some(InForce { generation, digest }) = kernel else {
            let policy = loaded.map(|loaded| loaded.policy).unwrap_or_default();
            return Ok(Status {
                protection: Protection::Inactive,
                default: default_word(policy.default).to_owned(),
                generation: 0,
                interfaces: Vec::new(),
                rules: RuleView::all(&policy),
                never,
                files,
                warnings,
            });
        };
        if loaded
            .as_ref()
            .is_some_and(|loaded| loaded.digest != digest)
        {
            warnings.push(
                "the policy files were changed since they were applied; `guardctl reload` applies \
                 them"
                    .to_owned(),
            );
        }
        let applied = applied.filter(|applied| applied.generation == generation);
        let applied = match (applied, loaded) {
            (Some(applied), _) => applied,
            (None, Some(loaded)) if loaded.digest == digest => {
                let network = self.network()?;
                let interfaces = self.interfaces(&loaded.policy, &network)?;
                Applied::new(&loaded.policy, generation, interfaces)
            }
            (None, _) => {
                warnings.push(
                    "the words of the policy in force are lost; `guardctl reload` applies the \
                     files"
                        .to_owned(),
                );
                Applied {
                    interfaces: self.linked_interfaces()?,
                    ..Applied::default()
                }
            }
        };
        let interfaces = self.interface_status(&applied.interfaces)?;
        let is_complete = interfaces.iter().all(|interface| interface.mode.is_some());
        Ok(Status {
            protection: if is_complete {
                Protection::Active
            } else {
                Protection::Partial
            },
            default: applied.default,
            generation,
            interfaces,
            rules: applied.rules,
            never,
            files,
            warnings,
        })
    }

    /// Kernel, words, files, kernel: a change writes them in the order kernel, files, words, so words
    /// of the kernel's generation mean that the files are there too.
    fn read_once(&self) -> Result<Reading, Failure> {
        let in_force = || {
            let running = pins::open(&self.layout)?;
            Ok(running.map(|running| InForce {
                generation: running.slots.generation(),
                digest: running.slots.digest(),
            }))
        };
        let before = in_force()?;
        let applied = Applied::read(&self.layout);
        let loaded = self.load();
        let kernel = in_force()?;
        Ok(Reading {
            loaded,
            applied,
            before,
            kernel,
        })
    }

    /// Names of the interfaces that have a link of ours.
    fn linked_interfaces(&self) -> Result<Vec<String>, Failure> {
        let network = self.network()?;
        let links = pins::links(&self.layout)?;
        Ok(links
            .iter()
            .filter_map(|link| network.by_index(link.ifindex))
            .map(|interface| interface.name.clone())
            .collect())
    }

    /// Which of these carry the program of one of our links.
    fn interface_status(&self, names: &[String]) -> Result<Vec<InterfaceStatus>, Failure> {
        let network = self.network()?;
        let links = pins::links(&self.layout)?;
        let status = names.iter().map(|name| {
            let mode = network
                .interface(name)
                .filter(|interface| {
                    links.iter().any(|link| {
                        link.ifindex == interface.index
                            && interface.xdp.is_some_and(|xdp| link.runs(xdp.program))
                    })
                })
                .and_then(|interface| interface.xdp)
                .map(|xdp| xdp.mode);
            InterfaceStatus {
                name: name.clone(),
                mode,
            }
        });
        Ok(status.collect())
    }
}

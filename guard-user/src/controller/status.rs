//! What is in force, and whether it is in force everywhere.

use super::{Applied, Controller, RuleView, applied::default_word};
use crate::{
    dataplane::pins,
    failure::{Exit, Failure},
    host::XdpMode,
    ruleset::address,
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

impl Controller {
    /// What is in force.
    ///
    /// # Errors
    /// When the pins cannot be opened, exit 4 or 11.
    pub fn status(&self) -> Result<Status, Failure> {
        let mut warnings = Vec::new();
        let loaded = match self.load() {
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
        let Some(running) = pins::open(&self.layout)? else {
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
        let generation = running.slots.generation();
        let digest = running.slots.digest();
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
        let applied =
            Applied::read(&self.layout).filter(|applied| applied.generation == generation);
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
                Applied::default()
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

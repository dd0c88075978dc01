//! Changing the policy: files and kernel together or neither.

use super::{Applied, AtRisk, Consent, Controller, Lock, bad_configuration, edit_failure};
use crate::{
    dataplane::{installation, pins},
    failure::{Exit, Failure},
    host::Network,
    ruleset::{
        address::AddressItem,
        compile::{Image, Stamp, TooComplex, compile},
        describe,
        edit::{self, Change, Edited, Outcome, Place},
        model::{DefaultAction, Policy, Rule},
        source::{Loaded, Source},
        staged::Staged,
        words,
    },
};

/// A change that a command asks for.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Add the rule of these words, `allow` or `deny` first.
    Add {
        /// The words.
        words: Vec<String>,
        /// Where.
        place: Place,
    },
    /// Delete a rule.
    Delete(Delete),
    /// Set the default.
    Default(DefaultAction),
    /// Put on the never list.
    NeverAdd(String),
    /// Take off the never list.
    NeverRemove(String),
}

/// Which rule to delete.
#[derive(Clone, Debug)]
pub enum Delete {
    /// By number, from 1.
    Number(usize),
    /// By its words.
    Words(Vec<String>),
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Did anything change (or would it, in a dry run)?
    pub changed: bool,
    /// One line for people.
    pub message: String,
    /// The rule that was added, deleted or found to cover the new one.
    pub rule: Option<usize>,
    /// Generation in force; `None` when guard is not active.
    pub generation: Option<u32>,
    /// What the operator should look at.
    pub warnings: Vec<String>,
}

impl Controller {
    /// Makes a change in the files and, when guard is active, in the kernel.
    ///
    /// # Errors
    /// Exit 2 for words that are no rule, 5 for a policy that would be wrong, 6 for a rule that is
    /// not there, 7 for a change that would cut an SSH session.
    pub fn change(&self, wanted: &Edit, consent: Consent) -> Result<Changed, Failure> {
        let _lock = Lock::acquire(&self.layout)?;
        let source = self.source();
        let loaded = self.load()?;
        self.refuse_unapplied(&loaded)?;
        let mut warnings = Vec::new();
        let planned = plan(&source, &loaded, wanted, &mut warnings)?;
        let edited = match planned.outcome {
            Outcome::Covered { by } => {
                return Ok(Changed {
                    changed: false,
                    message: format!("already covered by rule {by}"),
                    rule: Some(by),
                    generation: self.generation()?,
                    warnings,
                });
            }
            Outcome::Unchanged => {
                return Ok(Changed {
                    changed: false,
                    message: planned.unchanged,
                    rule: None,
                    generation: self.generation()?,
                    warnings,
                });
            }
            Outcome::Edited(edited) => edited,
        };
        warnings.extend(edited.loaded.warnings.iter().map(ToString::to_string));
        let rule = edited.number;
        let message = match rule {
            Some(number) => format!("{} {number}: {}", planned.done, planned.what),
            None => format!("{}{}", planned.done, planned.what),
        };
        if consent.dry_run {
            let message = format!("would be: {message}");
            return Ok(Changed {
                changed: true,
                message,
                rule,
                generation: self.generation()?,
                warnings,
            });
        }
        let generation = self.put_in_force(&edited.loaded, &edited.changes, consent)?;
        let message = match generation {
            Some(generation) => format!("{message} (generation {generation})"),
            None => format!("{message} (guard is not active; `guardctl enable` turns it on)"),
        };
        Ok(Changed {
            changed: true,
            message,
            rule,
            generation,
            warnings,
        })
    }

    /// Puts the files into force as they are.
    ///
    /// # Errors
    /// As [`Controller::change`]; exit 3 when guard is not active.
    pub fn reload(&self, consent: Consent) -> Result<Changed, Failure> {
        let _lock = Lock::acquire(&self.layout)?;
        let loaded = self.load()?;
        let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
        if self.generation()?.is_none() {
            return Err(Failure::new(Exit::Inactive, "guard is not active")
                .help("`guardctl enable` turns it on"));
        }
        let rules = loaded.policy.rules.len();
        if consent.dry_run {
            return Ok(Changed {
                changed: true,
                message: format!("would apply {rules} rules"),
                rule: None,
                generation: self.generation()?,
                warnings,
            });
        }
        let generation = self.put_in_force(&loaded, &[], consent)?;
        let message = format!(
            "applied {rules} rules (generation {})",
            generation.unwrap_or_default()
        );
        Ok(Changed {
            changed: true,
            message,
            rule: None,
            generation,
            warnings,
        })
    }

    /// Generation in force, `None` when guard is not active.
    pub(super) fn generation(&self) -> Result<Option<u32>, Failure> {
        Ok(pins::open(&self.layout)?.map(|running| running.slots.generation()))
    }

    /// An edit builds on what is in force; files that somebody changed by hand are not that.
    fn refuse_unapplied(&self, loaded: &Loaded) -> Result<(), Failure> {
        let Some(running) = pins::open(&self.layout)? else {
            return Ok(());
        };
        if running.slots.digest() == loaded.digest {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Failed,
            format!(
                "{}: the policy files were changed since they were applied",
                self.layout.etc.display()
            ),
        )
        .help("`guardctl check` looks at them, `guardctl reload` applies them; then try again"))
    }

    /// New texts onto disk, the policy into the kernel, then the texts into place. If the last step
    /// fails, the kernel returns to the policy from before.
    fn put_in_force(
        &self,
        loaded: &Loaded,
        changes: &[Change],
        consent: Consent,
    ) -> Result<Option<u32>, Failure> {
        let staged = stage(changes)?;
        let Some(running) = pins::open(&self.layout)? else {
            commit(staged)?;
            return Ok(None);
        };
        let network = self.network()?;
        let before = running.slots.switch();
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
            AtRisk::under(&image, &network, &interfaces).refuse()?;
        }
        self.put_into_kernel(&image, &network, &interfaces)?;
        if let Err(failure) = commit(staged) {
            installation::undo(&self.layout, before)?;
            return Err(failure.help("the policy in force is the one from before"));
        }
        Applied::new(&loaded.policy, generation, interfaces).write(&self.layout)?;
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
            return installation::apply(&self.layout, image, network);
        }
        installation::install(&self.layout, image, &wanted, network).map(|_| ())
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
            Staged::write(&change.path, &change.text).map_err(|error| {
                let failure = Failure::new(Exit::Failed, error.to_string());
                match error.help() {
                    Some(help) => failure.help(help),
                    None => failure,
                }
            })
        })
        .collect()
}

pub(super) fn commit(staged: Vec<Staged>) -> Result<(), Failure> {
    for file in staged {
        file.commit()
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    }
    Ok(())
}

/// An edit, and the words that tell of it.
struct Plan {
    outcome: Outcome,
    done: &'static str,
    what: String,
    unchanged: String,
}

fn plan(
    source: &Source<'_>,
    loaded: &Loaded,
    wanted: &Edit,
    warnings: &mut Vec<String>,
) -> Result<Plan, Failure> {
    let edited = |edited: Edited| Outcome::Edited(Box::new(edited));
    let failed = |error: edit::EditError| edit_failure(&error);
    let planned = match wanted {
        Edit::Add { words, place } => {
            let rule = parse(words, loaded, warnings)?;
            let outcome = edit::add(source, loaded, &rule, *place).map_err(failed)?;
            Plan {
                outcome,
                done: "added rule",
                what: describe::command(&rule),
                unchanged: String::new(),
            }
        }
        Edit::Delete(Delete::Number(number)) => {
            let outcome = edited(edit::delete(source, loaded, *number).map_err(failed)?);
            let what = describe::command(&loaded.policy.rules[*number - 1]);
            Plan {
                outcome,
                done: "deleted rule",
                what,
                unchanged: String::new(),
            }
        }
        Edit::Delete(Delete::Words(words)) => {
            let rule = parse(words, loaded, warnings)?;
            let outcome = edited(edit::delete_rule(source, loaded, &rule).map_err(failed)?);
            Plan {
                outcome,
                done: "deleted rule",
                what: describe::command(&rule),
                unchanged: String::new(),
            }
        }
        Edit::Default(default) => {
            let word = super::applied::default_word(*default);
            let outcome = edit::set_default(source, loaded, *default).map_err(failed)?;
            Plan {
                outcome,
                done: "default is ",
                what: word.to_owned(),
                unchanged: format!("default is {word} already"),
            }
        }
        Edit::NeverAdd(entry) => {
            let item = never_entry(entry, warnings)?;
            let outcome = edit::never_add(source, loaded, &item).map_err(failed)?;
            Plan {
                outcome,
                done: "never banned or limited: ",
                what: entry.clone(),
                unchanged: format!("{entry} is on the never list already"),
            }
        }
        Edit::NeverRemove(entry) => {
            let item = never_entry(entry, warnings)?;
            let outcome = edited(edit::never_remove(source, loaded, &item).map_err(failed)?);
            Plan {
                outcome,
                done: "off the never list: ",
                what: entry.clone(),
                unchanged: String::new(),
            }
        }
    };
    Ok(planned)
}

fn parse(words: &[String], loaded: &Loaded, warnings: &mut Vec<String>) -> Result<Rule, Failure> {
    let scope = words::Scope {
        names: crate::ruleset::names::Names::system(),
        sets: &loaded.sets,
    };
    match words::parse(words, &scope) {
        Ok(parsed) => {
            warnings.extend(parsed.warnings);
            Ok(parsed.rule)
        }
        Err(error) => {
            let message = format!("{error}\n{}", indent(&error.underline(words)));
            let failure = Failure::new(Exit::Usage, message);
            Err(match error.help() {
                Some(help) => failure.help(help),
                None => failure,
            })
        }
    }
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn never_entry(entry: &str, warnings: &mut Vec<String>) -> Result<AddressItem, Failure> {
    let (item, warning) = crate::ruleset::address::parse_item(entry).map_err(|error| {
        let failure = Failure::new(Exit::Usage, error.message);
        match error.help {
            Some(help) => failure.help(help),
            None => failure,
        }
    })?;
    warnings.extend(warning);
    Ok(item)
}

/// For `check`: the same wording for a policy that does not load.
pub(super) fn loaded_or_failure(
    result: Result<Loaded, crate::ruleset::diagnostic::Diagnostics>,
) -> Result<Loaded, Failure> {
    result.map_err(bad_configuration)
}

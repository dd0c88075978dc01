//! The names of hosts that jails never count: asked for again and again, never waited for, and the last good answer
//! holds.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::{
    controller::{Controller, KnownName, KnownNames},
    failure::Failure,
    host::asking::Asking,
};

/// As for the names of the policy.
const ASK: Duration = Duration::from_secs(60);

/// Questions about them.
#[derive(Debug)]
pub(super) struct IgnoredNames {
    asking: Asking,
    next: Instant,
    asked: BTreeSet<String>,
}

impl Default for IgnoredNames {
    fn default() -> Self {
        Self {
            asking: Asking::default(),
            next: Instant::now(),
            asked: BTreeSet::new(),
        }
    }
}

impl IgnoredNames {
    /// Does what is due, and answers with what is known of these names, and what is wrong with which.
    pub(super) fn round(
        &mut self,
        controller: &Controller,
        names: &BTreeSet<String>,
    ) -> Result<(KnownNames, Option<String>), Failure> {
        let now = Instant::now();
        // Other jails have other names.
        if self.asked != *names {
            self.asked.clone_from(names);
            self.next = now;
        }
        if now >= self.next && !self.asking.is_under_way() {
            self.next = now + ASK;
            let service = controller.layout().resolver();
            self.asking.begin(names.clone(), &service, now);
        }
        let mut known = controller.ignored_names(names);
        let Some(answers) = self.asking.finish(now) else {
            return Ok((known.clone(), problems(&known, names)));
        };
        for (name, answer) in answers {
            match answer {
                Ok(addresses) => {
                    known.insert(name, KnownName::now(addresses));
                }
                Err(error) => {
                    let entry = known
                        .entry(name)
                        .or_insert_with(|| KnownName::now(Vec::new()));
                    entry.problem = Some(error.to_string());
                }
            }
        }
        controller.remember_ignored_names(known.clone(), names)?;
        Ok((known.clone(), problems(&known, names)))
    }
}

fn problems(known: &KnownNames, names: &BTreeSet<String>) -> Option<String> {
    let of_name = |name: &String| {
        let known = known.get(name)?;
        let problem = known.problem.as_ref()?;
        Some(match known.addresses.is_empty() {
            true => format!("ignoreip: {name} {problem}; nobody is spared for it"),
            false => format!("ignoreip: {name} {problem}; its addresses of before stay"),
        })
    };
    let lines: Vec<String> = names.iter().filter_map(of_name).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

//! `diff`: how a policy differs from the one in force, as files and as rules.

use std::{collections::BTreeSet, fs, path::PathBuf};

use similar::TextDiff;

use crate::{
    controller::{
        Controller, RuleChanges, RuleView,
        state::{history, journal::ChangeJournal, policy_files::PolicyText},
        transaction::apply_file::unreadable,
    },
    dataplane::pins::{self, Running},
    failure::{Exit, Failure},
    ruleset::source::{Loaded, MAIN_FILE},
};

/// What the policy in force is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Against {
    /// The files on disk; while a change is pending, they are what it is compared with.
    Files,
    /// An entry of the history.
    Entry(u32),
    /// A file that would be the whole policy.
    File(PathBuf),
}

/// Two policies compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDiff {
    /// What stands on the left.
    pub from: String,
    /// What stands on the right.
    pub to: String,
    /// Unified difference of every file that differs, empty when none does.
    pub text: String,
    /// How the rules differ.
    pub rules: RuleChanges,
}

/// One side of the comparison.
struct DiffSide {
    name: String,
    files: Vec<PolicyText>,
    rules: Vec<RuleView>,
}

impl Controller {
    /// Compares the policy in force with another one. While a change is pending and nothing is
    /// named: what it changes.
    ///
    /// # Errors
    /// Exit 3 when guard is off, 5 when the other policy is wrong, 6 when there is none.
    pub fn compare(&self, against: &Against) -> Result<PolicyDiff, Failure> {
        let running = pins::open(&self.layout)?.ok_or_else(|| {
            Failure::new(Exit::Inactive, "guard is not active: nothing is in force")
                .help("`guardctl check` checks the files, `guardctl enable` turns guard on")
        })?;
        let in_force = self.side_in_force(&running)?;
        let other = match against {
            Against::Files => self.side("files on disk", self.load()?),
            Against::Entry(number) => {
                let entry = self.entry(*number)?;
                let loaded = self.load_texts(&entry.files)?;
                self.side(&format!("entry {number}"), loaded)
            }
            Against::File(file) => {
                let text = fs::read(file).map_err(|error| unreadable(file, &error))?;
                let loaded = self.load_as_main(file, &String::from_utf8_lossy(&text))?;
                self.side(&file.display().to_string(), loaded)
            }
        };
        let is_candidate = self.pending()?.is_some() && *against == Against::Files;
        let (left, right) = if is_candidate {
            (other, in_force)
        } else {
            (in_force, other)
        };
        Ok(PolicyDiff {
            text: unified(&left.files, &right.files),
            rules: RuleChanges::between(&left.rules, &right.rules),
            from: left.name,
            to: right.name,
        })
    }

    fn side(&self, name: &str, loaded: Loaded) -> DiffSide {
        DiffSide {
            name: name.to_owned(),
            files: history::texts(&self.layout.etc, &loaded),
            rules: RuleView::all(&loaded.policy),
        }
    }

    /// The policy in force, from what was noted when it came into force.
    fn side_in_force(&self, running: &Running) -> Result<DiffSide, Failure> {
        let (generation, digest) = (running.slots.generation(), running.slots.digest());
        let journal = ChangeJournal::read(&self.layout)
            .filter(|journal| journal.generation() == generation)
            .map(|journal| journal.files);
        let noted = || {
            let known = self.history();
            let entry = known.into_iter().find(|entry| entry.digest == digest);
            entry.map(|entry| entry.files)
        };
        let on_disk = || {
            let loaded = self.load().ok().filter(|loaded| loaded.digest == digest);
            loaded.map(|loaded| history::texts(&self.layout.etc, &loaded))
        };
        let files = journal.or_else(noted).or_else(on_disk).ok_or_else(|| {
            Failure::new(
                Exit::NotFound,
                format!("the files of generation {generation} are lost"),
            )
            .help("`guardctl reload` applies the files and records them")
        })?;
        let rules = match self.rules_in_force(running) {
            Some(rules) => rules,
            None => RuleView::all(&self.load_texts(&files)?.policy),
        };
        Ok(DiffSide {
            name: format!("generation {generation}"),
            files,
            rules,
        })
    }
}

/// The differences of all files, guard.toml first.
fn unified(left: &[PolicyText], right: &[PolicyText]) -> String {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    names.extend(left.iter().chain(right).map(|file| file.name.as_str()));
    let text = |files: &[PolicyText], name: &str| {
        let file = files.iter().find(|file| file.name == name);
        file.map_or_else(String::new, |file| file.text.clone())
    };
    let mut ordered: Vec<&str> = names.into_iter().collect();
    // Stable: the others stay in the order of their names.
    ordered.sort_by_key(|name| *name != MAIN_FILE);
    ordered
        .into_iter()
        .map(|name| {
            let (old, new) = (text(left, name), text(right, name));
            TextDiff::from_lines(&old, &new)
                .unified_diff()
                .header(&format!("a/{name}"), &format!("b/{name}"))
                .to_string()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> PolicyText {
        PolicyText {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn files_that_come_go_and_change_are_told_of_main_file_first() {
        let left = [
            file("guard.d/a.toml", "x\n"),
            file("guard.toml", "one\ntwo\n"),
        ];
        let right = [
            file("guard.d/b.toml", "y\n"),
            file("guard.toml", "one\n2\n"),
        ];

        let printed = unified(&left, &right);

        let expected = "--- a/guard.toml\n+++ b/guard.toml\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n\
                        --- a/guard.d/a.toml\n+++ b/guard.d/a.toml\n@@ -1 +0,0 @@\n-x\n\
                        --- a/guard.d/b.toml\n+++ b/guard.d/b.toml\n@@ -0,0 +1 @@\n+y\n";
        assert_eq!(printed, expected);
        assert_eq!(unified(&left, &left), "");
    }
}

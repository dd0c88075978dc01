//! Policies that were in force: their files, when, by which command, and what became of them. Plain
//! files, one for each, the last twenty.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{
    journal::ChangeJournal,
    policy_files::{PolicyText, remove, stage_failure},
};
use crate::{
    controller::{Applied, Controller, bad_configuration},
    failure::{Exit, Failure},
    layout::Layout,
    ruleset::source::{DROP_IN_FOLDER, Loaded, MAIN_FILE},
    state_file,
    text::{Overlay, staged::write_state},
};

/// How many entries are kept.
pub const KEPT: usize = 20;

/// A policy that was in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Number of the entry, from 1, never used again.
    pub number: u32,
    /// When it came into force, in seconds since 1970.
    pub time: u64,
    /// Its generation.
    pub generation: u32,
    /// The command that made it.
    pub command: String,
    /// What became of it.
    pub outcome: ChangeOutcome,
    /// `deny`, `allow` or `monitor`.
    pub default: String,
    /// The interfaces that it protected.
    pub interfaces: Vec<String>,
    /// Number of rules.
    pub rules: usize,
    /// Digest of its files, sets included.
    pub digest: u64,
    /// Its policy files. The files of sets are not among them.
    pub files: Vec<PolicyText>,
}

/// What became of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeOutcome {
    /// It needed no confirmation.
    Applied,
    /// It waits for one.
    Pending,
    /// It was confirmed.
    Confirmed,
    /// Nobody confirmed it in time.
    NotConfirmed,
    /// It was taken back.
    RolledBack,
}

impl ChangeOutcome {
    /// For people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Pending => "PENDING",
            Self::Confirmed => "confirmed",
            Self::NotConfirmed => "not confirmed",
            Self::RolledBack => "rolled back",
        }
    }

    /// Was it the policy that the files say?
    #[must_use]
    pub fn was_settled(self) -> bool {
        match self {
            Self::Applied | Self::Confirmed => true,
            Self::Pending | Self::NotConfirmed | Self::RolledBack => false,
        }
    }
}

/// The command of a new version of a database, and of new addresses of a name. It has no entry of its own: what can be
/// returned to is the text, and what changes every day would leave no other.
pub(in crate::controller) const OF_REFRESH: &str = "guardctl daemon (databases and names)";

impl HistoryEntry {
    fn new(journal: &ChangeJournal, number: u32, outcome: ChangeOutcome) -> Self {
        let Applied {
            generation,
            default,
            interfaces,
            modes: _,
            databases: _,
            rules,
        } = &journal.applied;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            number,
            time: since_1970.map_or(0, |time| time.as_secs()),
            generation: *generation,
            command: journal.command.clone(),
            outcome,
            default: default.clone(),
            interfaces: interfaces.clone(),
            rules: rules.len(),
            digest: journal.digest,
            files: journal.files.clone(),
        }
    }

    /// When it came into force, as `2026-11-21T11:48:01Z`.
    #[must_use]
    pub fn when(&self) -> String {
        // The year 9999 is the last one that this notation has.
        let seconds = self.time.min(253_402_300_799);
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        humantime::format_rfc3339_seconds(time).to_string()
    }

    /// Is `other`, which comes behind it, the same policy?
    fn is_like(&self, other: &Self) -> bool {
        let is_of_refresh = other.command == OF_REFRESH && self.files == other.files;
        (self.digest == other.digest || is_of_refresh) && self.interfaces == other.interfaces
    }

    fn write(&self, layout: &Layout) -> Result<(), Failure> {
        let text = serde_json::to_string(self)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        let path = layout.history().join(format!("{:06}.json", self.number));
        write_state(&path, &text).map_err(|error| stage_failure(&error))
    }
}

/// Every entry that can be read, newest first.
pub(in crate::controller) fn entries(layout: &Layout) -> Vec<HistoryEntry> {
    let Ok(folder) = fs::read_dir(layout.history()) else {
        return Vec::new();
    };
    let mut entries: Vec<HistoryEntry> = folder
        .flatten()
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .filter_map(|path| serde_json::from_slice(&state_file::read(&path).ok()?).ok())
        .collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.number));
    entries
}

/// Notes that this policy came into force. One that is just like the last is not noted again.
pub(in crate::controller) fn record(
    layout: &Layout,
    journal: &ChangeJournal,
    outcome: ChangeOutcome,
) -> Result<(), Failure> {
    let known = entries(layout);
    let number = known.first().map_or(1, |newest| newest.number + 1);
    let mut entry = HistoryEntry::new(journal, number, outcome);
    if let Some(newest) = known.first()
        && newest.outcome.was_settled()
        && outcome.was_settled()
        && newest.is_like(&entry)
    {
        entry = HistoryEntry {
            generation: entry.generation,
            digest: entry.digest,
            ..newest.clone()
        };
    }
    entry.write(layout)?;
    for old in known.iter().skip(KEPT - 1) {
        if old.number != entry.number {
            remove(&layout.history().join(format!("{:06}.json", old.number)))?;
        }
    }
    Ok(())
}

/// Notes what became of the policy that waited for its confirmation.
pub(in crate::controller) fn conclude(
    layout: &Layout,
    outcome: ChangeOutcome,
) -> Result<(), Failure> {
    let newest = entries(layout).into_iter().next();
    let is_open = |entry: &HistoryEntry| match entry.outcome {
        ChangeOutcome::Pending => true,
        // By a command that was killed before it did what it had noted.
        ChangeOutcome::RolledBack => outcome == ChangeOutcome::Confirmed,
        ChangeOutcome::Applied | ChangeOutcome::Confirmed | ChangeOutcome::NotConfirmed => false,
    };
    match newest.filter(is_open) {
        Some(entry) => HistoryEntry { outcome, ..entry }.write(layout),
        None => Ok(()),
    }
}

/// The policy files of a policy.
pub(in crate::controller) fn texts(etc: &Path, loaded: &Loaded) -> Vec<PolicyText> {
    let exists = |path: &Path| loaded.files.iter().any(|file| file == path);
    loaded
        .documents
        .iter()
        .filter(|document| exists(&document.path))
        .map(|document| PolicyText {
            name: document
                .path
                .strip_prefix(etc)
                .unwrap_or(&document.path)
                .display()
                .to_string(),
            text: document.text.clone(),
        })
        .collect()
}

impl Controller {
    /// Policies that were in force, newest first.
    #[must_use]
    pub fn history(&self) -> Vec<HistoryEntry> {
        entries(&self.layout)
    }

    /// An entry by its number.
    ///
    /// # Errors
    /// Exit 6 when there is no such entry.
    pub fn entry(&self, number: u32) -> Result<HistoryEntry, Failure> {
        let known = entries(&self.layout);
        known
            .iter()
            .find(|entry| entry.number == number)
            .cloned()
            .ok_or_else(|| {
                let range = match (known.last(), known.first()) {
                    (Some(oldest), Some(newest)) => {
                        format!("there are {} to {}", oldest.number, newest.number)
                    }
                    _ => "there is none yet".to_owned(),
                };
                Failure::new(
                    Exit::NotFound,
                    format!("history has no entry {number}: {range}"),
                )
                .help("`guardctl history` lists them")
            })
    }

    /// The policy to begin with after a reboot: that of the files, unless they hold, word for word, a
    /// policy that was not confirmed; then the last one that was settled. The second value says so.
    ///
    /// # Errors
    /// Exit 5 with every problem of the files.
    pub fn load_confirmed(&self) -> Result<(Loaded, Option<String>), Failure> {
        let loaded = self.load()?;
        let known = entries(&self.layout);
        let refused = known.first().filter(|newest| {
            !newest.outcome.was_settled() && newest.files == texts(&self.layout.etc, &loaded)
        });
        let settled = known.iter().find(|entry| entry.outcome.was_settled());
        let (Some(refused), Some(settled)) = (refused, settled) else {
            return Ok((loaded, None));
        };
        let warning = format!(
            "the policy files hold what `{}` put in force and nobody confirmed; entry {} of the history \
             is in force instead (`guardctl diff`, `guardctl reload`)",
            refused.command, settled.number
        );
        Ok((self.load_texts(&settled.files)?, Some(warning)))
    }

    /// What these policy files mean, instead of those on disk. Files of sets are read from disk.
    pub(in crate::controller) fn load_texts(
        &self,
        files: &[PolicyText],
    ) -> Result<Loaded, Failure> {
        let etc = &self.layout.etc;
        let mut overlay = Overlay::default();
        overlay.hide(etc.join(MAIN_FILE));
        for file in fs::read_dir(etc.join(DROP_IN_FOLDER)).into_iter().flatten() {
            overlay.hide(
                file.map_err(|error| crate::failure::from_io(etc.display(), &error))?
                    .path(),
            );
        }
        for file in files {
            overlay.insert(etc.join(&file.name), file.text.clone());
        }
        let source = self.source().with_overlay(overlay);
        source.load().map_err(bad_configuration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{controller::state::journal::Stage, ruleset::testing::Folder};

    fn controller(folder: &Folder) -> Controller {
        let below = |name: &str| folder.path().join(name);
        let layout = Layout {
            etc: below("etc"),
            state: below("state"),
            run: below("run"),
            bpffs: below("bpf"),
            units: below("units"),
            version: guard_common::abi::ABI_VERSION,
        };
        fs::create_dir(&layout.etc).expect("a folder");
        Controller::new(layout)
    }

    /// Writes the file and notes that it came into force.
    fn in_force(controller: &Controller, text: &str, outcome: ChangeOutcome) {
        let layout = controller.layout();
        fs::write(layout.etc.join(MAIN_FILE), text).expect("a file");
        let loaded = controller.load().expect("a policy");
        let journal = ChangeJournal {
            stage: Stage::Settling,
            command: text.trim().to_owned(),
            applied: Applied::new(&loaded.policy, 1, Vec::new()),
            digest: loaded.digest,
            changes: Vec::new(),
            files: texts(&layout.etc, &loaded),
        };
        record(layout, &journal, outcome).expect("noted");
    }

    fn outcomes(controller: &Controller) -> Vec<(u32, ChangeOutcome)> {
        let history = controller.history();
        let pairs = history.iter().map(|entry| (entry.number, entry.outcome));
        pairs.collect()
    }

    #[test]
    fn only_what_is_pending_is_concluded_and_a_kill_may_be_corrected() {
        use ChangeOutcome::{Applied, Confirmed, NotConfirmed, Pending, RolledBack};
        for (first, then, expected) in [
            (Pending, Confirmed, Confirmed),
            (Pending, NotConfirmed, NotConfirmed),
            (Pending, RolledBack, RolledBack),
            // A rollback that was killed before it switched, and then a confirmation.
            (RolledBack, Confirmed, Confirmed),
            (RolledBack, NotConfirmed, RolledBack),
            (Applied, NotConfirmed, Applied),
            (Confirmed, RolledBack, Confirmed),
        ] {
            let folder = Folder::new();
            let controller = controller(&folder);
            in_force(&controller, "# one\n", Applied);
            in_force(&controller, "# two\n", first);
            conclude(controller.layout(), then).expect("noted");
            assert_eq!(outcomes(&controller), [(2, expected), (1, Applied)]);
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let folder = Folder::new();
        let controller = controller(&folder);
        in_force(&controller, "# one\n", ChangeOutcome::Applied);
        for (name, text) in [("000002.json", "{"), ("000003.json", ""), ("x", "{}")] {
            fs::write(controller.layout().history().join(name), text).expect("a file");
        }
        assert_eq!(outcomes(&controller), [(1, ChangeOutcome::Applied)]);
    }

    #[test]
    fn a_reboot_does_not_confirm() {
        let folder = Folder::new();
        let controller = controller(&folder);
        let old = "[[rule]]\naction = \"allow\"\nport = 22\n";
        in_force(&controller, old, ChangeOutcome::Applied);
        in_force(
            &controller,
            "default = \"deny\"\n",
            ChangeOutcome::NotConfirmed,
        );

        // A reload of a file written by hand, which nobody confirmed.
        let (loaded, warning) = controller.load_confirmed().expect("a policy");
        assert_eq!(loaded.policy.rules.len(), 1);
        assert!(warning.expect("a warning").contains("entry 1"));

        // Edited since, or settled: the files count.
        fs::write(controller.layout().etc.join(MAIN_FILE), "# new\n").expect("a file");
        let (loaded, warning) = controller.load_confirmed().expect("a policy");
        assert_eq!((loaded.policy.rules.len(), warning), (0, None));
        in_force(&controller, "# settled\n", ChangeOutcome::Confirmed);
        assert_eq!(controller.load_confirmed().expect("a policy").1, None);
    }
}

//! What the names of a policy resolved to, kept in a file: a resolver that is away, lies or hangs changes no rule,
//! and after a reboot a name means what it meant before.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    net::IpAddr,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::policy_files::stage_failure;
use crate::{
    failure::{Exit, Failure},
    host::resolve::Resolving,
    ruleset::host_names::{Found, HostNames, NotResolved},
    state_file,
    text::{duration, staged::write_state},
};

/// How long a command waits for the addresses of names that nobody has asked for yet.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a name that did not resolve is not asked for again by the same process.
const PAUSE: Duration = Duration::from_secs(60);

/// The last good answer for a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownName {
    /// Sorted.
    pub addresses: Vec<IpAddr>,
    /// When it came, in seconds since 1970.
    pub answered: u64,
    /// Why a later question had no answer that could be used; `None` when there was none such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl KnownName {
    /// An answer of now.
    #[must_use]
    pub fn now(addresses: Vec<IpAddr>) -> Self {
        Self {
            addresses,
            answered: seconds_since_1970(),
            problem: None,
        }
    }
}

impl fmt::Display for KnownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        write!(f, "{}", addresses.join(", "))?;
        if let Some(problem) = &self.problem {
            let age = seconds_since_1970().saturating_sub(self.answered);
            let age = duration::rounded(age);
            write!(f, ", as it was {age} ago; now it {problem}")?;
        }
        Ok(())
    }
}

fn seconds_since_1970() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.unwrap_or_default().as_secs()
}

/// Names with their last good answers.
pub type KnownNames = BTreeMap<String, KnownName>;

/// What a process knew of names beyond the file.
pub(in crate::controller) type Unsaved = BTreeMap<String, Option<KnownName>>;

/// The file, and what this process knows beyond it.
#[derive(Debug)]
pub(in crate::controller) struct NameStore {
    file: PathBuf,
    /// Where somebody may listen who asks.
    resolver: PathBuf,
    fresh: Mutex<Fresh>,
}

#[derive(Debug, Default)]
struct Fresh {
    answers: KnownNames,
    failed: BTreeMap<String, (Instant, String)>,
}

impl NameStore {
    pub(in crate::controller) fn new(file: PathBuf, resolver: PathBuf) -> Self {
        Self {
            file,
            resolver,
            fresh: Mutex::default(),
        }
    }

    /// Everything that is known; what this process learnt comes before what is in the file. A file that
    /// cannot be read is none: its names are asked for again.
    pub(in crate::controller) fn known(&self) -> KnownNames {
        let mut known = self.saved();
        known.extend(self.fresh().answers.clone());
        known
    }

    /// Takes these answers for what is known, until the process ends, and says what it knew of these names beyond
    /// the file.
    pub(in crate::controller) fn learn(&self, answers: KnownNames) -> Unsaved {
        let mut fresh = self.fresh();
        answers
            .into_iter()
            .map(|(name, answer)| {
                let before = fresh.answers.insert(name.clone(), answer);
                (name, before)
            })
            .collect()
    }

    /// Goes back to what was known before `learn`.
    pub(in crate::controller) fn unlearn(&self, before: Unsaved) {
        let mut fresh = self.fresh();
        for (name, answer) in before {
            match answer {
                Some(answer) => fresh.answers.insert(name, answer),
                None => fresh.answers.remove(&name),
            };
        }
    }

    /// Writes what is known of these names, and of no others.
    ///
    /// # Errors
    /// When the state folder is not writable.
    pub(in crate::controller) fn save(&self, names: &BTreeSet<String>) -> Result<(), Failure> {
        let mut known = self.known();
        known.retain(|name, _| names.contains(name));
        if known.is_empty() {
            fs::remove_file(&self.file).unwrap_or_default();
        } else if known != self.saved() {
            let text = serde_json::to_string(&known)
                .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
            write_state(&self.file, &text).map_err(|error| stage_failure(&error))?;
        }
        // From now on the file says it, whoever writes it next.
        self.fresh().answers.clear();
        Ok(())
    }

    fn saved(&self) -> KnownNames {
        let bytes = state_file::read(&self.file).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    fn fresh(&self) -> MutexGuard<'_, Fresh> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for these, all at once, and remembers what came.
    fn ask(&self, names: Vec<&String>) {
        let asked: Vec<_> = names
            .into_iter()
            .map(|name| (name, Resolving::begin(name, &self.resolver)))
            .collect();
        let end = Instant::now() + PATIENCE;
        for (name, question) in asked {
            let answer = question.wait(end.saturating_duration_since(Instant::now()));
            let mut fresh = self.fresh();
            match answer {
                Ok(addresses) => {
                    fresh.failed.remove(name);
                    let known = KnownName::now(addresses);
                    fresh.answers.insert(name.clone(), known);
                }
                Err(error) => {
                    let failed = (Instant::now(), error.to_string());
                    fresh.failed.insert(name.clone(), failed);
                }
            }
        }
    }
}

impl HostNames for NameStore {
    fn look_up(&self, names: &BTreeSet<String>) -> Found {
        let known = self.known();
        let is_due = |name: &&String| {
            let fresh = self.fresh();
            let failed = fresh.failed.get(*name);
            !known.contains_key(*name) && failed.is_none_or(|(when, _)| when.elapsed() >= PAUSE)
        };
        let due: Vec<&String> = names.iter().filter(is_due).collect();
        let known = if due.is_empty() {
            known
        } else {
            self.ask(due);
            self.known()
        };
        let fresh = self.fresh();
        let answer = |name: &String| {
            let found = match (known.get(name), fresh.failed.get(name)) {
                (Some(known), _) => Ok(known.addresses.clone()),
                (None, Some((_, why))) => Err(NotResolved(why.clone())),
                (None, None) => Err(NotResolved("does not resolve".to_owned())),
            };
            (name.clone(), found)
        };
        names.iter().map(answer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::testing::Folder;

    fn names(of: &[&str]) -> BTreeSet<String> {
        of.iter().map(|name| (*name).to_owned()).collect()
    }

    fn answer(address: &str) -> KnownName {
        KnownName::now(vec![address.parse().expect("an address")])
    }

    #[test]
    fn what_was_learnt_is_known_until_it_is_forgotten_and_for_ever_once_it_is_saved() {
        let folder = Folder::new();
        let store = || NameStore::new(folder.path().join("names.json"), folder.path().join("none"));
        let first = store();
        drop(first.learn(KnownNames::from([
            ("a.example".to_owned(), answer("192.0.2.1")),
            ("b.example".to_owned(), answer("192.0.2.2")),
        ])));
        let found = first.look_up(&names(&["a.example"]));
        assert_eq!(
            found["a.example"],
            Ok(vec!["192.0.2.1".parse().expect("one")])
        );
        assert!(store().known().is_empty(), "nothing was saved");

        first.save(&names(&["a.example"])).expect("saved");

        let known = store().known();
        assert_eq!(known.keys().collect::<Vec<_>>(), ["a.example"]);
        let before = first.learn(KnownNames::from([(
            "a.example".to_owned(),
            answer("192.0.2.9"),
        )]));
        assert_ne!(first.known(), known);
        first.unlearn(before);
        assert_eq!(first.known(), known);
        first.save(&names(&[])).expect("saved");
        assert!(!folder.path().join("names.json").exists());
    }

    #[test]
    fn a_damaged_file_is_none() {
        let folder = Folder::new();
        let file = folder.path().join("names.json");
        for text in ["", "{", "[1]", "{\"a.example\": 1}", "\u{0}\u{1}"] {
            fs::write(&file, text).expect("written");
            assert!(
                NameStore::new(file.clone(), file.clone())
                    .known()
                    .is_empty(),
                "{text}"
            );
        }
        fs::remove_file(&file).expect("removed");
        fs::create_dir(&file).expect("a folder in its place");
        assert!(NameStore::new(file.clone(), file).known().is_empty());
    }
}

//! Reads a whole policy: guard.toml, then guard.d/*.toml sorted by name, with the files of its
//! sets. Reports every problem of every file at once; changes nothing.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    host_names::{HostNames, Unknown},
    mmdb::DatabaseSet,
    model::Policy,
    names::Names,
    schema,
    sets::SetTable,
};
use crate::text::{
    diagnostic::{Diagnostic, Diagnostics},
    digest::Digest,
    files::{Overlay, Purpose, Unreadable},
};

mod assemble;
mod databases;
mod hosts;
mod outline;

pub use outline::{Outline, RuleOutline};

/// Name of the main policy file.
pub const MAIN_FILE: &str = "guard.toml";
/// Name of the folder of further policy files.
pub const DROP_IN_FOLDER: &str = "guard.d";

/// Where a policy comes from.
#[derive(Clone, Debug)]
pub struct Source<'n> {
    etc: PathBuf,
    overlay: Overlay,
    names: &'n Names,
    hosts: Arc<dyn HostNames>,
}

/// A policy that can be compiled.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the files mean.
    pub policy: Policy,
    /// Contents of every set, also of those that no rule names.
    pub sets: SetTable,
    /// The names of hosts; each is one of the sets, too.
    pub host_names: BTreeSet<String>,
    /// What their author should look at.
    pub warnings: Diagnostics,
    /// Fingerprint of every file read, names and bytes.
    pub digest: u64,
    /// Every file read, policy files first, in order.
    pub files: Vec<PathBuf>,
    /// What was taken out of the databases, and addresses of names, by a name that no file has: what a copy of the
    /// policy keeps.
    pub extracts: Vec<(PathBuf, Arc<str>)>,
    /// Texts of the policy files, in order; guard.toml always comes first, empty if missing.
    pub documents: Vec<Document>,
}

/// Text of one policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The file as it was opened.
    pub path: Arc<PathBuf>,
    /// Its text.
    pub text: String,
}

/// Reads the policy below `etc` with the names of this machine.
pub fn load(etc: &Path) -> Result<Loaded, Diagnostics> {
    Source::new(etc).load()
}

/// Reads one file as a policy of its own with the names of this machine.
pub fn check(file: &Path) -> Result<Loaded, Diagnostics> {
    let folder = file.parent().unwrap_or(Path::new(""));
    Source::new(folder).check(file)
}

impl Source<'static> {
    /// The policy below `etc`, with the names of this machine.
    #[must_use]
    pub fn new(etc: &Path) -> Self {
        Self {
            etc: etc.to_path_buf(),
            overlay: Overlay::default(),
            names: Names::system(),
            hosts: Arc::new(Unknown),
        }
    }
}

impl Source<'_> {
    /// With other names of services and protocols.
    #[must_use]
    pub fn with_names(self, names: &Names) -> Source<'_> {
        Source {
            etc: self.etc,
            overlay: self.overlay,
            names,
            hosts: self.hosts,
        }
    }

    /// With somebody who knows the addresses of hosts.
    #[must_use]
    pub fn with_hosts(mut self, hosts: Arc<dyn HostNames>) -> Self {
        self.hosts = hosts;
        self
    }

    /// With texts that stand in for files.
    #[must_use]
    pub fn with_overlay(mut self, overlay: Overlay) -> Self {
        self.overlay = overlay;
        self
    }

    /// The folder of the policy.
    #[must_use]
    pub fn etc(&self) -> &Path {
        &self.etc
    }

    /// Path of the main file.
    #[must_use]
    pub fn main_file(&self) -> PathBuf {
        self.etc.join(MAIN_FILE)
    }

    /// Reads the whole policy. A missing guard.toml is an empty one.
    pub fn load(&self) -> Result<Loaded, Diagnostics> {
        let mut reading = Reading::new(self);
        reading.document(self.main_file(), Presence::Optional);
        for path in reading.drop_ins() {
            reading.document(path, Presence::Required);
        }
        reading.finish()
    }

    /// Reads one file as a policy of its own.
    pub fn check(&self, file: &Path) -> Result<Loaded, Diagnostics> {
        let mut reading = Reading::new(self);
        reading.document(file.to_path_buf(), Presence::Required);
        reading.finish()
    }
}

/// Must the file exist?
#[derive(Clone, Copy)]
enum Presence {
    Required,
    Optional,
}

/// A policy being read.
struct Reading<'s> {
    source: &'s Source<'s>,
    problems: Diagnostics,
    digest: Digest,
    files: Vec<PathBuf>,
    databases: Vec<DatabaseSet>,
    extracts: Vec<(PathBuf, Arc<str>)>,
    documents: Vec<Document>,
    drafts: Vec<(Arc<PathBuf>, schema::PolicyDraft)>,
    /// A policy file could not be read: what it defines is not "unknown".
    is_incomplete: bool,
}

impl<'s> Reading<'s> {
    fn new(source: &'s Source<'s>) -> Self {
        Self {
            source,
            problems: Diagnostics::default(),
            digest: Digest::new(),
            files: Vec::new(),
            databases: Vec::new(),
            extracts: Vec::new(),
            documents: Vec::new(),
            drafts: Vec::new(),
            is_incomplete: false,
        }
    }

    /// Reads one policy file.
    fn document(&mut self, path: PathBuf, presence: Presence) {
        let file = Arc::new(path);
        let text = match (self.read(&file, Purpose::Policy), presence) {
            (Ok(Some(bytes)), _) => self.utf8(&file, bytes),
            (Ok(None), Presence::Optional) => Some(String::new()),
            (Ok(None), Presence::Required) => {
                self.file_error(&file, "does not exist".to_owned());
                None
            }
            (Err(problem), _) => {
                self.file_error(&file, problem.to_string());
                None
            }
        };
        let draft = text
            .as_deref()
            .and_then(|text| schema::read(&file, text, self.source.names, &mut self.problems));
        match draft {
            Some(draft) => self.drafts.push((file.clone(), draft)),
            None => self.is_incomplete = true,
        }
        let text = text.unwrap_or_default();
        self.documents.push(Document { path: file, text });
    }

    /// The policy files of guard.d, sorted; hidden files are somebody's drafts.
    fn drop_ins(&mut self) -> Vec<PathBuf> {
        let folder = self.source.etc.join(DROP_IN_FOLDER);
        let is_policy = |path: &Path| {
            let is_hidden = path
                .file_name()
                .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            !is_hidden
                && path
                    .extension()
                    .is_some_and(|extension| extension == "toml")
        };
        let mut paths: Vec<PathBuf> = self
            .source
            .overlay
            .paths()
            .filter(|path| path.parent() == Some(folder.as_path()))
            .cloned()
            .collect();
        match list(&folder) {
            Ok(found) => paths.extend(found),
            Err(error) => {
                self.file_error(&Arc::new(folder), format!("cannot be listed: {error}"));
                self.is_incomplete = true;
            }
        }
        paths.retain(|path| is_policy(path) && !self.source.overlay.hides(path));
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    /// Reads a file and takes note of it for the digest.
    fn read(&mut self, path: &Path, purpose: Purpose) -> Result<Option<Vec<u8>>, Unreadable> {
        let read = self.source.overlay.read(path, purpose);
        if let Ok(Some(bytes)) = &read {
            let name = path.strip_prefix(&self.source.etc).unwrap_or(path);
            self.digest.add(name.as_os_str().as_encoded_bytes());
            self.digest.add(bytes);
            self.files.push(path.to_path_buf());
        }
        read
    }

    fn utf8(&mut self, file: &Arc<PathBuf>, bytes: Vec<u8>) -> Option<String> {
        match String::from_utf8(bytes) {
            Ok(text) => Some(text),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
                let at = crate::text::diagnostic::LineIndex::new(&before).position(valid);
                let problem = Diagnostic::error(
                    file.clone(),
                    Some(at),
                    "the file is not UTF-8 text".to_owned(),
                );
                let help = "save it as UTF-8; if it was cut off while it was written, restore it";
                self.problems.push(problem.with_help(Some(help.to_owned())));
                None
            }
        }
    }

    fn file_error(&mut self, file: &Arc<PathBuf>, problem: String) {
        self.problems
            .push(Diagnostic::error(file.clone(), None, problem));
    }
}

/// Files of a folder; none when there is no such folder.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;

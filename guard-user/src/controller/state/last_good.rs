//! What must survive a reboot beside the policy files: that guard was on, and the texts of the
//! last policy that was in force, for the day on which the files are broken.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::policy_files::stage_failure;
use crate::{
    controller::{Controller, bad_configuration},
    failure::{Exit, Failure, from_io},
    layout::Layout,
    ruleset::source::{Loaded, Source},
    state_file,
    text::{Overlay, staged::write_state},
};

/// A copy of the policy files.
#[derive(Debug, Serialize, Deserialize)]
struct LastGood {
    /// As the kernel's image names it.
    digest: u64,
    files: Vec<SavedFile>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedFile {
    /// Below the folder of the policy, or absolute.
    path: String,
    text: String,
    /// Is it what was taken out of a database, or the addresses of a name, and no file?
    #[serde(default, skip_serializing_if = "is_not")]
    is_extract: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_not(flag: &bool) -> bool {
    !flag
}

impl Controller {
    /// Keeps what must survive a reboot of a policy that is in force and confirmed.
    ///
    /// # Errors
    /// When the state folder is not writable.
    pub(in crate::controller) fn remember_for_boot(&self, loaded: &Loaded) -> Result<(), Failure> {
        mark_enabled(&self.layout)?;
        save_last_good(&self.layout, loaded)
    }
}

/// Was guard turned on and not off since?
#[must_use]
pub(crate) fn is_enabled(layout: &Layout) -> bool {
    // Whatever has become of it: a link to nothing is no command to be off.
    layout.enabled().symlink_metadata().is_ok()
}

/// Remembers that guard is on.
///
/// # Errors
/// When the state folder is not writable.
pub(crate) fn mark_enabled(layout: &Layout) -> Result<(), Failure> {
    if is_enabled(layout) {
        return Ok(());
    }
    write(
        &layout.enabled(),
        "guardctl load attaches guard after a reboot\n",
    )
}

/// Remembers that guard is off.
///
/// # Errors
/// When the state folder is not writable.
pub(crate) fn mark_disabled(layout: &Layout) -> Result<(), Failure> {
    let path = layout.enabled();
    state_file::remove(&path).map_err(|error| from_io(path.display(), &error))
}

/// Keeps the texts of a policy that is in force and confirmed. Does nothing when they are kept
/// already.
///
/// # Errors
/// When the state folder is not writable, or a file cannot be read any more.
pub(crate) fn save_last_good(layout: &Layout, loaded: &Loaded) -> Result<(), Failure> {
    if read(layout).is_some_and(|saved| saved.digest == loaded.digest) {
        return Ok(());
    }
    let saved = LastGood {
        digest: loaded.digest,
        files: saved_files(layout, loaded)?,
    };
    let text = serde_json::to_string(&saved)
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    write(&layout.last_good(), &text)
}

/// What is kept of a policy.
fn saved_files(layout: &Layout, loaded: &Loaded) -> Result<Vec<SavedFile>, Failure> {
    let mut files = Vec::new();
    let name = |path: &Path| {
        let below = path.strip_prefix(&layout.etc).unwrap_or(path);
        below.to_string_lossy().into_owned()
    };
    let is_database = |path: &Path| {
        let mut sets = loaded.policy.databases.iter();
        sets.any(|set| layout.etc.join(&set.file) == *path)
    };
    for path in loaded.files.iter().filter(|path| !is_database(path)) {
        let document = loaded.documents.iter().find(|known| *known.path == *path);
        let text = match document {
            Some(document) => document.text.clone(),
            // The file of a set.
            None => state_file::read_text(path).map_err(|error| from_io(path.display(), &error))?,
        };
        files.push(SavedFile {
            path: name(path),
            text,
            is_extract: false,
        });
    }
    files.extend(loaded.extracts.iter().map(|(path, text)| SavedFile {
        path: name(path),
        text: text.to_string(),
        is_extract: true,
    }));
    Ok(files)
}

/// The last policy that was in force; `None` when none is kept.
///
/// # Errors
/// Exit 5 when what is kept does not load either.
pub(in crate::controller) fn last_good(layout: &Layout) -> Result<Option<Loaded>, Failure> {
    let Some(saved) = read(layout) else {
        return Ok(None);
    };
    // A folder that does not exist: nothing beside the saved texts is read.
    let root = layout.state.join("last-good");
    let mut overlay = Overlay::default();
    for file in saved.files {
        // An absolute path stays one.
        overlay.insert(root.join(file.path), file.text);
    }
    let loaded = Source::new(&root).with_overlay(overlay).load();
    loaded.map(Some).map_err(bad_configuration)
}

/// A file of the last policy in force that is gone or has lost its text, as one does whose blocks were never written
/// before the power went. `None` also when nothing is kept, or when the files are what was in force.
#[must_use]
pub(in crate::controller) fn lost_file(layout: &Layout, files: &Loaded) -> Option<PathBuf> {
    let saved = read(layout).filter(|saved| saved.digest != files.digest)?;
    let is_blank = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_whitespace);
    let with_text = saved
        .files
        .iter()
        .filter(|file| !file.is_extract && !is_blank(file.text.as_bytes()));
    // An absolute path stays one.
    let mut paths = with_text.map(|file| layout.etc.join(&file.path));
    paths.find(|path| match state_file::read(path) {
        Ok(bytes) => is_blank(&bytes),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    })
}

/// Do these files differ from the policy in force, of this digest, in nothing but what databases hold and names resolve to?
#[must_use]
pub(in crate::controller) fn differs_in_extracts_alone(
    layout: &Layout,
    loaded: &Loaded,
    in_force: u64,
) -> bool {
    let Some(saved) = read(layout).filter(|saved| saved.digest == in_force) else {
        return false;
    };
    let Ok(now) = saved_files(layout, loaded) else {
        return false;
    };
    texts(&saved.files) == texts(&now)
}

/// Files and their texts, without what was taken out of databases and the addresses of names.
fn texts(files: &[SavedFile]) -> BTreeMap<&str, &str> {
    files
        .iter()
        .filter(|file| !file.is_extract)
        .map(|file| (file.path.as_str(), file.text.as_str()))
        .collect()
}

fn read(layout: &Layout) -> Option<LastGood> {
    serde_json::from_slice(&state_file::read(&layout.last_good()).ok()?).ok()
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    write_state(path, text).map_err(|error| stage_failure(&error))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        controller::RuleView,
        ruleset::{mmdb::written::Database, source, testing::Folder},
    };

    const POLICY: &str = "[sets]\noffice = { file = \"office.txt\" }\n\n[[rule]]\naction = \
                          \"allow\"\nport = 22\nfrom = \"@office\"\n";

    fn layout(folder: &Folder) -> Layout {
        let at = |name: &str| folder.path().join(name);
        Layout {
            etc: at("etc"),
            state: at("state"),
            run: at("run"),
            bpffs: at("bpf"),
            units: at("units"),
            version: guard_common::abi::ABI_VERSION,
        }
    }

    fn write_policy(layout: &Layout, text: &str) {
        fs::create_dir_all(layout.etc.join("guard.d")).expect("a folder");
        fs::write(layout.etc.join("guard.toml"), text).expect("the policy");
        fs::write(layout.etc.join("office.txt"), "203.0.113.0/24\n").expect("a set");
    }

    #[test]
    fn the_last_policy_is_the_same_after_its_files_are_broken() {
        let folder = Folder::new();
        let layout = layout(&folder);
        write_policy(&layout, POLICY);
        let loaded = source::load(&layout.etc).expect("a policy");
        save_last_good(&layout, &loaded).expect("saved");

        fs::write(layout.etc.join("guard.toml"), "action = ").expect("broken");
        fs::write(layout.etc.join("office.txt"), "no address").expect("broken");
        fs::write(layout.etc.join("guard.d/more.toml"), "x").expect("broken");

        let kept = last_good(&layout).expect("loads").expect("is there");
        assert_eq!(kept.digest, loaded.digest);
        assert_eq!(RuleView::all(&kept.policy), RuleView::all(&loaded.policy));
        assert_eq!(kept.sets, loaded.sets);
    }

    /// What a rule denies must not become empty because a file is gone.
    #[test]
    fn the_last_policy_has_its_prefixes_without_the_database() {
        const OF_A_COUNTRY: &str = "[sets]\nde = { mmdb = \"geo.mmdb\", country = \"DE\" }\n\n[[rule]]\naction = \
                                    \"deny\"\nfrom = \"@de\"\n";
        let folder = Folder::new();
        let layout = layout(&folder);
        write_policy(&layout, OF_A_COUNTRY);
        let database = Database::new("GeoLite2-Country").country("192.0.2.0/24", "DE", "EU");
        fs::write(layout.etc.join("geo.mmdb"), database.bytes()).expect("a database");
        let loaded = source::load(&layout.etc).expect("a policy");
        save_last_good(&layout, &loaded).expect("saved");

        let newer = database.clone().country("198.51.100.0/24", "DE", "EU");
        fs::write(layout.etc.join("geo.mmdb"), newer.bytes()).expect("a database");
        let changed = source::load(&layout.etc).expect("a policy");
        assert!(lost_file(&layout, &changed).is_none());
        assert!(differs_in_extracts_alone(&layout, &changed, loaded.digest));
        fs::write(layout.etc.join("guard.d/1.toml"), "never = \"192.0.2.1\"\n").expect("a file");
        let edited = source::load(&layout.etc).expect("a policy");
        assert!(!differs_in_extracts_alone(&layout, &edited, loaded.digest));
        assert!(!differs_in_extracts_alone(
            &layout,
            &changed,
            changed.digest
        ));

        fs::remove_file(layout.etc.join("geo.mmdb")).expect("removed");
        let kept = last_good(&layout).expect("loads").expect("is there");
        assert_eq!(kept.digest, loaded.digest);
        assert_eq!(
            (kept.sets, kept.policy.databases),
            (loaded.sets, loaded.policy.databases)
        );
    }

    #[test]
    fn nothing_kept_is_no_policy_rather_than_an_empty_one() {
        let folder = Folder::new();
        let layout = layout(&folder);
        assert!(last_good(&layout).expect("no failure").is_none());

        fs::create_dir_all(&layout.state).expect("a folder");
        fs::write(layout.last_good(), "{\"digest\": 1, \"files\"").expect("half a file");

        assert!(last_good(&layout).expect("no failure").is_none());
    }

    #[test]
    fn being_on_is_remembered_until_it_is_off() {
        let folder = Folder::new();
        let layout = layout(&folder);
        assert!(!is_enabled(&layout));
        for _ in 0..2 {
            mark_enabled(&layout).expect("on");
            assert!(is_enabled(&layout));
        }
        for _ in 0..2 {
            mark_disabled(&layout).expect("off");
            assert!(!is_enabled(&layout));
        }
    }
}

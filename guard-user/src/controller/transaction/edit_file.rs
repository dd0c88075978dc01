//! `edit`: a file of the operator as a whole, from the text that he has edited elsewhere.

use std::{fmt, path::Path, path::PathBuf};

use nix::unistd::{AccessFlags, access};
use similar::TextDiff;

use super::replace_policy::{Act, Replacement};
use crate::{
    controller::{
        Changed, Consent, Controller, RuleChanges, RuleView, bad_configuration,
        state::policy_files::{FileChange, stage_failure},
    },
    dataplane::pins,
    failure::{Exit, Failure},
    jails::{self, FOLDER as JAILS},
    ruleset::source::{DROP_IN_FOLDER, Loaded, MAIN_FILE},
    text::{
        files::{Overlay, Purpose},
        staged::Staged,
    },
};

/// A file that may be edited, and its text when the editing began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditableFile {
    /// Where it is.
    pub path: PathBuf,
    /// `guard.toml`, `guard.d/NAME.toml` or `jails.d/NAME.toml`.
    pub name: String,
    /// What stood in it; empty when there is none yet.
    pub text: String,
    is_there: bool,
    is_of_jails: bool,
}

/// What another text of a file would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextChange {
    /// Unified difference of the texts.
    pub text: String,
    /// How the rules differ from those in force; `None` for jails.
    pub rules: Option<RuleChanges>,
}

impl fmt::Display for TextChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was not TOML before may have had anything in it.
        let is_shown = |letter: &char| !letter.is_control() || matches!(letter, '\n' | '\t');
        f.write_str(&self.text.chars().filter(is_shown).collect::<String>())?;
        let Some(rules) = &self.rules else {
            return Ok(());
        };
        writeln!(f, "rules: {rules}")?;
        for rule in &rules.removed {
            writeln!(f, "- {rule}")?;
        }
        for rule in &rules.added {
            writeln!(f, "+ {rule}")?;
        }
        Ok(())
    }
}

impl Controller {
    /// The file that an operator names, guard.toml if none; it need not exist yet.
    ///
    /// # Errors
    /// Exit 6 for what is no file of guard, 5 for one that cannot be edited, 4 when it could not be saved.
    pub fn editable(&self, file: Option<&Path>) -> Result<EditableFile, Failure> {
        let name = self.name_below(file.unwrap_or(Path::new(MAIN_FILE)))?;
        let path = self.layout.etc.join(&name);
        let wrong = |what: String| {
            Failure::new(
                Exit::BadConfiguration,
                format!("{}: {what}", path.display()),
            )
        };
        let forbidden = || {
            Failure::new(
                Exit::NotPermitted,
                format!("{}: permission denied", path.display()),
            )
            .help("run the command as root")
        };
        // What could not be saved shall not be edited first.
        let folder = path.parent().filter(|folder| folder.exists());
        if access(folder.unwrap_or(&self.layout.etc), AccessFlags::W_OK).is_err() {
            return Err(forbidden());
        }
        let read = Overlay::default().read(&path, Purpose::Policy);
        let bytes = read.map_err(|unreadable| wrong(unreadable.to_string()))?;
        let is_there = bytes.is_some();
        let text = String::from_utf8(bytes.unwrap_or_default())
            .map_err(|_| wrong("the file is not UTF-8 text".to_owned()))?;
        Ok(EditableFile {
            is_of_jails: name.starts_with(&format!("{JAILS}/")),
            path,
            name,
            text,
            is_there,
        })
    }

    /// What the file would change with this text.
    ///
    /// # Errors
    /// Exit 5 with every mistake.
    pub fn check_text(&self, file: &EditableFile, text: &str) -> Result<TextChange, Failure> {
        let difference = TextDiff::from_lines(&file.text, text)
            .unified_diff()
            .header(&format!("a/{}", file.name), &format!("b/{}", file.name))
            .to_string();
        if file.is_of_jails {
            self.check_jails_with(file, text)?;
            return Ok(TextChange {
                text: difference,
                rules: None,
            });
        }
        let loaded = self.load_with(file, text)?;
        let before = self.rules_before()?.unwrap_or_default();
        Ok(TextChange {
            text: difference,
            rules: Some(RuleChanges::between(
                &before,
                &RuleView::all(&loaded.policy),
            )),
        })
    }

    /// Gives the file this text and puts it in force.
    ///
    /// # Errors
    /// Exit 1 when somebody else has changed the file meanwhile; otherwise as [`Controller::reload`].
    pub fn put_text(
        &self,
        file: &EditableFile,
        text: &str,
        consent: Consent,
    ) -> Result<Changed, Failure> {
        let lock = if file.is_of_jails {
            None
        } else {
            self.begin(consent)?
        };
        let now = Overlay::default().read(&file.path, Purpose::Policy);
        let before = file.is_there.then(|| file.text.clone().into_bytes());
        if now.ok() != Some(before) {
            return Err(Failure::new(
                Exit::Failed,
                format!(
                    "{}: somebody else has changed it meanwhile",
                    file.path.display()
                ),
            )
            .help("compare the two; nothing was changed by this command"));
        }
        if file.is_of_jails {
            return self.put_jails(file, text, consent);
        }
        let loaded = self.load_with(file, text)?;
        let checked = self.check_policy(&loaded, consent)?;
        let before = self.rules_before()?;
        let change = FileChange::new(file.path.clone(), Some(text.to_owned()))?;
        let replacement = Replacement {
            loaded: &loaded,
            changes: vec![change],
            checked,
            before,
            act: Act::Apply,
            name: file.name.clone(),
        };
        let changed = self.replace_policy(replacement, consent);
        drop(lock);
        changed
    }

    fn put_jails(
        &self,
        file: &EditableFile,
        text: &str,
        consent: Consent,
    ) -> Result<Changed, Failure> {
        self.check_jails_with(file, text)?;
        let mut warnings = Vec::new();
        let did = if consent.dry_run {
            "would change"
        } else {
            "changed"
        };
        if !consent.dry_run {
            Staged::write(&file.path, text)
                .and_then(Staged::commit)
                .map_err(|error| stage_failure(&error))?;
            if !self.reload_jails()? {
                warnings.push(
                    "no daemon is running: it takes effect when one does (`systemctl start guard`)"
                        .to_owned(),
                );
            }
        }
        Ok(Changed {
            changed: true,
            message: format!("{did} {}", file.name),
            rule: None,
            generation: None,
            warnings,
            dry_run: consent.dry_run,
            difference: None,
            pending: None,
        })
    }

    /// `guard.toml`, `guard.d/NAME.toml` or `jails.d/NAME.toml`, however it was named.
    fn name_below(&self, file: &Path) -> Result<String, Failure> {
        let etc = &self.layout.etc;
        let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let below = absolute.strip_prefix(etc).unwrap_or(file);
        let parts: Option<Vec<&str>> = below.iter().map(|part| part.to_str()).collect();
        let is_file = |name: &str| name.ends_with(".toml") && !name.starts_with('.');
        let name = parts.and_then(|parts| match parts.as_slice() {
            [MAIN_FILE] => Some(MAIN_FILE.to_owned()),
            [folder @ (DROP_IN_FOLDER | JAILS), name] if is_file(name) => {
                Some(format!("{folder}/{name}"))
            }
            _ => None,
        });
        name.ok_or_else(|| {
            Failure::new(
                Exit::NotFound,
                format!("{} is no file of guard's policy or jails", file.display()),
            )
            .help(format!(
                "name guard.toml, guard.d/NAME.toml or jails.d/NAME.toml below {}; `guardctl check FILE` and `guardctl apply FILE` take others",
                etc.display()
            ))
        })
    }

    fn load_with(&self, file: &EditableFile, text: &str) -> Result<Loaded, Failure> {
        let mut overlay = Overlay::default();
        overlay.insert(file.path.clone(), text.to_owned());
        let source = self.source().with_overlay(overlay);
        source.load().map_err(bad_configuration)
    }

    fn check_jails_with(&self, file: &EditableFile, text: &str) -> Result<(), Failure> {
        let mut overlay = Overlay::default();
        overlay.insert(file.path.clone(), text.to_owned());
        let found = jails::configured_through(&self.layout, &overlay);
        let mut wrong = found.problems.to_string().trim_end().to_owned();
        if found.problems.error_count() == 0 {
            wrong.clear();
        }
        for settings in found.jails.values().filter(|jail| jail.is_enabled) {
            if let Err(problem) = jails::check(&self.layout, settings) {
                wrong += &format!("\njail {}: {}", settings.name, problem.failure());
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Failure::new(
            Exit::BadConfiguration,
            wrong.trim_start().to_owned(),
        ))
    }

    /// The rules in force, or those of the files where guard is off.
    fn rules_before(&self) -> Result<Option<Vec<RuleView>>, Failure> {
        Ok(match pins::open(&self.layout)? {
            Some(running) => self.rules_in_force(&running),
            None => self.load().ok().map(|loaded| RuleView::all(&loaded.policy)),
        })
    }
}

//! Jails as commands see them: what their files say, and changing it.

use std::{fs, path::PathBuf};

use crate::{
    control::{Request, Response, client, unexpected},
    controller::{Controller, state::policy_files::stage_failure},
    failure::{Exit, Failure, from_io},
    jails::{self, FOLDER, Jails, Settings, edit, files_in},
    text::{diagnostic::Diagnostics, files::Overlay, staged::Staged},
};

/// How a new file begins: editors know its keys by this.
const FIRST_LINE: &str = "#:schema file:///usr/share/guard/jails.schema.json\n";

/// What a change of a jail came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JailChanged {
    /// The file that says it.
    pub file: PathBuf,
    /// Did the text change at all?
    pub has_changed: bool,
    /// Does a daemon act on it?
    pub is_taken: bool,
}

impl Controller {
    /// The jails of this host, and what is wrong with their files.
    #[must_use]
    pub fn jails(&self) -> Jails {
        jails::configured(&self.layout)
    }

    /// One jail.
    ///
    /// # Errors
    /// Exit 6 when there is none of that name, 5 when its settings are wrong.
    pub fn jail(&self, name: &str) -> Result<Settings, Failure> {
        let mut jails = self.jails();
        if let Some(settings) = jails.jails.remove(name) {
            return Ok(settings);
        }
        if jails.broken.contains(name) {
            return Err(wrong(&jails.problems));
        }
        let known: Vec<&str> = jails.jails.keys().map(String::as_str).collect();
        let failure = Failure::new(Exit::NotFound, format!("there is no jail {name}"));
        Err(if known.is_empty() {
            failure.help(format!("`guardctl jail enable {name}` makes one"))
        } else {
            failure.help(format!("there are {}", known.join(", ")))
        })
    }

    /// Changes one setting of a jail, in the file that has the jail or in one of its own, and has the
    /// daemon take it. Nothing changes if the jail would be wrong.
    ///
    /// # Errors
    /// Exit 5 with what would be wrong, 12 when the daemon does not answer.
    pub fn set_jail(
        &self,
        name: &str,
        key: &str,
        words: &[String],
        dry_run: bool,
    ) -> Result<JailChanged, Failure> {
        let folder = self.layout.etc.join(FOLDER);
        let files = files_in(&folder).map_err(|error| from_io(folder.display(), &error))?;
        let mut found = None;
        for file in files {
            let text =
                fs::read_to_string(&file).map_err(|error| from_io(file.display(), &error))?;
            if edit::has(&text, name) {
                found = Some((file, text));
                break;
            }
        }
        let own = || (folder.join(format!("{name}.toml")), FIRST_LINE.to_owned());
        let (file, before) = match found {
            Some(found) => found,
            None => {
                let (file, empty) = own();
                let text = fs::read_to_string(&file).unwrap_or(empty);
                (file, text)
            }
        };
        let after = edit::set(&before, name, key, words).map_err(|why| {
            Failure::new(Exit::BadConfiguration, format!("{}: {why}", file.display()))
                .help("fix the file first; nothing was changed")
        })?;
        let mut overlay = Overlay::default();
        overlay.insert(file.clone(), after.clone());
        let after_it = jails::configured_through(&self.layout, &overlay);
        let Some(settings) = after_it.jails.get(name) else {
            return Err(wrong(&after_it.problems).context("nothing was changed"));
        };
        if settings.is_enabled {
            jails::check(&self.layout, settings)
                .map_err(|problem| problem.failure().context("nothing was changed"))?;
        }
        let has_changed = before != after;
        if dry_run {
            return Ok(JailChanged {
                file,
                has_changed,
                is_taken: false,
            });
        }
        if has_changed {
            Staged::write(&file, &after)
                .and_then(Staged::commit)
                .map_err(|error| stage_failure(&error))?;
        }
        Ok(JailChanged {
            is_taken: self.reload_jails()?,
            file,
            has_changed,
        })
    }

    /// Has the daemon read jails and filters again; `false` when there is none.
    ///
    /// # Errors
    /// Exit 12 when it does not answer.
    pub fn reload_jails(&self) -> Result<bool, Failure> {
        match client::ask(&self.layout, Request::ReloadJails) {
            Ok(Response::Done) => Ok(true),
            Ok(other) => Err(unexpected(other)),
            Err(failure) if failure.exit == Exit::Inactive => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}

fn wrong(problems: &Diagnostics) -> Failure {
    Failure::new(
        Exit::BadConfiguration,
        problems.to_string().trim_end().to_owned(),
    )
}

//! What this host has joined: the file, changed as a whole under the lock of commands.

use std::os::unix::fs::{PermissionsExt as _, chown};

use nix::unistd::Group;

use super::super::{Controller, Lock};
use crate::{
    control::fleet::USER,
    failure::{Exit, Failure, from_io},
    fleet::FleetSettings,
    text::staged::Staged,
};

/// Only guard-fleet reads what it is joined with.
const MODE: u32 = 0o640;

impl Controller {
    /// What this host has joined.
    ///
    /// # Errors
    /// What is wrong with the file, and where.
    pub fn joined(&self) -> Result<FleetSettings, Failure> {
        FleetSettings::read(&self.layout.fleet())
    }

    /// Changes it. Without anything joined the file is removed.
    ///
    /// # Errors
    /// What `change` says, exit 5 for a file or a value that cannot be used, and what the disk says: nothing is changed.
    pub fn change_joined(
        &self,
        change: impl FnOnce(&mut FleetSettings) -> Result<(), Failure>,
    ) -> Result<FleetSettings, Failure> {
        let _lock = Lock::acquire(&self.layout)?;
        let path = self.layout.fleet();
        let mut settings = FleetSettings::read(&path)?;
        change(&mut settings)?;
        settings.check().map_err(|bad| {
            let failure = Failure::new(Exit::Usage, bad.message);
            match bad.help {
                Some(help) => failure.help(help),
                None => failure,
            }
        })?;
        if !settings.is_joined() {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(from_io(path.display(), &error));
                }
                Ok(()) | Err(_) => return Ok(settings),
            }
        }
        let text = toml::to_string(&settings)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        let text = format!(
            "# Written by `guardctl fleet` and `guardctl crowdsec`. The daemon and guard-fleet read it when it changes.\n{text}"
        );
        let staged = Staged::write(&path, &text).map_err(|error| error.failure())?;
        let restricted = staged.restrict(|file| {
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(MODE))?;
            match fleet_group() {
                Some(group) => chown(file, Some(0), Some(group)),
                None => Ok(()),
            }
        });
        restricted.map_err(|error| error.failure())?;
        staged.commit().map_err(|error| error.failure())?;
        Ok(settings)
    }
}

/// The group of guard-fleet, where the package made it.
fn fleet_group() -> Option<u32> {
    let group = Group::from_name(USER).ok().flatten()?;
    Some(group.gid.as_raw())
}

//! What commands do, with or without a daemon: load, check, compile, switch and save, under one
//! lock. Nothing here prints.

pub(crate) mod absence;
mod activate;
mod appear;
mod applied;
mod apply_file;
mod audit;
mod bans;
pub mod boot;
mod change;
mod check;
mod confirm;
mod devices;
mod diff;
mod enable;
mod explain;
mod exposed;
mod fallback;
mod fault;
mod feeds;
mod filtering;
mod floods;
mod heal;
mod history;
mod jails;
mod journal;
mod load;
mod lock;
mod lockout;
mod meanwhile;
mod plan;
mod policy_files;
mod recover;
mod reload;
mod replace_policy;
mod rollback;
mod rule_changes;
mod service;
mod status;
mod targets;

use std::{fs::OpenOptions, io::ErrorKind, os::unix::fs::OpenOptionsExt as _, path::Path};

use crate::{
    failure::{Exit, Failure, from_io},
    host::Network,
    layout::Layout,
    ruleset::{
        edit::EditError,
        source::{self, Loaded, Source},
    },
    text::diagnostic::Diagnostics,
};

pub use appear::Appeared;
pub use applied::{Applied, RuleView};
pub use audit::{Audit, Audited, World};
pub use bans::{
    Banned, Banning, FromStore, Imported, JailBan, JailFrame, JailOutcome, Lifting, List, Unban,
};
pub use change::{Changed, Delete, Edit};
pub use check::Checked;
pub use confirm::{Confirm, Confirmed, LONGEST, Pending, SHORTEST};
pub use devices::Renamed;
pub use diff::{Against, PolicyDiff};
pub use enable::{Disabled, Enabled, Enabling, Preset};
use fallback::Fallback;
pub use fault::ProgramFault;
pub use feeds::Reread;
pub use floods::{Cookies, Floods};
pub use heal::{ActivePolicy, Healing, Refresh};
pub use history::{ChangeOutcome, HistoryEntry, KEPT};
pub use jails::JailChanged;
pub use load::{Loading, PolicyOrigin};
pub use lock::Lock;
pub use lockout::AtRisk;
pub use policy_files::PolicyText;
pub use rule_changes::RuleChanges;
pub use service::{ServiceChange, ServiceStatus, SharedFile};
pub use status::{InterfaceStatus, Protection, Reverted, Status};

/// What the operator allows a command to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// Go on although it cuts sessions.
    pub force: bool,
    /// Say what would happen and change nothing.
    pub dry_run: bool,
    /// Whether the change must be confirmed to stay.
    pub confirm: Confirm,
}

/// One instance of guard, as commands see it.
#[derive(Clone, Debug)]
pub struct Controller {
    layout: Layout,
    command: String,
}

impl Controller {
    /// The instance with these folders.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self {
            layout,
            command: "guardctl".to_owned(),
        }
    }

    /// The same for one command, as it was typed: the history tells of it.
    #[must_use]
    pub fn for_command(mut self, command: String) -> Self {
        self.command = command;
        self
    }

    /// Its folders.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    fn source(&self) -> Source<'static> {
        Source::new(&self.layout.etc)
    }

    /// The policy on disk.
    ///
    /// # Errors
    /// Exit 5 with every problem of every file.
    pub fn load(&self) -> Result<Loaded, Failure> {
        source::load(&self.layout.etc).map_err(bad_configuration)
    }

    /// Interfaces, addresses and routes.
    ///
    /// # Errors
    /// When netlink does not answer.
    pub fn network(&self) -> Result<Network, Failure> {
        Network::read().map_err(|error| from_io("cannot read the network interfaces", &error))
    }
}

/// All problems of the files, one per line.
fn bad_configuration(diagnostics: Diagnostics) -> Failure {
    if let Some(file) = forbidden(&diagnostics) {
        return Failure::new(
            Exit::NotPermitted,
            format!("{}: permission denied", file.display()),
        )
        .help("run the command as root");
    }
    Failure::new(
        Exit::BadConfiguration,
        diagnostics.to_string().trim_end().to_owned(),
    )
}

/// The first policy file that this process may not read.
fn forbidden(diagnostics: &Diagnostics) -> Option<&Path> {
    diagnostics
        .errors()
        .filter(|problem| problem.position.is_none())
        .map(|problem| problem.file.as_path())
        .find(|file| {
            // Without O_NONBLOCK, opening a FIFO would wait for a writer.
            let opened = OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(file);
            opened.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
        })
}

fn edit_failure(error: &EditError) -> Failure {
    let exit = match error {
        EditError::NoSuchNumber { .. }
        | EditError::NoSuchPlace { .. }
        | EditError::NoSuchRule { .. }
        | EditError::NotNever { .. } => Exit::NotFound,
        EditError::Contradicted { .. } | EditError::Shadows { .. } | EditError::Invalid(_) => {
            Exit::BadConfiguration
        }
        EditError::Layout { .. } => Exit::Failed,
    };
    let failure = Failure::new(exit, error.to_string());
    match error.help() {
        Some(help) => failure.help(help),
        None => failure,
    }
}

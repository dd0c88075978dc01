//! What commands do, with or without a daemon: load, check, compile, switch and save, under one
//! lock. Nothing here prints.

mod bans;
mod boot;
mod query;
pub(crate) mod state;
mod transaction;
mod upkeep;

use std::{
    fs::OpenOptions, io::ErrorKind, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc,
};

use crate::{
    failure::{Exit, Failure, from_io},
    host::Network,
    layout::Layout,
    ruleset::{
        edit::EditError,
        source::{Loaded, Source},
    },
    text::diagnostic::Diagnostics,
};

// Of the data plane, what the controller takes and gives; nobody above asks the data plane itself.
pub use crate::dataplane::{
    interface::filtering::{Received, Sight, evaluate_all},
    run_time::{RunTime, RunTimes},
    spare::Spare,
    tables::{
        ceilings::SynCounts,
        counters::{ReasonCounter, ServiceCounter},
        exempt::SessionWatch,
    },
    takeover::Change as LinkChange,
    watch::{Loss, Traced},
};
pub use bans::{
    BanOutcome, BanPeek, Banned, Banning, ExcessFrame, ExcessRule, ExcessRules, ExcessiveSource,
    FleetLedger, FromStore, Imported, JailBan, JailChanged, JailFrame, Lifting, List, OriginCount,
    Received as ReceivedBans, Reread, Unban,
};
pub use boot::{
    appear::Appeared,
    enable::{Disabled, Enabled, Enabling, Preset},
    load::{Loading, PolicyOrigin},
    service::{ServiceChange, ServiceStatus, SharedFile},
};
pub use query::{
    audit::{Audit, Audited, World},
    build::EmbeddedObject,
    check::Checked,
    diff::{Against, PolicyDiff},
    doctor::{Finding, Health},
    fault::ProgramFault,
    floods::{Cookies, Floods},
    flow_table::FlowTableUse,
    port_series::{Notes, PortSample},
    reachable::Target,
    samples::{Since, TrafficSample},
    status::{InterfaceStatus, Protection, Reverted, Status},
    survey::{Service, Survey},
    traffic::{Flows, InterfaceCounter, Traffic, TrafficCounters},
    watch::{Extent, Sighting, Watch, WatchFilter},
};
pub use state::{
    applied::{Applied, Hits, RuleView},
    devices::Renamed,
    history::{ChangeOutcome, HistoryEntry, KEPT},
    host_names::{KnownName, KnownNames},
    lock::Lock,
    policy_files::PolicyText,
};
use state::{fallback::Fallback, host_names::NameStore};
pub use transaction::{
    change::Changed,
    confirm::{Confirm, Confirmed, LONGEST, Pending, SHORTEST},
    databases::Refreshed,
    edit::{Delete, Edit},
    edit_file::{EditableFile, TextChange},
    ended::Ended,
    lockout::AtRisk,
    rule_changes::RuleChanges,
};
pub use upkeep::{
    filtering::CountedFrames,
    heal::{ActivePolicy, Healing, Refresh},
};

/// What the operator allows a command to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// Go on although it cuts sessions.
    pub force: bool,
    /// Show what would happen, and change nothing.
    pub dry_run: bool,
    /// Whether the change must be confirmed to stay.
    pub confirm: Confirm,
}

/// One instance of guard, as commands see it.
#[derive(Clone, Debug)]
pub struct Controller {
    layout: Layout,
    names: Arc<NameStore>,
    /// Of jails.
    ignored: Arc<NameStore>,
    command: String,
}

impl Controller {
    /// The instance with these folders.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self {
            names: Arc::new(NameStore::new(layout.host_names(), layout.resolver())),
            ignored: Arc::new(NameStore::new(layout.ignored_names(), layout.resolver())),
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
        Source::new(&self.layout.etc).with_hosts(self.names.clone())
    }

    /// The policy on disk.
    ///
    /// # Errors
    /// Exit 5 with every problem of every file.
    pub fn load(&self) -> Result<Loaded, Failure> {
        let mut loaded = self.source().load().map_err(bad_configuration)?;
        self.warn_of_ended(&mut loaded);
        Ok(loaded)
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
        | EditError::NoSuchName { .. }
        | EditError::NoSuchPlace { .. }
        | EditError::NoSuchRule { .. }
        | EditError::NotNever { .. } => Exit::NotFound,
        EditError::Contradicted { .. }
        | EditError::Covered { .. }
        | EditError::Disabled { .. }
        | EditError::NameTaken { .. }
        | EditError::Shadows { .. }
        | EditError::Invalid(_) => Exit::BadConfiguration,
        EditError::Layout { .. } => Exit::Failed,
    };
    let failure = Failure::new(exit, error.to_string());
    match error.help() {
        Some(help) => failure.help(help),
        None => failure,
    }
}

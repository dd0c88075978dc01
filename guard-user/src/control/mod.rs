//! How commands and the daemon talk: frames of JSON over a UNIX socket. Both ends are here, and
//! neither believes the other.

pub mod client;
pub mod fleet;
mod frame;
pub mod jails;
mod peer;
pub mod server;
#[cfg(feature = "testing")]
pub mod testing;

use std::{net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure};
use fleet::{
    FleetRecord, FleetReport, FleetSummary, FleetTaken, FleetView, OwnBans, OwnMark, PolicyState,
};
pub use jails::{JailCounts, JailReport, JailsReport, SourceReport};

/// Longest frame, without its four bytes of length.
pub const MOST_BYTES: usize = 64 << 10;
/// For a request to arrive and for its answer to be taken; also how long a command waits.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Connections at a time.
pub const MOST_CLIENTS: usize = 16;
/// Members of this group may ask; only root may order.
pub const GROUP: &str = "guard";

/// What a command wants of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Are you there?
    Ping,
    /// What do you know?
    Status,
    /// Look at the interfaces now.
    Reconcile,
    /// How is it with the jails?
    Jails,
    /// Read the files of jails and filters again.
    ReloadJails,
    /// Count a failure of this source, as if a line of a log said it.
    Attempt {
        /// Name of the jail.
        jail: String,
        /// Who.
        source: IpAddr,
    },
    /// Which bans did this host make itself? Of guard-fleet.
    FleetOwn {
        /// What is known already; `None`: all.
        since: Option<OwnMark>,
        /// Where the next page of all of them begins.
        from: Option<String>,
    },
    /// What other members banned and lifted. Of guard-fleet.
    FleetRecords {
        /// At most [`fleet::MOST_RECEIVED`].
        records: Vec<FleetRecord>,
    },
    /// A policy that somebody signed for this host's group. Of guard-fleet.
    FleetPolicy {
        /// As [`crate::fleet::bundle`] seals it.
        bundle: String,
    },
    /// This host has reached its server over a new connection since that policy is in force. Of guard-fleet.
    FleetPolicyProven {
        /// Which.
        generation: u64,
    },
    /// How it is with guard-fleet. Of guard-fleet.
    FleetReport {
        /// What it says.
        report: FleetReport,
    },
    /// How it is with the fleet?
    Fleet,
    /// Take nothing of this member any more, and lift what it banned; or take its records again.
    FleetQuarantine {
        /// `GROUP/HOST`.
        member: String,
        /// Is it to end?
        is_over: bool,
    },
    /// End. Enforcement stays.
    Stop,
}

impl Request {
    /// Does it change nothing?
    #[must_use]
    pub fn only_reads(&self) -> bool {
        match self {
            Self::Ping | Self::Status | Self::Jails | Self::Fleet => true,
            Self::Reconcile
            | Self::ReloadJails
            | Self::Attempt { .. }
            | Self::FleetOwn { .. }
            | Self::FleetRecords { .. }
            | Self::FleetReport { .. }
            | Self::FleetPolicy { .. }
            | Self::FleetPolicyProven { .. }
            | Self::FleetQuarantine { .. }
            | Self::Stop => false,
        }
    }

    /// Is it what guard-fleet may ask, which is nobody's else but root's?
    #[must_use]
    pub fn is_of_fleet(&self) -> bool {
        match self {
            Self::FleetOwn { .. }
            | Self::FleetRecords { .. }
            | Self::FleetReport { .. }
            | Self::FleetPolicy { .. }
            | Self::FleetPolicyProven { .. } => true,
            Self::Ping
            | Self::Status
            | Self::Jails
            | Self::Fleet
            | Self::Reconcile
            | Self::ReloadJails
            | Self::Attempt { .. }
            | Self::FleetQuarantine { .. }
            | Self::Stop => false,
        }
    }
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Response {
    /// I am.
    Pong {
        /// Its process.
        pid: u32,
    },
    /// What it knows.
    Status(Report),
    /// How it is with the jails.
    Jails(JailsReport),
    /// What followed from a failure, in words.
    Counted {
        /// Is the source banned now?
        banned: bool,
        /// What happened.
        message: String,
    },
    /// Bans that this host made itself.
    FleetOwn(OwnBans),
    /// What became of records.
    FleetTaken(FleetTaken),
    /// What became of a policy that somebody signed.
    FleetPolicy(PolicyState),
    /// How it is with the fleet.
    Fleet(FleetView),
    /// It is done.
    Done,
    /// It is refused or has failed.
    Failed {
        /// Exit code of the command.
        exit: u8,
        /// What and why.
        message: String,
    },
}

impl Response {
    /// A failure, as the command will report it.
    #[must_use]
    pub fn failed(exit: Exit, message: impl Into<String>) -> Self {
        Self::Failed {
            exit: exit as u8,
            message: message.into(),
        }
    }
}

/// The daemon's view. Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// When it started.
    pub since: u64,
    /// Generation in force; `None` = guard is off.
    pub generation: Option<u32>,
    /// What it keeps protected.
    pub interfaces: Vec<InterfaceReport>,
    /// What happened, oldest first; the last of it.
    pub events: Vec<Event>,
    /// Reports of dropped packets that came faster than the log of them could read.
    #[serde(default)]
    pub events_lost: u64,
    /// How it is with what other hosts ban.
    #[serde(default)]
    pub fleet: FleetSummary,
}

/// An interface that should be protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceReport {
    /// Its name.
    pub name: String,
    /// Does it run the program?
    pub protected: bool,
    /// Since when it is as it is.
    pub since: u64,
    /// Why it is unprotected.
    pub why: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: u64,
    /// How bad.
    pub level: Level,
    /// What.
    pub message: String,
}

/// How bad an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Something is unprotected or does not work.
    Error,
    /// Somebody should look at it.
    Warning,
    /// All is well.
    Info,
}

impl Level {
    /// Word for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// The failure in an answer that is not the one that was asked for.
pub(crate) fn unexpected(response: Response) -> Failure {
    match response {
        Response::Failed { exit, message } => Failure::new(
            match exit {
                4 => Exit::NotPermitted,
                6 => Exit::NotFound,
                7 => Exit::Refused,
                _ => Exit::Failed,
            },
            format!("the daemon: {message}"),
        ),
        Response::Pong { .. }
        | Response::Status(_)
        | Response::Jails(_)
        | Response::Counted { .. }
        | Response::FleetOwn(_)
        | Response::FleetTaken(_)
        | Response::FleetPolicy(_)
        | Response::Fleet(_)
        | Response::Done => Failure::new(
            Exit::NoAnswer,
            "the daemon's answer does not match the question",
        )
        .help("is it another version? `systemctl restart guard`"),
    }
}

//! Why a tc program cannot be put on an interface in one of the two ways.

use std::io;

use aya::{
    pin::PinError,
    programs::{ProgramError, links::LinkError, tc::TcError},
};

use super::refusal::describe;

/// What is in the way.
#[derive(Debug, thiserror::Error)]
pub(in crate::dataplane) enum TcRefusal {
    /// The older way is to be tried on a kernel that has both.
    #[error("GUARD_TC=clsact")]
    NotWanted,
    /// The kernel takes the program not, or not there.
    #[error("{}", describe(.0))]
    Program(#[from] ProgramError),
    /// The same as a filter of a qdisc, which could not be made either.
    #[error("{}; {qdisc}", describe(.filter))]
    Qdisc {
        /// Why not the filter.
        filter: ProgramError,
        /// Why not the qdisc.
        qdisc: TcError,
    },
    /// The link is of another kind.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The link or the program cannot be pinned.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The interface is gone, or a pin of one before it stays.
    #[error(transparent)]
    Io(#[from] io::Error),
}

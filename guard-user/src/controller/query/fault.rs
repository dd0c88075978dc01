//! What can be wrong with a program that is attached.

use std::fmt;

use crate::{
    controller::Controller,
    dataplane::{
        interface::{
            attachments::Attachment,
            closed,
            detach::is_mtu_raised,
            filtering::{self, Sight},
        },
        pins,
    },
    host::Interface,
};

/// What a program that is attached does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramFault {
    /// The interface receives frames that the program does not see: nothing is filtered.
    Blind,
    /// The driver took the program at a smaller MTU, and may lose larger frames.
    MtuRaised {
        /// MTU in bytes now.
        mtu: u32,
    },
    /// A command was killed while it changed the mode: nothing comes in.
    Closed,
}

impl ProgramFault {
    /// Stable name for JSON.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Blind => "sees-no-packets",
            Self::MtuRaised { .. } => "mtu-raised",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for ProgramFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blind => f.write_str(
                "NOT FILTERED: its driver hands the program no packets (`guardctl reload` takes \
                 generic mode)",
            ),
            Self::MtuRaised { mtu } => write!(
                f,
                "LARGE FRAMES MAY BE LOST: its MTU was raised to {mtu} since (`guardctl reload` takes \
                 the mode that fits)"
            ),
            Self::Closed => f.write_str(
                "CLOSED: a command was killed while it changed the mode (`guardctl reload` opens it)",
            ),
        }
    }
}

impl Controller {
    /// What is wrong with the program on an interface. `known` is what was noted when it was put there;
    /// `is_alone`: no other interface adds to what guard counts.
    pub(in crate::controller) fn fault(
        &self,
        interface: &Interface,
        known: Option<&Attachment>,
        is_alone: bool,
    ) -> Option<ProgramFault> {
        if closed::left(&self.layout).contains(&interface.index) {
            return Some(ProgramFault::Closed);
        }
        let known = known.filter(|known| known.index == interface.index);
        if known.is_some_and(|known| known.is_blind || is_alone && self.is_blind(interface, known))
        {
            return Some(ProgramFault::Blind);
        }
        let is_raised = is_mtu_raised(interface, known.map(|known| known.mtu));
        is_raised.then_some(ProgramFault::MtuRaised { mtu: interface.mtu })
    }

    /// Has it received what was not counted, since both were last seen to agree?
    fn is_blind(&self, interface: &Interface, known: &Attachment) -> bool {
        let (Some(since), Ok(Some(running))) = (known.since, pins::open(&self.layout)) else {
            return false;
        };
        let Some(xdp) = interface.xdp else {
            return false;
        };
        let now = filtering::counts(&running, interface);
        filtering::evaluate(xdp.mode, since, now) == Sight::Blind
    }
}

//! What became of floods of open ports, port by port: SYNs answered with a cookie or above the ceiling, segments of no
//! session.

use guard_common::abi::{ceiling, peers::Mark};

use super::mapping::Mapping;

/// The meters and numbers of ports, shared with the kernel.
#[derive(Debug)]
pub struct Ceilings {
    words: Mapping,
}

/// Numbers of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SynCounts {
    /// SYNs that were answered with a cookie.
    pub answered: u64,
    /// SYNs that were above the ceiling.
    pub refused: u64,
    /// Segments that were part of no session, and above their ceiling.
    pub out_of_state: u64,
}

impl Ceilings {
    pub(in crate::dataplane) fn new(words: Mapping) -> Self {
        Self { words }
    }

    /// Numbers of a TCP port.
    #[must_use]
    pub fn port(&self, port: u16) -> SynCounts {
        SynCounts {
            answered: self.words.load(ceiling::answered(port) as usize),
            refused: self.words.load(ceiling::refused(port) as usize),
            out_of_state: self
                .words
                .load(ceiling::out_of_state_refused(port) as usize),
        }
    }

    /// Has a datagram been seen to leave from this port?
    #[must_use]
    pub fn has_answered(&self, port: u16) -> bool {
        let (at, bit) = ceiling::udp_answers(port);
        self.words.load(at as usize) & bit != 0
    }

    /// Is this peer marked at this tick?
    #[must_use]
    pub fn is_marked(&self, mark: Mark, tick: u32) -> bool {
        mark.is_in(self.words.load(mark.at as usize), tick)
    }

    /// Every port that has such numbers.
    pub fn ports(&self) -> impl Iterator<Item = (u16, SynCounts)> + '_ {
        (0..=u16::MAX)
            .map(|port| (port, self.port(port)))
            .filter(|(_, syn_counts)| *syn_counts != SynCounts::default())
    }
}

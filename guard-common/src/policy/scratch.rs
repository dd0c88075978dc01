//! What is noted of a frame while it is evaluated: memory of one CPU, because the kernel's stack is small.

use crate::packet::Packet;

/// The packet, and the one that would arrive in answer to it.
#[repr(C)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scratch {
    /// The packet of the frame.
    pub packet: Packet,
    /// What would arrive in answer to the packet that an ICMP error quotes, or to one that leaves.
    pub answer: Packet,
}

/// Which of the two.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The packet of the frame.
    Packet = 0,
    /// The answer.
    Answer = 1,
}

impl Subject {
    /// The inverse of `as u32`; for calls between BPF functions.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        if number == 0 {
            Self::Packet
        } else {
            Self::Answer
        }
    }
}

impl Scratch {
    /// This one of the two.
    #[inline(always)]
    #[must_use]
    pub fn subject(&self, subject: Subject) -> &Packet {
        match subject {
            Subject::Packet => &self.packet,
            Subject::Answer => &self.answer,
        }
    }
}

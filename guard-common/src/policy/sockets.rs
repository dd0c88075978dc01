//! What the kernel's sockets say of a packet.

/// What this host has at the port that a SYN asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerState {
    /// Nothing.
    None,
    /// A listener that takes the SYN, or a connection that it is part of.
    Ready,
    /// A listener whose queue is full.
    Full,
}

/// What the kernel's socket table says of a segment.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketState {
    /// There is nothing, or a listener that knows nothing of it.
    None = 0,
    /// A session.
    Established = 1,
    /// What is left of one, or one that this host begins.
    Vouched = 2,
    /// A handshake that this host has answered, which anybody can have forged.
    Handshake = 3,
}

impl SocketState {
    /// The inverse of `as u32`; for calls between BPF functions.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Established,
            2 => Self::Vouched,
            3 => Self::Handshake,
            _ => Self::None,
        }
    }
}

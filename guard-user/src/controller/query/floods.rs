//! What acts when an open port is flooded.

use guard_common::abi::ceiling::Ceiling;

use crate::{controller::Controller, host::syn_cookies};

/// Said where guard is turned on.
pub(in crate::controller) const COOKIES_ARE_OFF: &str = "net.ipv4.tcp_syncookies is 0: when a flood of SYNs fills the queue of a \
     listener, nobody answers it with cookies, neither guard nor the kernel (`sysctl -w net.ipv4.tcp_syncookies=1` \
     changes that at once)";

/// What acts when an open port is flooded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floods {
    /// What becomes of SYNs for a listener with a full queue.
    pub cookies: Cookies,
    /// Most new connections of a port that no listener of this host serves.
    pub ceiling: Ceiling,
    /// Most segments per port that are part of no session; none: nothing is asked.
    pub out_of_state: Ceiling,
    /// Most datagrams per port of sources without a conversation, before those of clients go first; none: all pass.
    pub udp: Ceiling,
}

/// Are SYNs for a listener with a full queue answered with cookies?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookies {
    /// They are.
    Ready,
    /// The kernel has no way; the ceiling acts on all ports.
    Unsupported,
    /// `net.ipv4.tcp_syncookies` is 0.
    TurnedOff,
}

impl Controller {
    /// What acts while guard is on.
    pub(in crate::controller) fn floods(
        &self,
        ceiling: Ceiling,
        out_of_state: Ceiling,
        udp: Ceiling,
    ) -> Floods {
        let cookies = if !self.layout.answer().exists() {
            Cookies::Unsupported
        } else if syn_cookies::are_off() {
            Cookies::TurnedOff
        } else {
            Cookies::Ready
        };
        Floods {
            cookies,
            ceiling,
            out_of_state,
            udp,
        }
    }
}

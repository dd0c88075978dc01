//! Which rule a packet is counted for.

use super::tcp;
use crate::{
    abi::{
        hit::Hit,
        reason::{Reason, Verdict},
        switch::SlotState,
    },
    packet::Packet,
};

/// The rule that a packet with this verdict is counted for: the one that let it in or dropped it, unless it is a
/// later segment of a TCP connection that it let in.
#[inline(always)]
pub(super) fn of(state: SlotState, packet: &Packet, verdict: Verdict) -> Hit {
    let is_counted = matches!(verdict.reason, Reason::RuleDeny)
        || matches!(verdict.reason, Reason::RuleAllow) && !tcp::continues_connection(packet);
    if is_counted {
        Hit::of(state, verdict.rule)
    } else {
        Hit::NONE
    }
}

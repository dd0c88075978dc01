//! XDP ingress: read, judge, count once, act.

use aya_ebpf::{bindings::xdp_action, programs::XdpContext};
use guard_common::{
    abi::explain,
    packet::PacketReader as _,
    policy::{Arrival, weigh},
};

use crate::{
    count::{self, Record},
    maps, opening,
    reader::FrameReader,
    tables::BpfTables,
};

/// What the kernel shall do with the frame. Every frame leaves through this one function and is
/// counted here once.
#[inline(always)]
pub(crate) fn judge(ctx: &XdpContext) -> u32 {
    let reader = FrameReader::arriving(ctx);
    let judgement = weigh(&reader, &BpfTables::arriving(ctx), arrival(ctx));
    if maps::explain() != 0 {
        return explain::pack(judgement.verdict);
    }
    // The verifier forgets which way led here, and follows the rest once.
    let mut record = Record::from_bits(FrameReader::forget(Record::of(&judgement).bits()));
    if !record.opening().is_none() {
        record = opening::settle(ctx, record);
    }
    // Read anew: the stack has no room for what was read before.
    count::record(record, FrameReader::arriving(ctx).frame_len());
    if record.passes() {
        xdp_action::XDP_PASS
    } else {
        xdp_action::XDP_DROP
    }
}

#[inline(always)]
fn arrival(ctx: &XdpContext) -> Arrival {
    if maps::explain() != 0 {
        return Arrival {
            ifindex: maps::explain_ifindex(),
        };
    }
    // SAFETY: the kernel hands every XDP program a valid xdp_md.
    let ifindex = unsafe { (*ctx.ctx).ingress_ifindex };
    Arrival { ifindex }
}

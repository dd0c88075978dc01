//! XDP ingress: read, judge, count once, act.

use aya_ebpf::{bindings::xdp_action, programs::XdpContext};
use guard_common::{
    abi::{explain, reason::Action, service::Service},
    packet::PacketReader as _,
    policy::Arrival,
};

use crate::{count, maps, reader::FrameReader, tables::BpfTables};

/// What the kernel shall do with the frame. Every frame leaves through this one function and is
/// counted here once.
#[inline(always)]
pub(crate) fn judge(ctx: &XdpContext) -> u32 {
    let reader = FrameReader::arriving(ctx);
    let mut judgement = guard_common::judge(&reader, &BpfTables::arriving(ctx), arrival(ctx));
    if maps::explain() != 0 {
        return explain::pack(judgement.verdict);
    }
    // The verifier forgets which way led here, and follows the counting once.
    let row = judgement.service.map_or(u32::MAX, Service::row);
    judgement.service = Service::from_row(FrameReader::forget(u64::from(row)) as u32);
    count::record(&judgement, reader.frame_len());
    match judgement.verdict.action {
        Action::Pass => xdp_action::XDP_PASS,
        Action::Drop => xdp_action::XDP_DROP,
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

//! XDP ingress: read, judge, count once, act.

use aya_ebpf::programs::XdpContext;
use guard_common::{abi::reason::Action, policy::Arrival};

use crate::{count, reader::XdpReader, tables::BpfTables};

/// What happens to the frame. Every frame leaves through this one return and is counted here once.
#[inline(always)]
pub(crate) fn judge(ctx: &XdpContext) -> Action {
    let reader = XdpReader::new(ctx);
    let judgement = guard_common::judge(&reader, &BpfTables, arrival(ctx));
    count::record(&judgement, reader.frame_len());
    judgement.verdict.action
}

#[inline(always)]
fn arrival(ctx: &XdpContext) -> Arrival {
    // SAFETY: the kernel hands every XDP program a valid xdp_md.
    let ifindex = unsafe { (*ctx.ctx).ingress_ifindex };
    Arrival { ifindex }
}

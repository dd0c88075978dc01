//! tc egress: takes note of what this host starts, and lets everything go.

use aya_ebpf::programs::TcContext;
use guard_common::policy::{Arrival, note_outgoing};

use crate::{reader::FrameReader, tables::BpfTables};

/// Takes note of a frame.
#[inline(always)]
pub(crate) fn note(ctx: &TcContext) {
    // SAFETY: the kernel hands every tc program a valid __sk_buff.
    let ifindex = unsafe { (*ctx.skb.skb).ifindex };
    let reader = FrameReader::leaving(ctx);
    note_outgoing(&reader, &BpfTables::leaving(ctx), Arrival { ifindex });
}

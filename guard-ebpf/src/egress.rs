//! tc egress: takes note of what this host starts, and lets everything go.

use aya_ebpf::{bindings::__sk_buff, programs::TcContext};
use guard_common::policy::{self, Arrival};

use crate::{count, maps, reader::FrameReader, tables::BpfTables};

/// Takes note of a frame.
#[inline(always)]
pub(crate) fn note(ctx: &TcContext) {
    let cpu = count::cpu();
    if guard_read_out(ctx.skb.skb, cpu) == 0 {
        return;
    }
    let Some(scratch) = maps::scratch_out(cpu) else {
        return;
    };
    // SAFETY: the kernel hands every tc program a valid __sk_buff.
    let ifindex = unsafe { (*ctx.skb.skb).ifindex };
    let (reader, tables) = (FrameReader::leaving(ctx), BpfTables::leaving(ctx, cpu));
    policy::note_packet(&reader, &tables, Arrival { ifindex }, scratch);
}

/// Reads the frame into the scratch. 1 if it is an IP packet.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_read_out(skb: *mut __sk_buff, cpu: u32) -> u32 {
    let ctx = TcContext::new(skb);
    let Some(scratch) = maps::scratch_out(cpu) else {
        return 0;
    };
    let reader = FrameReader::leaving(&ctx);
    if policy::read(&reader, scratch).is_some() {
        return 0;
    }
    let tables = BpfTables::leaving(&ctx, cpu);
    policy::note_question(&reader, &tables, &scratch.packet);
    1
}

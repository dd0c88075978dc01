//! The first segment of a connection that the rules let in: handed over to the program that may answer
//! it, or held to the ceiling of its port.

use aya_ebpf::{EbpfContext as _, bindings::xdp_md, programs::XdpContext};
use guard_common::policy::{self, Headroom, Opening};

use crate::{count::Record, maps, reader::FrameReader, tables::BpfTables};

const FITS: u32 = Headroom::Fits as u32;
const MONITORED: u32 = Headroom::Monitored as u32;

/// What becomes of it. Does not return when the other program takes it over, which then counts it.
#[inline(always)]
pub(crate) fn settle(ctx: &XdpContext, record: Record) -> Record {
    if maps::answers() != 0 {
        maps::hand_over(record.bits());
        // SAFETY: nothing here must be dropped. Without a program in that place, what follows does.
        unsafe { maps::PROGRAMS.tail_call(ctx, 0) };
    }
    under_ceiling(ctx, record)
}

/// Drops it if the port has too many.
#[inline(always)]
pub(crate) fn under_ceiling(ctx: &XdpContext, record: Record) -> Record {
    let opening = u32::from(record.opening().bits());
    match guard_ceiling(ctx.as_ptr().cast(), opening, u32::from(record.port())) {
        FITS => record,
        above => record.above_ceiling(above == MONITORED),
    }
}

/// [`policy::under_ceiling`], in a number.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_ceiling(ctx: *mut xdp_md, opening: u32, port: u32) -> u32 {
    let reader = FrameReader::arriving(&XdpContext::new(ctx));
    let opening = Opening::from_bits(opening as u8);
    let tables = BpfTables::without_packet();
    policy::under_ceiling(&reader, &tables, opening, port as u16) as u32
}

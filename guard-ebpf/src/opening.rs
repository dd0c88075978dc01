//! The first segment of a connection that the rules let in: handed over to the program that may answer
//! it, or held to the ceiling of its port.

use aya_ebpf::{EbpfContext as _, bindings::xdp_md, programs::XdpContext};
use guard_common::policy::{Opening, is_above_ceiling, is_monitor, is_spared, may_spare};

use crate::{count::Record, maps, reader::FrameReader, tables::BpfTables};

/// It is below the ceiling.
const FITS: u32 = 0;
/// It is above.
const ABOVE: u32 = 1;
/// It is above, but monitor mode lets it go.
const MONITORED: u32 = 2;

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

/// Drops it if the port has too many, unless its source is on the never list.
#[inline(always)]
pub(crate) fn under_ceiling(ctx: &XdpContext, record: Record) -> Record {
    let opening = u32::from(record.opening().bits());
    if may_spare(&BpfTables::without_packet()) && guard_spared(ctx.as_ptr().cast(), opening) != 0 {
        return record;
    }
    match guard_ceiling(ctx.as_ptr().cast(), opening, u32::from(record.port())) {
        FITS => record,
        above => record.above_ceiling(above == MONITORED),
    }
}

/// Is a connection to this port one too many?
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_ceiling(ctx: *mut xdp_md, opening: u32, port: u32) -> u32 {
    let reader = FrameReader::arriving(&XdpContext::new(ctx));
    let opening = Opening::from_bits(opening as u8);
    let tables = BpfTables::without_packet();
    if !is_above_ceiling(&reader, &tables, opening, port as u16) {
        FITS
    } else if is_monitor(&tables) {
        MONITORED
    } else {
        ABOVE
    }
}

/// Is the source under no ceiling?
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_spared(ctx: *mut xdp_md, opening: u32) -> u32 {
    let reader = FrameReader::arriving(&XdpContext::new(ctx));
    let opening = Opening::from_bits(opening as u8);
    u32::from(is_spared(&reader, &BpfTables::without_packet(), opening))
}

//! The first segment of a connection that the rules let in: handed over to the program that may answer
//! it, or held to the ceiling of its port.

use aya_ebpf::{EbpfContext as _, bindings::xdp_md, programs::XdpContext};
use guard_common::{
    abi::reason::Reason,
    policy::{self, Admission, Headroom},
};

use crate::{count::Record, maps, reader::FrameReader, tables::BpfTables};

/// What becomes of it. Does not return when the other program takes it over, which then counts it.
#[inline(always)]
pub(crate) fn admit(ctx: &XdpContext, cpu: u32, record: Record) -> Record {
    if record.admission().is_by_state() {
        let admission = u32::from(record.admission().bits());
        let port = u32::from(record.port());
        let above = if record.admission().is_segment() {
            guard_segment(ctx.as_ptr().cast(), cpu, admission, port)
        } else {
            guard_datagram(ctx.as_ptr().cast(), cpu, admission, port)
        };
        return match above {
            0 => record,
            above => record.above_ceiling(above),
        };
    }
    if maps::answers() != 0 && record.admission().is_answerable() {
        maps::hand_over(record.bits());
        // SAFETY: nothing here must be dropped. Without a program in that place, what follows does.
        unsafe { maps::PROGRAMS.tail_call(ctx, 0) };
    }
    under_ceiling(ctx, cpu, record)
}

/// [`policy::is_in_state`], in a number.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_segment(ctx: *mut xdp_md, cpu: u32, admission: u32, port: u32) -> u32 {
    let Some(scratch) = maps::scratch(cpu) else {
        return Headroom::Above(Reason::OutOfState).number();
    };
    let ctx = XdpContext::new(ctx);
    let (reader, tables) = (FrameReader::arriving(&ctx), BpfTables::arriving(&ctx, cpu));
    let admission = Admission::from_bits(admission as u8);
    policy::is_in_state(&reader, &tables, scratch, admission, port as u16).number()
}

/// [`policy::is_admitted`], in a number.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_datagram(ctx: *mut xdp_md, cpu: u32, admission: u32, port: u32) -> u32 {
    let Some(scratch) = maps::scratch(cpu) else {
        return Headroom::Above(Reason::UdpCeiling).number();
    };
    let admission = Admission::from_bits(admission as u8);
    let tables = BpfTables::without_packet();
    let reader = FrameReader::arriving(&XdpContext::new(ctx));
    policy::is_admitted(&reader, &tables, scratch, admission, port as u16).number()
}

/// Drops it if there are too many.
#[inline(always)]
pub(crate) fn under_ceiling(ctx: &XdpContext, cpu: u32, record: Record) -> Record {
    let admission = u32::from(record.admission().bits());
    match guard_ceiling(
        ctx.as_ptr().cast(),
        cpu,
        admission,
        u32::from(record.port()),
    ) {
        0 => record,
        above => record.above_ceiling(above),
    }
}

/// [`policy::is_under_ceiling`], in a number.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_ceiling(ctx: *mut xdp_md, cpu: u32, admission: u32, port: u32) -> u32 {
    let ctx = XdpContext::new(ctx);
    let reader = FrameReader::arriving(&ctx);
    let admission = Admission::from_bits(admission as u8).not_by_state();
    let tables = BpfTables::without_packet();
    let scratch = || maps::scratch(cpu);
    policy::is_under_ceiling(&reader, &tables, scratch, admission, port as u16).number()
}

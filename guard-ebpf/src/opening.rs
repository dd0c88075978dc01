//! The first segment of a connection that the rules let in: handed over to the program that may answer
//! it, or held to the ceiling of its port.

use aya_ebpf::{EbpfContext as _, bindings::xdp_md, programs::XdpContext};
use guard_common::{
    abi::addr::Addr,
    policy::{self, Headroom, Opening, SpentPlace},
};

use crate::{count::Record, maps, reader::FrameReader, tables::BpfTables};

/// What becomes of it. Does not return when the other program takes it over, which then counts it.
#[inline(always)]
pub(crate) fn settle(ctx: &XdpContext, cpu: u32, record: Record) -> Record {
    if maps::answers() != 0 && record.opening().is_answerable() {
        maps::hand_over(record.bits());
        // SAFETY: nothing here must be dropped. Without a program in that place, what follows does.
        unsafe { maps::PROGRAMS.tail_call(ctx, 0) };
    }
    under_ceiling(ctx, cpu, record)
}

/// Drops it if there are too many.
#[inline(always)]
pub(crate) fn under_ceiling(ctx: &XdpContext, cpu: u32, record: Record) -> Record {
    let opening = u32::from(record.opening().bits());
    match guard_ceiling(ctx.as_ptr().cast(), cpu, opening, u32::from(record.port())) {
        0 => record,
        above => record.above_ceiling(above),
    }
}

/// [`policy::is_under_ceiling`], in a number.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_ceiling(ctx: *mut xdp_md, cpu: u32, opening: u32, port: u32) -> u32 {
    let reader = FrameReader::arriving(&XdpContext::new(ctx));
    let opening = Opening::from_bits(opening as u8);
    let tables = BpfTables::without_packet();
    let Some(scratch) = maps::scratch(cpu) else {
        return Headroom::Fits.number();
    };
    policy::is_under_ceiling(&reader, &tables, scratch, opening, port as u16).number()
}

/// [`policy::is_spent`], behind a call.
#[inline(always)]
pub(crate) fn is_spent(place: SpentPlace, source: Addr) -> bool {
    let packed = u32::from(place.port) | place.flags << 16;
    guard_spent(source.hi(), source.lo(), place.base, packed, place.local) != 0
}

/// [`policy::is_prefix_spent`], likewise.
#[inline(always)]
pub(crate) fn is_prefix_spent(base: u32, prefix: u64, port: u16) -> bool {
    guard_prefix_spent(prefix, base, u32::from(port)) != 0
}

/// [`policy::is_known`], likewise.
#[inline(always)]
pub(crate) fn is_known(source: Addr) -> bool {
    guard_is_known(source.hi(), source.lo()) != 0
}

/// A prefix of which somebody has completed a handshake.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_is_known(hi: u64, lo: u64) -> u32 {
    let tables = BpfTables::without_packet();
    u32::from(policy::is_known(&tables, Addr::from_halves(hi, lo)))
}

/// A ceiling that is spent.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_spent(hi: u64, lo: u64, base: u32, packed: u32, local: u32) -> u32 {
    let place = SpentPlace {
        base,
        flags: packed >> 16,
        port: packed as u16,
        local,
    };
    let tables = BpfTables::without_packet();
    u32::from(policy::is_spent(&tables, place, Addr::from_halves(hi, lo)))
}

/// The part of a ceiling that a source prefix has.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_prefix_spent(prefix: u64, base: u32, port: u32) -> u32 {
    let tables = BpfTables::without_packet();
    u32::from(policy::is_prefix_spent(&tables, base, prefix, port as u16))
}

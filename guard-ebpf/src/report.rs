//! An object of its own, loaded only while somebody watches: writes packets that are due to a ring.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(dead_code, reason = "the reader is that of the program that filters")]

mod reader;
mod watcher;

use aya_ebpf::{
    macros::{map, xdp},
    maps::RingBuf,
    programs::XdpContext,
};
use guard_common::abi::watch::EventHeader;
use reader::FrameReader;

/// As small as can be; the loader overrides it.
#[map(name = "events")]
static EVENTS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// The most bytes of a frame, a multiple of 8.
#[unsafe(no_mangle)]
static SNAP: u32 = 128;

/// SYNs and ACKs of programs that scan or flood are no longer than this.
const SHORT: usize = 64;
/// Nor those of others than this, which have options.
const MIDDLE: usize = 128;

/// Nobody is woken: whoever watches looks some times a second.
const NO_WAKEUP: u64 = aya_ebpf::bindings::BPF_RB_NO_WAKEUP as u64;

/// Reports a packet, and returns what became of it.
#[xdp]
fn guard_report(ctx: XdpContext) -> u32 {
    let record = watcher::handed_over();
    report(&ctx, record);
    watcher::go_on(&ctx, record)
}

#[inline(always)]
fn report(ctx: &XdpContext, record: u64) {
    let Some(tally) = watcher::tally() else {
        return;
    };
    let Some(boot_ns) = watcher::is_wanted(record, tally) else {
        return;
    };
    // SAFETY: the static lives as long as the program; volatile because the loader overwrites it.
    let snap = unsafe { core::ptr::read_volatile(&raw const SNAP) } as usize;
    let reader = FrameReader::arriving(ctx);
    // The verifier wants to know the room. Three sizes of it: room that is left empty is memory that goes through the
    // caches, and a ring that is full earlier.
    let is_written = if snap > SHORT && reader.frame_len() <= SHORT as u64 {
        write(ctx, &reader, boot_ns, record, SHORT)
    } else if snap > MIDDLE && reader.frame_len() <= MIDDLE as u64 {
        write(ctx, &reader, boot_ns, record, MIDDLE)
    } else {
        write(ctx, &reader, boot_ns, record, snap)
    };
    if !is_written {
        tally.lost += 1;
    }
}

/// Writes the packet to the ring with room for so many bytes of it; `false` if the ring has none.
#[inline(always)]
fn write(ctx: &XdpContext, reader: &FrameReader, boot_ns: u64, record: u64, room: usize) -> bool {
    let Some(mut event) = EVENTS.reserve_bytes(size_of::<EventHeader>() + room, 0) else {
        return false;
    };
    let to = event.as_mut_ptr();
    // SAFETY: behind the header there are `room` bytes.
    let captured = unsafe { reader.copy(to.add(size_of::<EventHeader>()), room) };
    let (ifindex, queue) = watcher::arrival(ctx);
    let header = EventHeader {
        boot_ns,
        record,
        frame_len: reader.frame_len() as u32,
        captured: captured as u32,
        ifindex,
        queue,
    };
    // SAFETY: the ring's entries lie at multiples of 8, and this one has room for the header.
    unsafe { to.cast::<EventHeader>().write(header) };
    event.submit(NO_WAKEUP);
    true
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // The verifier refuses an endless loop, so an object that loads cannot panic.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

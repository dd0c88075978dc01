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
    let Some(mut event) = EVENTS.reserve_bytes(size_of::<EventHeader>() + snap, 0) else {
        tally.lost += 1;
        return;
    };
    let to = event.as_mut_ptr();
    let reader = FrameReader::arriving(ctx);
    // SAFETY: the room behind the header is `snap` bytes.
    let captured = unsafe { reader.copy(to.add(size_of::<EventHeader>()), snap) };
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
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // The verifier refuses an endless loop, so an object that loads cannot panic.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

//! An object of its own, loaded only while somebody traces: a line of log per packet that is due.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(dead_code, reason = "the reader is that of the program that filters")]

mod reader;
mod watcher;

use aya_ebpf::{helpers::bpf_get_smp_processor_id, macros::xdp, programs::XdpContext};
use aya_log_ebpf::info;
use guard_common::packet::PacketReader as _;
use reader::FrameReader;

const ETHER_TYPE_AT: usize = 12;

/// Logs a packet, and returns what became of it.
#[xdp]
fn guard_trace(ctx: XdpContext) -> u32 {
    let record = watcher::handed_over();
    trace(&ctx, record);
    watcher::go_on(&ctx, record)
}

#[inline(always)]
fn trace(ctx: &XdpContext, record: u64) {
    let Some(tally) = watcher::tally() else {
        return;
    };
    let Some(boot_ns) = watcher::is_wanted(record, tally) else {
        return;
    };
    // SAFETY: the helper has no preconditions.
    let cpu = unsafe { bpf_get_smp_processor_id() as u32 };
    let (ifindex, queue) = watcher::arrival(ctx);
    let reader = FrameReader::arriving(ctx);
    let len = reader.frame_len() as u32;
    // What the numbers mean is known to user space.
    match reader.read::<[u8; 2]>(ETHER_TYPE_AT) {
        Some([0x08, 0x00]) => {
            if let (Some(source), Some(destination)) =
                (reader.read::<[u8; 4]>(26), reader.read::<[u8; 4]>(30))
            {
                info!(
                    ctx,
                    "{} {} {} {} {} {} {:i} {:i}",
                    boot_ns,
                    cpu,
                    queue,
                    ifindex,
                    record,
                    len,
                    source,
                    destination
                );
                return;
            }
        }
        Some([0x86, 0xdd]) => {
            if let (Some(source), Some(destination)) =
                (reader.read::<[u8; 16]>(22), reader.read::<[u8; 16]>(38))
            {
                info!(
                    ctx,
                    "{} {} {} {} {} {} {:i} {:i}",
                    boot_ns,
                    cpu,
                    queue,
                    ifindex,
                    record,
                    len,
                    source,
                    destination
                );
                return;
            }
        }
        _ => {}
    }
    info!(
        ctx,
        "{} {} {} {} {} {}", boot_ns, cpu, queue, ifindex, record, len
    );
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // The verifier refuses an endless loop, so an object that loads cannot panic.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

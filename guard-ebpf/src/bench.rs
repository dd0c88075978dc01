//! The benchmark's object: the same evaluation as in `main`, behind a generator that draws a source
//! and a destination port for every run, so that caches do not flatter the tables.
#![no_std]
#![no_main]
#![expect(dead_code, reason = "the benchmark answers nothing")]
#![feature(asm_experimental_arch)]

mod admission;
mod count;
mod egress;
mod entries;
mod flood;
mod floor;
mod ingress;
mod maps;
#[expect(dead_code, reason = "guard-report alone copies frames")]
mod reader;
mod searches;
mod socket;
mod tables;

use aya_ebpf::{
    bindings::{tcx_action_base::TCX_NEXT, xdp_action},
    macros::{classifier, map, xdp},
    maps::{Array, ProgramArray},
    programs::{TcContext, XdpContext},
};

/// Where an untagged IPv4 packet has its source.
const SOURCE_AT: usize = 26;

/// State of the random numbers.
#[map(name = "random")]
static RANDOM: Array<u64> = Array::with_max_entries(1, 0);

/// A program that others have loaded, to run behind the generator.
#[map(name = "peer")]
static PEER: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// How many sources there are, 0 = leave the source alone.
#[unsafe(no_mangle)]
static SOURCES: u32 = 0;
/// The lowest source as a number, IPv4 only.
#[unsafe(no_mangle)]
static FIRST_SOURCE: u32 = 0;
/// Distance between two sources.
#[unsafe(no_mangle)]
static SOURCE_STEP: u32 = 0;
/// How many ports there are, 0 = leave the port alone.
#[unsafe(no_mangle)]
static PORTS: u32 = 0;
/// The lowest port.
#[unsafe(no_mangle)]
static FIRST_PORT: u32 = 0;
/// 1: source n always meets port n, as in rules that open one port to one source each.
#[unsafe(no_mangle)]
static PAIRED: u32 = 0;

macro_rules! constant {
    ($static:ident) => {
        // SAFETY: the static lives as long as the program; volatile because the loader overwrites it.
        unsafe { core::ptr::read_volatile(&raw const $static) }
    };
}

/// The floor: nothing but the verdict.
#[xdp]
fn bench_drop(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// The price of the generator alone.
#[xdp]
fn bench_generate(ctx: XdpContext) -> u32 {
    draw(&ctx);
    xdp_action::XDP_DROP
}

/// guard on generated packets.
#[xdp]
fn bench_guard(ctx: XdpContext) -> u32 {
    draw(&ctx);
    ingress::evaluate(&ctx)
}

/// guard's program for frames of other forms.
#[xdp]
fn bench_others(ctx: XdpContext) -> u32 {
    ingress::evaluate_others(&ctx)
}

/// guard on what that one hands back.
#[xdp]
fn bench_back(ctx: XdpContext) -> u32 {
    ingress::evaluate(&ctx)
}

/// What a read of memory costs here that no cache holds: one word of the table of banned addresses, by
/// the drawn source. The next draw waits for it, so nothing hides the time.
#[xdp]
fn bench_read(ctx: XdpContext) -> u32 {
    draw(&ctx);
    let start = ctx.data();
    if start + SOURCE_AT + 4 > ctx.data_end() {
        return xdp_action::XDP_ABORTED;
    }
    // SAFETY: inside the frame, checked above; any alignment.
    let source = u32::from_be_bytes(unsafe { *((start + SOURCE_AT) as *const [u8; 4]) });
    let hash = (u64::from(source).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32;
    let bucket = maps::BAN_ADDRESSES.get_ptr(hash & maps::ban_address_mask());
    // SAFETY: the first word of a live element.
    let word = bucket.map_or(0, |bucket| unsafe { bucket.cast::<u64>().read_volatile() });
    if let Some(state) = RANDOM.get_ptr_mut(0) {
        // SAFETY: a live element; the benchmark runs on one CPU.
        unsafe { *state ^= word };
    }
    xdp_action::XDP_DROP
}

/// A peer on generated packets.
#[xdp]
fn bench_peer(ctx: XdpContext) -> u32 {
    draw(&ctx);
    // SAFETY: the helper takes the context of this program and a live map.
    unsafe { PEER.tail_call(&ctx, 0) };
    // Only without a peer does the call come back.
    xdp_action::XDP_ABORTED
}

/// The floor on the way out.
#[classifier]
fn bench_tc_empty(_ctx: TcContext) -> i32 {
    TCX_NEXT
}

/// guard on the way out.
#[classifier]
fn bench_egress(ctx: TcContext) -> i32 {
    egress::note(&ctx);
    TCX_NEXT
}

/// Writes a random source and destination port into an untagged IPv4 packet without options.
#[inline(always)]
fn draw(ctx: &XdpContext) {
    const PORT_AT: usize = 36;
    let (sources, ports) = (constant!(SOURCES), constant!(PORTS));
    if sources == 0 && ports == 0 {
        return;
    }
    let Some(drawn) = drawn() else {
        return;
    };
    let start = ctx.data();
    if start + PORT_AT + 2 > ctx.data_end() {
        return;
    }
    let (source, port) = if constant!(PAIRED) == 1 {
        let both = scale(drawn >> 32, sources);
        (both, both)
    } else {
        (
            scale(drawn >> 32, sources),
            scale(drawn >> 16 & 0xffff_ffff, ports),
        )
    };
    if sources != 0 {
        let source =
            constant!(FIRST_SOURCE).wrapping_add(source.wrapping_mul(constant!(SOURCE_STEP)));
        // SAFETY: inside the frame, checked above; any alignment.
        unsafe { ((start + SOURCE_AT) as *mut [u8; 4]).write(source.to_be_bytes()) };
    }
    if ports != 0 {
        let port = (constant!(FIRST_PORT) + port) as u16;
        // SAFETY: inside the frame, checked above; any alignment.
        unsafe { ((start + PORT_AT) as *mut [u8; 2]).write(port.to_be_bytes()) };
    }
}

/// The next random number; the high bits are the better ones.
#[inline(always)]
fn drawn() -> Option<u64> {
    let state = RANDOM.get_ptr_mut(0)?;
    // SAFETY: a live element; the benchmark runs on one CPU.
    let drawn = unsafe { *state }
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695);
    // SAFETY: as above.
    unsafe { *state = drawn };
    Some(drawn)
}

/// 32 random bits to 0..bound, without a division.
#[inline(always)]
fn scale(random: u64, bound: u32) -> u32 {
    ((random & 0xffff_ffff) * u64::from(bound) >> 32) as u32
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

//! The flood of the benchmark's end-to-end part: every live frame of a test run gets a new source and
//! port with right checksums and goes out of an interface. And the yardstick: the least that drops it.

use aya_ebpf::{
    bindings::xdp_action, helpers::generated::bpf_redirect, macros::xdp, programs::XdpContext,
};

use crate::{drawn, scale};

/// The headers of every frame, in memory order. The pages of frames are used again, and a filter that answers
/// has written its answer into them.
#[unsafe(no_mangle)]
static FLOOD_HEADERS: [u64; WORDS] = [0; WORDS];
/// Interface that the flood leaves by.
#[unsafe(no_mangle)]
static FLOOD_INTERFACE: u32 = 0;
/// Ones' complement sum of the frame's IPv4 header without source and checksum.
#[unsafe(no_mangle)]
static FLOOD_HEADER_SUM: u32 = 0;
/// The same of segment or datagram and pseudo-header without source, destination port and checksum.
#[unsafe(no_mangle)]
static FLOOD_PAYLOAD_SUM: u32 = 0;
/// Where the checksum of segment or datagram is in the frame.
#[unsafe(no_mangle)]
static FLOOD_CHECKSUM_AT: u32 = 0;

/// Number of ports that it goes to.
#[unsafe(no_mangle)]
static FLOOD_PORTS: u32 = PORTS.1;

/// First source and number of sources: 16.0.0.0 upwards, none a martian.
const SOURCES: (u32, u32) = (0x1000_0000, 0x6000_0000);
/// First port and largest number of ports: nothing that a policy opens, but one may limit the first.
const PORTS: (u32, u32) = (40_000, 8192);

const HEADER_CHECKSUM_AT: usize = 24;
const SOURCE_AT: usize = 26;
const PORT_AT: usize = 36;
/// Offsets of both checksums that there are: UDP's and TCP's.
const UDP_CHECKSUM_AT: usize = 40;
const TCP_CHECKSUM_AT: usize = 50;
const LEN: usize = 54;
/// Words of the headers, and what is left of them behind the last whole one.
const WORDS: usize = LEN.div_ceil(size_of::<u64>());
const REST: usize = LEN % size_of::<u64>();

macro_rules! constant {
    ($static:ident) => {
        // SAFETY: the static lives as long as the program; volatile because the loader overwrites it.
        unsafe { core::ptr::read_volatile(&raw const $static) }
    };
}

/// One frame of the flood.
#[xdp]
fn bench_flood(ctx: XdpContext) -> u32 {
    let start = ctx.data();
    if start + LEN > ctx.data_end() {
        return xdp_action::XDP_ABORTED;
    }
    let Some(random) = drawn() else {
        return xdp_action::XDP_ABORTED;
    };
    for word in 0..WORDS - 1 {
        put(start + word * size_of::<u64>(), header(word).to_ne_bytes());
    }
    let [a, b, c, d, e, f, ..] = header(WORDS - 1).to_ne_bytes();
    let rest: [u8; REST] = [a, b, c, d, e, f];
    put(start + (WORDS - 1) * size_of::<u64>(), rest);
    let source = SOURCES.0 + scale(random >> 32, SOURCES.1);
    let port = PORTS.0 + scale(random >> 16 & 0xffff_ffff, constant!(FLOOD_PORTS));
    let source_sum = (source >> 16) + (source & 0xffff);
    let header = fold(constant!(FLOOD_HEADER_SUM) + source_sum);
    let payload = fold(constant!(FLOOD_PAYLOAD_SUM) + source_sum + port);
    put(start + SOURCE_AT, source.to_be_bytes());
    put(start + PORT_AT, (port as u16).to_be_bytes());
    put(start + HEADER_CHECKSUM_AT, header.to_be_bytes());
    let at = match constant!(FLOOD_CHECKSUM_AT) as usize {
        TCP_CHECKSUM_AT => TCP_CHECKSUM_AT,
        _ => UDP_CHECKSUM_AT,
    };
    put(start + at, payload.to_be_bytes());
    let interface = constant!(FLOOD_INTERFACE);
    // SAFETY: the helper takes two integers.
    unsafe { bpf_redirect(interface, 0) as u32 }
}

/// Drops IPv4 packets to the ports of the flood and looks at nothing else.
#[xdp]
fn bench_drop_flood(ctx: XdpContext) -> u32 {
    let start = ctx.data();
    if start + PORT_AT + 2 > ctx.data_end() {
        return xdp_action::XDP_PASS;
    }
    // SAFETY: inside the frame, checked above; any alignment.
    let port = u16::from_be_bytes(unsafe { *((start + PORT_AT) as *const [u8; 2]) });
    let is_flood = u32::from(port).wrapping_sub(PORTS.0) < PORTS.1;
    if is_flood {
        xdp_action::XDP_DROP
    } else {
        xdp_action::XDP_PASS
    }
}

#[inline(always)]
fn header(word: usize) -> u64 {
    let headers = &raw const FLOOD_HEADERS;
    // SAFETY: the callers count below `WORDS`.
    let word = unsafe { headers.cast::<u64>().add(word) };
    // SAFETY: as in `constant!`.
    unsafe { core::ptr::read_volatile(word) }
}

/// Checksum of a sum below 2^32.
#[inline(always)]
fn fold(sum: u32) -> u16 {
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    !(sum as u16)
}

#[inline(always)]
fn put<const N: usize>(at: usize, bytes: [u8; N]) {
    // SAFETY: the callers stay below `LEN`, which `bench_flood` has compared with the end of the frame.
    unsafe { (at as *mut [u8; N]).write(bytes) };
}

//! SYN cookies: a SYN for a listener whose queue is full is turned into its answer and sent back. The
//! kernel makes the cookie, and its listener recognises it in the segment that follows, so nothing
//! is remembered here. This is a program of its own, reached by a tail call, because a SYN that
//! must be answered needs more of the stack than is left behind the judgement of every packet.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        BPF_F_CURRENT_NETNS, bpf_sock, bpf_sock_tuple,
        bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 as TupleV4,
        bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2 as TupleV6, tcphdr, xdp_action, xdp_md,
    },
    helpers::generated::{
        bpf_check_mtu, bpf_sk_release, bpf_skc_lookup_tcp, bpf_tcp_gen_syncookie,
        bpf_xdp_adjust_tail,
    },
    programs::XdpContext,
};
use core::ffi::c_void;
use guard_common::{
    abi::ceiling,
    packet::{Cookie, PacketReader as _, Syn, SynAckV4, SynAckV6},
    policy::{Opening, Tables as _, is_monitor, is_spared},
};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::{
    count::{self, Record},
    maps, opening,
    reader::{FrameReader, FrameWriter},
    socket::LISTEN,
    tables::BpfTables,
};

/// No listener.
const NOBODY: u64 = 0;
/// A listener that takes the SYN, or a connection that it is part of.
const READY: u64 = 1;
/// Set beside cookie and MSS.
const FULL: u64 = 1 << 63;

/// What an Ethernet carries where the interface cannot be asked.
const USUAL_MTU: u32 = 1500;
/// The least that every host takes (RFC 9293, 3.7.1).
const LEAST_MSS: u16 = 536;

/// Headers of a SYN as they stand in its frame; `A` is an address.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
struct HeadersV4 {
    before: [u8; 12],
    addresses: [[u8; 4]; 2],
    tcp: Tcp,
}

#[repr(C)]
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
struct HeadersV6 {
    before: [u8; 8],
    addresses: [[[u8; 4]; 4]; 2],
    tcp: Tcp,
}

/// A TCP header without its options.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
struct Tcp {
    syn: Syn,
    acknowledgement: [u8; 4],
    data_offset: u8,
    rest: [u8; 7],
}

const TCP_LEN: usize = size_of::<Tcp>();
const IPV4_LEN: usize = size_of::<HeadersV4>() - TCP_LEN;
const IPV6_LEN: usize = size_of::<HeadersV6>() - TCP_LEN;
/// Words of the longest header, and of its options.
const TCP_WORDS: usize = 15;
const OPTION_WORDS: usize = TCP_WORDS - TCP_LEN / 4;

/// What becomes of a SYN that was handed over.
#[inline(always)]
pub(crate) fn answer(ctx: &XdpContext) -> u32 {
    let mut record = Record::from_bits(maps::handed_over());
    let opening = record.opening();
    let len = FrameReader::arriving(ctx).frame_len();
    let bits = u32::from(opening.bits());
    let listener = if opening.is_answerable() {
        guard_listener(ctx.as_ptr().cast(), bits)
    } else {
        NOBODY
    };
    if listener == NOBODY {
        if guard_spared(ctx.as_ptr().cast(), bits) == 0 {
            record = opening::under_ceiling(ctx, record);
        }
    } else if listener & FULL != 0 && turn_around(ctx, opening, listener) {
        BpfTables::without_packet().add_to_ceiling(ceiling::answered(record.port()), 1);
        count::record(Record::answered(), len);
        return xdp_action::XDP_TX;
    }
    count::record(record, len);
    if record.passes() {
        xdp_action::XDP_PASS
    } else {
        xdp_action::XDP_DROP
    }
}

/// Writes the answer over the SYN. `false`, and nothing is changed, if the frame cannot hold it.
#[inline(always)]
fn turn_around(ctx: &XdpContext, opening: Opening, listener: u64) -> bool {
    let at = opening.network_at();
    let reader = FrameReader::arriving(ctx);
    let cookie_mss = (listener >> 32) as u16;
    let sequence = listener as u32;
    // Shorter by options and padding, or longer than a SYN without options.
    let change = opening.answer_len() as i32 - reader.frame_len() as i32;
    if opening.is_v4() {
        let Some(syn) = reader.read::<HeadersV4>(at) else {
            return false;
        };
        let mss = mss(ctx, cookie_mss, SynAckV4::HEADERS);
        let answer = SynAckV4::new(syn.addresses, syn.tcp.syn, Cookie { sequence, mss });
        resize(ctx, change) && FrameWriter::of(ctx).turn_around(at, answer)
    } else {
        let Some(syn) = reader.read::<HeadersV6>(at) else {
            return false;
        };
        let mss = mss(ctx, cookie_mss, SynAckV6::HEADERS);
        let answer = SynAckV6::new(syn.addresses, syn.tcp.syn, Cookie { sequence, mss });
        resize(ctx, change) && FrameWriter::of(ctx).turn_around(at, answer)
    }
}

/// Moves the end of the frame. What points into it is void behind this.
#[inline(always)]
fn resize(ctx: &XdpContext, change: i32) -> bool {
    // SAFETY: the context that the kernel handed to the program.
    change == 0 || unsafe { bpf_xdp_adjust_tail(ctx.ctx, change) } == 0
}

/// The segment size to offer: what the cookie remembers of the peer's, and what the interface takes.
#[inline(always)]
fn mss(ctx: &XdpContext, cookie: u16, headers: u16) -> u16 {
    let mut mtu = 0;
    if maps::asks_mtu() != 0 {
        // SAFETY: the context of the program, and a live number; an error leaves it as it is, and
        // "too long" is no news.
        unsafe { bpf_check_mtu(ctx.as_ptr(), 0, &raw mut mtu, 0, 0) };
    }
    if mtu == 0 {
        mtu = USUAL_MTU;
    }
    let own = mtu.saturating_sub(u32::from(headers));
    let mss = if own < u32::from(cookie) {
        own as u16
    } else {
        cookie
    };
    if mss < LEAST_MSS { LEAST_MSS } else { mss }
}

/// What listens at the port that a SYN asks for: [`NOBODY`], [`READY`], or [`FULL`] with `MSS (16
/// bits) | cookie (32 bits)` at the low end.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_listener(ctx: *mut xdp_md, opening: u32) -> u64 {
    let ctx = &XdpContext::new(ctx);
    let opening = Opening::from_bits(FrameReader::forget(u64::from(opening)) as u8);
    let reader = &FrameReader::arriving(ctx);
    let at = opening.network_at();
    let found = if opening.is_v4() {
        reader.read::<HeadersV4>(at).and_then(|mut syn| {
            let mut asked = TupleV4 {
                saddr: u32::from_ne_bytes(syn.addresses[0]),
                daddr: u32::from_ne_bytes(syn.addresses[1]),
                sport: u16::from_ne_bytes(syn.tcp.syn.source_port),
                dport: u16::from_ne_bytes(syn.tcp.syn.destination_port),
            };
            let tuple = ((&raw mut asked).cast(), size_of::<TupleV4>());
            let mut tcp = whole(reader, at + IPV4_LEN, syn.tcp)?;
            Some(ask(ctx, tuple, ((&raw mut syn).cast(), IPV4_LEN), &mut tcp))
        })
    } else {
        reader.read::<HeadersV6>(at).and_then(|mut syn| {
            let mut asked = TupleV6 {
                saddr: syn.addresses[0].map(u32::from_ne_bytes),
                daddr: syn.addresses[1].map(u32::from_ne_bytes),
                sport: u16::from_ne_bytes(syn.tcp.syn.source_port),
                dport: u16::from_ne_bytes(syn.tcp.syn.destination_port),
            };
            let tuple = ((&raw mut asked).cast(), size_of::<TupleV6>());
            let mut tcp = whole(reader, at + IPV6_LEN, syn.tcp)?;
            Some(ask(ctx, tuple, ((&raw mut syn).cast(), IPV6_LEN), &mut tcp))
        })
    };
    match found {
        Some(cookie) if cookie & FULL != 0 && is_monitor(&BpfTables::without_packet()) => READY,
        Some(found) => found,
        // The whole header was seen before.
        None => READY,
    }
}

/// A whole TCP header in the memory that the helper wants it in: a length that varies cannot be told
/// of a packet.
#[repr(C)]
struct WholeTcp {
    fixed: Tcp,
    options: [[u8; 4]; OPTION_WORDS],
}

#[inline(always)]
fn whole(reader: &FrameReader, at: usize, fixed: Tcp) -> Option<WholeTcp> {
    let mut tcp = WholeTcp {
        fixed,
        options: [[0; 4]; OPTION_WORDS],
    };
    let words = usize::from(fixed.data_offset >> 4);
    for (word, option) in tcp.options.iter_mut().enumerate() {
        if TCP_LEN / 4 + word >= words {
            break;
        }
        *option = reader.read(at + TCP_LEN + word * 4)?;
    }
    Some(tcp)
}

/// Asks the kernel for a listener and, if there is one, for a cookie.
#[inline(always)]
fn ask(
    ctx: &XdpContext,
    (tuple, tuple_len): (*mut bpf_sock_tuple, usize),
    (ip, ip_len): (*mut c_void, usize),
    tcp: &mut WholeTcp,
) -> u64 {
    let netns = BPF_F_CURRENT_NETNS as i64 as u64;
    // SAFETY: the context of the program, and a whole tuple of this length on the stack.
    let socket: *mut bpf_sock =
        unsafe { bpf_skc_lookup_tcp(ctx.as_ptr(), tuple, tuple_len as u32, netns, 0) };
    if socket.is_null() {
        return NOBODY;
    }
    // SAFETY: the helper returned a socket, which lives until it is released below.
    let state = unsafe { (*socket).state };
    let mut found = READY;
    if state == LISTEN {
        let tcp_len = u32::from(tcp.fixed.data_offset >> 4 << 2);
        let header = (&raw mut *tcp).cast::<tcphdr>();
        if (TCP_LEN as u32..=TCP_WORDS as u32 * 4).contains(&tcp_len) {
            // SAFETY: headers of these lengths on the stack, and a socket that is held.
            let made =
                unsafe { bpf_tcp_gen_syncookie(socket.cast(), ip, ip_len as u32, header, tcp_len) };
            // Negative: there is room in the queue, or cookies are off.
            if made > 0 {
                found = FULL | made as u64;
            }
        }
    }
    // SAFETY: taken above and used no more.
    unsafe { bpf_sk_release(socket.cast()) };
    found
}

/// Is the source under no ceiling?
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_spared(ctx: *mut xdp_md, opening: u32) -> u32 {
    let reader = FrameReader::arriving(&XdpContext::new(ctx));
    let opening = Opening::from_bits(FrameReader::forget(u64::from(opening)) as u8);
    u32::from(is_spared(&reader, &BpfTables::without_packet(), opening))
}

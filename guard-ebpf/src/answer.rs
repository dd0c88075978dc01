//! SYN cookies: a SYN for a listener whose queue is full is turned into its answer and sent back. The
//! kernel makes the cookie, and its listener recognises it in the segment that follows, so nothing
//! is remembered here. This is a program of its own, reached by a tail call, because a SYN that
//! must be answered needs more of the stack than is left behind the evaluation of every packet.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{BPF_F_CURRENT_NETNS, bpf_sock, tcphdr, xdp_action, xdp_md},
    helpers::generated::{
        bpf_check_mtu, bpf_sk_release, bpf_skc_lookup_tcp, bpf_tcp_gen_syncookie,
        bpf_xdp_adjust_tail,
    },
    programs::XdpContext,
};
use guard_common::{
    packet::{
        Cookie, IPV4_LEN, IPV6_LEN, Ipv4, Ipv6, PacketReader as _, SynAckV4, SynAckV6, TCP_LEN, Tcp,
    },
    policy::{Admission, is_monitor, note_cookie},
};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::{
    admission,
    count::{self, Record},
    maps,
    reader::{FrameReader, FrameWriter, opaque},
    socket::LISTEN,
    tables::{BpfTables, forget},
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

/// Headers of a SYN as they stand in its frame.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
struct Headers<I> {
    ip: I,
    tcp: Tcp,
}

/// Words of 64 bits that hold the longest header.
const TCP_WORDS64: usize = 11;
/// A mask that any length of options fits, and that keeps what is read within those words.
const MOST_OPTIONS: u64 = 0x3c;

/// What becomes of a SYN that was handed over.
#[inline(always)]
pub(crate) fn answer(ctx: &XdpContext) -> u32 {
    let mut record = Record::from_bits(maps::handed_over());
    let admission = record.admission();
    let cpu = count::cpu();
    let len = FrameReader::arriving(ctx).frame_len();
    let bits = u32::from(admission.bits());
    let listener = if admission.is_answerable() {
        guard_listener(ctx.as_ptr().cast(), bits)
    } else {
        NOBODY
    };
    if listener == NOBODY {
        record = admission::under_ceiling(ctx, cpu, record);
    } else if listener & FULL != 0 && turn_around(ctx, admission, listener) {
        note_cookie(&BpfTables::without_packet(), record.port());
        let packets = count::record(Record::answered(), cpu, len);
        count::report(ctx, Record::answered(), packets);
        return xdp_action::XDP_TX;
    }
    let packets = count::record(record, cpu, len);
    count::report(ctx, record, packets);
    if record.passes() {
        xdp_action::XDP_PASS
    } else {
        xdp_action::XDP_DROP
    }
}

/// Writes the answer over the SYN. `false`, and nothing is changed, if the frame cannot hold it.
#[inline(always)]
fn turn_around(ctx: &XdpContext, admission: Admission, listener: u64) -> bool {
    let at = admission.network_at();
    let reader = FrameReader::arriving(ctx);
    let cookie_mss = (listener >> 32) as u16;
    let sequence = listener as u32;
    // Shorter by options and padding, or longer than a SYN without options.
    let change = admission.answer_len() as i32 - reader.frame_len() as i32;
    if admission.is_v4() {
        let Some(syn) = reader.read::<Headers<Ipv4>>(there(at)) else {
            return false;
        };
        let mss = mss(ctx, cookie_mss, SynAckV4::HEADERS);
        let answer = SynAckV4::new(syn.ip, syn.tcp, Cookie { sequence, mss });
        resize(ctx, change) && FrameWriter::of(ctx).turn_around(at, answer)
    } else {
        let Some(syn) = reader.read::<Headers<Ipv6>>(there(at)) else {
            return false;
        };
        let mss = mss(ctx, cookie_mss, SynAckV6::HEADERS);
        let answer = SynAckV6::new(syn.ip, syn.tcp, Cookie { sequence, mss });
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
extern "C" fn guard_listener(ctx: *mut xdp_md, admission: u32) -> u64 {
    let ctx = &XdpContext::new(ctx);
    let admission = Admission::from_bits(forget(u64::from(admission)) as u8);
    let reader = &FrameReader::arriving(ctx);
    let at = admission.network_at();
    let found = if admission.is_v4() {
        ask::<3>(ctx, reader, at, IPV4_LEN, 12)
    } else {
        ask::<6>(ctx, reader, at, IPV6_LEN, 8)
    };
    match found {
        Some(cookie) if cookie & FULL != 0 && is_monitor(&BpfTables::without_packet()) => READY,
        Some(found) => found,
        // All of it was seen before.
        None => READY,
    }
}

/// Asks the kernel for a listener and, if there is one, for a cookie. The helpers want memory, not the
/// packet: `WORDS` words hold the IP header of `ip_len` bytes and the ports behind it. Addresses
/// and ports, from `addresses` on, are in the order of a tuple.
#[inline(always)]
fn ask<const WORDS: usize>(
    ctx: &XdpContext,
    reader: &FrameReader,
    at: usize,
    ip_len: usize,
    addresses: usize,
) -> Option<u64> {
    // Whole words, because the verifier wants what is on the stack aligned.
    let mut headers = reader
        .read::<[[u8; 8]; WORDS]>(there(at))?
        .map(u64::from_ne_bytes);
    let (mut tcp, tcp_len) = whole(reader, at + ip_len)?;
    let netns = BPF_F_CURRENT_NETNS as i64 as u64;
    let ip = headers.as_mut_ptr().cast::<u8>();
    // SAFETY: inside the words above.
    let tuple = unsafe { ip.add(addresses) };
    let tuple_len = ip_len - addresses + size_of::<[u16; 2]>();
    // SAFETY: the context of the program, and a whole tuple of this length on the stack.
    let socket: *mut bpf_sock =
        unsafe { bpf_skc_lookup_tcp(ctx.as_ptr(), tuple.cast(), tuple_len as u32, netns, 0) };
    if socket.is_null() {
        return Some(NOBODY);
    }
    // SAFETY: the helper returned a socket, which lives until it is released below.
    let state = unsafe { (*socket).state };
    let mut found = READY;
    // Old verifiers forget the bounds of what lay on the stack.
    let options = opaque(tcp_len.wrapping_sub(TCP_LEN as u64)) & MOST_OPTIONS;
    if state == LISTEN {
        let header = tcp.as_mut_ptr().cast::<tcphdr>();
        // SAFETY: headers of these lengths on the stack, and a socket that is held.
        let made = unsafe {
            bpf_tcp_gen_syncookie(
                socket.cast(),
                ip.cast(),
                ip_len as u32,
                header,
                (TCP_LEN as u64 + options) as u32,
            )
        };
        // Negative: there is room in the queue, or cookies are off.
        if made > 0 {
            found = FULL | made as u64;
        }
    }
    // SAFETY: taken above and used no more.
    unsafe { bpf_sk_release(socket.cast()) };
    Some(found)
}

/// The same place. What is compared must be what is read at (see `packet::quoted`).
#[inline(always)]
fn there(at: usize) -> usize {
    forget(at as u64) as usize
}

/// A whole TCP header, and its length in bytes. (The verifier knows no length that varies of a packet.)
#[inline(always)]
fn whole(reader: &FrameReader, at: usize) -> Option<([u64; TCP_WORDS64], u64)> {
    let fixed: Tcp = reader.read(there(at))?;
    let words = usize::from(fixed.data_offset >> 4);
    if words < TCP_LEN / 4 {
        return None;
    }
    let mut tcp = [0; TCP_WORDS64];
    for (pair, word) in tcp.iter_mut().enumerate() {
        if pair * 2 + 1 < words {
            *word = u64::from_ne_bytes(reader.read(there(at + pair * 8))?);
        } else if pair * 2 < words {
            let [a, b, c, d] = reader.read::<[u8; 4]>(there(at + pair * 8))?;
            *word = u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0]);
        }
    }
    Some((tcp, words as u64 * 4))
}

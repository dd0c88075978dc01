//! The kernel's table of TCP sockets, asked on behalf of a packet.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        BPF_F_CURRENT_NETNS, bpf_sock, bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 as TupleV4,
        bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2 as TupleV6, xdp_md,
    },
    helpers::generated::{bpf_sk_release, bpf_skc_lookup_tcp, bpf_tcp_check_syncookie},
    programs::XdpContext,
};
use core::ffi::c_void;
use guard_common::{
    abi::addr::Addr,
    packet::{
        IPV4_LEN, IPV4_PLAIN, IPV6_LEN, Packet, PacketReader as _, TCP_LEN, TcpFlags, Transport,
    },
    policy::{SocketState, Subject},
};

use crate::{
    maps,
    reader::{FrameReader, opaque},
};

/// `TCP_SYN_SENT` (net/tcp_states.h).
const SYN_SENT: u32 = 2;
/// `TCP_TIME_WAIT`.
const TIME_WAIT: u32 = 6;
/// `TCP_CLOSE`.
const CLOSE: u32 = 7;
/// `TCP_LISTEN`. The helper returns listeners too, and a listener is no session.
pub(crate) const LISTEN: u32 = 10;
/// `TCP_NEW_SYN_RECV`: a SYN that was answered.
const NEW_SYN_RECV: u32 = 12;

/// What socket would a packet in the scratch arrive at? [`SocketState`] as a number.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn guard_socket(ctx: *mut xdp_md, cpu: u32, subject: u32) -> u32 {
    let Some(scratch) = maps::scratch(cpu) else {
        return SocketState::None as u32;
    };
    let ctx = XdpContext::new(ctx);
    let packet = scratch.subject(Subject::from_number(subject));
    let state = with_socket(ctx.as_ptr(), packet, |_, state| socket_state(state));
    state.unwrap_or(SocketState::None) as u32
}

/// What a socket in this state says.
#[inline(always)]
const fn socket_state(state: u32) -> SocketState {
    match state {
        LISTEN | CLOSE => SocketState::None,
        NEW_SYN_RECV => SocketState::Handshake,
        SYN_SENT | TIME_WAIT => SocketState::Vouched,
        _ => SocketState::Established,
    }
}

/// The same of the segment in the scratch; one that brings a cookie back that a listener has handed out is vouched for.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn guard_returning(ctx: *mut xdp_md, cpu: u32) -> u32 {
    let Some(scratch) = maps::scratch(cpu) else {
        return 0;
    };
    let packet = &scratch.packet;
    let ctx = XdpContext::new(ctx);
    let Transport::Tcp { flags, .. } = packet.transport() else {
        return 0;
    };
    let may_bring_cookie = flags.has(TcpFlags::ACK) && !flags.ends_or_opens();
    let at = opaque(u64::from(packet.transport_at())) as usize;
    let segment = FrameReader::arriving(&ctx).read::<[[u8; 4]; TCP_LEN / 4]>(at);
    let Some(segment) = segment else {
        return 0;
    };
    let state = with_socket(ctx.as_ptr(), packet, |socket, state| {
        if state == LISTEN && may_bring_cookie && is_cookie(socket, packet, segment) {
            SocketState::Vouched
        } else {
            socket_state(state)
        }
    });
    state.unwrap_or(SocketState::None) as u32
}

/// Has the listener handed out what this segment acknowledges? The helper wants memory, not the packet, so the
/// headers are made anew of what it reads: versions, addresses, and the whole of TCP.
#[inline(always)]
fn is_cookie(listener: *mut bpf_sock, packet: &Packet, segment: [[u8; 4]; TCP_LEN / 4]) -> bool {
    const VERSION_6: u64 = 6 << 4;
    let [a, b, c, d, e] = segment;
    // Whole words, because the verifier wants what is on the stack aligned.
    let pair =
        |low, high| u64::from(u32::from_ne_bytes(low)) | u64::from(u32::from_ne_bytes(high)) << 32;
    let mut tcp = [pair(a, b), pair(c, d), pair(e, [0; 4])];
    let (source, destination) = (packet.source(), packet.destination());
    let (mut ip, len) = if packet.is_v4() {
        let addr = |addr: Addr| u64::from(addr.v4().to_be());
        let version = u64::from(IPV4_PLAIN).to_le();
        let ip = [version, addr(source) << 32, addr(destination), 0, 0];
        (ip, IPV4_LEN)
    } else {
        let ip = [
            VERSION_6.to_le(),
            source.hi().to_be(),
            source.lo().to_be(),
            destination.hi().to_be(),
            destination.lo().to_be(),
        ];
        (ip, IPV6_LEN)
    };
    // SAFETY: headers of these lengths on the stack, and a socket that is held.
    let answer = unsafe {
        bpf_tcp_check_syncookie(
            listener.cast(),
            ip.as_mut_ptr().cast(),
            len as u32,
            tcp.as_mut_ptr().cast(),
            TCP_LEN as u32,
        )
    };
    answer == 0
}

/// Looks up the socket that a packet would arrive at; `with` gets it and its state.
#[inline(always)]
fn with_socket<O>(
    ctx: *mut c_void,
    packet: &Packet,
    with: impl FnOnce(*mut bpf_sock, u32) -> O,
) -> Option<O> {
    let Transport::Tcp {
        source_port,
        destination_port,
        ..
    } = packet.transport()
    else {
        return None;
    };
    let (remote, local) = (packet.source(), packet.destination());
    let (sport, dport) = (source_port.to_be(), destination_port.to_be());
    let socket = if packet.is_v4() {
        let mut asked = TupleV4 {
            saddr: remote.v4().to_be(),
            daddr: local.v4().to_be(),
            sport,
            dport,
        };
        look_up(ctx, (&raw mut asked).cast(), size_of::<TupleV4>())
    } else {
        let mut asked = TupleV6 {
            saddr: words(remote),
            daddr: words(local),
            sport,
            dport,
        };
        look_up(ctx, (&raw mut asked).cast(), size_of::<TupleV6>())
    };
    if socket.is_null() {
        return None;
    }
    // SAFETY: the helper returned a socket, which lives until it is released below.
    let state = unsafe { (*socket).state };
    let output = with(socket, state);
    // SAFETY: taken above and used no more.
    unsafe { bpf_sk_release(socket.cast()) };
    Some(output)
}

/// In network order.
#[inline(always)]
fn words(addr: Addr) -> [u32; 4] {
    let (hi, lo) = (addr.hi(), addr.lo());
    [hi >> 32, hi, lo >> 32, lo].map(|word| (word as u32).to_be())
}

#[inline(always)]
fn look_up(ctx: *mut c_void, tuple: *mut c_void, size: usize) -> *mut bpf_sock {
    let netns = BPF_F_CURRENT_NETNS as i64 as u64;
    // SAFETY: `ctx` is the context that the kernel handed to the program, `tuple` a whole tuple of
    // `size` bytes on the stack.
    unsafe { bpf_skc_lookup_tcp(ctx, tuple.cast(), size as u32, netns, 0) }
}

//! The kernel's table of TCP sockets, asked on behalf of a packet.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        BPF_F_CURRENT_NETNS, bpf_sock, bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 as TupleV4,
        bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2 as TupleV6, xdp_md,
    },
    helpers::generated::{bpf_sk_release, bpf_skc_lookup_tcp},
    programs::XdpContext,
};
use core::ffi::c_void;
use guard_common::{packet::PacketReader as _, policy::Headers};

use crate::reader::FrameReader;

/// `TCP_LISTEN` (net/tcp_states.h). The helper returns listeners too, and a listener is no session.
pub(crate) const LISTEN: u32 = 10;
/// Where source and destination stand in an IP header.
const ADDRESSES_V4: usize = 12;
const ADDRESSES_V6: usize = 8;

/// The kernel's table of TCP sockets; `ports` is the remote port (high half) and the local one.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn guard_socket(
    ctx: *mut xdp_md,
    at: u32,
    ports: u32,
    is_v4: u32,
    is_quoted: u32,
) -> u32 {
    let ctx = XdpContext::new(ctx);
    let reader = FrameReader::arriving(&ctx);
    let headers = Headers {
        at,
        is_quoted: is_quoted != 0,
    };
    u32::from(is_known(ctx.as_ptr(), &reader, headers, is_v4 != 0, ports))
}

/// Is there a socket with the addresses of these headers and these ports (remote port in the high
/// half) that is more than a listener? `ctx` is the program's context.
#[inline(always)]
fn is_known(
    ctx: *mut c_void,
    reader: &FrameReader,
    headers: Headers,
    is_v4: bool,
    ports: u32,
) -> bool {
    let (sport, dport) = (((ports >> 16) as u16).to_be(), (ports as u16).to_be());
    // What is compared must be what is read at (see `packet::quoted`).
    let behind =
        |offset: usize| FrameReader::forget(u64::from(headers.at) + offset as u64) as usize;
    // The bytes stay in network order.
    if is_v4 {
        let Some(addresses) = reader.read::<[[u8; 4]; 2]>(behind(ADDRESSES_V4)) else {
            return false;
        };
        let [remote, local] = in_order(addresses, headers);
        let mut asked = TupleV4 {
            saddr: u32::from_ne_bytes(remote),
            daddr: u32::from_ne_bytes(local),
            sport,
            dport,
        };
        ask(ctx, (&raw mut asked).cast(), size_of::<TupleV4>())
    } else {
        let Some(addresses) = reader.read::<[[[u8; 4]; 4]; 2]>(behind(ADDRESSES_V6)) else {
            return false;
        };
        let [remote, local] = in_order(addresses, headers);
        let mut asked = TupleV6 {
            saddr: remote.map(u32::from_ne_bytes),
            daddr: local.map(u32::from_ne_bytes),
            sport,
            dport,
        };
        ask(ctx, (&raw mut asked).cast(), size_of::<TupleV6>())
    }
}

/// Remote end first.
#[inline(always)]
fn in_order<T>([source, destination]: [T; 2], headers: Headers) -> [T; 2] {
    if headers.is_quoted {
        [destination, source]
    } else {
        [source, destination]
    }
}

#[inline(always)]
fn ask(ctx: *mut c_void, tuple: *mut c_void, size: usize) -> bool {
    let netns = BPF_F_CURRENT_NETNS as i64 as u64;
    // SAFETY: `ctx` is the context that the kernel handed to the program, `tuple` a whole tuple of
    // `size` bytes on the stack.
    let socket: *mut bpf_sock =
        unsafe { bpf_skc_lookup_tcp(ctx, tuple.cast(), size as u32, netns, 0) };
    if socket.is_null() {
        return false;
    }
    // SAFETY: the helper returned a socket, which lives until it is released below.
    let state = unsafe { (*socket).state };
    // SAFETY: taken above and used no more.
    unsafe { bpf_sk_release(socket.cast()) };
    state != LISTEN
}

//! The kernel's table of TCP sockets, asked on behalf of a packet.

use aya_ebpf::{
    bindings::{
        BPF_F_CURRENT_NETNS, bpf_sock, bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 as TupleV4,
        bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2 as TupleV6,
    },
    helpers::generated::{bpf_sk_release, bpf_skc_lookup_tcp},
};
use core::ffi::c_void;
use guard_common::abi::{addr::Addr, flow::Tuple};

/// `TCP_LISTEN` (net/tcp_states.h). The helper returns listeners too, and a listener is no session.
const LISTEN: u32 = 10;

/// Is there a socket with this tuple that is more than a listener? `ctx` is the program's context.
#[inline(always)]
pub(crate) fn is_known(ctx: *mut c_void, tuple: &Tuple) -> bool {
    let (sport, dport) = (tuple.remote_port.to_be(), tuple.local_port.to_be());
    if tuple.remote.is_v4() {
        let mut asked = TupleV4 {
            saddr: tuple.remote.v4().to_be(),
            daddr: tuple.local.v4().to_be(),
            sport,
            dport,
        };
        ask(ctx, (&raw mut asked).cast(), size_of::<TupleV4>())
    } else {
        let mut asked = TupleV6 {
            saddr: words(tuple.remote),
            daddr: words(tuple.local),
            sport,
            dport,
        };
        ask(ctx, (&raw mut asked).cast(), size_of::<TupleV6>())
    }
}

#[inline(always)]
const fn words(addr: Addr) -> [u32; 4] {
    let (hi, lo) = (addr.hi(), addr.lo());
    [
        ((hi >> 32) as u32).to_be(),
        (hi as u32).to_be(),
        ((lo >> 32) as u32).to_be(),
        (lo as u32).to_be(),
    ]
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

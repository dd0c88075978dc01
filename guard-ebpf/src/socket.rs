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
use guard_common::{
    abi::addr::Addr,
    packet::{Packet, Transport},
    policy::Subject,
};

use crate::maps;

/// `TCP_LISTEN` (net/tcp_states.h). The helper returns listeners too, and a listener is no session.
pub(crate) const LISTEN: u32 = 10;

/// Is there a socket that is more than a listener, and that a packet in the scratch would arrive at?
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn guard_socket(ctx: *mut xdp_md, cpu: u32, subject: u32) -> u32 {
    let Some(scratch) = maps::scratch(cpu) else {
        return 0;
    };
    let ctx = XdpContext::new(ctx);
    let packet = scratch.subject(Subject::from_number(subject));
    u32::from(is_known(ctx.as_ptr(), packet))
}

#[inline(always)]
fn is_known(ctx: *mut c_void, packet: &Packet) -> bool {
    let Transport::Tcp {
        source_port,
        destination_port,
        ..
    } = packet.transport()
    else {
        return false;
    };
    let (remote, local) = (packet.source(), packet.destination());
    let (sport, dport) = (source_port.to_be(), destination_port.to_be());
    if packet.is_v4() {
        let mut asked = TupleV4 {
            saddr: remote.v4().to_be(),
            daddr: local.v4().to_be(),
            sport,
            dport,
        };
        ask(ctx, (&raw mut asked).cast(), size_of::<TupleV4>())
    } else {
        let mut asked = TupleV6 {
            saddr: words(remote),
            daddr: words(local),
            sport,
            dport,
        };
        ask(ctx, (&raw mut asked).cast(), size_of::<TupleV6>())
    }
}

/// In network order.
#[inline(always)]
fn words(addr: Addr) -> [u32; 4] {
    let (hi, lo) = (addr.hi(), addr.lo());
    [hi >> 32, hi, lo >> 32, lo].map(|word| (word as u32).to_be())
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

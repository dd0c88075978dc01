//! guard's kernel side. Entry points only: everything they decide is in `guard-common`.
#![no_std]
#![no_main]
// For the one atomic instruction in `count`.
#![feature(asm_experimental_arch)]

mod admission;
mod answer;
mod count;
mod egress;
mod entries;
mod ingress;
mod maps;
#[expect(dead_code, reason = "guard-report alone copies frames")]
mod reader;
mod searches;
mod socket;
mod tables;

use aya_ebpf::{
    bindings::tcx_action_base::{TCX_DROP, TCX_NEXT},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use guard_common::policy::Tables as _;
use tables::BpfTables;

/// Evaluates every frame that the interface receives.
#[xdp]
fn guard_ingress(ctx: XdpContext) -> u32 {
    ingress::evaluate(&ctx)
}

/// Takes over from `guard_ingress`, by a tail call, what opens a connection.
#[xdp]
fn guard_cookie(ctx: XdpContext) -> u32 {
    answer::answer(&ctx)
}

/// Takes over from `guard_ingress`, by a tail call, what is IPv6.
#[xdp]
fn guard_others(ctx: XdpContext) -> u32 {
    ingress::evaluate_others(&ctx)
}

/// Sees every frame that the interface sends.
#[classifier]
fn guard_egress(ctx: TcContext) -> i32 {
    egress::note(&ctx);
    // Whoever comes next decides; for a filter of clsact the same number means the same.
    TCX_NEXT
}

/// Lets nothing in: stands behind an interface for the moment in which `guard_ingress` is taken off and
/// put back in another mode.
#[classifier]
fn guard_closed(_ctx: TcContext) -> i32 {
    // For a filter of clsact the same number means the same.
    TCX_DROP
}

/// The clock in eighths of a tick, for a test run: user space must know it when it puts sessions and
/// bans in.
#[classifier]
fn guard_clock(_ctx: TcContext) -> i32 {
    BpfTables::without_packet().eighths() as i32
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // The verifier refuses an endless loop, so an object that loads cannot panic.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

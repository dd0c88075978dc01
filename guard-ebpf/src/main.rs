//! guard's kernel side. Entry points only: everything they decide is in `guard-common`.
#![no_std]
#![no_main]
// For the one atomic instruction in `count`.
#![feature(asm_experimental_arch)]

mod count;
mod ingress;
mod maps;
mod reader;
mod tables;

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use guard_common::abi::reason::Action;

/// Judges every frame that the interface receives.
#[xdp]
fn guard_ingress(ctx: XdpContext) -> u32 {
    match ingress::judge(&ctx) {
        Action::Pass => xdp_action::XDP_PASS,
        Action::Drop => xdp_action::XDP_DROP,
    }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // The verifier refuses an endless loop, so an object that loads cannot panic.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

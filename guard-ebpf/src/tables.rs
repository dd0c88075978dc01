//! `Tables` over the BPF maps.

use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use guard_common::{
    abi::{addr::Addr, image::Tree, switch::SwitchWord},
    policy::{Tables, longest_prefix},
};

use crate::maps;

/// Stands for the maps of this program.
pub(crate) struct BpfTables;

impl Tables for BpfTables {
    #[inline(always)]
    fn switch(&self) -> SwitchWord {
        SwitchWord::from_bits(word(&maps::SWITCH, 0))
    }

    #[inline(always)]
    fn now_ns(&self) -> u64 {
        // SAFETY: the helper has no arguments and no preconditions.
        unsafe { bpf_ktime_get_boot_ns() }
    }

    #[inline(always)]
    fn slot_words(&self) -> u32 {
        maps::slot_words()
    }

    #[inline(always)]
    fn policy_word(&self, index: u32) -> u64 {
        word(&maps::POLICY, index)
    }

    #[inline(always)]
    fn longest_prefix(&self, base: u32, addr: Addr, tree: Tree, default: u32) -> u32 {
        guard_prefix(addr.hi(), addr.lo(), base, tree as u32, default)
    }

    #[inline(always)]
    fn seed(&self) -> u64 {
        maps::seed()
    }

    #[inline(always)]
    fn fragment_stamp(&self, index: u32) -> u64 {
        word(&maps::FRAGMENTS, index)
    }

    #[inline(always)]
    fn set_fragment_stamp(&self, index: u32, stamp: u64) {
        if let Some(cell) = maps::FRAGMENTS.get_ptr_mut(index) {
            // SAFETY: the kernel returned a pointer to a live 8-byte element; a torn or lost write
            // costs one datagram a retransmission.
            unsafe { cell.write_volatile(stamp) };
        }
    }
}

/// The search for the longest prefix as a global function: the verifier checks it once, alone.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_prefix(hi: u64, lo: u64, base: u32, tree: u32, default: u32) -> u32 {
    let tree = Tree::from_number(tree);
    longest_prefix(&BpfTables, base, Addr::from_halves(hi, lo), tree, default)
}

/// An element, read whole and once; 0 when there is none.
#[inline(always)]
fn word(map: &aya_ebpf::maps::Array<u64>, index: u32) -> u64 {
    match map.get_ptr(index) {
        // SAFETY: the kernel returned a pointer to a live, aligned 8-byte element. Volatile, so
        // that one read is one load.
        Some(element) => unsafe { element.read_volatile() },
        None => 0,
    }
}

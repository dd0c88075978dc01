//! What a stage may look up. The kernel answers from BPF maps, the model from memory.

use crate::abi::{addr::Addr, image::Tree};

/// State outside the packet. Every look-up is total: what is not there reads as 0.
pub trait Tables {
    /// The word that names the active policy, read once per packet.
    fn switch(&self) -> crate::abi::switch::SwitchWord;

    /// Boot time in ns. Costs as much as the rest of a packet: ask only where a deadline or an age
    /// needs it.
    fn now_ns(&self) -> u64;

    /// Words in one policy slot.
    fn slot_words(&self) -> u32;

    /// Word `index` of the policy array.
    fn policy_word(&self, index: u32) -> u64;

    /// [`super::longest_prefix`]. The kernel's implementation puts it behind a call of its own, so
    /// that its verifier follows the search once and not once per way that leads there.
    #[inline(always)]
    fn longest_prefix(&self, base: u32, addr: Addr, tree: Tree, default: u32) -> u32
    where
        Self: Sized,
    {
        super::longest_prefix(self, base, addr, tree, default)
    }

    /// Random number of this boot.
    fn seed(&self) -> u64;

    /// Stamp in cell `index` of the fragment table.
    fn fragment_stamp(&self, index: u32) -> u64;

    /// Writes a stamp.
    fn set_fragment_stamp(&self, index: u32, stamp: u64);
}

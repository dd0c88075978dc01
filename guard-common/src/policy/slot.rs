//! One slot of the policy array: where the words of the policy in force lie.

use super::{Circumstances, RuleLookup, RulesAnswer, Searches};
use crate::abi::{addr::Addr, image::Tree, switch::SlotState};

/// A slot, and the way to its words.
pub(super) struct Slot<'a, T> {
    tables: &'a T,
    base: u32,
}

impl<'a, T: Searches> Slot<'a, T> {
    #[inline(always)]
    pub(super) fn of(tables: &'a T, state: SlotState) -> Self {
        Self::at(tables, state.slot().wrapping_mul(tables.slot_words()))
    }

    #[inline(always)]
    pub(super) fn at(tables: &'a T, base: u32) -> Self {
        Self { tables, base }
    }

    /// What its words are in.
    #[inline(always)]
    pub(super) fn tables(&self) -> &'a T {
        self.tables
    }

    /// Its first word.
    #[inline(always)]
    pub(super) fn base(&self) -> u32 {
        self.base
    }

    #[inline(always)]
    pub(super) fn evaluate_rules(&self, lookup: RuleLookup) -> RulesAnswer {
        self.tables.evaluate_rules(lookup)
    }

    #[inline(always)]
    pub(super) fn is_on_never_list(&self, flags: u32, source: Addr) -> bool {
        self.tables.is_on_never_list(self.base, flags, source)
    }

    #[inline(always)]
    pub(super) fn interface_class(&self, ifindex: u32) -> u32 {
        self.tables.interface_class(self.base, ifindex)
    }

    #[inline(always)]
    pub(super) fn scope_of(&self, packet: Circumstances) -> u32 {
        self.tables.scope_of(packet)
    }

    #[inline(always)]
    pub(super) fn conditions(&self, source_port: u16) -> u32 {
        self.tables.conditions(self.base, source_port)
    }

    #[inline(always)]
    pub(super) fn longest_prefix(&self, addr: Addr, tree: Tree, default: u32) -> u32 {
        self.tables.longest_prefix(self.base, addr, tree, default)
    }

    #[inline(always)]
    pub(super) fn source_class_v4(&self, source: u32) -> u32 {
        self.tables.source_class_v4(self.base, source)
    }

    #[inline(always)]
    pub(super) fn word(&self, index: u32) -> u64 {
        self.tables.policy_word(self.base.wrapping_add(index))
    }
}

/// The policy in force: asked once per packet.
#[inline(always)]
pub(super) fn in_force<T: Searches>(tables: &T) -> SlotState {
    let switch = tables.switch();
    let now_ns = if switch.has_deadline() {
        tables.now_ns()
    } else {
        0
    };
    switch.at(now_ns)
}

/// The same, of which the compiler keeps this and nothing that it is made of.
#[inline(always)]
pub(super) fn hidden<T: Searches>(state: SlotState) -> SlotState {
    SlotState::from_bits(T::hide(u64::from(state.bits())) as u32)
}

/// The two numbers of a word, `(low, high)`.
#[inline(always)]
pub(super) const fn split(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

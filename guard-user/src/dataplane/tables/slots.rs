//! Compiled policies in the kernel: stage a new one beside the active one, then switch by one store.

use guard_common::abi::{
    image::{HEADER_DIGEST, HEADER_FLAGS, HEADER_GENERATION, HEADER_LENGTH, sizes},
    switch::{CLOCK_WORD, POLICY_WORD, SEED_WORD, SLOTS, SlotState, SwitchWord},
};

use super::mapping::Mapping;
use crate::host::clock;

/// The policy array and its switch.
#[derive(Debug)]
pub struct PolicySlots {
    policy: Mapping,
    switch: Mapping,
    slot_words: u32,
}

impl PolicySlots {
    pub(in crate::dataplane) fn new(policy: Mapping, switch: Mapping, slot_words: u32) -> Self {
        Self {
            policy,
            switch,
            slot_words,
        }
    }

    /// Random number of this boot, which the hashes of all instances must share.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.switch.load(SEED_WORD as usize)
    }

    pub(in crate::dataplane) fn set_seed(&self, seed: u64) {
        self.switch.store(SEED_WORD as usize, seed);
    }

    /// Sets the time of an instance with `fixed_clock` in its parameters.
    pub fn set_jiffies(&self, jiffies: u64) {
        self.switch.store(CLOCK_WORD as usize, jiffies);
    }

    /// Words that a policy may have.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slot_words as usize
    }

    /// The switch as the kernel reads it.
    #[must_use]
    pub fn switch(&self) -> SwitchWord {
        SwitchWord::from_bits(self.switch.load(POLICY_WORD as usize))
    }

    /// The policy that packets meet at this moment: an expired deadline counts although nobody has
    /// settled the word yet.
    #[must_use]
    pub fn in_force(&self) -> SlotState {
        self.switch().at(clock::boot_time_ns())
    }

    /// A word of the policy in a slot.
    #[must_use]
    pub fn word(&self, state: SlotState, index: u32) -> u64 {
        self.policy.load(self.at(state.slot()) + index as usize)
    }

    /// The policy in force as a whole.
    #[must_use]
    pub fn active_image(&self) -> Vec<u64> {
        self.image_in(self.in_force())
    }

    /// The policy in a slot as a whole.
    #[must_use]
    pub fn image_in(&self, state: SlotState) -> Vec<u64> {
        let (length, _) = sizes(self.word(state, HEADER_LENGTH));
        (0..length.min(self.capacity() as u32))
            .map(|index| self.word(state, index))
            .collect()
    }

    /// Generation of the policy in force, 0 = none yet.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation_in(self.in_force())
    }

    /// Generation of the policy in a slot, 0 = none.
    #[must_use]
    pub fn generation_in(&self, state: SlotState) -> u32 {
        self.word(state, HEADER_GENERATION) as u32
    }

    /// A generation that neither the policy in force nor the one beside it has had.
    #[must_use]
    pub fn next_generation(&self) -> u32 {
        let switch = self.switch();
        self.generation_in(switch.active())
            .max(self.generation_in(switch.previous()))
            .wrapping_add(1)
            .max(1)
    }

    /// Number of rules of the policy in a slot.
    #[must_use]
    pub fn rules_in(&self, state: SlotState) -> u32 {
        (self.word(state, HEADER_GENERATION) >> 32) as u32
    }

    /// The numbers by which the rules of the policy in a slot are known again, in order.
    #[must_use]
    pub fn rule_keys(&self, slot: u32) -> Vec<u64> {
        let state = SlotState::new(slot, 0);
        let rules = self.rules_in(state);
        let (length, _) = sizes(self.word(state, HEADER_LENGTH));
        // Of a slot of another version, or one that was never used, whatever stands there.
        let length = length.min(self.slot_words);
        (length.saturating_sub(rules)..length)
            .map(|index| self.word(state, index))
            .collect()
    }

    /// Digest of the files that the policy in force was compiled from.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.word(self.in_force(), HEADER_DIGEST)
    }

    /// The slot that the next policy goes into: neither the active nor the previous one is there.
    ///
    /// # Panics
    /// Never: there are three slots.
    #[must_use]
    pub fn free_slot(&self) -> u32 {
        let switch = self.switch();
        (0..SLOTS)
            .find(|slot| *slot != switch.active().slot() && *slot != switch.previous().slot())
            .expect("three slots, two in use")
    }

    /// Writes `image` into a slot that no packet reads and returns what the switch must say of it.
    /// The caller has checked that it fits.
    ///
    /// # Panics
    /// When the image is larger than a slot.
    #[must_use]
    pub fn stage(&self, image: &[u64]) -> SlotState {
        assert!(
            image.len() <= self.capacity(),
            "image of {} words",
            image.len()
        );
        wait_for_packets_in_flight();
        let slot = self.free_slot();
        let at = self.at(slot);
        for (offset, word) in image.iter().enumerate() {
            self.policy.store(at + offset, *word);
        }
        for offset in image.len()..self.capacity() {
            self.policy.store(at + offset, 0);
        }
        let flags = image.get(HEADER_FLAGS as usize).copied().unwrap_or(0);
        SlotState::new(slot, flags as u32)
    }

    /// Takes over the active policy of smaller slots, into the slot of the same number: a switch
    /// word that was kept from there means the same here. Only for slots that no program reads yet.
    pub(in crate::dataplane) fn adopt(&self, smaller: &Self) {
        let active = smaller.switch().active();
        let (from, to) = (smaller.at(active.slot()), self.at(active.slot()));
        for offset in 0..smaller.capacity().min(self.capacity()) {
            self.policy
                .store(to + offset, smaller.policy.load(from + offset));
        }
        self.switch_to(SwitchWord::settled(active, active));
    }

    /// Does the slot hold exactly this?
    #[must_use]
    pub fn holds(&self, state: SlotState, image: &[u64]) -> bool {
        let at = self.at(state.slot());
        image
            .iter()
            .enumerate()
            .all(|(offset, word)| self.policy.load(at + offset) == *word)
    }

    /// Makes a staged slot the policy of every packet from here on.
    pub fn switch_to(&self, word: SwitchWord) {
        self.switch.store(POLICY_WORD as usize, word.bits());
    }

    fn at(&self, slot: u32) -> usize {
        (slot % SLOTS) as usize * self.capacity()
    }
}

/// A packet that read the switch before the last change may still look at the slot of then. XDP
/// runs inside an RCU read section, and this system call returns after all of those have ended.
pub(in crate::dataplane) fn wait_for_packets_in_flight() {
    const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
    // SAFETY: the call takes integers and touches no memory.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result != 0 {
        // Not built in, or nohz_full: no section lasts as long as this.
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

//! The tables of the model: the same words that the kernel reads, in a vector.

use std::cell::RefCell;

use crate::{
    abi::{
        fragment::CELLS,
        image::HEADER_FLAGS,
        switch::{SlotState, SwitchWord},
    },
    policy::Tables,
};

/// Tables in memory, for tests, parity and `guardctl explain --file`.
#[derive(Clone, Debug)]
pub struct MemTables {
    /// Which slot is active.
    pub switch: SwitchWord,
    /// Boot time in ns.
    pub now_ns: u64,
    /// Random number of this boot.
    pub seed: u64,
    /// Words in one slot.
    pub slot_words: u32,
    /// Slot after slot.
    pub policy: Vec<u64>,
    fragments: RefCell<Vec<u64>>,
}

impl MemTables {
    /// Tables with one policy in slot 0.
    #[must_use]
    pub fn with_policy(image: Vec<u64>) -> Self {
        let flags = image.get(HEADER_FLAGS as usize).copied().unwrap_or(0);
        let state = SlotState::new(0, flags as u32);
        Self {
            switch: SwitchWord::settled(state, state),
            now_ns: 1_000_000_000_000,
            seed: 0,
            slot_words: image.len() as u32,
            policy: image,
            fragments: RefCell::new(vec![0; CELLS as usize]),
        }
    }
}

impl Tables for MemTables {
    fn switch(&self) -> SwitchWord {
        self.switch
    }

    fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn slot_words(&self) -> u32 {
        self.slot_words
    }

    fn policy_word(&self, index: u32) -> u64 {
        self.policy.get(index as usize).copied().unwrap_or(0)
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn fragment_stamp(&self, index: u32) -> u64 {
        self.fragments
            .borrow()
            .get(index as usize)
            .copied()
            .unwrap_or(0)
    }

    fn set_fragment_stamp(&self, index: u32, stamp: u64) {
        if let Some(cell) = self.fragments.borrow_mut().get_mut(index as usize) {
            *cell = stamp;
        }
    }
}

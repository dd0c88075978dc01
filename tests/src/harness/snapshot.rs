//! What frames leave in the kernel's maps and in the model: compared, kept and restored.

use std::collections::BTreeMap;

use guard_common::{
    abi::flow::{BUCKET_WORDS, WAYS},
    memory::MemTables,
    testing::shared::put,
};

use super::{Harness, state::words};

/// Everything that frames can change in the kernel's maps and in the model, but for the kernel's
/// counters.
#[derive(Clone, Debug)]
pub struct Snapshot {
    flows: Vec<u64>,
    ports: Vec<u64>,
    fragments: Vec<u64>,
    ceilings: Vec<u64>,
    meters: Vec<u64>,
    model: MemTables,
}

impl Snapshot {
    /// Are flows and ports with sessions the same in both?
    #[must_use]
    pub fn has_flows_of(&self, other: &Self) -> bool {
        self.flows == other.flows && self.ports == other.ports
    }
}

impl Harness {
    /// Are flows, ports and phases of kernel and model the same, and their times to a tick?
    ///
    /// # Panics
    /// When they are not.
    pub fn assert_in_step(&self) {
        self.compare_flows(1);
    }

    /// The same, times included.
    ///
    /// # Panics
    /// When they are not.
    pub fn assert_identical(&self) {
        self.compare_flows(0);
    }

    fn compare_flows(&self, ticks: u32) {
        let (kernel, model) = (words(&self.flow_words), self.model.flow_words());
        if kernel != model {
            assert_are_close(&kernel, &model, ticks);
        }
        assert_eq!(self.marked_ports(), self.model.marked_ports());
        let ceilings: BTreeMap<u32, u64> = (0..)
            .zip(words(&self.ceilings))
            .filter(|(_, word)| *word != 0)
            .collect();
        assert_eq!(ceilings, self.model.ceilings());
        self.compare_meters();
    }

    /// Are the meters of kernel and model the same?
    fn compare_meters(&self) {
        let (kernel, model) = (words(&self.meter_words), self.model.meter_words());
        if kernel == model {
            return;
        }
        let differs = kernel
            .iter()
            .zip(&model)
            .position(|(ours, theirs)| ours != theirs);
        if let Some(at) = differs {
            panic!(
                "meter {at}: kernel {:#x}, model {:#x}",
                kernel[at], model[at]
            );
        }
    }

    /// What frames have left in the kernel's maps and in the model.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            flows: words(&self.flow_words),
            ports: words(&self.port_words),
            fragments: words(&self.fragments),
            ceilings: words(&self.ceilings),
            meters: words(&self.meter_words),
            model: self.model.clone(),
        }
    }

    /// Undoes what frames have left since.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        for (mapping, words) in [
            (&self.flow_words, &snapshot.flows),
            (&self.port_words, &snapshot.ports),
            (&self.fragments, &snapshot.fragments),
            (&self.ceilings, &snapshot.ceilings),
            (&self.meter_words, &snapshot.meters),
        ] {
            put(mapping.words(), words);
        }
        self.model = snapshot.model.clone();
    }
}

/// Are the words of the flow table the same, but for times that may be so many ticks apart?
fn assert_are_close(kernel: &[u64], model: &[u64], ticks: u32) {
    for (at, (ours, theirs)) in kernel.iter().zip(model).enumerate() {
        if ours == theirs {
            continue;
        }
        let is_state = at % BUCKET_WORDS >= WAYS;
        let is_close = is_state && ours >> 32 == theirs >> 32 && {
            let apart = (*ours as u32).wrapping_sub(*theirs as u32) as i32;
            apart.unsigned_abs() <= ticks
        };
        assert!(is_close, "word {at}: kernel {ours:#x}, model {theirs:#x}");
    }
}

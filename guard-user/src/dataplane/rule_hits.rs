//! Hits of rules over changes of the policy. The kernel counts by slot and number; before a slot takes another policy,
//! what was counted there goes into a file of the run folder, by the rules' words. What a rule has is that and what
//! all slots have of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use guard_common::abi::{counters::Counter, hit::Hit, switch::SLOTS};
use serde::{Deserialize, Serialize};

use super::{
    pins,
    tables::{
        hits::RuleHits,
        slots::{PolicySlots, wait_for_packets_in_flight},
    },
};
use crate::{failure::Failure, layout::Layout, state_file, text::staged::write_state};

/// What rules had before the policies that the slots hold.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Ledger {
    /// The seed of the instance: `enable` begins anew.
    instance: u64,
    /// Packets and bytes by the rule's words.
    rules: BTreeMap<u64, (u64, u64)>,
    /// What this slot has is among them, and not yet out of the slot: a command was killed.
    #[serde(default)]
    leaving: Option<u32>,
}

impl Ledger {
    /// What cannot be read has nothing: hits are for people who look.
    fn read(layout: &Layout, instance: u64) -> Self {
        state_file::read(&layout.rule_hits())
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok())
            .filter(|ledger| ledger.instance == instance)
            .unwrap_or(Self {
                instance,
                ..Self::default()
            })
    }

    /// A disk that is full must keep nobody from changing the policy; hits of before are lost then.
    fn write(&self, layout: &Layout) {
        if let Ok(text) = serde_json::to_string(self) {
            write_state(&layout.rule_hits(), &text).ok();
        }
    }
}

/// Those of all policies that are not taken over into larger slots.
pub(super) fn leave_all_but_active(layout: &Layout, slots: &PolicySlots) {
    let active = slots.switch().active().slot();
    for slot in (0..SLOTS).filter(|slot| *slot != active) {
        leave(layout, slots, slot);
    }
}

/// Makes room for another policy in a slot that no packet meets any more.
pub(super) fn leave(layout: &Layout, slots: &PolicySlots, slot: u32) {
    let Some(hits) = &pins::rule_hits(layout) else {
        return;
    };
    // The last packets that met that policy are counted too.
    wait_for_packets_in_flight();
    let mut ledger = Ledger::read(layout, slots.seed());
    if ledger.leaving != Some(slot) {
        for (key, counter) in of_slot(slots, hits, slot) {
            let (packets, bytes) = ledger.rules.entry(key).or_default();
            *packets += counter.packets;
            *bytes += counter.bytes;
        }
        let others = (0..SLOTS).filter(|other| *other != slot);
        let known: HashSet<u64> = others.flat_map(|other| slots.rule_keys(other)).collect();
        // Who takes a rule out and adds it again some changes later begins anew.
        ledger.rules.retain(|key, _| known.contains(key));
        ledger.leaving = Some(slot);
        ledger.write(layout);
    }
    hits.clear(slot);
    ledger.leaving = None;
    ledger.write(layout);
}

/// Hits of each rule of the policy in force, in order; `None` where the program that runs is of a version that counts
/// none, or the policy has more rules than it tells apart.
///
/// # Errors
/// As [`pins::open`].
pub fn read(layout: &Layout) -> Result<Option<Vec<Counter>>, Failure> {
    let Some(running) = pins::open(layout)? else {
        return Ok(None);
    };
    let Some(hits) = pins::rule_hits(layout) else {
        return Ok(None);
    };
    let slots = &running.slots;
    let keys = slots.rule_keys(slots.in_force().slot());
    if keys.len() > Hit::MOST_RULES as usize {
        return Ok(None);
    }
    let ledger = Ledger::read(layout, slots.seed());
    let mut sums: HashMap<u64, Counter> = ledger
        .rules
        .into_iter()
        .map(|(key, (packets, bytes))| (key, Counter { packets, bytes }))
        .collect();
    for slot in (0..SLOTS).filter(|slot| ledger.leaving != Some(*slot)) {
        for (key, counter) in of_slot(slots, &hits, slot) {
            let sum = sums.entry(key).or_default();
            sum.packets += counter.packets;
            sum.bytes += counter.bytes;
        }
    }
    let of = |key| sums.get(key).copied().unwrap_or_default();
    Ok(Some(keys.iter().map(of).collect()))
}

fn of_slot(
    slots: &PolicySlots,
    hits: &RuleHits,
    slot: u32,
) -> impl Iterator<Item = (u64, Counter)> {
    let keys = slots.rule_keys(slot);
    let told_apart = Hit::MOST_RULES as usize;
    let keys = if keys.len() > told_apart {
        Vec::new()
    } else {
        keys
    };
    keys.into_iter()
        .zip(1..)
        .map(move |(key, number)| (key, hits.of(slot, number)))
}

//! Counting the most frequent of many things in fixed memory (space-saving): when all slots are taken, a new thing
//! takes that of the rarest, and its count as the error of its own.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

/// So many things are counted.
#[derive(Clone, Debug)]
pub(super) struct SpaceSaving<K, V> {
    most: usize,
    slots: Vec<Slot<K, V>>,
    places: HashMap<K, usize>,
    /// The rarest first.
    order: BTreeSet<(u64, usize)>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Slot<K, V> {
    pub(super) key: K,
    /// Never less than there were.
    pub(super) count: u64,
    /// By how much it may be more.
    pub(super) error: u64,
    /// What is remembered beside it.
    pub(super) value: V,
}

impl<K, V> Slot<K, V> {
    /// So many there were for sure.
    pub(super) fn sure(&self) -> u64 {
        self.count - self.error
    }
}

impl<K: Copy + Eq + Hash, V: Default> SpaceSaving<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            slots: Vec::new(),
            places: HashMap::new(),
            order: BTreeSet::new(),
        }
    }

    /// Counts one; what is remembered beside it can be changed.
    pub(super) fn add(&mut self, key: K) -> &mut V {
        let at = match self.places.get(&key) {
            Some(at) => *at,
            None => self.begin(key),
        };
        let slot = &mut self.slots[at];
        self.order.remove(&(slot.count, at));
        slot.count += 1;
        self.order.insert((slot.count, at));
        &mut slot.value
    }

    fn begin(&mut self, key: K) -> usize {
        let rarest = self.order.first().copied();
        let rarest = rarest.filter(|_| self.slots.len() >= self.most);
        let slot = Slot {
            key,
            count: rarest.map_or(0, |(count, _)| count),
            error: rarest.map_or(0, |(count, _)| count),
            value: V::default(),
        };
        let at = match rarest {
            Some((_, at)) => {
                let before = std::mem::replace(&mut self.slots[at], slot);
                self.places.remove(&before.key);
                at
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.order.insert((self.slots[at].count, at));
        self.places.insert(key, at);
        at
    }

    /// All of them, in no order.
    pub(super) fn slots(&self) -> &[Slot<K, V>] {
        &self.slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_frequent_stays_and_what_is_rare_gives_way() {
        let mut counts = SpaceSaving::<u32, ()>::new(8);
        for n in 0..10_000 {
            counts.add(if n % 2 == 0 { 7 } else { 1000 + n });
        }
        assert_eq!(counts.slots().len(), 8);
        assert_eq!(counts.places.len(), 8);
        let found = counts.slots().iter().find(|slot| slot.key == 7);
        assert_eq!(found.map(Slot::sure), Some(5000));
        for slot in counts.slots().iter().filter(|slot| slot.key != 7) {
            assert_eq!(slot.sure(), 1);
        }
    }
}

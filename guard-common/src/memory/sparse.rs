//! A table of which few words are not 0.

use std::{cell::RefCell, collections::BTreeMap};

/// Words by their place. Only those that are not 0 take room, so a table is quickly copied and compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sparse(RefCell<BTreeMap<u32, u64>>);

impl Sparse {
    pub(super) fn load(&self, at: usize) -> u64 {
        let words = self.0.borrow();
        words.get(&(at as u32)).copied().unwrap_or(0)
    }

    pub(super) fn store(&self, at: usize, word: u64) {
        let mut words = self.0.borrow_mut();
        if word == 0 {
            words.remove(&(at as u32));
        } else {
            words.insert(at as u32, word);
        }
    }

    /// Every word that is not 0.
    pub(super) fn taken(&self) -> BTreeMap<u32, u64> {
        self.0.borrow().clone()
    }

    /// The first `length` words.
    pub(super) fn words(&self, length: usize) -> Vec<u64> {
        let mut all = vec![0; length];
        for (at, word) in self.0.borrow().iter() {
            if let Some(place) = all.get_mut(*at as usize) {
                *place = *word;
            }
        }
        all
    }

    /// Puts other words in the place of all these.
    pub(super) fn replace(&self, words: &[u64]) {
        let taken = (0..)
            .zip(words.iter().copied())
            .filter(|(_, word)| *word != 0);
        *self.0.borrow_mut() = taken.collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_0_is_as_if_it_was_never_written() {
        let table = Sparse::default();
        table.store(7, 1);
        assert_eq!((table.load(7), table.words(8)[7]), (1, 1));
        assert_ne!(table, Sparse::default());

        table.store(7, 0);

        assert_eq!(table, Sparse::default());
        table.replace(&[0, 5]);
        assert_eq!(table.taken(), BTreeMap::from([(1, 5)]));
    }
}

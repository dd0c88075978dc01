//! Walks over the words of maps, of which there are a million. They stand here because this crate is optimized in every
//! profile, and its callers are not.

use std::sync::atomic::{AtomicU64, Ordering};

/// The values of all words, each read once.
#[must_use]
pub fn values(words: &[AtomicU64]) -> Vec<u64> {
    words
        .iter()
        .map(|word| word.load(Ordering::Acquire))
        .collect()
}

/// Gives the first words these values.
pub fn put(words: &[AtomicU64], values: &[u64]) {
    for (word, value) in words.iter().zip(values) {
        word.store(*value, Ordering::Release);
    }
}

/// Where the pairs of words begin of which one is not zero.
#[must_use]
pub fn pairs_in_use(words: &[AtomicU64]) -> Vec<usize> {
    let is_zero = |word: &AtomicU64| word.load(Ordering::Acquire) == 0;
    let pairs = words.chunks(2).enumerate();
    pairs
        .filter(|(_, pair)| !pair.iter().all(is_zero))
        .map(|(number, _)| number * 2)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_in_use_when_one_of_its_words_is() {
        let words = [0, 0, 1, 0, 0, 2, 0].map(AtomicU64::new);

        assert_eq!(pairs_in_use(&words), [2, 4]);
        assert_eq!(values(&words), [0, 0, 1, 0, 0, 2, 0]);
        put(&words, &[3, 0, 0]);
        assert_eq!(values(&words), [3, 0, 0, 0, 0, 2, 0]);
    }
}

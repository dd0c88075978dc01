//! The words by which the filter knows who watches.

use aya::maps::{Array, Map, MapData};
use guard_common::abi::{ABI_VERSION, names, watch};

use super::Instance;

impl Instance {
    /// The words.
    ///
    /// # Panics
    /// When guard is off.
    #[must_use]
    pub fn watch_words(&self) -> [u64; watch::WORDS as usize] {
        let pin = self
            .bpffs()
            .join(format!("v{ABI_VERSION}/maps/{}", names::WATCH_PIN));
        let map = MapData::from_pin(pin).expect("the words");
        let map: Array<_, [u64; watch::WORDS as usize]> =
            Map::Array(map).try_into().expect("an array");
        map.get(&0, 0).expect("the words")
    }

    /// Does the filter believe that somebody watches?
    ///
    /// # Panics
    /// When guard is off.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.watch_words()[watch::FIRST as usize] != 0
    }
}

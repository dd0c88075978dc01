//! Bans in the tables of the kernel and of the model.

use guard_common::{
    abi::ban::{
        ADDRESS_WAYS, AddressEntry, BanMap, Expiry, FINGERPRINT_BUCKETS, FINGERPRINT_LAST,
        FINGERPRINT_WORDS, FingerprintBucket, FingerprintWords,
    },
    policy::Tables as _,
};
use guard_user::bans::{
    prefix::Prefix,
    table::{Memory as _, Writer},
};

use super::{Harness, SEED};

impl Harness {
    /// Bans prefixes in kernel and model, for so many eighths of a tick from now.
    ///
    /// # Panics
    /// When there is no room.
    pub fn bans(&mut self, prefixes: &[Prefix], eighths: u32) {
        let now = self.model.eighths();
        let end = Expiry::after(now, eighths);
        let shared = self.object.bans().expect("tables of bans");
        let mut kernel = Writer::new(shared, SEED);
        let mut model = Writer::new(&self.model.bans, SEED);
        for prefix in prefixes {
            kernel.raise(*prefix, end, now).expect("room in the kernel");
            model.raise(*prefix, end, now).expect("room in the model");
        }
    }

    /// Forgets what one of the arrays of bans says.
    ///
    /// # Panics
    /// When the maps cannot be written.
    pub fn forget_bans(&mut self, map: BanMap) {
        let mut shared = self.object.bans().expect("tables of bans");
        for at in 0..shared.sizes().words(map) {
            shared.store(map, at as u32, 0);
            self.model.bans.store(map, at, 0);
        }
    }

    /// Every bucket of the fingerprint filter sends whoever asks it to the table, in kernel and model.
    ///
    /// # Panics
    /// When the maps cannot be written.
    pub fn send_everybody_to_the_table(&mut self) {
        self.forget_bans(BanMap::Fingerprints);
        let others = FingerprintBucket {
            has_others: true,
            ..FingerprintBucket::from_words(FingerprintWords::default())
        };
        let mut shared = self.object.bans().expect("tables of bans");
        for bucket in 0..FINGERPRINT_BUCKETS {
            let last = bucket as usize * FINGERPRINT_WORDS + FINGERPRINT_LAST;
            let word = others.to_words()[FINGERPRINT_LAST];
            shared.store(BanMap::Fingerprints, last as u32, word);
            self.model.bans.store(BanMap::Fingerprints, last, word);
        }
    }

    /// Buckets of banned addresses from which an address was sent to its second one, in the kernel.
    ///
    /// # Panics
    /// When the maps cannot be read.
    pub fn crowded_buckets(&self) -> usize {
        let shared = self.object.bans().expect("tables of bans");
        let last = (ADDRESS_WAYS - 1) as u32;
        (0..shared.sizes().addresses)
            .map(|bucket| shared.load(BanMap::Addresses, bucket * ADDRESS_WAYS as u32 + last))
            .filter(|word| AddressEntry::from_word(*word).is_crowded())
            .count()
    }
}

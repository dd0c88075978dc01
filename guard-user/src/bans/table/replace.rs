//! All bans at once: whatever the arrays say, they say exactly this afterwards. What holds before and
//! after is found at every moment in between.

use std::collections::HashMap;

use guard_common::{
    abi::{
        addr::Addr,
        ban::{BanMap, BanTag, CHUNK_WORDS, Cell, FILTER_LEN, TOPS, Top},
    },
    memory::MemBans,
};

use super::{Full, Memory, PrefixBan, Writer, address_slots, addresses, fingerprints, set};

impl<M: Memory> Writer<M> {
    /// Makes these the bans.
    ///
    /// # Errors
    /// When an array is full; nothing that was banned is let in then.
    pub fn replace(&mut self, bans: &[PrefixBan], now: u32) -> Result<(), Full> {
        let wanted = MemBans::with_room(self.memory.sizes());
        let mut writer = Writer::with_keys(&wanted, self.keys);
        for (prefix, end) in bans {
            writer.raise(*prefix, *end, now)?;
            self.raise(*prefix, *end, now)?;
        }
        let wanted = &wanted;
        let keys = self.keys;
        addresses::retain(&mut self.memory, &keys, now, |address| {
            addresses::get(&wanted, &keys, address)
        });
        let cells: HashMap<u64, Cell> = set::entries(&wanted).collect();
        set::retain(&mut self.memory, |tag| cells.get(&tag).copied());
        fingerprints::refill(&mut self.memory, &keys, now);
        for index in 0..TOPS {
            self.replace_top(index, wanted);
        }
        for index in 0..FILTER_LEN {
            let word = wanted.load(BanMap::Filter, index as usize);
            if self.memory.load(BanMap::Filter, index) != word {
                self.memory.store(BanMap::Filter, index, word);
            }
        }
        Ok(())
    }

    /// Lets the fingerprint filter say the most of what the table of addresses has: bans that came after others of
    /// their bucket had ended, or that end before them, are in the table alone until then.
    pub fn refill_fingerprints(&mut self, now: u32) {
        fingerprints::refill(&mut self.memory, &self.keys, now);
    }

    /// One /16, whatever the number of its chunk.
    fn replace_top(&mut self, index: u32, wanted: &MemBans) {
        let new = Top::from_word(wanted.load(BanMap::Tops, index as usize));
        let old = Top::from_word(self.memory.load(BanMap::Tops, index));
        if old.chunk != 0 {
            for word in 0..CHUNK_WORDS {
                let value = match new.chunk {
                    0 => 0,
                    chunk => wanted.load(BanMap::Chunks, (chunk * CHUNK_WORDS + word) as usize),
                };
                let at = old.chunk * CHUNK_WORDS + word;
                if self.memory.load(BanMap::Chunks, at) != value {
                    self.memory.store(BanMap::Chunks, at, value);
                }
            }
        }
        let top = Top {
            cell: new.cell,
            parts: new.parts,
            ..old
        };
        if top != old {
            self.memory.store(BanMap::Tops, index, top.to_word());
        }
        self.retire_chunk(Addr::from_v4(index << 16));
    }

    /// Takes over everything that smaller arrays say. Only for arrays that no program reads yet, and
    /// whose tops and filter are those of the smaller ones.
    ///
    /// # Errors
    /// When there is no room.
    pub fn take_over(&mut self, smaller: &impl Memory, now: u32) -> Result<(), Full> {
        for index in 0..smaller.sizes().chunks * CHUNK_WORDS {
            let word = smaller.load(BanMap::Chunks, index);
            self.memory.store(BanMap::Chunks, index, word);
        }
        for (address, end) in address_slots::entries(smaller) {
            if end.is_live(now) {
                addresses::put(&mut self.memory, &self.keys, address, end, now)?;
            }
        }
        fingerprints::refill(&mut self.memory, &self.keys, now);
        for (tag, cell) in set::entries(smaller) {
            if cell.has_longer() || cell.expiry().is_live(now) {
                let tag = BanTag::from_bits(tag);
                set::put(&mut self.memory, tag, cell, now)?;
            }
        }
        Ok(())
    }
}

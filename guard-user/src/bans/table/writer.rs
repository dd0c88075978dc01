//! Bans to cells: each prefix is written to every cell of its level, and a cell holds the latest end of
//! the bans of its level that cover it.

use std::ops::RangeInclusive;

use guard_common::abi::{
    addr::Addr,
    ban::{
        BanMap, BanTag, CHUNK_WORDS, Cell, ChunkPlace, Expiry, FilterBits, LEVEL_ADDRESS,
        LEVEL_BLOCK, LEVEL_CHUNK, LEVEL_SUBNET_V6, LEVEL_TOP, LEVELS_WORD, TOPS, Top, level,
        level_bit,
    },
    flow,
};

use super::{Full, Memory, PrefixBan, addresses, set};
use crate::bans::prefix::Prefix;

/// The one writer of the arrays; whoever has it holds the lock of commands.
#[derive(Debug)]
pub struct Writer<M> {
    pub(super) memory: M,
    pub(super) keys: [u64; flow::KEYS],
    /// Chunks that nothing refers to.
    free: Vec<u32>,
    /// Chunks that a packet in flight may still look at.
    retired: Vec<u32>,
}

/// IPv4 lengths count behind these bits.
const V4: u32 = 96;

/// Length of the level that holds a prefix.
#[must_use]
pub fn holding_level(prefix: Prefix) -> u32 {
    level(u32::from(prefix.length()), prefix.is_v4())
}

/// The cells of a prefix: itself, or the prefixes of its level inside it.
pub fn cells(prefix: Prefix) -> impl Iterator<Item = Prefix> {
    inside(prefix, holding_level(prefix))
}

/// The prefixes of this length inside a prefix that is not longer.
fn inside(prefix: Prefix, level: u32) -> impl Iterator<Item = Prefix> {
    let count = 1u32 << level.saturating_sub(u32::from(prefix.length())).min(31);
    let level = level.min(128) as u8;
    let step = 128 - u32::from(level);
    (0..count).map(move |index| {
        let bits = u128::from(index).checked_shl(step).unwrap_or(0);
        Prefix::new(prefix.bits() | bits, level)
    })
}

/// Bits of the filter of an IPv4 ban.
fn marks_v4(prefix: Prefix) -> impl Iterator<Item = FilterBits> {
    const WORD: u32 = V4 + FilterBits::V4_NETWORK_WORD;
    let is_address = holding_level(prefix) == LEVEL_ADDRESS;
    let length = u32::from(prefix.length());
    // Wide ones take whole words.
    let step = match length {
        _ if is_address => LEVEL_ADDRESS,
        0..=WORD => WORD,
        _ => length.max(LEVEL_CHUNK),
    };
    inside(prefix, step).map(move |part| {
        let addr = part.addr();
        match step {
            LEVEL_ADDRESS => FilterBits::v4_address(addr),
            WORD => FilterBits {
                mask: u64::MAX,
                ..FilterBits::v4_network(addr)
            },
            _ => FilterBits::v4_network(addr),
        }
    })
}

/// The words of the filter that a ban has bits of, and the prefix of all that has bits there.
fn words_v4(prefix: Prefix) -> (RangeInclusive<u32>, Prefix) {
    let is_address = holding_level(prefix) == LEVEL_ADDRESS;
    let (shared, bits): (u32, fn(Addr) -> FilterBits) = if is_address {
        (FilterBits::V4_ADDRESS_WORD, FilterBits::v4_address)
    } else {
        (FilterBits::V4_NETWORK_WORD, FilterBits::v4_network)
    };
    let all = if u32::from(prefix.length()) > V4 + shared {
        prefix.widened((V4 + shared) as u8)
    } else {
        prefix
    };
    let last = all.last();
    let last = Addr::from_halves((last >> 64) as u64, last as u64);
    (bits(all.addr()).word..=bits(last).word, all)
}

impl<M: Memory> Writer<M> {
    /// A writer of these arrays, as they are, under the keys of this seed.
    #[must_use]
    pub fn new(memory: M, seed: u64) -> Self {
        Self::with_keys(memory, flow::keys(seed))
    }

    pub(super) fn with_keys(memory: M, keys: [u64; flow::KEYS]) -> Self {
        let mut is_used = vec![false; memory.sizes().chunks as usize];
        for index in 0..TOPS {
            let top = Top::from_word(memory.load(BanMap::Tops, index));
            if let Some(used) = is_used.get_mut(top.chunk as usize) {
                *used = true;
            }
        }
        // Chunk 0 stands for none.
        let numbers = (1u32..).zip(is_used.into_iter().skip(1));
        let free = numbers.filter(|(_, used)| !used).map(|(chunk, _)| chunk);
        let mut free: Vec<u32> = free.collect();
        free.reverse();
        Self {
            memory,
            keys,
            free,
            retired: Vec::new(),
        }
    }

    /// The arrays.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// The arrays, and nobody writes any more.
    pub fn into_memory(self) -> M {
        self.memory
    }

    /// Bans a prefix at least until then.
    ///
    /// # Errors
    /// When an array is full; some cells of the prefix may be written.
    pub fn raise(&mut self, prefix: Prefix, end: Expiry, now: u32) -> Result<(), Full> {
        let level = holding_level(prefix);
        for cell in cells(prefix) {
            let before = self.expiry(cell, level, now);
            self.write(cell, level, before.later(end, now), now)?;
        }
        self.mark(prefix, level);
        Ok(())
    }

    /// Gives every cell of a prefix the value that follows from the bans that are left. `around` are
    /// those that hold all of the prefix that is asked for, and those inside it.
    ///
    /// # Errors
    /// What `around` says.
    pub fn lower<E>(
        &mut self,
        prefix: Prefix,
        now: u32,
        mut around: impl FnMut(Prefix) -> Result<Vec<PrefixBan>, E>,
    ) -> Result<(), E> {
        let level = holding_level(prefix);
        let left = around(prefix)?;
        let same = || {
            left.iter()
                .filter(|(other, _)| holding_level(*other) == level)
        };
        for cell in cells(prefix) {
            let covering = same().filter(|(other, _)| other.covers(cell));
            let end = covering.fold(Expiry::NONE, |end, (_, other)| end.later(*other, now));
            self.lower_cell(cell, level, end, now);
        }
        if prefix.is_v4() {
            self.unmark_v4(prefix, level, &mut around)
        } else {
            self.unmark_v6(prefix, level, &mut around)
        }
    }

    /// Ends of the bans of a cell; none where they are over.
    fn expiry(&self, cell: Prefix, level: u32, now: u32) -> Expiry {
        let expiry = match (cell.is_v4(), level) {
            (true, LEVEL_TOP) => self.top(cell.addr()).cell.expiry(),
            (true, LEVEL_CHUNK) => self.chunk_cell(cell.addr()).expiry(),
            (true, LEVEL_ADDRESS) => addresses::get(&self.memory, &self.keys, cell.addr().v4()),
            (true | false, _) => self.entry(cell, level).expiry(),
        };
        if expiry.is_live(now) {
            expiry
        } else {
            Expiry::NONE
        }
    }

    fn write(&mut self, cell: Prefix, level: u32, end: Expiry, now: u32) -> Result<(), Full> {
        let addr = cell.addr();
        match (cell.is_v4(), level) {
            (true, LEVEL_TOP) => self.set_top(addr, end),
            (true, LEVEL_CHUNK) => {
                let chunk = self.chunk_for(addr)?;
                let has_longer = self.chunk_cell(addr).has_longer();
                self.set_chunk_cell(chunk, addr, Cell::new(end, has_longer));
            }
            (true, LEVEL_BLOCK) => {
                self.put(cell, level, end, now)?;
                let chunk = self.chunk_for(addr)?;
                let expiry = self.chunk_cell(addr).expiry();
                self.set_chunk_cell(chunk, addr, Cell::new(expiry, true));
            }
            (true, LEVEL_ADDRESS) => {
                addresses::put(&mut self.memory, &self.keys, addr.v4(), end, now)?;
            }
            (true | false, _) => {
                self.put(cell, level, end, now)?;
                if !cell.is_v4() && level > LEVEL_SUBNET_V6 {
                    let subnet = cell.widened(LEVEL_SUBNET_V6 as u8);
                    let held = self.entry(subnet, LEVEL_SUBNET_V6);
                    let flagged = Cell::new(held.expiry(), true);
                    let tag = self.tag(subnet, LEVEL_SUBNET_V6);
                    set::put(&mut self.memory, tag, flagged, now)?;
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, cell: Prefix, level: u32, end: Expiry, now: u32) -> Result<(), Full> {
        let has_longer = self.entry(cell, level).has_longer();
        let tag = self.tag(cell, level);
        set::put(&mut self.memory, tag, Cell::new(end, has_longer), now)
    }

    /// Writes a cell that may become empty.
    fn lower_cell(&mut self, cell: Prefix, level: u32, end: Expiry, now: u32) {
        let addr = cell.addr();
        match (cell.is_v4(), level) {
            (true, LEVEL_TOP) => self.set_top(addr, end),
            (true, LEVEL_CHUNK) => {
                let chunk = self.top(addr).chunk;
                let has_longer = self.chunk_cell(addr).has_longer();
                if chunk != 0 {
                    self.set_chunk_cell(chunk, addr, Cell::new(end, has_longer));
                }
            }
            (true, LEVEL_ADDRESS) if end == Expiry::NONE => {
                addresses::remove(&mut self.memory, &self.keys, addr.v4());
            }
            (true, LEVEL_ADDRESS) => {
                // It is there, so there is room.
                addresses::put(&mut self.memory, &self.keys, addr.v4(), end, now).ok();
            }
            (true | false, _) => self.lower_entry(cell, level, end),
        }
    }

    fn lower_entry(&mut self, cell: Prefix, level: u32, end: Expiry) {
        let tag = self.tag(cell, level);
        let Some(held) = set::get(&self.memory, tag) else {
            return;
        };
        if end == Expiry::NONE && !held.has_longer() {
            set::remove(&mut self.memory, tag);
        } else {
            let cell = Cell::new(end, held.has_longer());
            // It is there, so there is room.
            set::put(&mut self.memory, tag, cell, 0).ok();
        }
    }

    /// Lets the kernel look here, from now on.
    fn mark(&mut self, prefix: Prefix, level: u32) {
        if prefix.is_v4() {
            for bits in marks_v4(prefix) {
                self.set_bits(bits);
            }
            return;
        }
        let mut levels = level_bit(level);
        if level > LEVEL_SUBNET_V6 {
            levels |= level_bit(LEVEL_SUBNET_V6);
        }
        self.set_bits(FilterBits {
            word: LEVELS_WORD,
            mask: levels,
        });
        for cell in cells(prefix) {
            let keys = self.keys;
            let key = |index: usize| keys[index];
            self.set_bits(if level < LEVEL_SUBNET_V6 {
                FilterBits::short_v6(cell.addr(), key)
            } else {
                FilterBits::long_v6(cell.addr(), key)
            });
        }
    }

    fn set_bits(&mut self, bits: FilterBits) {
        let before = self.memory.load(BanMap::Filter, bits.word);
        if !bits.are_in(before) {
            self.memory
                .store(BanMap::Filter, bits.word, before | bits.mask);
        }
    }

    fn unmark_v4<E>(
        &mut self,
        prefix: Prefix,
        level: u32,
        around: &mut impl FnMut(Prefix) -> Result<Vec<PrefixBan>, E>,
    ) -> Result<(), E> {
        if level == LEVEL_BLOCK {
            let net = prefix.widened(LEVEL_CHUNK as u8);
            let is_block = |(other, _): &PrefixBan| holding_level(*other) == LEVEL_BLOCK;
            let chunk = self.top(net.addr()).chunk;
            if chunk != 0 && !around(net)?.iter().any(is_block) {
                let expiry = self.chunk_cell(net.addr()).expiry();
                self.set_chunk_cell(chunk, net.addr(), Cell::new(expiry, false));
            }
        }
        // Bits are shared: the words are made anew from the bans that are left.
        let (words, all) = words_v4(prefix);
        let first = *words.start();
        let mut left = vec![0; words.clone().count()];
        for (other, _) in around(all)? {
            for bits in marks_v4(other) {
                if words.contains(&bits.word) {
                    left[(bits.word - first) as usize] |= bits.mask;
                }
            }
        }
        for (word, value) in (first..).zip(left) {
            if self.memory.load(BanMap::Filter, word) != value {
                self.memory.store(BanMap::Filter, word, value);
            }
        }
        if level == LEVEL_CHUNK || level == LEVEL_BLOCK {
            self.retire_chunk(prefix.addr());
        }
        Ok(())
    }

    /// Bits of the filter are shared between IPv6 networks and stay; the mark in the /64 goes.
    fn unmark_v6<E>(
        &mut self,
        prefix: Prefix,
        level: u32,
        around: &mut impl FnMut(Prefix) -> Result<Vec<PrefixBan>, E>,
    ) -> Result<(), E> {
        if level <= LEVEL_SUBNET_V6 {
            return Ok(());
        }
        let subnet = prefix.widened(LEVEL_SUBNET_V6 as u8);
        let is_longer = |(other, _): &PrefixBan| u32::from(other.length()) > LEVEL_SUBNET_V6;
        if around(subnet)?.iter().any(is_longer) {
            return Ok(());
        }
        let tag = self.tag(subnet, LEVEL_SUBNET_V6);
        if let Some(held) = set::get(&self.memory, tag) {
            let cell = Cell::new(held.expiry(), false);
            if cell == Cell::EMPTY {
                set::remove(&mut self.memory, tag);
            } else {
                set::put(&mut self.memory, tag, cell, 0).ok();
            }
        }
        Ok(())
    }

    pub(super) fn tag(&self, prefix: Prefix, level: u32) -> BanTag {
        BanTag::new(prefix.addr(), level, |index| self.keys[index])
    }

    fn entry(&self, prefix: Prefix, level: u32) -> Cell {
        set::get(&self.memory, self.tag(prefix, level)).unwrap_or(Cell::EMPTY)
    }

    fn top(&self, addr: Addr) -> Top {
        Top::from_word(self.memory.load(BanMap::Tops, Top::at(addr)))
    }

    fn set_top(&mut self, addr: Addr, end: Expiry) {
        let top = Top {
            cell: Cell::new(end, false),
            ..self.top(addr)
        };
        self.memory
            .store(BanMap::Tops, Top::at(addr), top.to_word());
    }

    fn chunk_cell(&self, addr: Addr) -> Cell {
        match self.top(addr).chunk {
            0 => Cell::EMPTY,
            chunk => {
                let place = ChunkPlace::of(chunk, addr);
                place.get(self.memory.load(BanMap::Chunks, place.word))
            }
        }
    }

    fn set_chunk_cell(&mut self, chunk: u32, addr: Addr, cell: Cell) {
        let place = ChunkPlace::of(chunk, addr);
        let word = self.memory.load(BanMap::Chunks, place.word);
        let word = place.set(word, cell);
        self.memory.store(BanMap::Chunks, place.word, word);
        self.set_parts(addr, self.parts(chunk, addr));
    }

    /// Which /20s a chunk says something about, as far as the one of this address goes.
    fn parts(&self, chunk: u32, addr: Addr) -> u32 {
        let part = Top::part(addr);
        let words = CHUNK_WORDS / 16;
        let first = chunk * CHUNK_WORDS + part.trailing_zeros() * words;
        let is_used = (first..first + words).any(|w| self.memory.load(BanMap::Chunks, w) != 0);
        let others = self.top(addr).parts & !part;
        if is_used { others | part } else { others }
    }

    fn set_parts(&mut self, addr: Addr, parts: u32) {
        let top = self.top(addr);
        if top.parts != parts {
            let top = Top { parts, ..top };
            self.memory
                .store(BanMap::Tops, Top::at(addr), top.to_word());
        }
    }

    /// The chunk of an address's /16, a new one if it has none.
    fn chunk_for(&mut self, addr: Addr) -> Result<u32, Full> {
        let top = self.top(addr);
        if top.chunk != 0 {
            return Ok(top.chunk);
        }
        if self.free.is_empty() && !self.retired.is_empty() {
            self.memory.let_packets_pass();
            self.free.append(&mut self.retired);
        }
        let chunk = self.free.pop().ok_or(Full::Chunks)?;
        for word in chunk * CHUNK_WORDS..(chunk + 1) * CHUNK_WORDS {
            self.memory.store(BanMap::Chunks, word, 0);
        }
        let top = Top { chunk, ..top };
        self.memory
            .store(BanMap::Tops, Top::at(addr), top.to_word());
        Ok(chunk)
    }

    /// Gives a chunk back that says nothing.
    pub(super) fn retire_chunk(&mut self, addr: Addr) {
        let top = self.top(addr);
        let words = top.chunk * CHUNK_WORDS..(top.chunk + 1) * CHUNK_WORDS;
        if top.chunk == 0
            || words
                .into_iter()
                .any(|w| self.memory.load(BanMap::Chunks, w) != 0)
        {
            return;
        }
        let without = Top {
            chunk: 0,
            parts: 0,
            ..top
        };
        self.memory
            .store(BanMap::Tops, Top::at(addr), without.to_word());
        self.retired.push(top.chunk);
    }
}

//! The tables of the model: the same words that the kernel reads, in a vector.

mod bans;
mod sparse;

pub use bans::MemBans;

use sparse::Sparse;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use crate::{
    abi::{
        addr::Addr,
        ban::{self, BanMap},
        counters,
        flow::{self, BUCKET_WORDS, BUCKETS, KEYS, Tag, Tuple, WAYS},
        fragment::CELLS,
        image::HEADER_FLAGS,
        meter,
        switch::{SlotState, SwitchWord},
    },
    packet::{self, Frame, Packet, PacketReader, Transport},
    policy::{
        BanBucket, BanWords, Bucket, ListenerState, MeterBucket, Scratch, Searches, SocketState,
        Subject, Tables, tuple_of,
    },
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
    /// The coarse clock.
    pub jiffies: u64,
    /// Jiffies of a tick, as a power of two.
    pub tick_shift: u32,
    /// Microseconds of a jiffy.
    pub jiffy_us: u64,
    /// Whether what leaves is of another host or a container.
    pub forwards: bool,
    /// Who is banned.
    pub bans: MemBans,
    /// TCP sockets of this host.
    pub sockets: BTreeMap<Tuple, SocketState>,
    /// Listening TCP sockets of this host, by address and port.
    pub listeners: BTreeMap<(Addr, u16), ListenerState>,
    ceilings: Sparse,
    fragments: RefCell<Vec<u64>>,
    flow_keys: [u64; KEYS],
    flows: Sparse,
    ports: RefCell<BTreeMap<u16, u8>>,
    meters: Sparse,
    /// What [`Tables::note_banned`] was told.
    came_banned: Cell<bool>,
    events: [Cell<u64>; counters::Event::ALL.len()],
}

/// As of a kernel with 250 jiffies per second.
const TICK_SHIFT: u32 = 8;
const JIFFY_US: u64 = 4_000;

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
            jiffies: 1_000_000 << TICK_SHIFT,
            tick_shift: TICK_SHIFT,
            jiffy_us: JIFFY_US,
            forwards: false,
            bans: MemBans::default(),
            sockets: BTreeMap::new(),
            listeners: BTreeMap::new(),
            ceilings: Sparse::default(),
            fragments: RefCell::new(vec![0; CELLS as usize]),
            flow_keys: flow::keys(0),
            flows: Sparse::default(),
            ports: RefCell::default(),
            meters: Sparse::default(),
            came_banned: Cell::new(false),
            events: Default::default(),
        }
    }

    /// The same with the keys that belong to this seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self.flow_keys = flow::keys(seed);
        self
    }

    /// Sets the coarse clock to the beginning of a tick.
    pub fn set_ticks(&mut self, ticks: u32) {
        self.jiffies = u64::from(ticks) << self.tick_shift;
    }

    /// How often something happened that is no packet.
    #[must_use]
    pub fn counted(&self, event: counters::Event) -> u64 {
        self.events[event as usize].get()
    }

    /// The flow table as it lies in the map, bucket after bucket.
    #[must_use]
    pub fn flow_words(&self) -> Vec<u64> {
        self.flows.words(BUCKETS as usize * BUCKET_WORDS)
    }

    /// Puts another flow table in the place of this one; missing words are 0.
    pub fn set_flow_words(&self, words: &[u64]) {
        self.flows.replace(words);
    }

    /// The table of meters as it lies in the map, bucket after bucket.
    #[must_use]
    pub fn meter_words(&self) -> Vec<u64> {
        self.meters.words(meter::BUCKETS as usize * meter::WAYS)
    }

    /// Puts another table of meters in the place of this one; missing words are 0.
    pub fn set_meter_words(&self, words: &[u64]) {
        self.meters.replace(words);
    }

    /// Forgets what every source owes, every conversation and every exempt source.
    pub fn clear_meters(&self) {
        self.meters.replace(&[]);
    }

    /// Ports that have marks, and which.
    #[must_use]
    pub fn marked_ports(&self) -> BTreeMap<u16, u8> {
        self.ports.borrow().clone()
    }

    /// Puts other marks in the place of these.
    pub fn set_marked_ports(&self, marks: BTreeMap<u16, u8>) {
        *self.ports.borrow_mut() = marks;
    }

    /// Forgets every flow.
    pub fn clear_flows(&self) {
        self.flows.replace(&[]);
        self.ports.borrow_mut().clear();
    }

    /// Every word of [`crate::abi::ceiling`] that is not 0.
    #[must_use]
    pub fn ceilings(&self) -> BTreeMap<u32, u64> {
        self.ceilings.taken()
    }

    /// The first table that packets write and that is not the same in both. Which source came banned is a
    /// hint, and no part of this.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        let counts = |tables: &Self| tables.events.each_ref().map(Cell::get);
        let tables = [
            ("flows", self.flows == other.flows),
            ("ports", self.marks() == other.marks()),
            ("meters", self.meters == other.meters),
            ("fragments", self.fragments == other.fragments),
            ("ceilings", self.ceilings == other.ceilings),
            ("events", counts(self) == counts(other)),
        ];
        let different = tables.iter().find(|(_, is_same)| !is_same);
        different.map(|(table, _)| *table)
    }

    /// Ports that have any mark.
    fn marks(&self) -> BTreeMap<u16, u8> {
        let mut marks = self.marked_ports();
        marks.retain(|_, marks| *marks != 0);
        marks
    }
}

/// A bucket of the model's flow table.
struct MemBucket<'a> {
    flows: &'a Sparse,
    at: usize,
}

impl Bucket for MemBucket<'_> {
    fn tag(&self, way: usize) -> u64 {
        self.flows.load(self.at + way % WAYS)
    }

    fn state(&self, way: usize) -> u64 {
        self.flows.load(self.at + WAYS + way % WAYS)
    }

    fn set_tag(&self, way: usize, tag: u64) {
        self.flows.store(self.at + way % WAYS, tag);
    }

    fn set_state(&self, way: usize, state: u64) {
        self.flows.store(self.at + WAYS + way % WAYS, state);
    }
}

/// A bucket of the model's meters.
struct MemEntries<'a> {
    meters: &'a Sparse,
    at: usize,
}

impl MeterBucket for MemEntries<'_> {
    fn load(&self, way: usize) -> u64 {
        self.meters.load(self.at + way % meter::WAYS)
    }

    fn store(&self, way: usize, word: u64) {
        self.meters.store(self.at + way % meter::WAYS, word);
    }

    fn add(&self, way: usize, amount: u64) {
        self.store(way, self.load(way).wrapping_add(amount));
    }
}

/// A bucket of the model's set of bans.
struct MemBanBucket<'a> {
    bans: &'a MemBans,
    at: usize,
}

impl BanBucket for MemBanBucket<'_> {
    fn tag(&self, way: usize) -> u64 {
        self.bans.load(BanMap::Set, self.at + way % ban::WAYS)
    }

    fn cell(&self, way: usize) -> u64 {
        self.bans
            .load(BanMap::Set, self.at + ban::WAYS + way % ban::WAYS)
    }
}

/// A bucket of so many words of one of the model's arrays of bans.
struct MemBanWords<'a, const N: usize> {
    bans: &'a MemBans,
    map: BanMap,
    bucket: u32,
}

impl<const N: usize> BanWords for MemBanWords<'_, N> {
    fn word(&self, way: usize) -> u64 {
        let at = self.bucket as usize * N + way % N;
        self.bans.load(self.map, at)
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

    fn jiffies(&self) -> u64 {
        self.jiffies
    }

    fn tick_shift(&self) -> u32 {
        self.tick_shift
    }

    fn flow_key(&self, index: usize) -> u64 {
        self.flow_keys[index]
    }

    fn flow_bucket(&self, tag: Tag) -> impl Bucket {
        MemBucket {
            flows: &self.flows,
            at: tag.bucket(BUCKETS - 1) as usize * BUCKET_WORDS,
        }
    }

    fn meter_bucket(&self, index: u32) -> impl MeterBucket {
        MemEntries {
            meters: &self.meters,
            at: index as usize * meter::WAYS,
        }
    }

    fn port_marks(&self, port: u16) -> u8 {
        self.ports.borrow().get(&port).copied().unwrap_or(0)
    }

    fn mark_port(&self, port: u16, mark: u8) {
        *self.ports.borrow_mut().entry(port).or_insert(0) |= mark;
    }

    fn socket(&self, scratch: &Scratch, subject: Subject) -> SocketState {
        self.count(counters::Event::SocketAsked);
        let tuple = tuple_of(scratch.subject(subject));
        let state = tuple.and_then(|tuple| self.sockets.get(&tuple).copied());
        state.unwrap_or(SocketState::None)
    }

    fn jiffy_us(&self) -> u64 {
        self.jiffy_us
    }

    fn ceiling(&self, index: u32) -> u64 {
        self.ceilings.load(index as usize)
    }

    fn set_ceiling(&self, index: u32, value: u64) {
        self.ceilings.store(index as usize, value);
    }

    fn add_to_ceiling(&self, index: u32, value: u64) {
        let index = index as usize;
        self.ceilings
            .store(index, self.ceilings.load(index).wrapping_add(value));
    }

    fn listener<R: PacketReader + ?Sized>(&self, reader: &R) -> ListenerState {
        let packet = Packet::default();
        let (Ok(Frame::Ip), Transport::Tcp { .. }) =
            (packet::parse(reader, &packet), packet.transport())
        else {
            return ListenerState::None;
        };
        let Some(tuple) = tuple_of(&packet) else {
            return ListenerState::None;
        };
        if self.sockets.contains_key(&tuple) {
            return ListenerState::Ready;
        }
        let place = (tuple.local, tuple.local_port);
        self.listeners
            .get(&place)
            .copied()
            .unwrap_or(ListenerState::None)
    }

    fn is_forwarding(&self) -> bool {
        self.forwards
    }

    fn unmark_port(&self, port: u16, mark: u8) {
        if let Some(marks) = self.ports.borrow_mut().get_mut(&port) {
            *marks &= !mark;
        }
    }

    fn ban_filter(&self, index: u32) -> u64 {
        self.bans.load(BanMap::Filter, index as usize)
    }

    fn ban_top(&self, index: u32) -> u64 {
        self.bans.load(BanMap::Tops, index as usize)
    }

    fn ban_chunk(&self, index: u32) -> u64 {
        self.bans.load(BanMap::Chunks, index as usize)
    }

    fn ban_mask(&self) -> u32 {
        self.bans.sizes().mask()
    }

    fn ban_address_mask(&self) -> u32 {
        self.bans.sizes().address_mask()
    }

    fn banned_addresses(&self, index: u32) -> impl BanWords {
        MemBanWords::<{ ban::ADDRESS_WAYS }> {
            bans: &self.bans,
            map: BanMap::Addresses,
            bucket: index,
        }
    }

    fn has_ban_fingerprints(&self) -> bool {
        self.bans.sizes().has_fingerprints()
    }

    fn came_banned(&self) -> bool {
        self.came_banned.get()
    }

    fn note_banned(&self, is_banned: bool) {
        self.came_banned.set(is_banned);
    }

    fn ban_fingerprints(&self, index: u32) -> impl BanWords {
        MemBanWords::<{ ban::FINGERPRINT_WORDS }> {
            bans: &self.bans,
            map: BanMap::Fingerprints,
            bucket: index,
        }
    }

    fn ban_bucket(&self, index: u32) -> impl BanBucket {
        MemBanBucket {
            bans: &self.bans,
            at: index as usize * ban::BUCKET_WORDS,
        }
    }

    fn count(&self, event: counters::Event) {
        let counter = &self.events[event as usize];
        counter.set(counter.get() + 1);
    }
}

impl Searches for MemTables {}

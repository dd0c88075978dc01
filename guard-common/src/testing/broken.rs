//! Tables that answer as those of the model do, except where a test breaks them on purpose.

use crate::{
    abi::{
        addr::Addr,
        counters,
        flow::{Event, Tag},
        image::Tree,
        meter,
        switch::SwitchWord,
    },
    memory::MemTables,
    packet::{self, PacketReader},
    policy::{
        self, BanBucket, BanWords, Bucket, Found, MeterBucket, MeterWay, RuleLookup, RulesAnswer,
        Scratch, Searches, SocketState, Subject, Tables,
    },
};

/// What is wrong. Every method gets what is right and answers the same, unless it is overridden.
pub trait Breaks {
    /// The word that names the active policy.
    fn switch(&self, right: SwitchWord) -> SwitchWord {
        right
    }

    /// The coarse clock.
    fn jiffies(&self, right: u64) -> u64 {
        right
    }

    /// A word of the policy array.
    fn policy_word(&self, _index: u32, right: u64) -> u64 {
        right
    }

    /// What a search for the longest prefix finds.
    fn class(&self, _tree: Tree, right: u32) -> u32 {
        right
    }

    /// A key of the flow hash.
    fn flow_key(&self, _index: usize, right: u64) -> u64 {
        right
    }

    /// The state of a flow in its bucket.
    fn flow_state(&self, right: u64) -> u64 {
        right
    }

    /// The search for a flow.
    fn find_flow<T: Searches>(&self, tables: &T, tag: Tag, event: Event) -> Found {
        policy::find_flow(tables, tag, event)
    }

    /// The marks of a port.
    fn port_marks(&self, right: u8) -> u8 {
        right
    }

    /// The answer of the kernel's socket table.
    fn socket(&self, right: SocketState) -> SocketState {
        right
    }

    /// The answer of the rules.
    fn rules(&self, right: RulesAnswer) -> RulesAnswer {
        right
    }

    /// Who sent the packet that an ICMP error quotes.
    fn quoted_sender(&self, right: Addr) -> Addr {
        right
    }

    /// What is written into a meter; `None` writes nothing.
    fn stored(&self, right: u64) -> Option<u64> {
        Some(right)
    }

    /// What is added to a meter; `None` adds nothing.
    fn added(&self, right: u64) -> Option<u64> {
        Some(right)
    }

    /// Where a meter is found, or room for it.
    fn entry<E: MeterBucket>(&self, _bucket: &E, _now: u64, right: MeterWay) -> MeterWay {
        right
    }
}

/// The tables of the model with something broken.
#[derive(Debug)]
pub struct Broken<'a, B> {
    right: &'a MemTables,
    fault: B,
}

impl<'a, B: Breaks> Broken<'a, B> {
    /// These tables with this fault.
    #[must_use]
    pub fn new(right: &'a MemTables, fault: B) -> Self {
        Self { right, fault }
    }

    /// What is wrong with them.
    #[must_use]
    pub fn fault(&self) -> &B {
        &self.fault
    }
}

impl<B: Breaks> Tables for Broken<'_, B> {
    fn switch(&self) -> SwitchWord {
        self.fault.switch(self.right.switch())
    }

    fn now_ns(&self) -> u64 {
        self.right.now_ns()
    }

    fn jiffies(&self) -> u64 {
        self.fault.jiffies(self.right.jiffies())
    }

    fn tick_shift(&self) -> u32 {
        self.right.tick_shift()
    }

    fn jiffy_us(&self) -> u64 {
        self.right.jiffy_us()
    }

    fn slot_words(&self) -> u32 {
        self.right.slot_words()
    }

    fn policy_word(&self, index: u32) -> u64 {
        self.fault.policy_word(index, self.right.policy_word(index))
    }

    fn seed(&self) -> u64 {
        self.right.seed()
    }

    fn fragment_stamp(&self, index: u32) -> u64 {
        self.right.fragment_stamp(index)
    }

    fn set_fragment_stamp(&self, index: u32, stamp: u64) {
        self.right.set_fragment_stamp(index, stamp);
    }

    fn flow_key(&self, index: usize) -> u64 {
        self.fault.flow_key(index, self.right.flow_key(index))
    }

    fn flow_bucket(&self, tag: Tag) -> impl Bucket {
        BrokenBucket {
            right: self.right.flow_bucket(tag),
            fault: &self.fault,
        }
    }

    fn port_marks(&self, port: u16) -> u8 {
        self.fault.port_marks(self.right.port_marks(port))
    }

    fn mark_port(&self, port: u16, mark: u8) {
        self.right.mark_port(port, mark);
    }

    fn unmark_port(&self, port: u16, mark: u8) {
        self.right.unmark_port(port, mark);
    }

    fn socket(&self, scratch: &Scratch, subject: Subject) -> SocketState {
        self.fault.socket(self.right.socket(scratch, subject))
    }

    fn ceiling(&self, index: u32) -> u64 {
        self.right.ceiling(index)
    }

    fn set_ceiling(&self, index: u32, value: u64) {
        self.right.set_ceiling(index, value);
    }

    fn add_to_ceiling(&self, index: u32, value: u64) {
        self.right.add_to_ceiling(index, value);
    }

    fn meter_bucket(&self, index: u32) -> impl MeterBucket {
        BrokenEntries {
            right: self.right.meter_bucket(index),
            fault: &self.fault,
        }
    }

    fn ban_filter(&self, index: u32) -> u64 {
        self.right.ban_filter(index)
    }

    fn ban_top(&self, index: u32) -> u64 {
        self.right.ban_top(index)
    }

    fn ban_chunk(&self, index: u32) -> u64 {
        self.right.ban_chunk(index)
    }

    fn ban_mask(&self) -> u32 {
        self.right.ban_mask()
    }

    fn ban_bucket(&self, index: u32) -> impl BanBucket {
        self.right.ban_bucket(index)
    }

    fn ban_address_mask(&self) -> u32 {
        self.right.ban_address_mask()
    }

    fn banned_addresses(&self, index: u32) -> impl BanWords {
        self.right.banned_addresses(index)
    }

    fn has_ban_fingerprints(&self) -> bool {
        self.right.has_ban_fingerprints()
    }

    fn came_banned(&self) -> bool {
        self.right.came_banned()
    }

    fn note_banned(&self, is_banned: bool) {
        self.right.note_banned(is_banned);
    }

    fn ban_fingerprints(&self, index: u32) -> impl BanWords {
        self.right.ban_fingerprints(index)
    }

    fn count(&self, event: counters::Event) {
        self.right.count(event);
    }
}

impl<B: Breaks> Searches for Broken<'_, B> {
    fn longest_prefix(&self, base: u32, addr: Addr, tree: Tree, default: u32) -> u32 {
        let right = policy::longest_prefix(self, base, addr, tree, default);
        self.fault.class(tree, right)
    }

    fn evaluate_rules(&self, place: RuleLookup) -> RulesAnswer {
        self.fault.rules(policy::evaluate_rules(self, place))
    }

    fn find_flow(&self, tag: Tag, event: Event) -> Found {
        self.fault.find_flow(self, tag, event)
    }

    fn quoted<R: PacketReader + ?Sized>(&self, reader: &R, scratch: &Scratch) -> bool {
        let is_quoted = packet::quoted(reader, &scratch.packet, &scratch.answer);
        let sender = self.fault.quoted_sender(scratch.answer.destination());
        let answer = &scratch.answer;
        answer.set_addresses(answer.source(), sender);
        is_quoted
    }

    fn find_entry(&self, place: meter::MeterSlot, now: u64) -> MeterWay {
        let bucket = self.meter_bucket(place.bucket);
        let right = policy::find_entry(&bucket, place.tag, now);
        self.fault.entry(&bucket, now, right)
    }
}

struct BrokenBucket<'a, R, B> {
    right: R,
    fault: &'a B,
}

impl<R: Bucket, B: Breaks> Bucket for BrokenBucket<'_, R, B> {
    fn tag(&self, way: usize) -> u64 {
        self.right.tag(way)
    }

    fn state(&self, way: usize) -> u64 {
        self.fault.flow_state(self.right.state(way))
    }

    fn set_tag(&self, way: usize, tag: u64) {
        self.right.set_tag(way, tag);
    }

    fn set_state(&self, way: usize, state: u64) {
        self.right.set_state(way, state);
    }
}

struct BrokenEntries<'a, R, B> {
    right: R,
    fault: &'a B,
}

impl<R: MeterBucket, B: Breaks> MeterBucket for BrokenEntries<'_, R, B> {
    fn load(&self, way: usize) -> u64 {
        self.right.load(way)
    }

    fn store(&self, way: usize, word: u64) {
        if let Some(word) = self.fault.stored(word) {
            self.right.store(way, word);
        }
    }

    fn add(&self, way: usize, amount: u64) {
        if let Some(amount) = self.fault.added(amount) {
            self.right.add(way, amount);
        }
    }
}

//! The table of meters, behind global functions, which the verifier checks once, alone.

use guard_common::{
    abi::{
        addr::Addr,
        meter::{BucketWords, Place, WAYS},
        rule::RuleRef,
    },
    policy::{self, Entries, Newcomer, Way},
};

use crate::{count::atomic_add, maps, reader::opaque, tables::BpfTables};

/// Bucket of the table; none reads as empty.
#[inline(always)]
pub(crate) fn bucket(index: u32) -> BpfEntries {
    BpfEntries(maps::METERS.get_ptr_mut(index))
}

pub(crate) struct BpfEntries(Option<*mut BucketWords>);

impl BpfEntries {
    /// A word of the element; `None` when there is none.
    #[inline(always)]
    fn word(&self, way: usize) -> Option<*mut u64> {
        let bucket = self.0?;
        // SAFETY: the place is below the length of the live element.
        Some(unsafe { bucket.cast::<u64>().add(way & (WAYS - 1)) })
    }

    #[inline(always)]
    fn writable(&self, way: usize) -> Option<*mut u64> {
        if maps::explain() != 0 {
            return None;
        }
        self.word(way)
    }
}

impl Entries for BpfEntries {
    #[inline(always)]
    fn load(&self, way: usize) -> u64 {
        match self.word(way) {
            // SAFETY: a live, aligned word; one load.
            Some(word) => unsafe { word.read_volatile() },
            None => 0,
        }
    }

    #[inline(always)]
    fn store(&self, way: usize, value: u64) {
        if let Some(word) = self.writable(way) {
            // SAFETY: a live, aligned word; one store. Of two sources that are new at once in one
            // bucket, one is counted with its next packet.
            unsafe { word.write_volatile(value) };
        }
    }

    #[inline(always)]
    fn add(&self, way: usize, amount: u64) {
        if let Some(word) = self.writable(way) {
            atomic_add(word, amount);
        }
    }

    #[inline(always)]
    fn hide(value: u64) -> u64 {
        opaque(value)
    }
}

#[inline(always)]
pub(crate) fn find(place: Place, now: u64) -> Way {
    Way::from_bits(guard_entry(place.bucket, place.tag, now))
}

#[inline(always)]
pub(crate) fn may_enter(newcomer: Newcomer) -> bool {
    guard_limit(
        newcomer.source.hi(),
        newcomer.source.lo(),
        newcomer.base,
        newcomer.rule.bits() | u32::from(newcomer.opens) << 31,
        newcomer.ports,
    ) != 0
}

#[inline(always)]
pub(crate) fn answer(base: u32, remote: Addr, ports: u32) {
    guard_answer(remote.hi(), remote.lo(), base, ports);
}

/// A tag in its bucket.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_entry(index: u32, tag: u32, now: u64) -> u32 {
    policy::find_entry(&bucket(index), tag, now).bits()
}

/// The limit of a rule; `packed` is the rule, and in its highest bit whether the packet is a SYN.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_limit(hi: u64, lo: u64, base: u32, packed: u32, ports: u32) -> u32 {
    let newcomer = Newcomer {
        base,
        rule: RuleRef::from_bits(packed & (u32::MAX >> 1)),
        source: Addr::from_halves(hi, lo),
        ports,
        opens: packed >> 31 != 0,
    };
    u32::from(policy::may_enter(&BpfTables::without_packet(), newcomer))
}

/// A datagram that answers.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn guard_answer(hi: u64, lo: u64, base: u32, ports: u32) -> u32 {
    let remote = Addr::from_halves(hi, lo);
    policy::answer(&BpfTables::without_packet(), base, remote, ports);
    0
}

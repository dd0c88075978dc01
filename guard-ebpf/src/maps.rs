//! Every map and every constant that user space sets, nothing else. Sizes here are the smallest;
//! the loader overrides them.

use aya_ebpf::{
    macros::map,
    maps::{Array, PerCpuArray, ProgramArray},
};
use guard_common::{
    abi::{
        ban, ceiling_map,
        counters::{Counter, SHARD_ROWS},
        flow::{BUCKETS, BucketWords, KEYS, PORT_ROWS, PORTS_PER_ROW},
        form,
        fragment::CELLS,
        hit::Hit,
        image::FIXED_WORDS,
        meter,
        switch::{self, SLOTS},
        watch,
    },
    policy::Scratch,
};

/// User space reads and writes these arrays through shared memory: one store is one store, and a
/// dump of all counters needs no system call.
const MMAPABLE: u32 = aya_ebpf::bindings::BPF_F_MMAPABLE;

#[map(name = "policy")]
pub(crate) static POLICY: Array<u64> = Array::with_max_entries(SLOTS * FIXED_WORDS, MMAPABLE);

#[map(name = "switch")]
pub(crate) static SWITCH: Array<u64> = Array::with_max_entries(switch::WORDS, MMAPABLE);

#[map(name = "counters")]
pub(crate) static COUNTERS: Array<Counter> = Array::with_max_entries(SHARD_ROWS, MMAPABLE);

/// See [`Hit`].
#[map(name = "rule_hits")]
pub(crate) static RULE_HITS: Array<Counter> = Array::with_max_entries(Hit::CELLS, MMAPABLE);

#[map(name = "fragments")]
pub(crate) static FRAGMENTS: Array<u64> = Array::with_max_entries(CELLS, MMAPABLE);

#[map(name = "flows")]
pub(crate) static FLOWS: Array<BucketWords> = Array::with_max_entries(BUCKETS, MMAPABLE);

#[map(name = "ports")]
pub(crate) static PORTS: Array<[u8; PORTS_PER_ROW]> = Array::with_max_entries(PORT_ROWS, MMAPABLE);

#[map(name = "ceilings")]
pub(crate) static CEILINGS: Array<u64> = Array::with_max_entries(ceiling_map::WORDS, MMAPABLE);

#[map(name = "programs")]
pub(crate) static PROGRAMS: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// What one program hands over to the other, which takes it up at once.
#[map(name = "handover")]
static HANDOVER: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Between which frames of other forms go to and fro.
#[map(name = "form_programs")]
pub(crate) static FORM_PROGRAMS: ProgramArray = ProgramArray::with_max_entries(form::PROGRAMS, 0);

/// 1 while a frame comes back from the program of other forms, by CPU.
#[map(name = "form_back")]
static FORM_BACK: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Who is told of packets: [`watch`].
#[map(name = "watch_programs")]
pub(crate) static WATCH_PROGRAMS: ProgramArray = ProgramArray::with_max_entries(watch::WATCHERS, 0);

/// See [`watch`]. Mutable, because user space and the programs that report write it.
#[unsafe(link_section = ".data.watch")]
#[unsafe(no_mangle)]
static mut WATCH: [u64; watch::WORDS as usize] = [0; watch::WORDS as usize];

/// As the kernel has it: [`Scratch`].
type ScratchWords = [u64; size_of::<Scratch>() / 8];

/// What is noted of a frame while it is evaluated, by CPU; of this instance alone. The frames that arrive and
/// those that leave have one each. Shared with nobody, but then it begins on a page.
#[map(name = "scratch")]
static SCRATCH: Array<ScratchWords> = Array::with_max_entries(1, MMAPABLE);

/// See [`SCRATCH`].
#[map(name = "scratch_out")]
static SCRATCH_OUT: Array<ScratchWords> = Array::with_max_entries(1, MMAPABLE);

/// 1 where the address that this CPU asked about last is banned.
#[map(name = "last_banned")]
static LAST_BANNED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

#[map(name = "meters")]
pub(crate) static METERS: Array<meter::BucketWords> =
    Array::with_max_entries(meter::BUCKETS, MMAPABLE);

#[map(name = "ban_filter")]
pub(crate) static BAN_FILTER: Array<u64> = Array::with_max_entries(ban::FILTER_LEN, MMAPABLE);

#[map(name = "ban_tops")]
pub(crate) static BAN_TOPS: Array<u64> = Array::with_max_entries(ban::TOPS, MMAPABLE);

#[map(name = "ban_chunks")]
pub(crate) static BAN_CHUNKS: Array<u64> = Array::with_max_entries(ban::CHUNK_WORDS, MMAPABLE);

#[map(name = "ban_set")]
pub(crate) static BAN_SET: Array<ban::BucketWords> = Array::with_max_entries(1, MMAPABLE);

#[map(name = "ban_addresses")]
pub(crate) static BAN_ADDRESSES: Array<ban::AddressWords> = Array::with_max_entries(1, MMAPABLE);

#[map(name = "ban_fingerprint")]
pub(crate) static BAN_FINGERPRINTS: Array<ban::FingerprintWords> =
    Array::with_max_entries(1, MMAPABLE);

/// Words in one policy slot.
#[unsafe(no_mangle)]
static SLOT_WORDS: u32 = FIXED_WORDS;

/// Buckets of the set of bans less one.
#[unsafe(no_mangle)]
static BAN_MASK: u32 = 0;

/// Buckets of banned IPv4 addresses less one.
#[unsafe(no_mangle)]
static BAN_ADDRESS_MASK: u32 = 0;

/// 1: there is a fingerprint filter of banned IPv4 addresses.
#[unsafe(no_mangle)]
static BAN_HAS_FINGERPRINTS: u32 = 0;

/// Counter shards, a power of two.
#[unsafe(no_mangle)]
static SHARDS: u32 = 1;

/// 1 when every possible CPU has a shard of its own.
#[unsafe(no_mangle)]
static OWN_SHARD: u32 = 0;

/// Random number of this boot.
#[unsafe(no_mangle)]
static SEED: u64 = 0;

/// Buckets of the flow table less one.
#[unsafe(no_mangle)]
static FLOW_MASK: u32 = BUCKETS - 1;

/// Keys of the flow hash.
#[unsafe(no_mangle)]
static FLOW_KEYS: [u64; KEYS] = [0; KEYS];

/// Jiffies of a tick, as a power of two.
#[unsafe(no_mangle)]
static TICK_SHIFT: u32 = 8;

/// 1: the time in jiffies stands in the switch map.
#[unsafe(no_mangle)]
static FIXED_CLOCK: u32 = 0;

/// Microseconds of a jiffy.
#[unsafe(no_mangle)]
static JIFFY_US: u64 = 4000;

/// 1: there may be a program that admits SYNs.
#[unsafe(no_mangle)]
static ANSWERS: u32 = 0;

/// 1: frames of other forms may have a program of their own.
#[unsafe(no_mangle)]
static JUMPS: u32 = 0;

/// 1: there may be programs that report.
#[unsafe(no_mangle)]
static WATCHABLE: u32 = 0;

/// 1: the kernel tells the MTU of an interface.
#[unsafe(no_mangle)]
static ASKS_MTU: u32 = 0;

/// 1: answer with reason and rule instead of a verdict, and write to no map.
#[unsafe(no_mangle)]
static EXPLAIN: u32 = 0;

/// The interface that an explained packet arrives on.
#[unsafe(no_mangle)]
static EXPLAIN_IFINDEX: u32 = 0;

macro_rules! constant {
    ($(#[$doc:meta])* $name:ident = $static:ident: $type:ty) => {
        $(#[$doc])*
        #[inline(always)]
        pub(crate) fn $name() -> $type {
            // SAFETY: the static lives as long as the program; volatile because the loader
            // overwrites it after compilation.
            unsafe { core::ptr::read_volatile(&raw const $static) }
        }
    };
}

constant!(slot_words = SLOT_WORDS: u32);
constant!(ban_mask = BAN_MASK: u32);
constant!(ban_address_mask = BAN_ADDRESS_MASK: u32);
constant!(ban_has_fingerprints = BAN_HAS_FINGERPRINTS: u32);
constant!(flow_mask = FLOW_MASK: u32);
constant!(shards = SHARDS: u32);
constant!(own_shard = OWN_SHARD: u32);
constant!(seed = SEED: u64);
constant!(tick_shift = TICK_SHIFT: u32);
constant!(fixed_clock = FIXED_CLOCK: u32);
constant!(jiffy_us = JIFFY_US: u64);
constant!(answers = ANSWERS: u32);
constant!(asks_mtu = ASKS_MTU: u32);
constant!(jumps = JUMPS: u32);
constant!(watchable = WATCHABLE: u32);
constant!(explain = EXPLAIN: u32);
constant!(explain_ifindex = EXPLAIN_IFINDEX: u32);

/// A word of [`watch`]; the callers know which there are.
#[inline(always)]
pub(crate) fn watch_word(index: u32) -> u64 {
    let words = &raw const WATCH;
    // SAFETY: every caller passes a number below `watch::WORDS`.
    let word = unsafe { words.cast::<u64>().add(index as usize) };
    // SAFETY: as in `constant!`.
    unsafe { core::ptr::read_volatile(word) }
}

/// Key `index` of the flow hash.
#[inline(always)]
pub(crate) fn flow_key(index: usize) -> u64 {
    let keys = &raw const FLOW_KEYS;
    // SAFETY: every caller passes a number below `KEYS`.
    let key = unsafe { keys.cast::<u64>().add(index) };
    // SAFETY: as in `constant!`.
    unsafe { core::ptr::read_volatile(key) }
}

/// See [`LAST_BANNED`].
#[inline(always)]
pub(crate) fn came_banned() -> bool {
    // SAFETY: a live element of this CPU.
    LAST_BANNED
        .get_ptr(0)
        .is_some_and(|place| unsafe { place.read_volatile() } != 0)
}

/// See [`LAST_BANNED`].
#[inline(always)]
pub(crate) fn note_banned(is_banned: bool) {
    if let Some(place) = LAST_BANNED.get_ptr_mut(0) {
        // SAFETY: as above.
        unsafe { place.write_volatile(u64::from(is_banned)) };
    }
}

/// Keeps a number for the program that this one jumps to.
#[inline(always)]
pub(crate) fn hand_over(value: u64) {
    if let Some(place) = HANDOVER.get_ptr_mut(0) {
        // SAFETY: a live element of this CPU, on which nothing else runs meanwhile.
        unsafe { place.write(value) };
    }
}

/// What [`hand_over`] kept.
#[inline(always)]
pub(crate) fn handed_over() -> u64 {
    match HANDOVER.get_ptr(0) {
        // SAFETY: as above.
        Some(place) => unsafe { place.read() },
        None => 0,
    }
}

/// Notes that a frame comes back: [`came_back`].
#[inline(always)]
pub(crate) fn come_back() {
    if let Some(place) = FORM_BACK.get_ptr_mut(0) {
        // SAFETY: a live element of this CPU, on which nothing else runs meanwhile.
        unsafe { place.write(1) };
    }
}

/// Has this frame been with the program of other forms? Says so once.
#[inline(always)]
pub(crate) fn came_back() -> bool {
    let Some(place) = FORM_BACK.get_ptr_mut(0) else {
        return true;
    };
    // SAFETY: as above.
    let came_back = unsafe { place.read() } != 0;
    if came_back {
        // SAFETY: as above.
        unsafe { place.write(0) };
    }
    came_back
}

/// What this CPU notes of a frame that arrives. The CPU's number is asked once per frame and handed on.
#[inline(always)]
pub(crate) fn scratch(cpu: u32) -> Option<&'static Scratch> {
    // SAFETY: a live element that only this CPU uses, in words that may change; every bit pattern is one.
    SCRATCH
        .get_ptr(cpu)
        .map(|scratch| unsafe { &*scratch.cast() })
}

/// The same of a frame that leaves.
#[inline(always)]
pub(crate) fn scratch_out(cpu: u32) -> Option<&'static Scratch> {
    // SAFETY: as above.
    SCRATCH_OUT
        .get_ptr(cpu)
        .map(|scratch| unsafe { &*scratch.cast() })
}

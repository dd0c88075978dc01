//! What a stage may look up. The kernel answers from BPF maps, the model from memory.

use super::{BanBucket, BanWords, ListenerState, Scratch, SocketState, Subject};
use crate::{
    abi::{
        clock, counters,
        flow::{FlowState, Tag},
    },
    packet::PacketReader,
};

/// State outside the packet. Every look-up is total: what is not there reads as 0.
pub trait Tables {
    /// The word that names the active policy, read once per packet.
    fn switch(&self) -> crate::abi::switch::SwitchWord;

    /// Boot time in ns. Costs as much as the rest of a packet: ask only where a deadline or an age
    /// needs it.
    fn now_ns(&self) -> u64;

    /// A clock that costs nothing and advances every 1 to 10 ms. It begins near 2^32.
    fn jiffies(&self) -> u64;

    /// Jiffies of a tick, as a power of two: [`crate::abi::clock::ticks`].
    fn tick_shift(&self) -> u32;

    /// The same in ticks of about a second.
    #[inline(always)]
    fn ticks(&self) -> u32 {
        clock::ticks(self.jiffies(), self.tick_shift())
    }

    /// The same in eighths of a tick.
    #[inline(always)]
    fn eighths(&self) -> u32 {
        clock::eighths(self.jiffies(), self.tick_shift())
    }

    /// The same value, of which the compiler knows nothing.
    #[inline(always)]
    fn hide(value: u64) -> u64
    where
        Self: Sized,
    {
        value
    }

    /// Words in one policy slot.
    fn slot_words(&self) -> u32;

    /// Word `index` of the policy array.
    fn policy_word(&self, index: u32) -> u64;

    /// Random number of this boot.
    fn seed(&self) -> u64;

    /// Stamp in cell `index` of the fragment table.
    fn fragment_stamp(&self, index: u32) -> u64;

    /// Writes a stamp.
    fn set_fragment_stamp(&self, index: u32, stamp: u64);

    /// Key `index` of the flow hash, below [`crate::abi::flow::KEYS`].
    fn flow_key(&self, index: usize) -> u64;

    /// Bucket `index` of the flow table.
    fn flow_bucket(&self, tag: Tag) -> impl Bucket;

    /// Marks of a local port: [`crate::abi::flow::HAS_SESSIONS`] and those beside it.
    fn port_marks(&self, port: u16) -> u8;

    /// Adds a mark.
    fn mark_port(&self, port: u16, mark: u8);

    /// What TCP socket does the kernel have that a packet in the scratch would arrive at?
    fn socket(&self, scratch: &Scratch, subject: Subject) -> SocketState;

    /// The same of the segment in the scratch; one that brings a cookie back that a listener of this host has handed
    /// out is vouched for.
    #[inline(always)]
    fn socket_or_cookie<R: PacketReader + ?Sized>(&self, _: &R, scratch: &Scratch) -> SocketState {
        self.socket(scratch, Subject::Packet)
    }

    /// Microseconds of a jiffy.
    fn jiffy_us(&self) -> u64;

    /// Word `index` of [`crate::abi::ceiling`].
    fn ceiling(&self, index: u32) -> u64;

    /// The mark of a port whose ceiling may be exceeded ([`crate::abi::ceiling::exceeded_mark`]).
    #[inline(always)]
    fn exceeded_mark(&self, port: u16) -> u64 {
        self.ceiling(crate::abi::ceiling::exceeded(port))
    }

    /// Writes it.
    fn set_ceiling(&self, index: u32, value: u64);

    /// Adds to it, whoever else does so meanwhile.
    fn add_to_ceiling(&self, index: u32, value: u64);

    /// What this host has at the port that a SYN asks for. (In the kernel a program of its own finds
    /// out.)
    #[inline(always)]
    fn listener<R: PacketReader + ?Sized>(&self, _: &R) -> ListenerState {
        ListenerState::None
    }

    /// Is the packet on its way out one of another host, or of a container?
    #[inline(always)]
    fn is_forwarding(&self) -> bool {
        false
    }

    /// Takes a mark from a local port.
    fn unmark_port(&self, port: u16, mark: u8);

    /// Bucket `index` of the table of meters.
    fn meter_bucket(&self, index: u32) -> impl MeterBucket;

    /// Word `index` of [`crate::abi::ban::BanMap::Filter`].
    fn ban_filter(&self, index: u32) -> u64;

    /// Word `index` of [`crate::abi::ban::BanMap::Tops`].
    fn ban_top(&self, index: u32) -> u64;

    /// Word `index` of [`crate::abi::ban::BanMap::Chunks`].
    fn ban_chunk(&self, index: u32) -> u64;

    /// Buckets of [`crate::abi::ban::BanMap::Set`] less one.
    fn ban_mask(&self) -> u32;

    /// Bucket `index` of it.
    fn ban_bucket(&self, index: u32) -> impl BanBucket;

    /// Buckets of [`crate::abi::ban::BanMap::Addresses`] less one.
    fn ban_address_mask(&self) -> u32;

    /// Bucket `index` of it.
    fn banned_addresses(&self, index: u32) -> impl BanWords;

    /// Is there a fingerprint filter of them?
    fn has_ban_fingerprints(&self) -> bool;

    /// Bucket `index` of [`crate::abi::ban::BanMap::Fingerprints`].
    fn ban_fingerprints(&self, index: u32) -> impl BanWords;

    /// Was the address that was asked about last one that is banned? Changes the order of questions, no answer.
    fn came_banned(&self) -> bool;

    /// Keeps that for the next packet.
    fn note_banned(&self, is_banned: bool);

    /// Counts what is no packet.
    fn count(&self, event: counters::Event);
}

/// A bucket of the flow table: eight tags and eight states. Places are taken modulo eight.
pub trait Bucket {
    /// Tag in a place, 0 = empty.
    fn tag(&self, way: usize) -> u64;
    /// State in a place.
    fn state(&self, way: usize) -> u64;
    /// Writes a tag.
    fn set_tag(&self, way: usize, tag: u64);
    /// Writes a state.
    fn set_state(&self, way: usize, state: u64);

    /// [`FlowState::worth`], behind a call of its own.
    #[inline(always)]
    fn worth(state: FlowState, now: u32) -> u64 {
        state.worth(now)
    }

    /// The same value, of which the kernel's verifier knows nothing any more.
    #[inline(always)]
    fn forget(value: u64) -> u64 {
        value
    }
}

/// A bucket of the table of meters: eight words, places taken modulo eight.
pub trait MeterBucket {
    /// A word; 0 = empty.
    fn load(&self, way: usize) -> u64;
    /// Writes a word.
    fn store(&self, way: usize, word: u64);
    /// Adds to a word, whatever other CPUs do to it meanwhile.
    fn add(&self, way: usize, amount: u64);

    /// The same value, of which the compiler knows nothing.
    #[inline(always)]
    fn hide(value: u64) -> u64 {
        value
    }
}

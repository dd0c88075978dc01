//! Which packets are reported to those who watch, and what is reported of one.
//!
//! Words: `first watcher + 1, 0 = nobody watches | boot time until which anybody does | a gate per row of
//! `[`record`]` | watchers: boot time until which it watches, a mask per row`. The program that filters reads the
//! first word, and of a packet that is counted in a row the gate of that row: with `packets` counted in it on this
//! CPU, the packet is due when `(packets + phase) & mask == 0`. A gate's mask is the least of those that watchers
//! have for that row. User space writes all of it; the programs that report draw phases, double masks where a
//! CPU reports more than its budget, and clear the first word when the last watcher's time is over: a watcher
//! that was killed costs nothing.

use super::{reason::Reason, record};

/// Programs that may watch at once.
pub const WATCHERS: u32 = 4;
/// The mask of a row that is not watched: once in 2^32 packets it is due all the same, and its watchers look at
/// their own masks.
pub const NOT_WATCHED: u32 = u32::MAX;
/// The sparsest sample that a program that reports goes down to: one of 2^20 packets.
pub const SPARSEST: u32 = (1 << 20) - 1;

/// Which word says who watches.
pub const FIRST: u32 = 0;
/// Which word says until when.
pub const UNTIL: u32 = 1;
const GATES: u32 = 2;
const WATCHER: u32 = GATES + record::ROWS;
const WATCHER_WORDS: u32 = 1 + record::ROWS;
/// Words in all.
pub const WORDS: u32 = WATCHER + WATCHERS * WATCHER_WORDS;

/// The word of a row's gate.
#[inline(always)]
#[must_use]
pub const fn gate_at(row: u32) -> u32 {
    GATES + row
}

/// The word that says until when a watcher watches.
#[inline(always)]
#[must_use]
pub const fn until_at(watcher: u32) -> u32 {
    WATCHER + watcher * WATCHER_WORDS
}

/// The word of a watcher's mask for a row.
#[inline(always)]
#[must_use]
pub const fn mask_at(watcher: u32, row: u32) -> u32 {
    until_at(watcher) + 1 + row
}

/// `phase (the upper half) | mask`.
#[inline(always)]
#[must_use]
pub const fn gate(phase: u32, mask: u32) -> u64 {
    (phase as u64) << 32 | mask as u64
}

/// Is a packet due, with this gate, that was the `packets`th of its row?
#[inline(always)]
#[must_use]
pub const fn is_due(gate: u64, packets: u64) -> bool {
    (packets as u32).wrapping_add((gate >> 32) as u32) & gate as u32 == 0
}

/// What is reported of a packet, before its first bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventHeader {
    /// Boot time in ns.
    pub boot_ns: u64,
    /// [`record`].
    pub record: u64,
    /// Length of the frame in bytes.
    pub frame_len: u32,
    /// How many of its bytes follow.
    pub captured: u32,
    /// The interface that it came by.
    pub ifindex: u32,
    /// The queue of that interface.
    pub queue: u32,
}

const _: () = assert!(size_of::<EventHeader>() == 32);

impl EventHeader {
    /// Of the bytes in the ring; `None` if there are too few.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, rest) = bytes.split_at_checked(size_of::<Self>())?;
        let long = |at: usize| Some(u64::from_ne_bytes(header.get(at..at + 8)?.try_into().ok()?));
        let short = |at: usize| Some(u32::from_ne_bytes(header.get(at..at + 4)?.try_into().ok()?));
        let header = Self {
            boot_ns: long(0)?,
            record: long(8)?,
            frame_len: short(16)?,
            captured: short(20)?,
            ifindex: short(24)?,
            queue: short(28)?,
        };
        let captured = rest.get(..header.captured as usize)?;
        Some((header, captured))
    }
}

/// What a program that reports notes, by CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Boot time in ns at which the budget began anew.
    pub window_ns: u64,
    /// Events since then.
    pub in_window: u64,
    /// Events that were reported, or lost.
    pub due: u64,
    /// Events for which the ring had no room.
    pub lost: u64,
}

/// The rows of those reasons for which packets are dropped or answered, and of those that would have been: what
/// is looked at unless other reasons are named.
pub fn rows_of_interest() -> impl Iterator<Item = u32> {
    use super::reason::Action;
    let is_drop = |reason: &&Reason| !matches!(reason.action(), Action::Pass);
    let rows = |reason: &Reason| [record::row(*reason, false), record::row(*reason, true)];
    Reason::ALL.iter().filter(is_drop).flat_map(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_things_share_a_word() {
        let rows = 0..record::ROWS;
        let mut words: Vec<u32> = [FIRST, UNTIL]
            .into_iter()
            .chain(rows.clone().map(gate_at))
            .collect();
        for watcher in 0..WATCHERS {
            words.push(until_at(watcher));
            words.extend(rows.clone().map(|row| mask_at(watcher, row)));
        }
        let expected: Vec<u32> = (0..WORDS).collect();
        assert_eq!(words, expected);
    }

    #[test]
    fn one_packet_in_so_many_is_due_whatever_the_phase() {
        for (mask, phase) in [(0, 0), (0, 7), (3, 0), (3, u32::MAX), (255, 0x8000_0001)] {
            let due = (0..4096)
                .filter(|packets| is_due(gate(phase, mask), u64::from(u32::MAX) - 2000 + packets));
            assert_eq!(
                due.count() as u32,
                4096 / (mask + 1),
                "mask {mask}, phase {phase}"
            );
        }
    }

    #[test]
    fn what_is_cut_short_is_no_event() {
        let mut bytes = [0; 40];
        bytes[20] = 8;
        assert_eq!(
            EventHeader::read(&bytes).map(|(_, rest)| rest.len()),
            Some(8)
        );
        bytes[20] = 9;
        assert_eq!(EventHeader::read(&bytes), None);
        assert_eq!(EventHeader::read(&bytes[..31]), None);
    }
}

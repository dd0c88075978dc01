//! Where a packet is counted: once by reason, once by service and action.
//!
//! One array of 16-byte counters per shard; a shard belongs to one CPU, or to several that then add
//! atomically. Memory: 6.3 MB per shard, at most [`MAX_SHARDS`] shards, whatever the CPU count.

use super::{reason::Reason, service::Service};

/// Packets and bytes of one kind. A byte count covers the frame from its Ethernet header.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Frames.
    pub packets: u64,
    /// Bytes of those frames.
    pub bytes: u64,
}

const _: () = assert!(size_of::<Counter>() == 16);

/// Most shards: 16 x 6.3 MB = 101 MB on the largest host.
pub const MAX_SHARDS: u32 = 16;

const DROPPED_FIRST: u32 = 0;
const PASSED_FIRST: u32 = Service::ROWS;
const MONITORED_FIRST: u32 = 2 * Service::ROWS;
const REASON_FIRST: u32 = 3 * Service::ROWS;
/// Room for reasons that later versions append.
pub(crate) const REASON_ROWS: u32 = 128;
/// Distance of the rows of monitor mode from those of reasons.
pub const MONITORED_ROWS_AFTER: u32 = REASON_ROWS;
const MONITORED_REASON_FIRST: u32 = REASON_FIRST + MONITORED_ROWS_AFTER;
const EVENT_FIRST: u32 = MONITORED_REASON_FIRST + REASON_ROWS;
const EVENT_ROWS: u32 = 64;

/// Counters in one shard.
pub const SHARD_ROWS: u32 = EVENT_FIRST + EVENT_ROWS;

/// What is counted beside packets. Append only.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An outgoing packet began a flow.
    FlowCreated = 0,
    /// A living flow gave its place to a new one.
    FlowEvicted = 1,
    /// A flow found no place, because all of its bucket belongs to sessions that are kept.
    FlowRefused = 2,
    /// The kernel's socket table was asked about a segment.
    SocketAsked = 3,
    /// A session that somebody else began got an entry.
    SessionNoted = 4,
}

impl Event {
    /// Every event, in order of value.
    pub const ALL: [Self; 5] = [
        Self::FlowCreated,
        Self::FlowEvicted,
        Self::FlowRefused,
        Self::SocketAsked,
        Self::SessionNoted,
    ];
}

/// Row of an event.
#[inline(always)]
#[must_use]
pub const fn event_row(event: Event) -> u32 {
    EVENT_FIRST + event as u32
}

/// Row of the packets that a service got in monitor mode although they would have been dropped.
#[inline(always)]
#[must_use]
pub const fn monitored_row(service: Service) -> u32 {
    MONITORED_FIRST + service.row()
}

/// Row of a reason for which packets would have been dropped, had it not been for monitor mode.
#[inline(always)]
#[must_use]
pub const fn monitored_reason_row(reason: Reason) -> u32 {
    MONITORED_REASON_FIRST + reason as u32
}

/// Row of the packets that a service lost.
#[inline(always)]
#[must_use]
pub const fn dropped_row(service: Service) -> u32 {
    DROPPED_FIRST + service.row()
}

/// Row of the packets that a service got.
#[inline(always)]
#[must_use]
pub const fn passed_row(service: Service) -> u32 {
    PASSED_FIRST + service.row()
}

/// Row of a reason.
#[inline(always)]
#[must_use]
pub const fn reason_row(reason: Reason) -> u32 {
    REASON_FIRST + reason as u32
}

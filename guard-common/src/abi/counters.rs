//! Where a packet is counted: once by reason, once by service and action.
//!
//! One array of 16-byte counters per shard; a shard belongs to one CPU, or to several that then add
//! atomically. Memory: 4.2 MB per shard, at most [`MAX_SHARDS`] shards, whatever the CPU count.

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

/// Most shards: 16 x 4.2 MB = 67 MB on the largest host.
pub const MAX_SHARDS: u32 = 16;

const DROPPED_FIRST: u32 = 0;
const PASSED_FIRST: u32 = Service::ROWS;
const REASON_FIRST: u32 = 2 * Service::ROWS;
/// Room for reasons that later versions append.
const REASON_ROWS: u32 = 256;

/// Counters in one shard.
pub const SHARD_ROWS: u32 = REASON_FIRST + REASON_ROWS;

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

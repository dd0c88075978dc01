//! Reading the counters: the sum over all shards.

use guard_common::abi::{
    counters::{
        Counter, Event, SHARD_ROWS, dropped_row, event_row, monitored_reason_row, monitored_row,
        passed_row, reason_row,
    },
    reason::Reason,
    service::Service,
};

use super::mapping::Mapping;

/// The counter array, shared with the kernel.
#[derive(Debug)]
pub struct Counters {
    mapping: Mapping,
    shards: usize,
}

/// Traffic of one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceCounter {
    /// Which service.
    pub service: Service,
    /// Packets that reached the stack.
    pub passed: Counter,
    /// Packets that were dropped.
    pub dropped: Counter,
    /// Packets that would have been dropped, had it not been for monitor mode.
    pub monitored: Counter,
}

/// Packets of one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonCounter {
    /// Which reason.
    pub reason: Reason,
    /// Packets that met its action.
    pub counted: Counter,
    /// Packets that passed although they would have been dropped.
    pub monitored: Counter,
}

impl Counters {
    pub(in crate::dataplane) fn new(mapping: Mapping) -> Self {
        let shards = mapping.len() / 2 / SHARD_ROWS as usize;
        Self { mapping, shards }
    }

    /// Packets by reason, in the order of [`Reason::ALL`].
    #[must_use]
    pub fn reasons(&self) -> Vec<ReasonCounter> {
        Reason::ALL
            .iter()
            .map(|reason| ReasonCounter {
                reason: *reason,
                counted: self.row(reason_row(*reason)),
                monitored: self.row(monitored_reason_row(*reason)),
            })
            .collect()
    }

    /// All packets that were evaluated, on every interface.
    #[must_use]
    pub fn packets(&self) -> u64 {
        let rows = Reason::ALL.iter();
        let rows = rows.flat_map(|reason| [reason_row(*reason), monitored_reason_row(*reason)]);
        rows.map(|row| self.row(row).packets).sum()
    }

    /// How often something happened that is no packet.
    #[must_use]
    pub fn event(&self, event: Event) -> u64 {
        self.row(event_row(event)).packets
    }

    /// Every service that was asked for at least once.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceCounter> {
        (0..Service::ROWS)
            .filter_map(Service::from_row)
            .map(|service| ServiceCounter {
                service,
                passed: self.row(passed_row(service)),
                dropped: self.row(dropped_row(service)),
                monitored: self.row(monitored_row(service)),
            })
            .filter(|counter| {
                counter.passed.packets + counter.dropped.packets + counter.monitored.packets > 0
            })
            .collect()
    }

    fn row(&self, row: u32) -> Counter {
        (0..self.shards).fold(Counter::default(), |sum, shard| {
            let at = (shard * SHARD_ROWS as usize + row as usize) * 2;
            Counter {
                packets: sum.packets + self.mapping.load(at),
                bytes: sum.bytes + self.mapping.load(at + 1),
            }
        })
    }
}

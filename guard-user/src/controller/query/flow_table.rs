//! How full the flow table is.

use crate::{
    dataplane::{clock, pins},
    layout::Layout,
    ruleset::flow_table::FlowTableSize,
};

/// The flow table of a running firewall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowTableUse {
    /// How many flows it has room for.
    pub size: FlowTableSize,
    /// How many of a hundred places are taken.
    pub percent: usize,
}

impl FlowTableUse {
    /// As it is now; `None` when guard is off, or the kernel does not tell.
    pub(super) fn now(layout: &Layout) -> Option<Self> {
        let running = pins::open(layout).ok().flatten()?;
        let tick = clock::pinned_ticks(&layout.clock()).ok()?;
        Some(Self {
            size: FlowTableSize::of_buckets(running.flows.buckets()),
            percent: running.flows.percent_full(tick),
        })
    }

    /// Said before answers to new conversations are missing.
    pub(super) fn warning(self) -> Option<String> {
        /// Of a hundred places, from which on it is reported.
        const MANY: usize = 80;
        let Self { size, percent } = self;
        (percent >= MANY).then(|| {
            format!(
                "{percent} % of the flow table is in use: when it is full, idle conversations are evicted \
                 (`guardctl stats` counts them; flow-table in [limits] makes it larger, it has {} flows)",
                size.flows()
            )
        })
    }
}

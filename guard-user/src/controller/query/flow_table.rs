//! How full the flow table is.

use crate::{
    dataplane::{clock, pins, tables::flows::PercentFull},
    layout::Layout,
    ruleset::flow_table::FlowTableSize,
};

/// The flow table of a running firewall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowTableUse {
    /// How many flows it has room for.
    pub size: FlowTableSize,
    /// How many of a hundred places are taken.
    pub percent: PercentFull,
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
        let PercentFull { own, others } = percent;
        let what = match (own >= MANY, others >= MANY) {
            (true, true) => format!(
                "{} % of the flow table is in use: when it is full, idle conversations are evicted",
                own.min(others)
            ),
            (true, false) => format!(
                "{own} % of the places for what this host began are in use in the flow table: when they are full, idle \
                 conversations are evicted"
            ),
            (false, true) => format!(
                "{others} % of the places for sessions of others are in use in the flow table: when they are full, idle \
                 sessions are evicted, and segments of those of containers are dropped in a flood"
            ),
            (false, false) => return None,
        };
        Some(format!(
            "{what} (`guardctl stats` counts them; flow-table in [limits] makes it larger, it has {} flows)",
            size.flows()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(own: usize, others: usize) -> Option<String> {
        let flows = FlowTableUse {
            size: FlowTableSize::default(),
            percent: PercentFull { own, others },
        };
        flows.warning()
    }

    #[test]
    fn either_half_of_the_table_is_reported_from_eighty_percent_on() {
        for (own, others) in [(0, 0), (79, 79)] {
            assert_eq!(warning(own, others), None);
        }
        for (own, others, what) in [
            (80, 0, "80 % of the places for what this host began"),
            (3, 80, "80 % of the places for sessions of others"),
            (0, 100, "100 % of the places for sessions of others"),
            (95, 85, "85 % of the flow table is in use"),
        ] {
            let said = warning(own, others).expect("a warning");
            assert!(said.starts_with(what), "{said}");
            assert!(said.contains("flow-table in [limits]"), "{said}");
        }
    }
}

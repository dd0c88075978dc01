//! What passed and what was dropped, as the running firewall has counted it.

use std::path::PathBuf;

use guard_common::abi::counters::Event;

use crate::{
    controller::Controller,
    dataplane::{
        clock,
        pins::{self, Running},
        tables::{
            ceilings::SynCounts,
            counters::{ReasonCounter, ServiceCounter},
        },
    },
    failure::{Exit, Failure},
};

/// The counters of a running firewall, which may be read again and again.
#[derive(Debug)]
pub struct TrafficCounters {
    running: Running,
    clock: PathBuf,
}

/// The counters at one moment.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// Packets by reason, with those that nothing was counted for.
    pub reasons: Vec<ReasonCounter>,
    /// Packets by service.
    pub services: Vec<ServiceCounter>,
    /// The flow table.
    pub flows: Flows,
    /// What became of SYNs at ceilings, by port.
    pub syn_counts: Vec<(u16, SynCounts)>,
}

/// The flow table at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flows {
    /// Flows that live.
    pub live: usize,
    /// Flows that outgoing packets began.
    pub created: u64,
    /// Entries for sessions that others began.
    pub sessions: u64,
    /// Living flows that gave their place to new ones.
    pub evicted: u64,
    /// Flows that found no place.
    pub refused: u64,
    /// Segments about which the kernel's socket table was asked.
    pub socket_asked: u64,
}

impl Controller {
    /// The counters of the running firewall.
    ///
    /// # Errors
    /// Exit 3 when guard is not active.
    pub fn traffic(&self) -> Result<TrafficCounters, Failure> {
        let running = pins::open(&self.layout)?.ok_or_else(|| {
            Failure::new(Exit::Inactive, "guard is not active")
                .help("`guardctl enable` turns it on")
        })?;
        Ok(TrafficCounters {
            running,
            clock: self.layout.clock(),
        })
    }
}

impl TrafficCounters {
    /// Reads them.
    #[must_use]
    pub fn read(&self) -> Traffic {
        let counters = &self.running.counters;
        Traffic {
            flows: self.flows(),
            reasons: counters.reasons(),
            services: counters.services(),
            syn_counts: self.running.ceilings.ports().collect(),
        }
    }

    /// The flow table; without the clock, nothing in it is too old.
    fn flows(&self) -> Flows {
        let tick = clock::pinned_ticks(&self.clock).unwrap_or_default();
        let count = |event| self.running.counters.event(event);
        Flows {
            live: self.running.flows.living(tick),
            created: count(Event::FlowCreated),
            evicted: count(Event::FlowEvicted),
            refused: count(Event::FlowRefused),
            sessions: count(Event::SessionNoted),
            socket_asked: count(Event::SocketAsked),
        }
    }
}

//! What passed and what was dropped, as the running firewall has counted it.

use std::{fs, os::unix::fs::MetadataExt as _};

use guard_common::abi::{counters::Event, names};

use crate::{
    bans::store::Now,
    controller::{Controller, Pending},
    dataplane::{
        clock, heal,
        pins::{self, Running},
        tables::{
            ceilings::SynCounts,
            counters::{ReasonCounter, ServiceCounter},
        },
    },
    failure::{Exit, Failure, from_io},
    host::{Network, XdpMode},
    layout::Layout,
    ruleset::flow_table::FlowTableSize,
};

/// The counters of a running firewall, which may be read again and again.
#[derive(Debug)]
pub struct TrafficCounters {
    layout: Layout,
    opened: Opened,
}

/// The counters at one moment; or what was counted between two.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Which counters these are: they begin at 0 with another number.
    pub instance: u64,
    /// When they were read, in milliseconds since boot.
    pub boot_ms: u64,
    /// The same in seconds since 1970.
    pub at: u64,
    /// When they began, in seconds since 1970, as far as the kernel tells.
    pub began: Option<u64>,
    /// Packets by reason, with those that nothing was counted for.
    pub reasons: Vec<ReasonCounter>,
    /// Packets by service.
    pub services: Vec<ServiceCounter>,
    /// The flow table.
    pub flows: Flows,
    /// What became of SYNs at ceilings, by port.
    pub syn_counts: Vec<(u16, SynCounts)>,
    /// What the protected interfaces received.
    pub interfaces: Vec<InterfaceCounter>,
}

/// The flow table at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flows {
    /// Flows that live.
    pub live: usize,
    /// Flows that it has room for.
    pub room: usize,
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

/// What an interface received by its own count, which begins with the interface: guard counts all of them together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceCounter {
    /// Its name.
    pub name: String,
    /// Its number: one that was made anew has another.
    pub index: u32,
    /// Where the program runs.
    pub mode: Option<XdpMode>,
    /// Frames.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Maps, and the pin that they were opened by.
#[derive(Debug)]
struct Opened {
    running: Running,
    pin: Pin,
}

/// A pin, and when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pin {
    inode: u64,
    seconds: i64,
}

impl Opened {
    fn now(layout: &Layout) -> Result<Self, Failure> {
        // Before the maps: what is exchanged meanwhile is seen at the next look.
        let pin = Pin::now(layout);
        let running = pins::open(layout)?;
        match (running, pin) {
            (Some(running), Some(pin)) => Ok(Self { running, pin }),
            (None, _) | (_, None) => Err(Failure::new(Exit::Inactive, "guard is not active")
                .help("`guardctl enable` turns it on")),
        }
    }
}

impl Pin {
    fn now(layout: &Layout) -> Option<Self> {
        let metadata = fs::metadata(layout.maps().join(names::COUNTERS)).ok()?;
        Some(Self {
            inode: metadata.ino(),
            seconds: metadata.mtime(),
        })
    }
}

impl Controller {
    /// The counters of the running firewall.
    ///
    /// # Errors
    /// Exit 3 when guard is not active.
    pub fn traffic(&self) -> Result<TrafficCounters, Failure> {
        Ok(TrafficCounters {
            layout: self.layout.clone(),
            opened: Opened::now(&self.layout)?,
        })
    }
}

impl TrafficCounters {
    /// Reads them; those of another firewall, when guard was turned off and on since the last time.
    ///
    /// # Errors
    /// Exit 3 when guard is off by now; when the clock or netlink does not answer.
    pub fn read(&mut self) -> Result<Traffic, Failure> {
        let mut traffic = self.count()?;
        let tick = clock::pinned_ticks(&self.layout.clock()).unwrap_or_default();
        traffic.flows.live = self.opened.running.flows.living(tick);
        Ok(traffic)
    }

    /// The same without a walk through the flow table, for whoever looks every second: no flow is said to live.
    ///
    /// # Errors
    /// As [`TrafficCounters::read`].
    pub fn count(&mut self) -> Result<Traffic, Failure> {
        if Pin::now(&self.layout) != Some(self.opened.pin) {
            self.opened = Opened::now(&self.layout)?;
        }
        let running = &self.opened.running;
        let now = Now::read().map_err(|error| from_io("cannot read the clock", &error))?;
        Ok(Traffic {
            instance: running.slots.seed(),
            boot_ms: now.boot_ms,
            at: now.wall_s,
            began: u64::try_from(self.opened.pin.seconds).ok(),
            flows: self.flows(),
            reasons: running.counters.reasons(),
            services: running.counters.services(),
            syn_counts: running.ceilings.ports().collect(),
            interfaces: self.interfaces()?,
        })
    }

    /// Which generation is in force, as of the firewall that was read last; 0 when none is.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.opened.running.slots.generation()
    }

    /// The change that waits for its confirmation, as above.
    #[must_use]
    pub fn pending(&self) -> Option<Pending> {
        Pending::of(&self.opened.running.slots)
    }

    fn flows(&self) -> Flows {
        let running = &self.opened.running;
        let count = |event| running.counters.event(event);
        Flows {
            live: 0,
            room: FlowTableSize::of_buckets(running.flows.buckets()).flows() as usize,
            created: count(Event::FlowCreated),
            evicted: count(Event::FlowEvicted),
            refused: count(Event::FlowRefused),
            sessions: count(Event::SessionNoted),
            socket_asked: count(Event::SocketAsked),
        }
    }

    fn interfaces(&self) -> Result<Vec<InterfaceCounter>, Failure> {
        let network = Network::read_without_routes()
            .map_err(|error| from_io("cannot read the interfaces", &error))?;
        let protected = heal::protected(&self.layout, &network)?.into_iter();
        let interfaces = protected.filter_map(|index| network.by_index(index));
        Ok(interfaces
            .map(|interface| InterfaceCounter {
                name: interface.name.clone(),
                index: interface.index,
                mode: interface.xdp.map(|xdp| xdp.mode),
                packets: interface.received,
                bytes: interface.received_bytes,
            })
            .collect())
    }
}

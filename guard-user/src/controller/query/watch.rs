//! Packets as the filter counts them: `monitor`, `capture`.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use guard_common::abi::{
    hit::Hit,
    reason::{Action, Reason},
    record::{self, Counted},
    service::Service,
    watch::rows_of_interest,
};
use ipnetwork::IpNetwork;

use crate::{
    controller::Controller,
    dataplane::{
        explain::Explainer,
        pins::{self, Running},
        watch::{Event, Loss, Masks, ReportKind, Settings, Traced, Watcher},
    },
    events::{packet::Packet, summary::network_of},
    failure::Failure,
    host::{Network, clock::boot_time_ns},
    layout::Layout,
};

/// Events per CPU and 4 ms, 2000 in a second: what a packet costs then stays within 3 % under a flood.
const BUDGET: u32 = 8;
/// Room for a sample between two looks.
const SAMPLE_RING: u32 = 1 << 20;
/// Room for everything: of packets of 128 bytes, a tenth of a second of a million per second.
const WHOLE_RING: u32 = 1 << 24;
/// Bytes of a sampled packet: its headers.
const SAMPLE_SNAP: u32 = 128;
/// Events that are handed over before the watcher is tended again.
const BATCH: usize = 4096;
/// Rules that are remembered.
const MOST_RULES: usize = 1 << 16;

/// What is looked at.
#[derive(Clone, Debug, Default)]
pub struct WatchFilter {
    /// These reasons; none: those for which packets are dropped or answered, and in monitor mode would be.
    pub reasons: Vec<Reason>,
    /// Packets that pass too.
    pub is_all: bool,
    /// These services; none: all.
    pub services: BTreeSet<Service>,
    /// Sources in these networks; none: all.
    pub sources: Vec<IpNetwork>,
}

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A sample under a flood, else everything.
    Sample,
    /// Everything, so many bytes of each frame.
    Everything(u32),
    /// A sample, as lines of log of the program itself.
    Trace,
}

/// A packet that was seen.
#[derive(Debug)]
pub struct Sighting<'a> {
    /// When, since 1970.
    pub time: Duration,
    /// What it was counted as.
    pub counted: Counted,
    /// Number of the interface.
    pub ifindex: u32,
    /// Queue of the interface.
    pub queue: u32,
    /// Length of the frame in bytes.
    pub frame_len: u32,
    /// Its first bytes; of a packet that was answered, the answer's.
    pub bytes: &'a [u8],
    /// What they say.
    pub packet: Packet,
    /// Number of the rule that decided, or that let it come as far as a limit or a ceiling.
    pub rule: Option<usize>,
}

impl Sighting<'_> {
    /// Who sent it: of an answer, whom it goes to.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        source(&self.counted, &self.packet)
    }
}

fn source(counted: &Counted, packet: &Packet) -> Option<IpAddr> {
    match counted.action {
        Action::Answer => packet.destination,
        Action::Pass | Action::Drop => packet.source,
    }
}

/// Somebody who watches the filter.
pub struct Watch {
    layout: Layout,
    watcher: Watcher,
    filter: WatchFilter,
    /// What is between the clock of boot time and the one on the wall.
    since_1970: Duration,
    names: HashMap<u32, String>,
    /// Nobody asks which rule decided: nothing.
    rules: Option<Rules>,
    counters: Option<Running>,
}

impl Controller {
    /// Begins to watch.
    ///
    /// # Errors
    /// Exit 3 when guard is not active, 4 without root, 9 where the kernel cannot, 1 when too many watch.
    pub fn watch(&self, filter: WatchFilter, extent: Extent) -> Result<Watch, Failure> {
        let kind = match extent {
            Extent::Sample | Extent::Everything(_) => ReportKind::Packets,
            Extent::Trace => ReportKind::Lines,
        };
        let settings = match extent {
            Extent::Sample | Extent::Trace => Settings {
                snap: SAMPLE_SNAP,
                budget: BUDGET,
                // All of a reason's, for the counters by which the sample is scaled know no service.
                services: Vec::new(),
                ring: SAMPLE_RING,
            },
            Extent::Everything(snap) => Settings {
                snap,
                budget: 0,
                services: match filter.services.len() {
                    1 | 2 => filter.services.iter().copied().collect(),
                    _ => Vec::new(),
                },
                ring: WHOLE_RING,
            },
        };
        let watcher = Watcher::begin(&self.layout, filter.masks(), settings, kind)?;
        let mut watch = Watch {
            layout: self.layout.clone(),
            watcher,
            filter,
            since_1970: Duration::ZERO,
            names: HashMap::new(),
            rules: Some(Rules::default()),
            counters: None,
        };
        watch.look_around();
        Ok(watch)
    }
}

impl WatchFilter {
    /// Every packet of each row.
    fn masks(&self) -> Masks {
        let both = |reason: &Reason| [record::row(*reason, false), record::row(*reason, true)];
        let rows: Vec<u32> = if !self.reasons.is_empty() {
            self.reasons.iter().flat_map(both).collect()
        } else if self.is_all {
            Reason::ALL.iter().flat_map(both).collect()
        } else {
            rows_of_interest().collect()
        };
        rows.into_iter().map(|row| (row, 0)).collect()
    }

    fn wants(&self, counted: &Counted, packet: &Packet) -> bool {
        let is_of_services = self.services.is_empty()
            || counted
                .service
                .is_some_and(|service| self.services.contains(&service));
        let is_of_sources = self.sources.is_empty()
            || source(counted, packet)
                .is_some_and(|source| self.sources.iter().any(|network| network.contains(source)));
        is_of_services && is_of_sources
    }
}

impl Watch {
    /// Asks for no rules from here on: who only counts sources need not load an instance that explains.
    #[must_use]
    pub fn without_rules(mut self) -> Self {
        self.rules = None;
        self
    }

    /// Asks for the rule of each conversation by itself: neighbours in a network may be under another one.
    #[must_use]
    pub fn by_exact_rules(mut self) -> Self {
        if let Some(rules) = &mut self.rules {
            rules.are_exact = true;
        }
        self
    }

    /// Hands over what was seen since the last time, a batch at most: `false` if there is more.
    pub fn sightings(&mut self, mut each: impl FnMut(&Sighting<'_>)) -> bool {
        let (filter, rules, layout) = (&self.filter, &mut self.rules, &self.layout);
        let since_1970 = self.since_1970;
        self.watcher.events(BATCH, |event: Event<'_>| {
            let Some(counted) = event.counted else {
                return;
            };
            let packet = Packet::read(event.bytes);
            if !filter.wants(&counted, &packet) {
                return;
            }
            let rule = rules
                .as_mut()
                .and_then(|rules| rules.of(layout, &event, &counted, &packet));
            each(&Sighting {
                time: since_1970 + Duration::from_nanos(event.boot_ns),
                counted,
                ifindex: event.ifindex,
                queue: event.queue,
                frame_len: event.frame_len,
                bytes: event.bytes,
                packet,
                rule,
            });
        })
    }

    /// Hands over the lines of log since the last time.
    pub fn lines(&mut self, mut each: impl FnMut(Traced)) {
        let filter = &self.filter;
        self.watcher.lines(|line| {
            let is_of_services = filter.services.is_empty()
                || Counted::of(line.record)
                    .and_then(|counted| counted.service)
                    .is_some_and(|service| filter.services.contains(&service));
            let is_of_sources = filter.sources.is_empty()
                || line
                    .ends
                    .is_some_and(|(source, _)| filter.sources.iter().any(|of| of.contains(source)));
            if is_of_services && is_of_sources {
                each(line);
            }
        });
    }

    /// Says that it is still there; to be called some times a second. `false` while guard is off.
    ///
    /// # Errors
    /// When another firewall is there, and cannot be watched.
    pub fn tend(&mut self) -> Result<bool, Failure> {
        self.watcher.tend()
    }

    /// Takes note of what may have changed: clocks, names of interfaces, rules. To be called once a second.
    pub fn look_around(&mut self) {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.since_1970 = wall.saturating_sub(Duration::from_nanos(boot_time_ns()));
        if let Ok(network) = Network::read_without_routes() {
            self.names = network
                .interfaces
                .iter()
                .map(|interface| (interface.index, interface.name.clone()))
                .collect();
        }
        self.counters = pins::open(&self.layout).ok().flatten();
        let running = self.counters.as_ref();
        let are_told_apart = running.is_some_and(|running| {
            running.slots.rules_in(running.slots.in_force()) <= Hit::MOST_RULES
        });
        if let Some(rules) = &mut self.rules {
            rules.look_again(&self.layout);
            rules.are_told_apart = are_told_apart;
        }
    }

    /// The name of an interface, or its number.
    #[must_use]
    pub fn interface(&self, index: u32) -> String {
        match self.names.get(&index) {
            Some(name) => name.clone(),
            None => format!("interface {index}"),
        }
    }

    /// Packets that each reason has now.
    #[must_use]
    pub fn counted(&self) -> HashMap<(Reason, bool), u64> {
        let reasons = self
            .counters
            .as_ref()
            .map(|running| running.counters.reasons());
        let both = |counter: crate::dataplane::tables::counters::ReasonCounter| {
            [
                ((counter.reason, false), counter.counted.packets),
                ((counter.reason, true), counter.monitored.packets),
            ]
        };
        reasons.into_iter().flatten().flat_map(both).collect()
    }

    /// Packets that were due, and those that were lost because nobody read them in time.
    #[must_use]
    pub fn loss(&self) -> Loss {
        self.watcher.loss()
    }

    /// Ends watching; what was seen until then can still be read.
    pub fn stop(&mut self) {
        self.watcher.stop();
    }
}

/// Which rule decides, asked of an instance that explains and remembered by network and service: asking costs some
/// microseconds, and loading the instance a tenth of a second.
#[derive(Debug, Default)]
struct Rules {
    /// The policy in force has no more rules than packets can name.
    are_told_apart: bool,
    /// What is asked is not the same for a whole network.
    are_exact: bool,
    explainers: HashMap<u32, Option<Explainer>>,
    known: HashMap<Alike, Option<usize>>,
}

/// What is the same of packets that the same rule decides: interface, network, service and reason.
type Alike = (u32, Option<IpNetwork>, Option<Service>, Reason, Ends);

/// The destination and the port of the source, for whoever asks exactly.
type Ends = Option<(Option<IpAddr>, Option<u16>)>;

impl Rules {
    fn of(
        &mut self,
        layout: &Layout,
        event: &Event<'_>,
        counted: &Counted,
        packet: &Packet,
    ) -> Option<usize> {
        if !has_rule(counted.reason) {
            return None;
        }
        // It says itself which rule let it in or dropped it; what a limit or a ceiling stopped does not.
        if self.are_told_apart && !counted.hit.is_none() {
            return Some(counted.hit.number() as usize);
        }
        let source_port = packet.ports.map(|(source, _)| source);
        let (network, ends) = if self.are_exact {
            let ends = (packet.destination, source_port);
            (packet.source.map(IpNetwork::from), Some(ends))
        } else {
            (packet.source.and_then(network_of), None)
        };
        let key = (
            event.ifindex,
            network,
            counted.service,
            counted.reason,
            ends,
        );
        if let Some(rule) = self.known.get(&key) {
            return *rule;
        }
        let explainer = self
            .explainers
            .entry(event.ifindex)
            .or_insert_with(|| Explainer::load(layout, event.ifindex).ok());
        // What was not reported of the frame is not read by rules, but has a length.
        let mut frame = event.bytes.to_vec();
        frame.resize((event.frame_len as usize).max(frame.len()), 0);
        let (_, rule) = explainer.as_mut()?.ask(&frame).ok()?;
        let rule = rule.ordinal().map(|ordinal| ordinal as usize + 1);
        if self.known.len() < MOST_RULES {
            self.known.insert(key, rule);
        }
        rule
    }

    fn look_again(&mut self, layout: &Layout) {
        self.known.clear();
        self.explainers.retain(|_, explainer| {
            explainer
                .as_ref()
                .is_some_and(|explainer| explainer.is_current(layout))
        });
    }
}

/// Is a packet with this reason one that a rule decided, or let come as far as a limit or a ceiling?
fn has_rule(reason: Reason) -> bool {
    use Reason::{Ceiling, Limited, OutOfState, RuleAllow, RuleDeny, UdpCeiling};
    [
        RuleAllow, RuleDeny, Limited, Ceiling, OutOfState, UdpCeiling,
    ]
    .contains(&reason)
}

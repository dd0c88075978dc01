//! The real program, loaded and fed frame by frame through BPF_PROG_TEST_RUN, beside the model with
//! the same policy image. Every run checks that exactly one reason counted the frame, once and with
//! its length, at most one service, and the events that the model counted too.

mod admission;
mod bans;
mod drain;
mod snapshot;
mod state;

pub use guard_common::testing::peers::OWN;
pub use guard_user::ruleset::sample::frames::MIN_FRAME;
pub use snapshot::Snapshot;

use anyhow::{Context as _, Result, bail};
use aya::programs::{TestRun as _, TestRunOptions};
use guard_common::{
    abi::{
        ban, ceiling_map,
        counters::{
            Counter, Event, SHARD_ROWS, dropped_row, event_row, monitored_reason_row,
            monitored_row, passed_row, reason_row,
        },
        flow::{self, BUCKET_WORDS, BUCKETS, PORT_ROWS, PORTS_PER_ROW},
        fragment::CELLS,
        hit::Hit,
        image::HEADER_FLAGS,
        meter, names,
        reason::{Action, Reason},
        service::{Service, ServiceKind},
        switch::{SlotState, SwitchWord},
    },
    memory::{MemBans, MemTables},
    policy::{Arrival, Decision, evaluate},
};
use guard_user::{
    dataplane::{
        clock,
        object::{
            Object,
            parameters::{Parameters, Purpose},
        },
        tables::{exempt::MeterTable, flows::FlowTable, mapping::Mapping, slots::PolicySlots},
    },
    ruleset::{
        compile::{Host, Stamp, compile},
        model::Policy,
    },
};

/// A test run's frame arrives on the loopback device of this network namespace.
pub const TEST_IFINDEX: u32 = 1;
/// What the tests call the interface with that index.
pub const TEST_INTERFACE: &str = "lo";

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
/// Most bytes by which an answer is longer than its question.
const LONGER: usize = 16;
/// Largest frame of the tests.
const MAX_FRAME: usize = 4096;
/// Words of a slot beyond the first policy.
const ROOM_TO_GROW: u32 = 4096;
/// Room for the bans of most tests.
const FEW_BANS: ban::Sizes = ban::Sizes {
    chunks: 64,
    buckets: 1 << 10,
    addresses: 1 << 10,
};
const SEED: u64 = 0x6775_6172_6421;
/// A kernel begins five minutes before the lower half of its jiffies wraps.
const START_JIFFIES: u64 = (1 << 32) + 1_000_000;
/// A byte per port.
const PORT_WORDS: usize = PORT_ROWS as usize * PORTS_PER_ROW / 8;

/// What became of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Pass or drop.
    pub action: Action,
    /// Every reason counter that moved.
    pub counted: Vec<Reason>,
    /// Every counter of reasons in monitor mode that moved.
    pub monitored: Vec<Reason>,
    /// Every service counter that moved, and on which side.
    pub services: Vec<(ServiceKind, Action)>,
    /// Every counter of services in monitor mode that moved.
    pub monitored_services: Vec<ServiceKind>,
    /// Every event that was counted, and how often.
    pub events: Vec<(Event, u64)>,
    /// Every rule that was counted for, its ordinal + 1.
    pub hits: Vec<u32>,
    /// The bytes behind the program are those before it.
    pub bytes_unchanged: bool,
}

/// A loaded program with a policy, and its model.
pub struct Harness {
    object: Object,
    counters: Mapping,
    hits: Mapping,
    slots: PolicySlots,
    flows: FlowTable,
    flow_words: Mapping,
    port_words: Mapping,
    fragments: Mapping,
    ceilings: Mapping,
    meters: MeterTable,
    meter_words: Mapping,
    keys: [u64; flow::KEYS],
    model: MemTables,
}

/// The host that policies of tests are compiled for: [`OWN`] addresses, `lo` as [`TEST_IFINDEX`],
/// and two interfaces on which no test run's frame arrives.
#[must_use]
pub fn host() -> Host {
    Host {
        interfaces: vec![
            (TEST_INTERFACE.to_owned(), TEST_IFINDEX),
            ("eth0".to_owned(), 7001),
            ("eth1".to_owned(), 7002),
        ],
        own: OWN
            .iter()
            .map(|ip| ip.parse().expect("an address"))
            .collect(),
        ..Host::default()
    }
}

impl Harness {
    /// Loads the program and puts the policy in force, on one counter shard per CPU.
    ///
    /// # Panics
    /// When the policy does not compile or the kernel refuses the program.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        // SAFETY: the call takes an integer and touches no memory.
        let cpus = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_CONF) };
        let shards = u32::try_from(cpus).expect("CPUs").next_power_of_two();
        Self::load(policy, shards.min(16), cpus <= 16, FEW_BANS).expect("the program loads")
    }

    /// The same with one counter shard for all CPUs, which they add to atomically.
    ///
    /// # Panics
    /// As [`Harness::new`].
    #[must_use]
    pub fn with_shared_counters(policy: &Policy) -> Self {
        Self::load(policy, 1, false, FEW_BANS).expect("the program loads")
    }

    /// The same with room for half a million banned addresses, which have a fingerprint filter.
    ///
    /// # Panics
    /// As [`Harness::new`].
    #[must_use]
    pub fn with_ban_fingerprints(policy: &Policy) -> Self {
        let bans = ban::Sizes {
            addresses: 1 << 16,
            ..FEW_BANS
        };
        assert!(bans.has_fingerprints());
        Self::with_room_for_bans(policy, bans)
    }

    /// The same with this much room for bans.
    ///
    /// # Panics
    /// As [`Harness::new`].
    #[must_use]
    pub fn with_room_for_bans(policy: &Policy, bans: ban::Sizes) -> Self {
        Self::load(policy, 1, false, bans).expect("the program loads")
    }

    fn load(policy: &Policy, shards: u32, own_shard: bool, bans: ban::Sizes) -> Result<Self> {
        let image = compile(policy, &host(), Stamp::default())?.words;
        let parameters = Parameters {
            bans,
            slot_words: image.len() as u32 + ROOM_TO_GROW,
            shards,
            own_shard,
            seed: SEED,
            purpose: Purpose::Filter,
            fixed_clock: true,
            flow_buckets: BUCKETS,
        };
        let object = Object::load(parameters, None)?;
        let mut model = MemTables::with_policy(image.clone()).with_seed(SEED);
        model.bans = MemBans::with_room(bans);
        model.now_ns = boot_time_ns();
        let mut guard = Self::around(object, model)?;
        guard.model.tick_shift = clock::tick_shift();
        guard.model.jiffy_us = clock::jiffy_us();
        guard.set_jiffies(START_JIFFIES);
        let slot = guard.slots.stage(&image);
        guard.slots.switch_to(SwitchWord::settled(slot, slot));
        Ok(guard)
    }

    fn around(object: Object, model: MemTables) -> Result<Self> {
        let shards = object.parameters().shards as usize;
        let counters = shards * SHARD_ROWS as usize * 2;
        let hits = shards * Hit::CELLS as usize * 2;
        Ok(Self {
            counters: map(&object, names::COUNTERS, counters)?,
            hits: map(&object, names::RULE_HITS, hits)?,
            slots: object.slots()?,
            flows: object.flows()?,
            flow_words: map(&object, names::FLOWS, BUCKETS as usize * BUCKET_WORDS)?,
            port_words: map(&object, names::PORTS, PORT_WORDS)?,
            fragments: map(&object, names::FRAGMENTS, CELLS as usize)?,
            ceilings: map(&object, names::CEILINGS, ceiling_map::WORDS as usize)?,
            meters: object.meters()?,
            meter_words: map(
                &object,
                names::METERS,
                meter::BUCKETS as usize * meter::WAYS,
            )?,
            keys: flow::keys(SEED),
            object,
            model,
        })
    }

    /// Puts another policy in force, in the kernel and in the model.
    ///
    /// # Panics
    /// When the policy does not compile or is much larger than the first one.
    pub fn apply(&mut self, policy: &Policy) {
        let image = compile(policy, &host(), Stamp::default())
            .expect("compiles")
            .words;
        let slot = self.slots.stage(&image);
        self.slots.switch_to(SwitchWord::settled(slot, slot));
        let flags = image.get(HEADER_FLAGS as usize).copied().unwrap_or(0);
        let state = SlotState::new(0, flags as u32);
        self.model.switch = SwitchWord::settled(state, state);
        self.model.slot_words = image.len() as u32;
        self.model.policy = image;
    }

    /// The program and its maps.
    pub fn object(&mut self) -> &mut Object {
        &mut self.object
    }

    /// Runs a frame of at least [`MIN_FRAME`] bytes through the kernel.
    ///
    /// # Panics
    /// When the frame is not counted exactly once by reason, or more than once by service.
    pub fn run(&mut self, frame: &[u8]) -> Run {
        let mut bytes_out = vec![0; frame.len() + LONGER];
        let action = self
            .verdict(frame, Some(&mut bytes_out))
            .unwrap_or_else(|error| panic!("{error:#}: {frame:02x?}"));
        let hits = self.drain_hits();
        let moved = self.drain();
        let run = Run {
            action,
            counted: reasons(&moved).map(|(reason, _)| reason).collect(),
            monitored: monitored_reasons(&moved),
            services: services(&moved),
            monitored_services: monitored_services(&moved),
            events: events(&moved),
            hits: hits.keys().copied().collect(),
            bytes_unchanged: bytes_out == [frame, &[0; LONGER]].concat(),
        };
        let once = Counter {
            packets: 1,
            bytes: frame.len() as u64,
        };
        let of_frames = moved.iter().filter(|(_, counter)| *counter == once).count();
        let reasons = run.counted.len() + run.monitored.len();
        let services = run.services.len() + run.monitored_services.len();
        assert_eq!(reasons, 1, "one reason: {run:?} {frame:02x?}");
        assert!(services <= 1, "one service: {run:?} {frame:02x?}");
        assert_eq!(of_frames, reasons + services, "counted once: {moved:?}");
        let known = of_frames + run.events.len();
        assert_eq!(moved.len(), known, "no other counter: {moved:?}");
        let are_of_frame = hits.values().all(|counter| *counter == once);
        assert!(hits.len() <= 1 && are_of_frame, "one rule: {hits:?}");
        run
    }

    /// Runs a frame through the model, which takes the full path where the kernel takes the fast one.
    #[must_use]
    pub fn model(&self, frame: &[u8]) -> Decision {
        let arrival = Arrival {
            ifindex: TEST_IFINDEX,
        };
        evaluate(frame, &self.model, arrival)
    }

    /// Asserts what becomes of a frame: in the kernel and in the model, with this reason and its
    /// action, counted once, bytes untouched. A frame below [`MIN_FRAME`] goes through the model
    /// only, because the kernel takes none for a test run (and no driver delivers one).
    ///
    /// # Panics
    /// When something else becomes of it.
    pub fn expect(&mut self, case: &str, frame: &[u8], reason: Reason) {
        self.expect_action(case, frame, reason, reason.action());
    }

    /// The same in monitor mode: whatever the reason, the frame passes.
    ///
    /// # Panics
    /// As [`Harness::expect`].
    pub fn expect_monitored(&mut self, case: &str, frame: &[u8], reason: Reason) {
        self.expect_action(case, frame, reason, Action::Pass);
    }

    fn expect_action(&mut self, case: &str, frame: &[u8], reason: Reason, action: Action) {
        self.follow_clock();
        let before = self.model_events();
        let decision = self.model(frame);
        let verdict = decision.verdict;
        assert_eq!(
            (verdict.reason, verdict.action),
            (reason, action),
            "model: {case}: {frame:02x?}"
        );
        if frame.len() < MIN_FRAME {
            return;
        }
        let expected = expected_run(&decision, self.model_events_since(&before));
        assert_eq!(self.run(frame), expected, "kernel: {case}: {frame:02x?}");
    }

    /// [`Harness::expect`] for every row of a table.
    ///
    /// # Panics
    /// When a row is wrong.
    pub fn expect_all(&mut self, table: &[(&str, Vec<u8>, Reason)]) {
        for (case, frame, reason) in table {
            self.expect(case, frame, *reason);
        }
    }

    /// The kernel's verdict alone; what it counted stays for [`Harness::drain_reasons`].
    ///
    /// # Errors
    /// When the kernel refuses the run or the program returns neither pass nor drop.
    pub fn verdict(&mut self, frame: &[u8], bytes_out: Option<&mut [u8]>) -> Result<Action> {
        assert!(frame.len() <= MAX_FRAME, "frame of {} bytes", frame.len());
        let result = self
            .object
            .ingress()?
            .test_run(TestRunOptions {
                data_in: Some(frame),
                data_out: bytes_out,
                ..TestRunOptions::default()
            })
            .context("BPF_PROG_TEST_RUN")?;
        match result.return_value {
            XDP_PASS => Ok(Action::Pass),
            XDP_DROP => Ok(Action::Drop),
            XDP_TX => Ok(Action::Answer),
            other => bail!("the program returned {other}"),
        }
    }

    /// Packets of every reason, in the order of [`Reason::ALL`]; takes nothing away.
    #[must_use]
    pub fn packets_by_reason(&self) -> Vec<u64> {
        let shards = self.counters.len() / (2 * SHARD_ROWS as usize);
        let packets = |reason: &Reason| {
            let row = reason_row(*reason) as usize;
            let of_shard =
                |shard: usize| self.counters.load(2 * (shard * SHARD_ROWS as usize + row));
            (0..shards).map(of_shard).sum()
        };
        Reason::ALL.iter().map(packets).collect()
    }
}

fn map(object: &Object, name: &'static str, words: usize) -> Result<Mapping> {
    Ok(Mapping::new(object.map(name)?.fd(), words)?)
}

/// What the kernel must have counted if it decided as the model did.
fn expected_run(decision: &Decision, events: Vec<(Event, u64)>) -> Run {
    let (reason, action) = (decision.verdict.reason, decision.verdict.action);
    let is_monitored = action != reason.action();
    let service = decision.service.map(Service::kind);
    let (counted, monitored) = one_of(is_monitored, Some(reason));
    let (services, monitored_services) = one_of(is_monitored, service);
    Run {
        action,
        counted,
        monitored,
        services: services.into_iter().map(|kind| (kind, action)).collect(),
        monitored_services,
        events,
        hits: Some(decision.hit.number())
            .filter(|number| *number != 0)
            .into_iter()
            .collect(),
        bytes_unchanged: action != Action::Answer,
    }
}

/// The item on the left, or in monitor mode on the right.
fn one_of<T>(is_monitored: bool, item: Option<T>) -> (Vec<T>, Vec<T>) {
    let there = item.into_iter().collect();
    if is_monitored {
        (Vec::new(), there)
    } else {
        (there, Vec::new())
    }
}

fn monitored_reasons(moved: &[(u32, Counter)]) -> Vec<Reason> {
    let has_moved = |row| moved.iter().any(|(moved, _)| *moved == row);
    Reason::ALL
        .iter()
        .copied()
        .filter(|reason| has_moved(monitored_reason_row(*reason)))
        .collect()
}

fn monitored_services(moved: &[(u32, Counter)]) -> Vec<ServiceKind> {
    moved
        .iter()
        .filter_map(|(row, _)| row.checked_sub(monitored_row(Service::tcp(0))))
        .filter_map(Service::from_row)
        .map(Service::kind)
        .collect()
}

fn events(moved: &[(u32, Counter)]) -> Vec<(Event, u64)> {
    let count = |event: &Event| {
        let found = moved.iter().find(|(row, _)| *row == event_row(*event))?;
        Some((*event, found.1.packets))
    };
    Event::ALL.iter().filter_map(count).collect()
}

fn reasons(moved: &[(u32, Counter)]) -> impl Iterator<Item = (Reason, Counter)> {
    Reason::ALL.iter().filter_map(|reason| {
        let found = moved.iter().find(|(row, _)| *row == reason_row(*reason))?;
        Some((*reason, found.1))
    })
}

fn services(moved: &[(u32, Counter)]) -> Vec<(ServiceKind, Action)> {
    let side = |row: u32, first: u32, action: Action| {
        let service = Service::from_row(row.checked_sub(first)?)?;
        Some((service.kind(), action))
    };
    let zero = Service::tcp(0);
    moved
        .iter()
        .filter_map(|(row, _)| {
            side(*row, passed_row(zero), Action::Pass)
                .or_else(|| side(*row, dropped_row(zero), Action::Drop))
        })
        .collect()
}

/// The clock that the program reads.
#[must_use]
pub fn boot_time_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call fills the struct that it is given.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    assert_eq!(result, 0, "CLOCK_BOOTTIME");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

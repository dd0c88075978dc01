//! Frames through the fast path, the full path and the oracle: verdict, counters and tables must be the same.
//!
//! Two models take the same frames. One asks the full path; the other asks the fast path first, as the
//! kernel does. What opens a connection is asked a second time, by [`evaluate`] in both, which also settles what
//! becomes of it. After the last frame all tables must be alike; where they are not, the frames are played
//! again, with a look behind each.

mod oracle;
mod policy;
mod scene;

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use arbitrary::Unstructured;
use guard_common::{
    abi::{ban::Expiry, flow::HAS_SESSIONS, reason::Verdict},
    memory::MemTables,
    policy::{
        Arrival, Decision, SocketState, Tables as _, evaluate_fast_first, evaluate_full,
        note_outgoing,
    },
};
use guard_user::{
    bans::{Prefix, table::Writer},
    ruleset::{
        compile::{Stamp, compile},
        model::Policy,
    },
};

use oracle::Oracle;
use scene::{Event, Step};

use policy::HEADER_BYTES;

/// Steps of one input.
const MOST_STEPS: usize = 48;
/// Bans of one input: each looks through the tables.
const MOST_BANS: usize = 3;
/// Compiled policies that are kept: most inputs differ in their frames.
const MOST_POLICIES: usize = 256;
const SEED: u64 = 0x6775_6172_6421;

/// A policy and its tables before the first frame.
struct Begin {
    policy: Policy,
    tables: MemTables,
}

pub(crate) fn run(input: &[u8]) {
    let Some((header, steps)) = input.split_at_checked(HEADER_BYTES) else {
        return;
    };
    let Some(begin) = begin(header) else {
        return;
    };
    let mut input = Unstructured::new(steps);
    let mut steps = Vec::new();
    while !input.is_empty() && steps.len() < MOST_STEPS {
        match Step::read(&mut input) {
            Ok(step) => steps.push(step),
            Err(_) => break,
        }
    }
    let mut game = Game::of(&begin);
    for step in &steps {
        game.play(step);
    }
    if game.difference().is_none() {
        return;
    }
    let mut game = Game::of(&begin);
    for (number, step) in steps.iter().enumerate() {
        game.play(step);
        if let Some(table) = game.difference() {
            panic!(
                "the {table} differ behind step {number}, {step:02x?}\n{:#?}",
                begin.policy
            );
        }
    }
}

fn begin(header: &[u8]) -> Option<Rc<Begin>> {
    type Known = HashMap<Vec<u8>, Option<Rc<Begin>>>;
    thread_local! {
        static KNOWN: RefCell<Known> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        if let Some(begin) = known.get(header) {
            return begin.clone();
        }
        if known.len() >= MOST_POLICIES {
            known.clear();
        }
        let policy = policy::read(&mut Unstructured::new(header)).ok()?;
        // What is too complex is refused, and meets no frame.
        let image = compile(&policy, &scene::host(), Stamp::default()).ok();
        let begin = image.map(|image| {
            let tables = MemTables::with_policy(image.words).with_seed(SEED);
            Rc::new(Begin { policy, tables })
        });
        known.insert(header.to_vec(), begin.clone());
        begin
    })
}

/// Both models and the oracle.
struct Game<'b> {
    full: MemTables,
    fast: MemTables,
    oracle: Oracle<'b>,
}

impl<'b> Game<'b> {
    fn of(begin: &'b Begin) -> Self {
        Self {
            full: begin.tables.clone(),
            fast: begin.tables.clone(),
            oracle: Oracle::of(&begin.policy),
        }
    }

    fn difference(&self) -> Option<&'static str> {
        self.full.difference(&self.fast)
    }

    fn play(&mut self, step: &Step) {
        let arrival = Arrival {
            ifindex: step.interface.1,
        };
        match &step.event {
            Event::Arrives(frame) => self.arrives(frame, step, arrival),
            Event::Leaves(frame) => {
                for tables in [&self.full, &self.fast] {
                    note_outgoing(frame.as_slice(), tables, arrival);
                }
            }
            Event::Passes { jiffies } => {
                for tables in [&mut self.full, &mut self.fast] {
                    tables.jiffies += jiffies;
                    tables.now_ns += jiffies * tables.jiffy_us * 1000;
                }
            }
            Event::Banned { prefix, eighths } => self.ban(*prefix, *eighths),
            Event::Listens { at, listener } => {
                for tables in [&mut self.full, &mut self.fast] {
                    tables.listeners.insert(*at, *listener);
                }
            }
            Event::HasSession(tuple) => {
                for tables in [&mut self.full, &mut self.fast] {
                    tables.sockets.insert(*tuple, SocketState::Established);
                    tables.mark_port(tuple.local_port, HAS_SESSIONS);
                }
            }
        }
    }

    fn arrives(&mut self, frame: &[u8], step: &Step, arrival: Arrival) {
        let (mut first, mut fast_first) = (None, None);
        let full = evaluate_full(frame, &self.full, arrival, |said| first = Some(*said));
        let fast = evaluate_fast_first(frame, &self.fast, arrival, |said| fast_first = Some(*said));
        let policy = self.oracle.policy();
        for (full, fast) in [(first, fast_first), (Some(full), Some(fast))] {
            assert_eq!(
                fast.map(said),
                full.map(said),
                "the fast path says otherwise: {frame:02x?}\n{policy:#?}"
            );
        }
        let full = first.expect("a decision");
        let now = self.full.eighths();
        if let Err(wrong) = self.oracle.agrees(frame, step.interface, full.verdict, now) {
            panic!("{wrong}, and not {full:?}: {frame:02x?}\n{policy:#?}");
        }
    }

    fn ban(&mut self, prefix: Prefix, eighths: u32) {
        if self.oracle.bans() >= MOST_BANS {
            return;
        }
        let now = self.full.eighths();
        let end = Expiry::after(now, eighths);
        let mut is_held = true;
        for tables in [&self.full, &self.fast] {
            let mut writer = Writer::new(&tables.bans, SEED);
            is_held &= writer.raise(prefix, end, now).is_ok();
        }
        if is_held {
            self.oracle.ban(prefix, end);
        } else {
            self.oracle.ban_in_part(prefix, end);
        }
    }
}

/// All that both ways can say: the fast one does not know the number of the rule.
fn said(decision: Decision) -> impl PartialEq + std::fmt::Debug {
    let Verdict { action, reason, .. } = decision.verdict;
    // Whether a segment is part of a session is asked by one way before, by the other later.
    let admission = Some(decision.admission)
        .filter(|admission| !admission.is_none() && !admission.is_by_state());
    (action, reason, decision.service, admission, decision.hit)
}

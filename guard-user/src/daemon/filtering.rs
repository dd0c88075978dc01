//! Watches that the interfaces which have the program are filtered: compares, window by window, what they
//! received with what guard counted.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    control::Level,
    controller::{Controller, CountedFrames, Received, Sight, Spare, evaluate_all},
    host::{Interface, neighbours},
};

/// Shortest time that is evaluated.
const WINDOW: Duration = Duration::from_millis(900);
/// Windows in a row that make a verdict where something was counted: drivers add up now and then. Where
/// nothing was, one is enough.
const IN_A_ROW: u32 = 2;
/// Longest window, where hardly anything is received.
const LONGEST_WINDOW: Duration = Duration::from_secs(300);
/// Between two questions to the neighbours of an interface that receives nothing.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Questions after which it is asked as seldom as one that has been seen to be filtered: a router has a
/// million routes to look through.
const MANY_QUESTIONS: u32 = 10;
/// Between two questions then.
const ASK_SELDOM_EVERY: Duration = Duration::from_secs(60);

/// What is known of one interface.
#[derive(Clone, Copy, Debug)]
struct WatchedInterface {
    index: u32,
    /// It has been seen to be filtered.
    is_proven: bool,
    /// Windows in a row in which it was not.
    blind_windows: u32,
    next_question: Instant,
    /// Questions so far.
    questions: u32,
    /// Generic mode did not help either, and this was reported.
    is_given_up: bool,
}

impl WatchedInterface {
    fn new(index: u32, now: Instant) -> Self {
        Self {
            index,
            is_proven: false,
            blind_windows: 0,
            next_question: now,
            questions: 0,
            is_given_up: false,
        }
    }
}

/// The counts at the beginning of a window.
#[derive(Debug)]
struct Window {
    since: Instant,
    /// Frames, and the program that ran then: another one may count in other tables.
    received: BTreeMap<String, (u64, Option<u32>)>,
    counted: u64,
}

/// The kernel's number of the program on an interface.
fn program_of(interface: &Interface) -> Option<u32> {
    interface.xdp.map(|xdp| xdp.program)
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct FilteringWatch {
    window: Option<Window>,
    watched: BTreeMap<String, WatchedInterface>,
}

impl FilteringWatch {
    /// Evaluates the time since the last look, and acts: what is to be logged.
    pub(super) fn look(
        &mut self,
        controller: &Controller,
        counted: &CountedFrames,
        spare: &mut Option<Spare>,
    ) -> Vec<(Level, String)> {
        let now = Instant::now();
        let protected: Vec<&Interface> = counted.interfaces.iter().collect();
        let protected = protected.as_slice();
        self.forget_others(protected, now);
        let is_due = |window: &Window| now.duration_since(window.since) >= WINDOW;
        if !self.window.as_ref().is_none_or(is_due) {
            return Vec::new();
        }
        let received = protected.iter();
        let window = Window {
            since: now,
            received: received
                .map(|interface| {
                    let then = (interface.received, program_of(interface));
                    (interface.name.clone(), then)
                })
                .collect(),
            counted: counted.before,
        };
        let Some(before) = self.window.take() else {
            self.window = Some(window);
            return Vec::new();
        };
        let counted = counted.after.saturating_sub(before.counted);
        // Of an interface that came meanwhile nothing is known yet, nor of one that has the program anew.
        let (known, received): (Vec<&Interface>, Vec<Received>) = protected
            .iter()
            .filter_map(|interface| {
                let (from, program) = before.received.get(&interface.name)?;
                if *program != program_of(interface) {
                    return None;
                }
                let received = Received {
                    frames: interface.received.saturating_sub(*from),
                    mode: interface.xdp?.mode,
                };
                Some((*interface, received))
            })
            .unzip();
        let sights = evaluate_all(&received, counted);
        let is_enough = sights.iter().any(|sight| *sight != Sight::Unknown)
            || known.len() != protected.len()
            || now.duration_since(before.since) > LONGEST_WINDOW;
        self.window = Some(if is_enough { window } else { before });
        let needed = if counted == 0 { 1 } else { IN_A_ROW };
        let mut messages = Vec::new();
        for (interface, sight) in known.iter().zip(sights) {
            messages.extend(self.act(controller, interface, sight, needed, spare));
        }
        messages
    }

    /// An interface has the program anew: what it received before was not filtered.
    pub(super) fn begin_anew(&mut self) {
        self.window = None;
    }

    fn forget_others(&mut self, protected: &[&Interface], now: Instant) {
        self.watched
            .retain(|name, _| protected.iter().any(|interface| interface.name == *name));
        for interface in protected {
            let fresh = WatchedInterface::new(interface.index, now);
            let watched = self.watched.entry(interface.name.clone()).or_insert(fresh);
            if watched.index != interface.index {
                *watched = fresh;
            }
        }
    }

    fn act(
        &mut self,
        controller: &Controller,
        interface: &Interface,
        sight: Sight,
        needed: u32,
        spare: &mut Option<Spare>,
    ) -> Vec<(Level, String)> {
        let name = &interface.name;
        let Some(watched) = self.watched.get_mut(name) else {
            return Vec::new();
        };
        match sight {
            Sight::Proven => {
                watched.blind_windows = 0;
                // What a daemon before this one has noted is over, too.
                if !watched.is_proven || watched.is_given_up {
                    controller.note_seeing(name).ok();
                }
                watched.is_proven = true;
                if !std::mem::take(&mut watched.is_given_up) {
                    return Vec::new();
                }
                vec![(Level::Info, format!("{name}: filtered again"))]
            }
            Sight::Unknown => {
                let now = Instant::now();
                if now >= watched.next_question {
                    watched.questions += 1;
                    let is_enough = watched.is_proven || watched.questions >= MANY_QUESTIONS;
                    let pause = if is_enough {
                        ASK_SELDOM_EVERY
                    } else {
                        ASK_EVERY
                    };
                    watched.next_question = now + pause;
                    // What comes of it is evaluated at the next look.
                    neighbours::ask(interface.index).ok();
                }
                Vec::new()
            }
            Sight::Blind => {
                watched.blind_windows += 1;
                if watched.blind_windows < needed || watched.is_given_up {
                    return Vec::new();
                }
                watched.blind_windows = 0;
                watched.is_proven = false;
                self.window = None;
                match controller.fall_back(name, spare) {
                    Ok(Some(_)) => vec![(
                        Level::Warning,
                        format!(
                            "{name}: the program saw none of the packets that it received in native \
                             mode; it runs in generic mode now"
                        ),
                    )],
                    Ok(None) => {
                        watched.is_given_up = true;
                        controller.note_blind(name).ok();
                        vec![(
                            Level::Error,
                            format!(
                                "{name}: NOT FILTERED: it receives packets that the program does not \
                                 see"
                            ),
                        )]
                    }
                    Err(failure) => vec![(
                        Level::Error,
                        format!("{name}: NOT FILTERED: {}", failure.message),
                    )],
                }
            }
        }
    }
}

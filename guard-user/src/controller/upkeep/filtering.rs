//! Proof that what is attached filters: an interface whose program sees no packets gets it in generic
//! mode instead, and if that does not help, is reported to be open.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use crate::{
    controller::{Controller, Lock, ProgramFault},
    dataplane::{
        heal,
        interface::{
            attached::Attached,
            attachments::Attachments,
            attempt::{AttachTarget, Attempt},
            filtering::{self, Received, Sight},
            why::WhyGeneric,
        },
        pins::{self, Running},
        spare::Spare,
    },
    failure::{Failure, from_io},
    host::{Interface, Network, neighbours},
};

/// How long `enable` waits for proof that something is filtered.
const PROOF_WITHIN: Duration = Duration::from_secs(2);
/// How long it waits for the answer of a neighbour, where nothing else comes. On a link that is a matter of
/// milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// Between two questions to neighbours: one frame is no evidence.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// Between two looks at the counts meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What guard counted before and after the interfaces were read: what comes in between is never missing.
#[derive(Clone, Debug)]
pub struct CountedFrames {
    /// On all interfaces, before.
    pub before: u64,
    /// The same after.
    pub after: u64,
    /// The interfaces that run the program, with what they received.
    pub interfaces: Vec<Interface>,
}

/// Counts of one moment.
struct FrameMeasurement {
    counted: u64,
    received: BTreeMap<u32, u64>,
}

impl Controller {
    /// Waits, for two seconds at most, until each of these interfaces is seen to be filtered. One whose
    /// neighbours are not known receives nothing that could be waited for, and is left to the daemon and
    /// to `status`. What must be reported of the others.
    pub(in crate::controller) fn prove_filtering(
        &self,
        names: &[String],
    ) -> Result<Vec<String>, Failure> {
        let mut messages = Vec::new();
        for name in names {
            if self.see(name)? != Sight::Blind {
                continue;
            }
            match self.take_generic(name, &mut None)? {
                Some(attached) => messages.push(format!(
                    "{name}: the program saw none of the packets that it received in native mode; it \
                     runs in {} mode now",
                    attached.mode.label()
                )),
                None => messages.push(format!("{name}: NOT FILTERED: the program sees no packets")),
            }
            if self.see(name)? == Sight::Blind {
                self.note_blind(name)?;
                messages.push(format!(
                    "{name}: NOT FILTERED: the program sees no packets in generic mode either"
                ));
            }
        }
        Ok(messages)
    }

    fn see(&self, name: &str) -> Result<Sight, Failure> {
        let started = Instant::now();
        let mut next_question = started;
        let begin = self.counts_now()?;
        loop {
            let Some(begin) = &begin else {
                return Ok(Sight::Unknown);
            };
            let Some(sight) = self.sight(name, begin)? else {
                return Ok(Sight::Unknown);
            };
            let patience = match sight {
                Sight::Proven => Duration::ZERO,
                Sight::Unknown => ANSWER_WITHIN,
                // So that one frame in flight is no verdict.
                Sight::Blind => PROOF_WITHIN,
            };
            if started.elapsed() >= patience {
                return Ok(sight);
            }
            if Instant::now() >= next_question {
                next_question += ASK_EVERY;
                let network = self.network_without_routes()?;
                let index = network.interface(name).map(|interface| interface.index);
                let asked = index.map_or(0, |index| neighbours::ask(index).unwrap_or(0));
                if asked == 0 && sight == Sight::Unknown {
                    return Ok(sight);
                }
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// What guard has counted, and then what each guarded interface has received.
    fn counts_now(&self) -> Result<Option<FrameMeasurement>, Failure> {
        let Some(running) = self.counting()? else {
            return Ok(None);
        };
        let counted = running.counters.packets();
        let network = self.network_without_routes()?;
        let guarded = heal::protected(&self.layout, &network)?.into_iter();
        let received = guarded.filter_map(|index| {
            let interface = network.by_index(index)?;
            Some((index, interface.received))
        });
        Ok(Some(FrameMeasurement {
            counted,
            received: received.collect(),
        }))
    }

    /// What the counts say of an interface: since it was attached if it is the only one, else since `begin`, when those
    /// of the others are known, too. `None` when it is not there.
    fn sight(&self, name: &str, begin: &FrameMeasurement) -> Result<Option<Sight>, Failure> {
        let network = self.network_without_routes()?;
        let (Some(interface), Some(running)) = (network.interface(name), pins::open(&self.layout)?)
        else {
            return Ok(None);
        };
        let Some(xdp) = interface.xdp else {
            return Ok(None);
        };
        if begin.received.len() < 2 {
            let known = Attachments::read(&self.layout);
            let since = known.of(name).and_then(|known| known.since);
            let now = filtering::counts(&running, interface);
            return Ok(since.map(|since| filtering::evaluate(xdp.mode, since, now)));
        }
        let counted = running.counters.packets().saturating_sub(begin.counted);
        let mut place = None;
        let mut received = Vec::new();
        for (index, before) in &begin.received {
            let Some((one, xdp)) = network
                .by_index(*index)
                .and_then(|one| Some((one, one.xdp?)))
            else {
                continue;
            };
            if *index == interface.index {
                place = Some(received.len());
            }
            received.push(Received {
                frames: one.received.saturating_sub(*before),
                mode: xdp.mode,
            });
        }
        let sights = filtering::evaluate_each(&received, counted);
        Ok(place.and_then(|at| sights.get(at).copied()))
    }

    /// The maps of a program that counts what it sees. A first policy that nobody confirmed lets every packet pass
    /// without a word, until the next command takes the program off.
    fn counting(&self) -> Result<Option<Running>, Failure> {
        let running = pins::open(&self.layout)?;
        Ok(running.filter(|running| running.slots.generation() != 0))
    }

    /// Counts for whoever compares them from time to time; `None` when guard is off or nothing is counted.
    ///
    /// # Errors
    /// When pins or interfaces cannot be read.
    pub fn count_frames(&self) -> Result<Option<CountedFrames>, Failure> {
        let Some(running) = self.counting()? else {
            return Ok(None);
        };
        let before = running.counters.packets();
        let network = self.network_without_routes()?;
        let after = running.counters.packets();
        let protected = heal::protected(&self.layout, &network)?.into_iter();
        Ok(Some(CountedFrames {
            before,
            after,
            interfaces: protected
                .filter_map(|index| network.by_index(index).cloned())
                .collect(),
        }))
    }

    /// Puts the program on an interface in generic mode, because it sees no packets where it is. `None`
    /// when it is in generic mode already, or not there.
    ///
    /// # Errors
    /// When generic mode cannot be had.
    pub fn fall_back(
        &self,
        name: &str,
        spare: &mut Option<Spare>,
    ) -> Result<Option<Attached>, Failure> {
        let _lock = Lock::acquire(&self.layout)?;
        self.take_generic(name, spare)
    }

    fn take_generic(
        &self,
        name: &str,
        spare: &mut Option<Spare>,
    ) -> Result<Option<Attached>, Failure> {
        let network = self.network_without_routes()?;
        let Some(interface) = network.interface(name).filter(|found| found.is_native()) else {
            return Ok(None);
        };
        let target = AttachTarget {
            interface,
            attempt: Attempt::Generic(WhyGeneric::Blind),
        };
        let healed = heal::heal(&self.layout, &[target], &network, spare)?;
        if let Some((_, failure)) = healed.failed.into_iter().next() {
            return Err(failure);
        }
        Ok(healed.attached.into_iter().next())
    }

    /// Has `status` say that nothing is filtered on an interface, until that changes.
    ///
    /// # Errors
    /// When the run folder is not writable.
    pub fn note_blind(&self, name: &str) -> Result<(), Failure> {
        let mut known = Attachments::read(&self.layout);
        if let Some(attachment) = known.of_mut(name) {
            attachment.is_blind = true;
        }
        known.save(&self.layout)
    }

    /// What the counts of an interface said is over.
    ///
    /// # Errors
    /// When the run folder is not writable.
    pub fn note_seeing(&self, name: &str) -> Result<(), Failure> {
        let mut known = Attachments::read(&self.layout);
        match known.of_mut(name) {
            Some(attachment) if attachment.is_blind => attachment.is_blind = false,
            Some(_) | None => return Ok(()),
        }
        known.save(&self.layout)
    }

    /// The same for every interface whose counts say so, before a command that can mend it.
    pub(in crate::controller) fn note_all_blind(&self, network: &Network) -> Result<(), Failure> {
        let links = pins::links(&self.layout)?;
        // Of several, each may have received what another one's program has counted: the daemon tells
        // them apart by looking often.
        let [link] = links.as_slice() else {
            return Ok(());
        };
        let Some(interface) = network.by_index(link.ifindex) else {
            return Ok(());
        };
        let known = Attachments::read(&self.layout);
        match self.fault(interface, known.of(&interface.name), true) {
            Some(ProgramFault::Blind) => self.note_blind(&interface.name),
            Some(ProgramFault::MtuRaised { .. } | ProgramFault::Closed) | None => Ok(()),
        }
    }

    fn network_without_routes(&self) -> Result<Network, Failure> {
        Network::read_without_routes()
            .map_err(|error| from_io("cannot read the interfaces", &error))
    }
}

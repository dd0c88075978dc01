//! The loop: read, evaluate, ban, save, report, wait.

mod attempt;
mod begin;

use std::{
    collections::BTreeMap,
    io::Read as _,
    net::IpAddr,
    os::{fd::AsFd as _, unix::net::UnixStream},
    sync::mpsc,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{
    Observer, Order, Severity,
    ban_executor::{BanExecutor, JailRecords},
    clock::{Clock, wall_ms},
    journal::SharedJournal,
    memory::{Memory, MemoryUpdate},
    names::IgnoredNames,
    report,
    running::Running,
    source::FileSource,
    status::JailsStatus,
};
use crate::{
    bans::{Prefix, store::Now},
    controller::{Controller, FromStore, JailBan},
    failure::{Failure, from_io},
    jails::{Jail, Past},
    logs::{Rest, journal::Position},
};

/// At the latest so often somebody looks: at files that tell nothing, and at what is due.
const TICK_MS: i64 = 1000;
/// Between two times that what jails know is saved, unless somebody was banned.
const SAVE_MS: i64 = 10_000;
/// Between two times that it is saved while many are banned.
const SAVE_BANS_MS: i64 = 500;
/// Between two looks for what is forgotten.
const SWEEP_MS: i64 = 60_000;
/// Bans that wait to be made, at most.
const MOST_WAITING: usize = 10_000;
/// The program that reads the journal.
const JOURNALCTL: &str = "journalctl";

/// The detector.
pub(super) struct Detector<L> {
    controller: Controller,
    observer: L,
    orders: mpsc::Receiver<Order>,
    wake: UnixStream,
    clock: Clock,
    past: Past,
    memory: Memory,
    update: MemoryUpdate,
    running: Vec<Running>,
    journal: Option<SharedJournal>,
    /// Where the journal was, while no jail reads it.
    stopped: Option<Position>,
    executor: BanExecutor,
    names: IgnoredNames,
    /// Bans that could not be made, because the store or a table was full: they are asked for again.
    waiting: Vec<JailBan>,
    problems: BTreeMap<&'static str, String>,
    due: Due,
}

/// When what is done next, by the steady clock.
#[derive(Debug, Default)]
struct Due {
    own_ms: i64,
    waiting_ms: i64,
    report_ms: i64,
    save_ms: i64,
    sweep_ms: i64,
}

/// What an order leads to.
enum Then {
    GoOn,
    End,
}

impl<L: Observer> Detector<L> {
    /// Reads what was saved, and begins every jail.
    pub(super) fn open(
        controller: Controller,
        observer: L,
        orders: mpsc::Receiver<Order>,
        wake: UnixStream,
    ) -> Result<Self, Failure> {
        let (memory, remembered, warning) = Memory::open(&controller.layout().jails(), &now()?)?;
        if let Some(warning) = warning {
            observer.log(Severity::Error, warning);
        }
        let clock = Clock::from(remembered.clock.as_ref(), &now()?);
        let mut detector = Self {
            executor: BanExecutor::new(controller.clone()),
            names: IgnoredNames::default(),
            controller,
            observer,
            orders,
            wake,
            clock,
            past: Past::restored(remembered.past),
            memory,
            update: MemoryUpdate::default(),
            running: Vec::new(),
            journal: None,
            stopped: remembered.journal,
            waiting: Vec::new(),
            problems: BTreeMap::new(),
            due: Due::default(),
        };
        detector.begin(remembered.files.into_iter().collect());
        // A ban that was lifted while nobody watched.
        detector.compare_with_bans();
        detector.save();
        Ok(detector)
    }

    /// Until it is told to stop.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        loop {
            while let Ok(order) = self.orders.try_recv() {
                match self.obey(order) {
                    Then::GoOn => {}
                    Then::End => {
                        self.save();
                        return Ok(());
                    }
                }
            }
            if self.controller.layout().lifted_bans().exists() {
                self.compare_with_bans();
            }
            let rest = self.read();
            self.see_to_the_rest();
            if rest == Rest::Nothing {
                let running = &self.running;
                self.executor.look_ahead(|| proxies(running));
                self.wait();
            }
        }
    }

    fn obey(&mut self, order: Order) -> Then {
        match order {
            Order::Stop => return Then::End,
            Order::Reload(reply) => {
                self.begin(BTreeMap::new());
                self.send_report();
                reply(());
            }
            Order::Attempt {
                jail,
                source,
                reply,
            } => {
                let attempted = self.attempt(&jail, source);
                self.send_report();
                reply(attempted);
            }
        }
        Then::GoOn
    }

    fn read(&mut self) -> Rest {
        let now_ms = self.clock.steady_ms();
        let mut asked = Vec::new();
        let mut rest = Rest::Nothing;
        for jail in &mut self.running {
            if jail.read(now_ms, &mut self.past, &mut asked) == Rest::More {
                rest = Rest::More;
            }
        }
        if let Some(journal) = &mut self.journal {
            let read = journal.read(now_ms, &mut self.running, &mut self.past, &mut asked);
            if read == Rest::More {
                rest = Rest::More;
            }
        }
        self.carry_out(asked);
        rest
    }

    /// Bans what is asked for, and what follows from that.
    fn carry_out(&mut self, mut asked: Vec<JailBan>) {
        while !asked.is_empty() {
            let now_ms = self.clock.steady_ms();
            let proxies = proxies(&self.running);
            self.due.report_ms = now_ms;
            let executed = self.executor.carry_out(
                &self.observer,
                &proxies,
                &asked,
                JailRecords {
                    past: &mut self.past,
                    update: &mut self.update,
                    now_ms,
                },
            );
            for running in &mut self.running {
                let refused = executed.refused.get(&running.jail.settings().name);
                running.refused += refused.copied().unwrap_or_default();
            }
            let problem = executed.problem.map(|why| {
                asked.truncate(MOST_WAITING.saturating_sub(self.waiting.len()));
                self.waiting.append(&mut asked);
                self.due.waiting_ms = now_ms + TICK_MS;
                format!("nothing can be banned; trying again: {why}")
            });
            self.standing("bans", problem);
            self.due.save_ms = self.due.save_ms.min(now_ms + SAVE_BANS_MS);
            asked.clear();
            for JailBan { jail, ban } in &executed.banned {
                let watchers = self.running.iter_mut().filter(|r| r.watches_bans());
                for watcher in watchers.filter(|r| r.jail.settings().name != *jail) {
                    watcher.failed(ban.address, now_ms, &mut self.past, &mut asked);
                }
            }
        }
    }

    /// Jails count again whom somebody let in.
    fn compare_with_bans(&mut self) {
        let banned = match self.controller.banned_by_jails() {
            Ok(FromStore { found, warning }) => {
                if let Some(warning) = warning {
                    self.observer.log(Severity::Error, warning);
                }
                found
            }
            Err(failure) => {
                self.standing("store", Some(failure.to_string()));
                return;
            }
        };
        self.standing("store", None);
        let banned: std::collections::BTreeSet<(Prefix, String)> = banned.into_iter().collect();
        let now_ms = self.clock.steady_ms();
        let gone: Vec<(Prefix, String)> = self
            .past
            .records()
            .filter(|(_, record)| record.until_ms > now_ms)
            .map(|(prefix, record)| (prefix, record.jail.to_string()))
            .filter(|ban| !banned.contains(ban))
            .collect();
        for (prefix, jail) in gone {
            let changed = self.past.lifted(prefix, Some(&jail), now_ms);
            let changed = changed.into_iter().map(|record| (prefix, record));
            self.update.past.extend(changed);
        }
    }

    /// Tells the jails what the names that they never count resolve to.
    fn resolve_ignored_names(&mut self) {
        let jails = self.running.iter().map(|running| &running.jail);
        let names = jails.flat_map(Jail::ignored_names).cloned().collect();
        let (known, problem) = match self.names.round(&self.controller, &names) {
            Ok(found) => found,
            Err(failure) => (
                self.controller.ignored_names(&names),
                Some(failure.in_brackets()),
            ),
        };
        for running in &mut self.running {
            let of_jail = running.jail.ignored_names().iter();
            let known = of_jail.filter_map(|name| known.get(name));
            let addresses: Vec<IpAddr> = known.flat_map(|known| known.addresses.clone()).collect();
            running.jail.set_named(addresses);
        }
        self.standing("names", problem);
    }

    fn see_to_the_rest(&mut self) {
        let now_ms = self.clock.steady_ms();
        if now_ms >= self.due.own_ms {
            self.due.own_ms = now_ms + SAVE_MS;
            if let Ok(network) = self.controller.network() {
                for running in &mut self.running {
                    running.jail.set_own(network.own());
                }
            }
            self.resolve_ignored_names();
        }
        if now_ms >= self.due.sweep_ms {
            self.due.sweep_ms = now_ms + SWEEP_MS;
            for running in &mut self.running {
                running.jail.sweep(now_ms);
            }
            self.update.forgotten.extend(self.past.sweep(now_ms));
            let passed = self.running.iter().filter_map(Running::passed_over);
            let passed: Vec<String> = passed.collect();
            let passed = (!passed.is_empty()).then(|| (Severity::Warning, passed.join("\n")));
            self.observer
                .standing("detect lines that were passed over".to_owned(), passed);
        }
        if !self.waiting.is_empty() && now_ms >= self.due.waiting_ms {
            let asked = std::mem::take(&mut self.waiting);
            self.carry_out(asked);
        }
        if now_ms >= self.due.save_ms {
            self.save();
        }
        if now_ms >= self.due.report_ms {
            self.send_report();
        }
    }

    fn save(&mut self) {
        self.due.save_ms = self.clock.steady_ms() + SAVE_MS;
        let Ok(now) = now() else { return };
        let mut update = std::mem::take(&mut self.update);
        update.files = self
            .running
            .iter()
            .filter(|running| !running.files.is_empty())
            .map(|running| (running.jail.settings().name.clone(), running.places()))
            .collect();
        let journal = self.journal.as_ref();
        update.journal = journal.map_or_else(|| self.stopped.clone(), SharedJournal::place);
        let saved = self.memory.save(&update, &self.clock.saved(&now), &now);
        let problem = match saved {
            Ok(None) => None,
            Ok(Some(warning)) => {
                self.observer.log(Severity::Error, warning);
                None
            }
            Err(failure) => {
                // The next time all of it.
                self.update = MemoryUpdate {
                    past: self
                        .past
                        .records()
                        .map(|(prefix, record)| (prefix, record.clone()))
                        .collect(),
                    ..MemoryUpdate::default()
                };
                Some(failure.to_string())
            }
        };
        self.standing("memory", problem);
    }

    fn send_report(&mut self) {
        let now_ms = self.clock.steady_ms();
        self.due.report_ms = now_ms + TICK_MS;
        let journal = self.journal.as_ref();
        self.observer.report(JailsStatus {
            jails: self
                .running
                .iter()
                .map(|running| report::of(running, journal, now_ms))
                .collect(),
            journal: journal.map(report::of_journal),
            problems: self.problems.values().cloned().collect(),
        });
    }

    fn standing(&mut self, subject: &'static str, problem: Option<String>) {
        match &problem {
            Some(why) => self.problems.insert(subject, why.clone()),
            None => self.problems.remove(subject),
        };
        let problem = problem.map(|why| (Severity::Error, why));
        self.observer.standing(format!("detect {subject}"), problem);
    }

    /// Until there is something to read, an order, or a second has passed.
    fn wait(&mut self) {
        let now_ms = self.clock.steady_ms();
        let journal = self.journal.as_ref().map(SharedJournal::journal);
        let due = journal.and_then(crate::logs::JournalReader::due_ms);
        let until = due.unwrap_or(i64::MAX).min(now_ms + TICK_MS);
        let until = until.min(self.due.save_ms);
        let files = self
            .running
            .iter()
            .flat_map(|r| &r.files)
            .filter_map(FileSource::fd);
        let journal = journal.and_then(crate::logs::JournalReader::fd);
        let mut fds: Vec<PollFd<'_>> = files
            .chain(journal)
            .chain([self.wake.as_fd()])
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let timeout = (until - now_ms).clamp(0, TICK_MS);
        let timeout = PollTimeout::try_from(timeout as i32).unwrap_or(PollTimeout::ZERO);
        // A signal is as good as an event.
        poll(&mut fds, timeout).unwrap_or_default();
        drop(fds);
        let mut bytes = [0; 64];
        while matches!(self.wake.read(&mut bytes), Ok(read) if read > 0) {}
    }
}

/// Who speaks for others, to any jail.
fn proxies(running: &[Running]) -> Vec<Prefix> {
    let all = running.iter();
    all.flat_map(|running| running.proxies().iter().copied())
        .collect()
}

fn now() -> Result<Now, Failure> {
    Now::read().map_err(|error| from_io("cannot read which boot this is", &error))
}

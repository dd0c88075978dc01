//! Banning and lifting bans: the store and the tables of the kernel, under the lock of commands. A
//! change of policy that waits for its confirmation is no obstacle, and neither is a broken file.

use std::{collections::BTreeSet, fs};

use ipnetwork::IpNetwork;

use super::{Consent, Controller, Lock};
use crate::{
    bans::{
        Lines, Prefix, Protected, Store, Target, Term,
        protected::Why,
        settings::{Capacity, Settings},
        store::{Added, Change, Counts, End, Now, Origin, Record, Trouble},
        table::Sizes,
        target::refuse_wide,
    },
    dataplane::{bans::BanTables, pins},
    failure::{Exit, Failure, from_io},
    host::{essential, sessions},
};

/// A source that was banned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banned {
    /// What is banned.
    pub prefix: Prefix,
    /// Was it banned before?
    pub added: Added,
    /// For how long.
    pub term: Term,
}

/// What `ban` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banning {
    /// Source by source.
    pub banned: Vec<Banned>,
    /// What was not taken literally, and what else to look at.
    pub warnings: Vec<String>,
    /// Is guard on, so that the bans hold?
    pub is_active: bool,
    /// Nothing was done.
    pub dry_run: bool,
}

/// What to lift.
#[derive(Clone, Copy, Debug)]
pub enum Unban<'a> {
    /// These, as they were banned.
    Sources(&'a [String]),
    /// Every ban of an operator.
    All,
}

/// What `unban` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifting {
    /// What is no longer banned.
    pub lifted: Vec<Prefix>,
    /// What keeps some of it shut out all the same.
    pub warnings: Vec<String>,
    /// Nothing was done.
    pub dry_run: bool,
}

/// What `bans import` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Sources that were not banned before.
    pub new: u64,
    /// Sources that are banned for longer than before.
    pub longer: u64,
    /// Duplicates, and sources that were banned for as long.
    pub known: u64,
    /// What was wrong; the entries are used up.
    pub lines: Lines,
    /// What to look at.
    pub warnings: Vec<String>,
    /// Is guard on, so that the bans hold?
    pub is_active: bool,
    /// Nothing was done.
    pub dry_run: bool,
}

/// What a ban must know of the policy and the host.
pub(super) struct Frame {
    pub(super) settings: Settings,
    pub(super) protected: Protected,
    pub(super) warnings: Vec<String>,
}

/// What commands about bans hold: the lock, the time, the store, and the kernel's tables if guard is on.
pub(super) struct Session {
    _lock: Lock,
    pub(super) now: Now,
    pub(super) store: Store,
    pub(super) tables: Option<BanTables>,
    pub(super) warnings: Vec<String>,
}

/// More bans than these are not lifted one by one.
const MOST_LOWERED: usize = 10_000;
/// Between two reports of progress.
const STEP: usize = 10_000;

impl Controller {
    /// Bans sources; none of them if one cannot be.
    ///
    /// # Errors
    /// Exit 2 for what is no source, 7 for what is protected or too wide, 1 when a table is full.
    pub fn ban(
        &self,
        sources: &[String],
        term: Option<Term>,
        reason: &str,
        consent: Consent,
    ) -> Result<Banning, Failure> {
        let frame = self.ban_frame()?;
        let mut warnings = frame.warnings;
        let mut prefixes = Vec::new();
        for text in sources {
            let target = Target::parse(text).map_err(crate::bans::Complaint::failure)?;
            if !consent.force {
                refuse_wide(target.prefix).map_err(crate::bans::Complaint::failure)?;
            }
            let allowed = frame.protected.check(&target);
            let allowed = allowed.map_err(crate::bans::Complaint::failure)?;
            let is_narrowed = allowed.prefix != target.prefix;
            warnings.extend(target.note(text).filter(|_| !is_narrowed));
            warnings.extend(allowed.note);
            if !prefixes.contains(&allowed.prefix) {
                prefixes.push(allowed.prefix);
            }
        }
        let term = term.unwrap_or(frame.settings.default);
        let planned = |added| {
            let prefixes = prefixes.iter();
            let banned = prefixes.map(|prefix| Banned {
                prefix: *prefix,
                added,
                term,
            });
            banned.collect::<Vec<_>>()
        };
        if consent.dry_run {
            return Ok(Banning {
                banned: planned(Added::New),
                warnings,
                is_active: self.in_force()?.is_some(),
                dry_run: true,
            });
        }
        let mut session = self.ban_session()?;
        let new: Vec<(Prefix, Term, &str)> = prefixes
            .iter()
            .map(|prefix| (*prefix, term, reason))
            .collect();
        let outcomes = session.add(self, &Origin::Operator, &new, frame.settings, &mut |_| {})?;
        let mut banned = planned(Added::New);
        for (banned, added) in banned.iter_mut().zip(outcomes) {
            banned.added = added;
        }
        warnings.append(&mut session.warnings);
        Ok(Banning {
            banned,
            warnings,
            is_active: session.tables.is_some(),
            dry_run: false,
        })
    }

    /// Bans what a list names, but for what cannot be; that becomes a wrong line.
    ///
    /// # Errors
    /// As [`Controller::ban`], but not for single lines.
    pub fn import_bans(
        &self,
        mut lines: Lines,
        term: Option<Term>,
        reason: &str,
        consent: Consent,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Imported, Failure> {
        let frame = self.ban_frame()?;
        let mut warnings = frame.warnings;
        if lines.aggregated > 0 {
            warnings.push(format!(
                "{} IPv6 addresses are taken for their /64; write /128 for the address alone",
                lines.aggregated
            ));
        }
        if lines.unmapped > 0 {
            warnings.push(format!(
                "{} IPv4 addresses in IPv6 notation are taken as IPv4",
                lines.unmapped
            ));
        }
        let term = term.unwrap_or(frame.settings.default);
        let entries = std::mem::take(&mut lines.entries);
        let mut new: Vec<(Prefix, Term, &str)> = Vec::with_capacity(entries.len());
        for entry in &entries {
            let wide = if consent.force {
                Ok(())
            } else {
                refuse_wide(entry.target.prefix)
            };
            match wide.and_then(|()| frame.protected.check(&entry.target)) {
                Ok(allowed) => new.push((
                    allowed.prefix,
                    entry.term.unwrap_or(term),
                    entry.reason.as_deref().unwrap_or(reason),
                )),
                Err(complaint) => lines.refuse(entry.line, complaint.message),
            }
        }
        lines.wrong.sort_by_key(|wrong| wrong.line);
        let total = new.len() as u64;
        // In order of the store, the longest first; duplicates are one ban.
        new.sort_by(|(a, a_term, _), (b, b_term, _)| a.cmp(b).then(b_term.cmp(a_term)));
        new.dedup_by_key(|(prefix, ..)| *prefix);
        let mut done = Imported {
            new: 0,
            longer: 0,
            known: total - new.len() as u64,
            lines,
            warnings,
            is_active: false,
            dry_run: consent.dry_run,
        };
        if consent.dry_run {
            done.new = new.len() as u64;
            done.is_active = self.in_force()?.is_some();
            return Ok(done);
        }
        let mut session = self.ban_session()?;
        let outcomes = session.add(self, &Origin::Operator, &new, frame.settings, progress)?;
        for added in outcomes {
            match added {
                Added::New => done.new += 1,
                Added::Longer => done.longer += 1,
                Added::Known => done.known += 1,
            }
        }
        done.warnings.append(&mut session.warnings);
        done.is_active = session.tables.is_some();
        Ok(done)
    }

    /// Lifts bans; none of them if one is not there.
    ///
    /// # Errors
    /// Exit 2 for what is no source, 6 for what is not banned.
    pub fn unban(&self, what: Unban<'_>, consent: Consent) -> Result<Lifting, Failure> {
        let mut session = self.ban_session()?;
        let mut lifting = Lifting {
            lifted: Vec::new(),
            warnings: Vec::new(),
            dry_run: consent.dry_run,
        };
        let now = session.now.clone();
        let lifted = match what {
            Unban::All => {
                let mut operators = Vec::new();
                session.store.each(&now, |record| {
                    if record.origin == Origin::Operator {
                        operators.push(record.prefix);
                    }
                    true
                })?;
                operators
            }
            Unban::Sources(sources) => {
                let mut lifted = BTreeSet::new();
                for text in sources {
                    let (prefix, warning) = session.find(text)?;
                    lifted.insert(prefix);
                    lifting.warnings.extend(warning);
                }
                lifted.into_iter().collect()
            }
        };
        if !consent.dry_run {
            session.remove(self, &Origin::Operator, &lifted)?;
        }
        lifting.lifted = lifted;
        lifting.warnings.append(&mut session.warnings);
        Ok(lifting)
    }

    /// Every ban that holds, and the time by which that was so.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn bans(&self) -> Result<(Vec<Record>, Now), Failure> {
        let session = self.ban_session()?;
        let mut records = Vec::new();
        session.store.each(&session.now, |record| {
            records.push(record);
            true
        })?;
        Ok((records, session.now))
    }

    /// How large the tables of bans are; `None` when guard is off or they cannot be opened.
    #[must_use]
    pub fn ban_table_sizes(&self) -> Option<Sizes> {
        let running = pins::open(&self.layout).ok()??;
        Some(running.bans.sizes())
    }

    /// Forgets what is over, in the store and in the tables.
    ///
    /// # Errors
    /// When the store or the tables cannot be read.
    pub fn sweep_bans(&self) -> Result<(), Failure> {
        if !self.layout.bans().exists() {
            return Ok(());
        }
        let mut session = self.ban_session()?;
        session.sweep(self)
    }

    /// Every stored ban into the kernel's tables as they are: after `enable` and `load`, which make
    /// them anew, and after a command that was killed. What is there and not stored goes.
    ///
    /// # Errors
    /// When the store or the tables cannot be read. Bans that are in force stay.
    pub(super) fn restore_bans(&self, warnings: &mut Vec<String>) -> Result<(), Failure> {
        if !self.layout.bans().exists() {
            return Ok(());
        }
        let now = now()?;
        let opened = Store::open(&self.layout.bans(), &now)?;
        warnings.extend(opened.quarantined.as_deref().map(quarantined));
        let capacity = self.capacity();
        if let Some(mut tables) = BanTables::open(&self.layout, &now, capacity)? {
            settle(self, &opened.store, &now, &mut tables)?;
        }
        Ok(())
    }

    /// The lock, the store and the tables; what a killed command left is put in order.
    pub(super) fn ban_session(&self) -> Result<Session, Failure> {
        let lock = Lock::acquire(&self.layout)?;
        let now = now()?;
        let opened = Store::open(&self.layout.bans(), &now)?;
        let mut warnings: Vec<String> = opened
            .quarantined
            .as_deref()
            .map(quarantined)
            .into_iter()
            .collect();
        let mut tables = BanTables::open(&self.layout, &now, self.capacity())?;
        if tables.is_none() {
            warnings
                .push("guard is not active: bans hold once it is (`guardctl enable`)".to_owned());
        }
        let marker = self.layout.unsettled_bans();
        if let Some(tables) = tables.as_mut().filter(|_| marker.exists()) {
            settle(self, &opened.store, &now, tables)?;
        }
        Ok(Session {
            _lock: lock,
            now,
            store: opened.store,
            tables,
            warnings,
        })
    }

    /// How many bans there may be; the usual number when the policy cannot be read.
    fn capacity(&self) -> Capacity {
        let loaded = self.load().ok();
        loaded.map_or_else(Capacity::default, |loaded| loaded.policy.bans.capacity)
    }

    /// The policy's part, and what this host cannot do without. The never list in force wins in the
    /// kernel even where the files cannot be read.
    pub(super) fn ban_frame(&self) -> Result<Frame, Failure> {
        let mut warnings = Vec::new();
        let (settings, never) = match self.load() {
            Ok(loaded) => (loaded.policy.bans, loaded.policy.never),
            Err(failure) => {
                let first = failure.message.lines().next().unwrap_or_default();
                warnings.push(format!(
                    "the policy files cannot be used ({first}): the never list in force still wins, \
                     but nothing on it is refused here"
                ));
                (Settings::default(), Vec::<IpNetwork>::new())
            }
        };
        let network = self.network()?;
        let gateways =
            essential::gateways().map_err(|error| from_io("cannot read the routes", &error))?;
        let single = |why| move |address| (Prefix::single(address), why);
        let own = network.addresses.iter().map(|(address, _)| *address);
        let protected = Protected::new(
            own.map(single(Why::Own))
                .chain(gateways.into_iter().map(single(Why::Gateway)))
                .chain(
                    essential::resolvers()
                        .into_iter()
                        .map(single(Why::Resolver)),
                )
                .chain(sessions::callers().into_iter().map(single(Why::Caller)))
                .chain(never.into_iter().map(|net| (Prefix::from(net), Why::Never))),
        );
        Ok(Frame {
            settings,
            protected,
            warnings,
        })
    }
}

impl Session {
    /// Adds bans: into the store and into the tables, or, when one of them is full, into neither.
    pub(super) fn add(
        &mut self,
        controller: &Controller,
        origin: &Origin,
        new: &[(Prefix, Term, &str)],
        settings: Settings,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Vec<Added>, Failure> {
        let Self {
            now, store, tables, ..
        } = self;
        let marker = Marker::set(controller)?;
        let added = store.change(now, |change| {
            let over = change.sweep()?;
            let number = change.origin(origin)?;
            let mut outcomes = Vec::with_capacity(new.len());
            for (index, (prefix, term, reason)) in new.iter().enumerate() {
                outcomes.push(change.add(*prefix, number, *term, reason)?);
                if index % STEP == 0 {
                    progress(index as u64 / 2);
                }
            }
            refuse_full(change.counts(), settings)?;
            if let Some(tables) = tables {
                lower(change, tables, over.get(..MOST_LOWERED).unwrap_or(&over))?;
                tables.make_room(&controller.layout, new.iter().map(|(prefix, ..)| *prefix))?;
                for (index, ((prefix, term, _), added)) in new.iter().zip(&outcomes).enumerate() {
                    if *added != Added::Known {
                        tables.raise(&controller.layout, *prefix, End::after(*term, now))?;
                    }
                    if index % STEP == 0 {
                        progress((new.len() + index) as u64 / 2);
                    }
                }
            }
            Ok(outcomes)
        });
        self.finish(controller, marker, added)
    }

    /// Removes the bans of an origin; what others have banned stays so.
    pub(super) fn remove(
        &mut self,
        controller: &Controller,
        origin: &Origin,
        gone: &[Prefix],
    ) -> Result<(), Failure> {
        let Self {
            now, store, tables, ..
        } = self;
        let marker = Marker::set(controller)?;
        let removed = store.change(now, |change| {
            let number = change.origin(origin)?;
            for prefix in gone {
                change.remove(*prefix, number)?;
            }
            change.sweep()?;
            match tables {
                Some(tables) if gone.len() > MOST_LOWERED => {
                    tables.replace(&controller.layout, &change.all()?)?;
                }
                Some(tables) => lower(change, tables, gone)?,
                None => {}
            }
            Ok(())
        });
        self.finish(controller, marker, removed)
    }

    /// What is over leaves both.
    fn sweep(&mut self, controller: &Controller) -> Result<(), Failure> {
        let Self {
            now, store, tables, ..
        } = self;
        let marker = Marker::set(controller)?;
        let swept = store.change(now, |change| {
            let over = change.sweep()?;
            match tables {
                Some(tables) if over.len() > MOST_LOWERED => {
                    tables.replace(&controller.layout, &change.all()?)?;
                }
                Some(tables) => lower(change, tables, &over)?,
                None => {}
            }
            Ok(())
        });
        self.finish(controller, marker, swept)
    }

    /// Store and tables say the same when a change has come to an end, whatever it was.
    fn finish<T>(
        &mut self,
        controller: &Controller,
        marker: Marker,
        result: Result<T, Failure>,
    ) -> Result<T, Failure> {
        if result.is_err()
            && let Some(tables) = &mut self.tables
        {
            settle(controller, &self.store, &self.now, tables)?;
        }
        marker.remove();
        result
    }

    /// The ban that a text means.
    fn find(&self, text: &str) -> Result<(Prefix, Option<String>), Failure> {
        let target = Target::parse(text).map_err(crate::bans::Complaint::failure)?;
        // An address may have been banned as its /64, or, where that is protected, alone.
        let alone = target.address.map(Prefix::single);
        let candidates = [Some(target.prefix), alone];
        let found = self.store.change(&self.now, |change| {
            let number = change.origin(&Origin::Operator)?;
            for prefix in candidates.into_iter().flatten() {
                if change.end(prefix, number)?.is_some() {
                    let others = change.around(prefix)?.into_iter();
                    let around = others.map(|(other, _)| other);
                    let outer = around.filter(|other| other.covers(prefix) && *other != prefix);
                    return Ok(Some((prefix, outer.last(), change.of(prefix)?.len() > 1)));
                }
            }
            Ok(None)
        })?;
        let Some((prefix, outer, by_others)) = found else {
            return Err(self.not_banned(&target, text)?);
        };
        let warning = match (by_others, outer) {
            (true, _) => Some(format!("{prefix} stays banned: a feed names it")),
            (false, Some(outer)) => Some(format!("{prefix} stays banned: {outer} is")),
            (false, None) => None,
        };
        Ok((prefix, warning))
    }

    /// Says what there is instead.
    fn not_banned(&self, target: &Target, text: &str) -> Result<Failure, Failure> {
        let mut outer = None;
        self.store.each(&self.now, |record| {
            if record.prefix.covers(target.prefix) {
                outer = Some(record);
            }
            true
        })?;
        let failure = Failure::new(Exit::NotFound, format!("{text} is not banned"));
        Ok(match outer {
            None => failure.help("`guardctl bans list` shows what is"),
            Some(record) => match record.origin {
                Origin::Operator => failure.help(format!(
                    "{} is, and holds it: `guardctl unban {}`",
                    record.prefix, record.prefix
                )),
                Origin::Feed(name) => failure.help(format!(
                    "feed {name} names {}: take it out of its file, or `guardctl never add {text}`",
                    record.prefix
                )),
            },
        })
    }
}

/// Exists while store and tables may differ.
struct Marker(std::path::PathBuf);

impl Marker {
    fn set(controller: &Controller) -> Result<Self, Failure> {
        let path = controller.layout.unsettled_bans();
        fs::write(&path, b"").map_err(|error| from_io(path.display(), &error))?;
        Ok(Self(path))
    }

    /// If it stays, the next command compares once more than needed.
    fn remove(self) {
        fs::remove_file(self.0).ok();
    }
}

/// What the tables must say of these prefixes after bans were removed.
fn lower(change: &Change<'_>, tables: &mut BanTables, gone: &[Prefix]) -> Result<(), Trouble> {
    for prefix in gone {
        tables.lower(*prefix, |prefix| change.around(prefix))?;
    }
    Ok(())
}

/// The tables say what the store says.
fn settle(
    controller: &Controller,
    store: &Store,
    now: &Now,
    tables: &mut BanTables,
) -> Result<(), Failure> {
    let all = store.change(now, |change| {
        change.sweep()?;
        Ok(change.all()?)
    })?;
    tables.replace(&controller.layout, &all)?;
    fs::remove_file(controller.layout.unsettled_bans()).ok();
    Ok(())
}

fn refuse_full(counts: Counts, settings: Settings) -> Result<(), Failure> {
    let capacity = settings.capacity;
    for (what, count, most, key) in [
        ("IPv4 addresses", counts.ipv4, capacity.ipv4, "ipv4"),
        (
            "IPv6 addresses and /64 networks",
            counts.ipv6,
            capacity.ipv6,
            "ipv6",
        ),
        ("prefixes", counts.cidrs, capacity.cidrs, "cidrs"),
    ] {
        if count > u64::from(most) {
            return Err(Failure::new(
                Exit::Failed,
                format!(
                    "the table of bans is full: {count} {what}, at most {most}; nothing was changed"
                ),
            )
            .help(format!(
                "raise `{key}` below [bans] in guard.toml, or lift bans (`guardctl unban`)"
            )));
        }
    }
    Ok(())
}

fn quarantined(aside: &std::path::Path) -> String {
    format!(
        "the store of bans was damaged and is now {}; bans that are in force stay until they end, or \
         until guard is loaded again",
        aside.display()
    )
}

fn now() -> Result<Now, Failure> {
    Now::read().map_err(|error| from_io("cannot read which boot this is", &error))
}

//! Bans that others made: each record is checked like a ban of an operator, and by how much its member is believed, before
//! it is one. Whoever hands it over is believed nothing.

use std::collections::BTreeMap;

use super::{
    Frame, Logins,
    session::{NewBan, Session, Waive},
};
use crate::{
    bans::{
        BanTarget, BanTerm, Breadth, Prefix,
        ledger::{Ledger, MemberSummary, RecordOutcome, Refusal, Source, Word},
        store::{BanOrigin, Now},
    },
    control::fleet::{
        CROWDSEC, FleetRecord, FleetTaken, LIFT, Later, MOST_REASON, MOST_RECORDS, MOST_SECONDS,
    },
    controller::{Controller, state::quarantine},
    failure::{Exit, Failure},
    fleet::{FleetSettings, Member, Trust},
    host::clock::boot_time_ns,
    text::value::printable,
};

/// Widest networks that are taken of the fleet: a customer's, not a provider's.
const WIDEST_V4: u8 = 24;
const WIDEST_V6: u8 = 48;
/// Between two looks at what must not be banned here, and two sweeps of what is over.
const FRAME_MS: u64 = 10_000;
const SWEEP_MS: u64 = 60_000;

/// What the daemon keeps of the fleet: what was said, and what must not be banned whoever says so.
#[derive(Debug)]
pub struct FleetLedger {
    ledger: Ledger,
    frame: Option<(Frame, u64)>,
    next_sweep_ms: u64,
}

/// What became of records, and what is to be written down.
#[derive(Debug, Default)]
pub struct Received {
    /// For whoever handed them over.
    pub taken: FleetTaken,
    /// Members that are quarantined since, and why.
    pub quarantined: BTreeMap<String, String>,
    /// What the store or the tables have to say.
    pub warnings: Vec<String>,
}

/// A record that is to be carried out.
struct Order<'r> {
    record: &'r FleetRecord,
    prefix: Prefix,
    origin: BanOrigin,
    reason: String,
    end_ms: u64,
    /// The ban that was known of it before.
    known: Option<u64>,
}

/// What carrying out needs.
#[derive(Default)]
struct Orders<'r> {
    bans: Vec<Order<'r>>,
    lifts: Vec<(BanOrigin, Prefix)>,
    /// Of operators, everywhere.
    all_lifts: Vec<(Prefix, u64)>,
}

impl FleetLedger {
    /// Nothing is known, but who is quarantined.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn open(controller: &Controller) -> Result<Self, Failure> {
        let mut ledger = Ledger::default();
        for (name, why) in quarantine::read(controller.layout())? {
            ledger.quarantine(&name, &why);
        }
        Ok(Self {
            ledger,
            frame: None,
            next_sweep_ms: 0,
        })
    }

    /// All members, the busiest first.
    #[must_use]
    pub fn members(&self) -> Vec<MemberSummary> {
        let mut members = self.ledger.summaries();
        members.retain(|member| member.name != LIFT);
        members
    }

    fn frame(&mut self, controller: &Controller, now_ms: u64) -> Result<&Frame, Failure> {
        let is_fresh = |(_, at): &(Frame, u64)| now_ms.saturating_sub(*at) < FRAME_MS;
        let frame = match self.frame.take().filter(is_fresh) {
            Some(frame) => frame,
            // A member that was taken over must not be able to shut out whoever is logged in here.
            None => (controller.ban_frame(Logins::Protected)?, now_ms),
        };
        Ok(&self.frame.insert(frame).0)
    }
}

impl Controller {
    /// Takes what others said, as far as it is allowed.
    ///
    /// # Errors
    /// When there are too many records, the store cannot be written or a table is full: nothing is changed then.
    pub fn take_received(
        &self,
        fleet: &mut FleetLedger,
        settings: &FleetSettings,
        records: &[FleetRecord],
    ) -> Result<Received, Failure> {
        if records.len() > MOST_RECORDS {
            return Err(Failure::new(
                Exit::Usage,
                format!("{} records at once; at most {MOST_RECORDS}", records.len()),
            ));
        }
        let now_ms = boot_time_ns() / 1_000_000;
        if now_ms >= fleet.next_sweep_ms {
            fleet.next_sweep_ms = now_ms + SWEEP_MS;
            fleet.ledger.sweep(now_ms);
        }
        let before = fleet.ledger.quarantined();
        fleet.frame(self, now_ms)?;
        let mut received = Received::default();
        let mut orders = Orders::default();
        for (index, record) in (0..).zip(records) {
            match fleet.evaluate(settings, record, now_ms, &mut orders) {
                RecordOutcome::Ban | RecordOutcome::Known => received.taken.taken += 1,
                RecordOutcome::Noted => received.taken.noted += 1,
                RecordOutcome::Refused(_) => received.taken.refused += 1,
                RecordOutcome::Later(seconds) => {
                    received.taken.later.push(Later { index, seconds })
                }
            }
        }
        if !orders.is_empty() {
            let done = self.follow_received(fleet, &orders, now_ms);
            received.warnings = done.inspect_err(|_| {
                // Handed over again, they are to be banned again.
                for order in &orders.bans {
                    fleet.ledger.forget(&order.record.by, order.prefix);
                }
            })?;
        }
        let after = fleet.ledger.quarantined();
        if after != before {
            quarantine::write(self.layout(), &after)?;
            let new = after.into_iter();
            received.quarantined = new.filter(|(name, _)| !before.contains_key(name)).collect();
        }
        Ok(received)
    }

    fn follow_received(
        &self,
        fleet: &mut FleetLedger,
        orders: &Orders<'_>,
        now_ms: u64,
    ) -> Result<Vec<String>, Failure> {
        let mut session = self.ban_session()?;
        let lifts: Vec<(&BanOrigin, Prefix)> = orders
            .lifts
            .iter()
            .map(|(origin, prefix)| (origin, *prefix))
            .collect();
        if !lifts.is_empty() {
            session.remove_all(self, &lifts, Waive::No)?;
        }
        for (prefix, id) in &orders.all_lifts {
            self.lift_everywhere(&mut session, *prefix, *id)?;
        }
        let waived = fleet.waived(&session, &orders.bans)?;
        let new: Vec<NewBan<'_>> = orders
            .bans
            .iter()
            .zip(&waived)
            .filter(|(_, is_waived)| !**is_waived)
            .map(|(order, _)| NewBan {
                origin: &order.origin,
                prefix: order.prefix,
                term: BanTerm::For(std::time::Duration::from_millis(
                    order.end_ms.saturating_sub(now_ms),
                )),
                reason: &order.reason,
            })
            .collect();
        if !new.is_empty() {
            let settings = fleet
                .frame
                .as_ref()
                .map_or_else(Default::default, |(frame, _)| frame.settings);
            session.add_all(self, &new, settings)?;
        }
        for (order, is_waived) in orders.bans.iter().zip(waived) {
            if is_waived {
                fleet.ledger.was_waived(&order.record.by, order.prefix);
            }
        }
        Ok(session.quarantined.take().into_iter().collect())
    }

    /// Lifts whatever bans exactly this prefix, but for feeds, which are files of this host.
    /// Once: what was banned after that stays banned.
    fn lift_everywhere(
        &self,
        session: &mut Session,
        prefix: Prefix,
        id: u64,
    ) -> Result<(), Failure> {
        let now = session.now.clone();
        let origins = session.store.change(&now, |change| {
            Ok(match change.is_new_lift(prefix, id)? {
                true => change.origins_of(prefix)?,
                false => Vec::new(),
            })
        })?;
        let gone: Vec<(&BanOrigin, Prefix)> = origins
            .iter()
            .filter(|origin| origin.is_liftable())
            .map(|origin| (origin, prefix))
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        session.remove_all(self, &gone, Waive::Yes)?;
        if origins
            .iter()
            .any(|origin| matches!(origin, BanOrigin::Jail(_)))
        {
            self.tell_jails(session)?;
        }
        Ok(())
    }

    /// Takes nothing of this member any more and lifts what it banned, or takes its records again.
    ///
    /// # Errors
    /// Exit 2 for what is no member, 6 when it is to end and is not; and what the store and the disk say.
    pub fn quarantine_member(
        &self,
        fleet: &mut FleetLedger,
        member: &str,
        is_over: bool,
    ) -> Result<(), Failure> {
        let name = name_of(member)?;
        if is_over {
            if !fleet.ledger.release(&name) {
                let failure = Failure::new(Exit::NotFound, format!("{name} is not quarantined"));
                return Err(failure.help("`guardctl fleet status` lists who is"));
            }
            return quarantine::write(self.layout(), &fleet.ledger.quarantined());
        }
        // Noted first: what is lifted then is not banned again.
        fleet.ledger.quarantine(&name, "by an operator");
        quarantine::write(self.layout(), &fleet.ledger.quarantined())?;
        let mut session = self.ban_session()?;
        let origin = origin_of(&name);
        let mut gone = Vec::new();
        session
            .store
            .each_of(&origin, &session.now, |prefix| gone.push(prefix))?;
        session.remove(self, &origin, &gone)
    }
}

impl FleetLedger {
    /// What follows from a record; what must be done is added to `orders`.
    fn evaluate<'r>(
        &mut self,
        settings: &FleetSettings,
        record: &'r FleetRecord,
        now_ms: u64,
        orders: &mut Orders<'r>,
    ) -> RecordOutcome {
        let (source, trust) = match source(settings, &record.by) {
            Ok(source) => source,
            // Its name may be anything, so it is not counted by it.
            Err(refusal) => return RecordOutcome::Refused(refusal),
        };
        let Ok(target) = BanTarget::parse(&record.prefix) else {
            return self.refused(&record.by, Refusal::Malformed);
        };
        let prefix = target.prefix;
        let origin = origin_of(&record.by);
        if record.by == LIFT {
            // Anybody who can say this could lift all bans; it is as slow as banning is.
            let word = Word {
                prefix,
                id: record.id,
                end_ms: now_ms + u64::from(MOST_SECONDS) * 1000,
            };
            let outcome = self
                .ledger
                .evaluate(now_ms, (LIFT, source), Trust::Full, word);
            if outcome == RecordOutcome::Ban {
                self.ledger.lift(LIFT, prefix);
                orders.all_lifts.push((prefix, record.id));
            }
            return outcome;
        }
        if record.left == 0 {
            self.ledger.withdraw(&record.by, prefix);
            orders.lifts.push((origin, prefix));
            return RecordOutcome::Known;
        }
        let is_narrow = match source {
            Source::Member if prefix.is_v4() => prefix.written_length() >= WIDEST_V4,
            Source::Member => prefix.written_length() >= WIDEST_V6,
            Source::Crowdsec => Breadth::Usual.check(prefix).is_ok(),
        };
        if !is_narrow {
            return self.refused(&record.by, Refusal::TooWide);
        }
        let allowed = self
            .frame
            .as_ref()
            .map(|(frame, _)| frame.protected.check(&target));
        let Some(Ok(allowed)) = allowed else {
            return self.refused(&record.by, Refusal::Protected);
        };
        let seconds = record.left.min(MOST_SECONDS);
        let word = Word {
            prefix: allowed.prefix,
            id: record.id,
            end_ms: now_ms + u64::from(seconds) * 1000,
        };
        let known = self.ledger.known(&record.by, word.prefix);
        let outcome = self
            .ledger
            .evaluate(now_ms, (&record.by, source), trust, word);
        if outcome == RecordOutcome::Ban {
            let reason = printable(&record.reason, MOST_REASON);
            let others = self.ledger.agreeing(now_ms, &record.by, word.prefix);
            for (other, end_ms) in others {
                orders.bans.push(Order {
                    record,
                    prefix: word.prefix,
                    origin: origin_of(&other),
                    reason: reason.clone(),
                    end_ms,
                    known: None,
                });
            }
            orders.bans.push(Order {
                record,
                prefix: word.prefix,
                origin,
                reason,
                end_ms: word.end_ms,
                known,
            });
        }
        outcome
    }

    fn refused(&mut self, name: &str, why: Refusal) -> RecordOutcome {
        self.ledger.refuse(name, why);
        RecordOutcome::Refused(why)
    }

    /// Which of these an operator of this host has lifted before.
    fn waived(&self, session: &Session, orders: &[Order<'_>]) -> Result<Vec<bool>, Failure> {
        if orders.is_empty() || !session.store.has_waivers()? {
            return Ok(vec![false; orders.len()]);
        }
        let now: &Now = &session.now;
        session.store.change(now, |change| {
            let mut waived = Vec::with_capacity(orders.len());
            for order in orders {
                let number = change.origin(&order.origin)?;
                let id = order.record.id;
                waived.push(change.is_waived(order.prefix, number, order.known, id)?);
            }
            Ok(waived)
        })
    }
}

impl Orders<'_> {
    fn is_empty(&self) -> bool {
        self.bans.is_empty() && self.lifts.is_empty() && self.all_lifts.is_empty()
    }
}

/// Who says so, and how much he is believed.
fn source(settings: &FleetSettings, by: &str) -> Result<(Source, Trust), Refusal> {
    if by == CROWDSEC {
        let joined = settings.crowdsec.as_ref().ok_or(Refusal::NotJoined);
        return joined.map(|_| (Source::Crowdsec, Trust::Full));
    }
    let nats = settings.nats.as_ref().ok_or(Refusal::NotJoined)?;
    if by == LIFT {
        return Ok((Source::Member, Trust::Full));
    }
    let member: Member = by.parse().map_err(|_| Refusal::Malformed)?;
    // This host's own word comes back to it.
    if nats.member().is_ok_and(|own| own == member) {
        return Err(Refusal::Malformed);
    }
    Ok((Source::Member, nats.trust(&member)))
}

fn name_of(member: &str) -> Result<String, Failure> {
    if member == CROWDSEC {
        return Ok(member.to_owned());
    }
    match member.parse::<Member>() {
        Ok(member) => Ok(member.to_string()),
        Err(bad) => {
            let failure = Failure::new(Exit::Usage, bad.message);
            Err(match bad.help {
                Some(help) => failure.help(help),
                None => failure,
            })
        }
    }
}

fn origin_of(name: &str) -> BanOrigin {
    if name == CROWDSEC {
        BanOrigin::Crowdsec
    } else {
        BanOrigin::Fleet(name.to_owned())
    }
}

//! What others have said of whom they ban, and how much of it is taken: nobody bans faster, more or wider than a fleet
//! of honest hosts does, whoever got hold of one of them. Needs no kernel, no disk and no clock.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use super::prefix::Prefix;
use crate::fleet::Trust;

/// Bans of one member that hold at a time; more, and it is quarantined.
pub const MOST_LIVE: usize = 10_000;
/// New bans of one member at once,
pub const BURST: u32 = 1_000;
/// and so many per second.
pub const PER_SECOND: u32 = 50;
/// Bans of CrowdSec that hold at a time: one server, which the operator runs, speaks for thousands.
pub const MOST_CROWDSEC: usize = 500_000;
/// Members that are known at a time.
pub const MOST_MEMBERS: usize = 4_096;
/// Records of networks that are too wide, which no honest host sends; more, and the member is quarantined.
const MOST_WIDE: u64 = 10;
/// Two records of one ban may differ by so much in when it ends: they say seconds, and travel.
const TOLERANCE_MS: u64 = 3_000;

/// Who bans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A host of the fleet.
    Member,
    /// CrowdSec.
    Crowdsec,
}

/// Why a record is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// It makes no sense.
    Malformed,
    /// This host has joined nothing that it could come from.
    NotJoined,
    /// Nothing of its member is taken.
    Quarantined,
    /// The network is wider than is taken from others.
    TooWide,
    /// It names what must not be banned here.
    Protected,
    /// An operator of this host has lifted it.
    LiftedHere,
    /// There are too many members already.
    TooManyMembers,
    /// There are too many bans of its member already.
    TooMany,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed",
            Self::NotJoined => "not joined",
            Self::Quarantined => "quarantined",
            Self::TooWide => "too wide",
            Self::Protected => "protected",
            Self::LiftedHere => "lifted here",
            Self::TooManyMembers => "too many members",
            Self::TooMany => "too many",
        })
    }
}

/// A record that makes sense and is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// Who is banned.
    pub prefix: Prefix,
    /// Which ban it is.
    pub id: u64,
    /// Until when, by the boot clock.
    pub end_ms: u64,
}

/// What follows from a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    /// It is to be banned, and with it what others said of the same prefix.
    Ban,
    /// It is in force already.
    Known,
    /// It waits for others, or is only counted.
    Noted,
    /// It is not taken.
    Refused(Refusal),
    /// It came too fast; after so many seconds it may come again.
    Later(u32),
}

/// What a member says of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    id: u64,
    end_ms: u64,
    state: ClaimState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClaimState {
    InForce,
    Noted,
    /// Somebody lifted it here.
    Lifted,
}

/// What is known of a member.
#[derive(Debug, Default)]
struct MemberRecord {
    claims: HashMap<Prefix, Claim>,
    refused: BTreeMap<Refusal, u64>,
    quarantined: Option<String>,
    /// New bans that it may still make, in milliseconds of its rate.
    credit: Option<(u64, u64)>,
}

/// All members.
#[derive(Debug, Default)]
pub struct Ledger {
    members: BTreeMap<String, MemberRecord>,
    /// Records of members that are not kept.
    strangers: u64,
}

/// A member, for listings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSummary {
    /// Its name.
    pub name: String,
    /// Bans of it that hold.
    pub in_force: u64,
    /// Records that wait for others, or are only counted.
    pub noted: u64,
    /// Records that were refused.
    pub refused: BTreeMap<Refusal, u64>,
    /// Why nothing of it is taken.
    pub quarantined: Option<String>,
}

impl Ledger {
    /// What follows from a word of this member.
    pub fn evaluate(
        &mut self,
        now_ms: u64,
        (name, source): (&str, Source),
        trust: Trust,
        word: Word,
    ) -> RecordOutcome {
        if !self.members.contains_key(name) && self.members.len() >= MOST_MEMBERS {
            self.strangers += 1;
            return RecordOutcome::Refused(Refusal::TooManyMembers);
        }
        let member = self.members.entry(name.to_owned()).or_default();
        if member.quarantined.is_some() {
            return member.refuse(Refusal::Quarantined);
        }
        let known = member.claims.get(&word.prefix).copied();
        if let Some(claim) = known.filter(|claim| claim.says_so_already(word, now_ms)) {
            return match claim.state {
                ClaimState::InForce => RecordOutcome::Known,
                ClaimState::Lifted => member.refuse(Refusal::LiftedHere),
                // Another trust may be in force since.
                ClaimState::Noted => self.decide(now_ms, name, trust, word),
            };
        }
        if known.is_none() {
            let most = match source {
                Source::Member => MOST_LIVE,
                Source::Crowdsec => MOST_CROWDSEC,
            };
            if member.claims.len() >= most {
                member.claims.retain(|_, claim| claim.end_ms > now_ms);
            }
            if member.claims.len() >= most {
                if source == Source::Member {
                    let why = format!("more than {MOST_LIVE} bans at a time");
                    member.quarantined = Some(why);
                    return member.refuse(Refusal::Quarantined);
                }
                return member.refuse(Refusal::TooMany);
            }
        }
        if source == Source::Member
            && let Err(seconds) = member.pay(now_ms)
        {
            return RecordOutcome::Later(seconds);
        }
        self.decide(now_ms, name, trust, word)
    }

    /// How many members must agree, and do they?
    fn decide(&mut self, now_ms: u64, name: &str, trust: Trust, word: Word) -> RecordOutcome {
        let group = name.split_once('/').map(|(group, _)| group);
        let state = match trust {
            Trust::Full => ClaimState::InForce,
            Trust::Watch => ClaimState::Noted,
            Trust::Quorum(hosts) => {
                let of_group = |other: &str| other.split_once('/').map(|(group, _)| group) == group;
                let others = self.members.iter().filter(|(other, member)| {
                    other.as_str() != name
                        && of_group(other)
                        && member.quarantined.is_none()
                        && member.says(word.prefix, now_ms)
                });
                if others.count() + 1 >= usize::from(hosts) {
                    ClaimState::InForce
                } else {
                    ClaimState::Noted
                }
            }
        };
        let claim = Claim {
            id: word.id,
            end_ms: word.end_ms,
            state,
        };
        if let Some(member) = self.members.get_mut(name) {
            member.claims.insert(word.prefix, claim);
        }
        match state {
            ClaimState::InForce => RecordOutcome::Ban,
            ClaimState::Noted | ClaimState::Lifted => RecordOutcome::Noted,
        }
    }

    /// What the others of this group say of the prefix that waited, and is to be banned now as well: name and end.
    pub fn agreeing(&mut self, now_ms: u64, name: &str, prefix: Prefix) -> Vec<(String, u64)> {
        let Some((group, _)) = name.split_once('/') else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (other, member) in &mut self.members {
            let is_of_group = other.split_once('/').is_some_and(|(of, _)| of == group);
            if let Some(claim) = member.claims.get_mut(&prefix)
                && is_of_group
                && member.quarantined.is_none()
                && claim.state == ClaimState::Noted
                && claim.end_ms > now_ms
            {
                claim.state = ClaimState::InForce;
                found.push((other.clone(), claim.end_ms));
            }
        }
        found
    }

    /// A member takes back what it said.
    pub fn withdraw(&mut self, name: &str, prefix: Prefix) {
        if let Some(member) = self.members.get_mut(name) {
            member.claims.remove(&prefix);
        }
    }

    /// An operator lifts the prefix, whoever banned it: what was said of it does not count any more.
    pub fn lift(&mut self, operator: &str, prefix: Prefix) {
        for (name, member) in &mut self.members {
            if let Some(claim) = member.claims.get_mut(&prefix)
                && name != operator
            {
                claim.state = ClaimState::Lifted;
            }
        }
    }

    /// A ban that was to be made was not: it is as if nothing had been said.
    pub fn forget(&mut self, name: &str, prefix: Prefix) {
        self.withdraw(name, prefix);
    }

    /// It was refused because an operator of this host lifted it before.
    pub fn was_waived(&mut self, name: &str, prefix: Prefix) {
        if let Some(member) = self.members.get_mut(name) {
            if let Some(claim) = member.claims.get_mut(&prefix) {
                claim.state = ClaimState::Lifted;
            }
            member.count(Refusal::LiftedHere);
        }
    }

    /// Which ban of this prefix is known of the member.
    #[must_use]
    pub fn known(&self, name: &str, prefix: Prefix) -> Option<u64> {
        let member = self.members.get(name)?;
        member.claims.get(&prefix).map(|claim| claim.id)
    }

    /// Counts a record that was refused before it came here; who sends many that no honest host would is quarantined.
    pub fn refuse(&mut self, name: &str, why: Refusal) {
        if !self.members.contains_key(name) && self.members.len() >= MOST_MEMBERS {
            self.strangers += 1;
            return;
        }
        let member = self.members.entry(name.to_owned()).or_default();
        member.count(why);
        let wide = member.refused.get(&Refusal::TooWide).copied();
        if why == Refusal::TooWide && wide >= Some(MOST_WIDE) && member.quarantined.is_none() {
            member.quarantined = Some(format!("bans networks that are too wide ({MOST_WIDE})"));
        }
    }

    /// Nothing of it is taken any more.
    pub fn quarantine(&mut self, name: &str, why: &str) {
        let member = self.members.entry(name.to_owned()).or_default();
        member.quarantined = Some(why.to_owned());
        member.claims = HashMap::new();
    }

    /// It is believed again as much as its group is; was it not?
    pub fn release(&mut self, name: &str) -> bool {
        let member = self.members.get_mut(name);
        member.is_some_and(|member| {
            // Counted anew, or the next record would do it again.
            member.refused.remove(&Refusal::TooWide);
            member.quarantined.take().is_some()
        })
    }

    /// Who is quarantined, and why.
    #[must_use]
    pub fn quarantined(&self) -> BTreeMap<String, String> {
        let members = self.members.iter();
        members
            .filter_map(|(name, member)| Some((name.clone(), member.quarantined.clone()?)))
            .collect()
    }

    /// What ended leaves the ledger.
    pub fn sweep(&mut self, now_ms: u64) {
        for member in self.members.values_mut() {
            member.claims.retain(|_, claim| claim.end_ms > now_ms);
        }
    }

    /// All members, those with the most bans first.
    #[must_use]
    pub fn summaries(&self) -> Vec<MemberSummary> {
        let mut all: Vec<MemberSummary> = self
            .members
            .iter()
            .map(|(name, member)| {
                let count = |state| {
                    let claims = member.claims.values();
                    claims.filter(|claim| claim.state == state).count() as u64
                };
                MemberSummary {
                    name: name.clone(),
                    in_force: count(ClaimState::InForce),
                    noted: count(ClaimState::Noted),
                    refused: member.refused.clone(),
                    quarantined: member.quarantined.clone(),
                }
            })
            .collect();
        all.sort_by_key(|member| (member.quarantined.is_none(), u64::MAX - member.in_force));
        all
    }
}

impl Claim {
    fn says_so_already(&self, word: Word, now_ms: u64) -> bool {
        self.id == word.id
            && self.end_ms > now_ms
            && word.end_ms <= self.end_ms.saturating_add(TOLERANCE_MS)
    }
}

impl MemberRecord {
    fn says(&self, prefix: Prefix, now_ms: u64) -> bool {
        let claim = self.claims.get(&prefix);
        claim.is_some_and(|claim| claim.end_ms > now_ms && claim.state != ClaimState::Lifted)
    }

    fn count(&mut self, why: Refusal) {
        *self.refused.entry(why).or_default() += 1;
    }

    fn refuse(&mut self, why: Refusal) -> RecordOutcome {
        self.count(why);
        RecordOutcome::Refused(why)
    }

    /// One new ban; when there is no credit, the seconds until there is enough for a batch.
    fn pay(&mut self, now_ms: u64) -> Result<(), u32> {
        const COST_MS: u64 = 1000 / PER_SECOND as u64;
        const FULL_MS: u64 = BURST as u64 * COST_MS;
        let (at, credit) = self.credit.unwrap_or((now_ms, FULL_MS));
        let credit = credit
            .saturating_add(now_ms.saturating_sub(at))
            .min(FULL_MS);
        if credit < COST_MS {
            self.credit = Some((now_ms, credit));
            return Err(1);
        }
        self.credit = Some((now_ms, credit - COST_MS));
        Ok(())
    }
}

#[cfg(test)]
mod tests;

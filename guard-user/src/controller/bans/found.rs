//! Bans that the daemon makes by itself, for jails and for limits: checked like those of an operator, but one by one,
//! since nobody is there who could be told to leave one out.

use super::{Frame, session::NewBan};
use crate::{
    bans::{
        BanTarget, BanTerm, Breadth, Prefix,
        store::{Added, BanOrigin},
    },
    controller::Controller,
    database,
    failure::Failure,
};

/// A ban that something of this host asks for.
pub(super) struct FoundBan {
    pub(super) origin: BanOrigin,
    pub(super) target: BanTarget,
    pub(super) term: BanTerm,
    pub(super) reason: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BanOutcome {
    /// This is banned now; not all that was asked for, where the rest is protected.
    Banned(Prefix, Added),
    /// It is protected, and why.
    Refused(String),
}

/// What the store says or did, and what must be reported of the store itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromStore<T> {
    /// What was asked for.
    pub found: T,
    /// The store could not be read, and where it is now.
    pub warning: Option<String>,
}

impl Controller {
    /// Bans what is asked for, but for what is protected.
    ///
    /// # Errors
    /// When the store cannot be written or a table is full: nothing is banned then.
    pub(super) fn ban_found(
        &self,
        frame: &Frame,
        asked: &[FoundBan],
    ) -> Result<FromStore<Vec<BanOutcome>>, Failure> {
        match self.try_ban_found(frame, asked) {
            // Nobody is there to repeat it; the second time there is a new file.
            Err(_) if database::is_suspected(&self.layout.bans()) => {
                self.try_ban_found(frame, asked)
            }
            other => other,
        }
    }

    fn try_ban_found(
        &self,
        frame: &Frame,
        asked: &[FoundBan],
    ) -> Result<FromStore<Vec<BanOutcome>>, Failure> {
        let mut outcomes = Vec::with_capacity(asked.len());
        let mut new: Vec<(usize, NewBan<'_>)> = Vec::new();
        for (index, ban) in asked.iter().enumerate() {
            let allowed = Breadth::Usual
                .check(ban.target.prefix)
                .and_then(|()| frame.protected.check(&ban.target));
            outcomes.push(match allowed {
                Ok(allowed) => {
                    let prefix = allowed.prefix;
                    let made = NewBan {
                        origin: &ban.origin,
                        prefix,
                        term: ban.term,
                        reason: &ban.reason,
                    };
                    new.push((index, made));
                    BanOutcome::Banned(prefix, Added::New)
                }
                Err(complaint) => BanOutcome::Refused(complaint.message),
            });
        }
        if new.is_empty() {
            return Ok(FromStore {
                found: outcomes,
                warning: None,
            });
        }
        // Those of an origin lie together, which finds its number once.
        new.sort_by_key(|(_, ban)| ban.origin);
        let (places, new): (Vec<usize>, Vec<NewBan<'_>>) = new.into_iter().unzip();
        let mut session = self.ban_session()?;
        let added = session.add_all(self, &new, frame.settings)?;
        for ((place, ban), added) in places.into_iter().zip(&new).zip(added) {
            if let Some(outcome) = outcomes.get_mut(place) {
                *outcome = BanOutcome::Banned(ban.prefix, added);
            }
        }
        Ok(FromStore {
            found: outcomes,
            warning: session.quarantined,
        })
    }
}

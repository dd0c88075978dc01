//! Bans that jails ask for: checked like those of an operator, but one by one, since nobody is there
//! who could be told to leave one out.

use std::{collections::BTreeMap, fs};

use super::{Frame, Logins, Session};
use crate::{
    bans::{
        BanTarget, BanTerm, Breadth, Prefix, Store,
        protected::Why,
        store::{Added, BanOrigin},
        target::Reading,
    },
    controller::Controller,
    database,
    failure::{Failure, from_io},
    jails::Ban,
};

/// A ban that a jail asks for.
#[derive(Clone, Debug)]
pub struct JailBan {
    /// Name of the jail.
    pub jail: String,
    /// Who, and for how long.
    pub ban: Ban,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JailOutcome {
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

/// What must not be banned, as it was some time ago: it changes seldom and costs milliseconds to find out.
#[derive(Debug)]
pub struct JailFrame(Frame);

impl Controller {
    /// What jails must not ban; `proxies` are addresses in front of this host that speak for others.
    ///
    /// # Errors
    /// When the kernel does not tell this host's addresses and routes.
    pub fn jail_frame(
        &self,
        proxies: impl IntoIterator<Item = Prefix>,
    ) -> Result<JailFrame, Failure> {
        let proxies = proxies.into_iter().map(|prefix| (prefix, Why::Proxy));
        Ok(JailFrame(self.ban_frame_with(Logins::Ignored, proxies)?))
    }

    /// Bans what jails ask for, but for what is protected.
    ///
    /// # Errors
    /// When the store cannot be written or a table is full: nothing is banned then.
    pub fn ban_for_jails(
        &self,
        frame: &JailFrame,
        asked: &[JailBan],
    ) -> Result<FromStore<Vec<JailOutcome>>, Failure> {
        match self.try_ban_for_jails(frame, asked) {
            // Nobody is there to repeat it; the second time there is a new file.
            Err(_) if database::is_suspected(&self.layout.bans()) => {
                self.try_ban_for_jails(frame, asked)
            }
            other => other,
        }
    }

    fn try_ban_for_jails(
        &self,
        JailFrame(frame): &JailFrame,
        asked: &[JailBan],
    ) -> Result<FromStore<Vec<JailOutcome>>, Failure> {
        let mut outcomes = Vec::with_capacity(asked.len());
        let mut by_jail: BTreeMap<&str, Vec<(usize, Prefix)>> = BTreeMap::new();
        for (index, JailBan { jail, ban }) in asked.iter().enumerate() {
            let target = BanTarget {
                prefix: ban.prefix,
                address: Some(ban.address),
                reading: Reading::Literal,
            };
            let allowed = Breadth::Usual
                .check(target.prefix)
                .and_then(|()| frame.protected.check(&target));
            outcomes.push(match allowed {
                Ok(allowed) => {
                    let prefixes = by_jail.entry(jail).or_default();
                    prefixes.push((index, allowed.prefix));
                    JailOutcome::Banned(allowed.prefix, Added::New)
                }
                Err(complaint) => JailOutcome::Refused(complaint.message),
            });
        }
        if by_jail.is_empty() {
            return Ok(FromStore {
                found: outcomes,
                warning: None,
            });
        }
        let mut session = self.ban_session()?;
        for (jail, prefixes) in by_jail {
            let reasons: Vec<String> = prefixes
                .iter()
                .map(|(index, _)| format!("{} failures", asked[*index].ban.failures))
                .collect();
            let new: Vec<(Prefix, BanTerm, &str)> = prefixes
                .iter()
                .zip(&reasons)
                .map(|((index, prefix), reason)| (*prefix, asked[*index].ban.term, reason.as_str()))
                .collect();
            let origin = BanOrigin::Jail(jail.to_owned());
            let added = session.add(self, &origin, &new, frame.settings)?;
            for ((index, prefix), added) in prefixes.into_iter().zip(added) {
                outcomes[index] = JailOutcome::Banned(prefix, added);
            }
        }
        Ok(FromStore {
            found: outcomes,
            warning: session.quarantined,
        })
    }

    /// What jails have banned, of what still holds, with the name of the jail; and the note that a command
    /// has lifted some of it is taken away.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn banned_by_jails(&self) -> Result<FromStore<Vec<(Prefix, String)>>, Failure> {
        let session = self.ban_session_with(Store::open_with_care)?;
        let note = self.layout.lifted_bans();
        match fs::remove_file(&note) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(from_io(note.display(), &error));
            }
            Ok(()) | Err(_) => {}
        }
        let mut banned = Vec::new();
        session.store.each(&session.now, |record| {
            if let BanOrigin::Jail(jail) = record.origin {
                banned.push((record.prefix, jail));
            }
            true
        })?;
        Ok(FromStore {
            found: banned,
            warning: session.quarantined,
        })
    }

    /// Leaves a note for the daemon, so that its jails count again whom a command let in.
    pub(super) fn tell_jails(&self, _session: &Session) -> Result<(), Failure> {
        let note = self.layout.lifted_bans();
        fs::write(&note, b"").map_err(|error| from_io(note.display(), &error))
    }
}

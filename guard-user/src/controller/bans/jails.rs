//! Bans that jails ask for, and what is left of them.

use std::fs;

use super::{
    Frame, Logins, Session,
    found::{BanOutcome, FoundBan, FromStore},
};
use crate::{
    bans::{BanTarget, Prefix, Store, protected::Why, store::BanOrigin, target::Reading},
    controller::Controller,
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
        JailFrame(frame): &JailFrame,
        asked: &[JailBan],
    ) -> Result<FromStore<Vec<BanOutcome>>, Failure> {
        let asked: Vec<FoundBan> = asked
            .iter()
            .map(|JailBan { jail, ban }| FoundBan {
                origin: BanOrigin::Jail(jail.clone()),
                target: BanTarget {
                    prefix: ban.prefix,
                    address: Some(ban.address),
                    reading: Reading::Literal,
                },
                term: ban.term,
                reason: format!("{} failures", ban.failures),
            })
            .collect();
        self.ban_found(frame, &asked)
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

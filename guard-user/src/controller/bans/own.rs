//! What those are handed who share this host's bans with others, while somebody does.

use std::{fs, path::PathBuf};

use super::super::Controller;
use crate::{
    bans::{
        Prefix,
        store::{BanOrigin, Change, Now, OwnPage, Trouble},
    },
    failure::Failure,
};

/// Own bans that a change makes or lifts.
pub(super) struct OwnNote {
    /// `None`: nobody shares them, or these are not this host's own.
    path: Option<PathBuf>,
    revision: Option<u64>,
}

impl OwnNote {
    pub(super) fn of<'o>(
        controller: &Controller,
        mut origins: impl Iterator<Item = &'o BanOrigin>,
    ) -> Self {
        let is_shared = origins.any(BanOrigin::is_own) && controller.layout.fleet().exists();
        Self {
            path: is_shared.then(|| controller.layout.own_bans()),
            revision: None,
        }
    }

    pub(super) fn note<'o>(
        &mut self,
        change: &mut Change<'_>,
        changed: impl Iterator<Item = (&'o BanOrigin, Prefix)>,
    ) -> Result<(), Trouble> {
        if self.path.is_none() {
            return Ok(());
        }
        let own = changed.filter(|(origin, _)| origin.is_own());
        let prefixes: Vec<Prefix> = own.map(|(_, prefix)| prefix).collect();
        if !prefixes.is_empty() {
            self.revision = Some(change.note_own(&prefixes)?);
        }
        Ok(())
    }

    /// Whoever waits for it looks from time to time, too.
    pub(super) fn announce(self, is_changed: bool) {
        if let (true, Some(path), Some(revision)) = (is_changed, self.path, self.revision) {
            fs::write(path, format!("{revision}\n")).ok();
        }
    }
}

impl Controller {
    /// What this host itself banned and lifted since a state that is known, a part of it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn own_bans(
        &self,
        since: Option<(&str, u64)>,
        from: Option<Prefix>,
        most: usize,
    ) -> Result<(OwnPage, Now), Failure> {
        let session = self.ban_session()?;
        let page = session.store.own(&session.now, since, from, most)?;
        Ok((page, session.now))
    }
}

//! Lists of what is to be banned: what can be is, and the rest is reported line by line. A list is read and put in order
//! before anybody has to wait for it.

use std::io::Read;

use super::{
    super::{Consent, Controller},
    Frame, Logins,
};
use crate::{
    bans::{
        BanTarget, BanTerm, Complaint, Lines, Overfull, Prefix, Wanted,
        lines::{ListEntry, Stopped, WrongLine},
        store::BanOrigin,
    },
    failure::{Exit, Failure},
};

/// What `bans import` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Sources that were not banned before.
    pub new: u64,
    /// Sources that are banned for longer than before.
    pub longer: u64,
    /// Duplicates, and sources that were banned for as long.
    pub known: u64,
    /// What was wrong.
    pub lines: Lines,
    /// What to look at.
    pub warnings: Vec<String>,
    /// Is guard on, so that the bans hold?
    pub is_active: bool,
    /// Nothing was done.
    pub dry_run: bool,
}

/// What holds for all of a list.
#[derive(Clone, Copy, Debug)]
pub struct List<'l> {
    /// Who bans.
    pub origin: &'l BanOrigin,
    /// For how long, where the list says nothing.
    pub term: Option<BanTerm>,
    /// Why, where the list says nothing.
    pub reason: &'l str,
}

impl Controller {
    /// Bans what a list names, but for what cannot be; that becomes a wrong line. `progress` is told how many of how
    /// many are done.
    ///
    /// # Errors
    /// When the list cannot be read or names more than there is room for: nothing is changed then. Else as
    /// [`Controller::ban`], but not for single lines.
    pub fn import_bans(
        &self,
        list: List<'_>,
        source: impl Read,
        consent: Consent,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Imported, Failure> {
        let frame = self.ban_frame(Logins::of(consent))?;
        let mut wanted = wanted(&frame, list);
        let mut take = |entry: ListEntry<'_>| match allowed(&frame, consent, &entry.target) {
            Ok(prefix) => {
                wanted.add(prefix, entry.term, entry.reason)?;
                Ok(None)
            }
            Err(complaint) => Ok(Some(complaint.message)),
        };
        let lines = Lines::read(source, &mut take).map_err(|stopped| match stopped {
            Stopped::Unreadable(error) => Failure::new(Exit::Failed, error.to_string()),
            Stopped::Left(overfull) => too_many(overfull),
        })?;
        let mut imported = self.ban_wanted(&frame, list, wanted, consent, progress)?;
        imported.warnings.extend(remarks(&lines));
        imported.lines = lines;
        Ok(imported)
    }

    /// Bans these sources in the name of somebody else; what cannot be banned becomes a wrong line, numbered as they
    /// come.
    ///
    /// # Errors
    /// As [`Controller::import_bans`].
    pub fn import_sources(
        &self,
        list: List<'_>,
        sources: impl IntoIterator<Item = (BanTarget, BanTerm)>,
        consent: Consent,
    ) -> Result<Imported, Failure> {
        let frame = self.ban_frame(Logins::of(consent))?;
        let mut wanted = wanted(&frame, list);
        let mut wrong = Vec::new();
        for (line, (target, term)) in (1..).zip(sources) {
            match allowed(&frame, consent, &target) {
                Ok(prefix) => wanted.add(prefix, Some(term), None).map_err(too_many)?,
                Err(complaint) => wrong.push(WrongLine {
                    line,
                    message: complaint.message,
                }),
            }
        }
        let mut imported = self.ban_wanted(&frame, list, wanted, consent, &mut |_, _| {})?;
        imported.lines.wrong_count = wrong.len();
        imported.lines.wrong = wrong;
        Ok(imported)
    }

    fn ban_wanted(
        &self,
        frame: &Frame,
        list: List<'_>,
        mut wanted: Wanted,
        consent: Consent,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Imported, Failure> {
        wanted.settle().map_err(too_many)?;
        super::breadth(consent)
            .check_all(wanted.prefixes())
            .map_err(|why| {
                Failure::new(Exit::Refused, format!("the list is not imported: {why}"))
                    .help("add --force if that is what you want")
            })?;
        let mut imported = Imported {
            new: wanted.len() as u64,
            longer: 0,
            known: wanted.taken() - wanted.len() as u64,
            lines: Lines::default(),
            warnings: frame.warnings.clone(),
            is_active: false,
            dry_run: consent.dry_run,
        };
        if wanted.reasons_left_out() > 0 {
            imported.warnings.push(format!(
                "{} comments are left out: the list has too many different ones",
                wanted.reasons_left_out()
            ));
        }
        if consent.dry_run {
            imported.is_active = self.in_force()?.is_some();
            return Ok(imported);
        }
        let done = self.ban_gradually(list.origin, &wanted, frame.settings, progress)?;
        imported.new = done.new;
        imported.longer = done.longer;
        imported.known += done.known;
        imported.warnings.extend(done.warnings);
        imported.is_active = done.is_active;
        Ok(imported)
    }
}

fn wanted(frame: &Frame, list: List<'_>) -> Wanted {
    let term = list.term.unwrap_or(frame.settings.default);
    Wanted::new(frame.settings.capacity, term, list.reason)
}

/// What of this may be banned, or why nothing.
fn allowed(frame: &Frame, consent: Consent, target: &BanTarget) -> Result<Prefix, Complaint> {
    let wide = super::breadth(consent).check(target.prefix);
    let allowed = wide.and_then(|()| frame.protected.check(target))?;
    Ok(allowed.prefix)
}

fn too_many(overfull: Overfull) -> Failure {
    overfull.failure(format!(
        "the list names more than {} {}, all that there is room for; nothing was changed",
        overfull.most, overfull.what
    ))
}

/// What was not taken as it is written.
fn remarks(lines: &Lines) -> Vec<String> {
    let mut remarks = Vec::new();
    if lines.aggregated > 0 {
        remarks.push(format!(
            "{} IPv6 addresses are taken as their /64; write /128 for the address alone",
            lines.aggregated
        ));
    }
    if lines.unmapped > 0 {
        remarks.push(format!(
            "{} IPv4 addresses in IPv6 notation are taken as IPv4",
            lines.unmapped
        ));
    }
    remarks
}

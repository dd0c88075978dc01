//! Lists of what is to be banned: what can be is, in one change, and the rest is told line by line.

use super::{
    super::{Consent, Controller},
    Logins,
};
use crate::{
    bans::{
        Lines, Prefix, Term,
        store::{Added, Origin},
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
    /// What was wrong; the entries are used up.
    pub lines: Lines,
    /// What to look at.
    pub warnings: Vec<String>,
    /// Is guard on, so that the bans hold?
    pub is_active: bool,
    /// Nothing was done.
    pub dry_run: bool,
}

impl Controller {
    /// Bans what a list names, but for what cannot be; that becomes a wrong line.
    ///
    /// # Errors
    /// As [`Controller::ban`], but not for single lines.
    pub fn import_bans(
        &self,
        lines: Lines,
        term: Option<Term>,
        reason: &str,
        consent: Consent,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Imported, Failure> {
        self.import_bans_as(&Origin::Operator, lines, term, reason, consent, progress)
    }

    /// The same in another name than the operator's.
    ///
    /// # Errors
    /// As [`Controller::import_bans`].
    pub fn import_bans_as(
        &self,
        origin: &Origin,
        mut lines: Lines,
        term: Option<Term>,
        reason: &str,
        consent: Consent,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Imported, Failure> {
        let frame = self.ban_frame(Logins::of(consent))?;
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
        let breadth = super::breadth(consent);
        let term = term.unwrap_or(frame.settings.default);
        let entries = std::mem::take(&mut lines.entries);
        let mut new: Vec<(Prefix, Term, &str)> = Vec::with_capacity(entries.len());
        for entry in &entries {
            let wide = breadth.check(entry.target.prefix);
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
        let prefixes = new.iter().map(|(prefix, ..)| *prefix);
        breadth.check_all(prefixes).map_err(|why| {
            Failure::new(Exit::Refused, format!("the list is not taken: {why}"))
                .help("add --force if that is what you want")
        })?;
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
        let outcomes = session.add(self, origin, &new, frame.settings, progress)?;
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
}

//! Feeds into bans: what a file names anew is banned first, then what it no longer names is let in, so
//! that no packet meets neither.

use std::{collections::BTreeSet, path::Path};

use super::{
    Controller,
    bans::{Frame, Logins, Session},
    texts::stage_failure,
};
use crate::{
    bans::{
        Breadth, Lines, Prefix, Term,
        feed::{self, FeedError, FeedStatus, Fingerprint},
        settings::Feed,
        store::Origin,
    },
    failure::{Exit, Failure},
    ruleset::staged::Staged,
    state_file,
};

/// Which files to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reread {
    /// Those that have changed.
    Changed,
    /// Every one.
    All,
}

impl Controller {
    /// What is known of every feed of the policy.
    ///
    /// # Errors
    /// Exit 5 when the policy files are wrong.
    pub fn feeds(&self) -> Result<Vec<FeedStatus>, Failure> {
        let feeds = self.load()?.policy.feeds;
        let known = self.known_feeds();
        Ok(feeds.iter().map(|feed| status_of(feed, &known)).collect())
    }

    /// Bans what the files of the feeds name, and lifts what they no longer name. Answers with the
    /// feeds that were read, or that are gone from the policy.
    ///
    /// # Errors
    /// Exit 5 when the policy files are wrong, 1 when a table is full. What is wrong with a file is
    /// part of the answer.
    pub fn refresh_feeds(&self, which: Reread) -> Result<Vec<FeedStatus>, Failure> {
        let feeds = self.load()?.policy.feeds;
        let known = self.known_feeds();
        let gone: Vec<&FeedStatus> = known
            .iter()
            .filter(|known| feeds.iter().all(|feed| feed.name != known.name))
            .collect();
        let due: Vec<&Feed> = feeds
            .iter()
            .filter(|feed| {
                let known = status_of(feed, &known);
                let fingerprint = Fingerprint::of(&feed.file).ok();
                which == Reread::All
                    || known.fingerprint != fingerprint
                    || known.read_at.is_none() && known.kept_because.is_none()
            })
            .collect();
        if gone.is_empty() && due.is_empty() {
            return Ok(Vec::new());
        }
        let frame = self.ban_frame(Logins::Protected)?;
        // Files are read before others have to wait: a large one takes seconds.
        let most = frame.settings.capacity.total();
        let read: Vec<(&Feed, Option<Fingerprint>, Result<Lines, String>)> = due
            .into_iter()
            .map(|feed| {
                // Of before it is read: a change meanwhile is seen the next time.
                let fingerprint = Fingerprint::of(&feed.file).ok();
                (feed, fingerprint, feed::read(&feed.file, most))
            })
            .collect();
        let mut session = self.ban_session()?;
        let mut told = Vec::new();
        for gone in gone {
            let origin = Origin::Feed(gone.name.clone());
            let old = session.named_by(&origin)?;
            session.remove(self, &origin, &old.into_iter().collect::<Vec<_>>())?;
            told.push(FeedStatus {
                entries: 0,
                kept_because: Some("it is gone from the policy".to_owned()),
                ..gone.clone()
            });
        }
        let mut statuses: Vec<FeedStatus> =
            feeds.iter().map(|feed| status_of(feed, &known)).collect();
        for (feed, fingerprint, lines) in read {
            let Some(status) = statuses.iter_mut().find(|status| status.name == feed.name) else {
                continue;
            };
            if let Err(failure) = session.swap(self, &frame, feed.breadth, lines, status) {
                status.kept_because = Some(failure.message);
            }
            status.fingerprint = fingerprint;
            told.push(status.clone());
        }
        self.save_feeds(&statuses)?;
        Ok(told)
    }

    /// Is the file of a feed another one than when it was read?
    #[must_use]
    pub fn feeds_have_changed(&self) -> bool {
        let known = self.known_feeds();
        let mut known = known.iter();
        known.any(|feed| feed.fingerprint != Fingerprint::of(&feed.file).ok())
    }

    fn known_feeds(&self) -> Vec<FeedStatus> {
        let text = state_file::read(&self.layout.feeds()).ok();
        // Whatever else it says, the files are read again.
        text.and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    fn save_feeds(&self, statuses: &[FeedStatus]) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(statuses)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        Staged::write(&self.layout.feeds(), &text)
            .and_then(Staged::commit)
            .map_err(|error| stage_failure(&error))
    }
}

impl Session {
    /// Networks that an origin has banned.
    fn named_by(&self, origin: &Origin) -> Result<BTreeSet<Prefix>, Failure> {
        let mut named = BTreeSet::new();
        self.store.each(&self.now, |record| {
            if record.origin == *origin {
                named.insert(record.prefix);
            }
            true
        })?;
        Ok(named)
    }

    /// The file of a feed becomes what is banned because of it.
    fn swap(
        &mut self,
        controller: &Controller,
        frame: &Frame,
        breadth: Breadth,
        lines: Result<Lines, String>,
        status: &mut FeedStatus,
    ) -> Result<(), Failure> {
        let origin = Origin::Feed(status.name.clone());
        let old = self.named_by(&origin)?;
        let believed = lines.and_then(|lines| feed::believe(lines, old.len() as u64));
        let named = believed.and_then(|lines| permitted(lines, frame, breadth));
        let (lines, new) = match named {
            Ok(named) => named,
            Err(why) => {
                status.kept_because = Some(why);
                status.entries = old.len() as u64;
                return Ok(());
            }
        };
        let added: Vec<(Prefix, Term, &str)> = new
            .difference(&old)
            .map(|prefix| (*prefix, Term::Permanent, ""))
            .collect();
        let removed: Vec<Prefix> = old.difference(&new).copied().collect();
        if !added.is_empty() {
            self.add(controller, &origin, &added, frame.settings, &mut |_| {})?;
        }
        if !removed.is_empty() {
            self.remove(controller, &origin, &removed)?;
        }
        status.entries = new.len() as u64;
        status.wrong = lines.wrong_count as u64;
        status.errors = lines
            .wrong
            .into_iter()
            .map(|wrong| FeedError {
                line: wrong.line,
                message: wrong.message,
            })
            .collect();
        status.errors.sort_by_key(|error| error.line);
        status.read_at = Some(self.now.wall_s);
        status.kept_because = None;
        Ok(())
    }
}

/// The networks of a file that may be banned; the others become wrong lines.
fn permitted(
    mut lines: Lines,
    frame: &Frame,
    breadth: Breadth,
) -> Result<(Lines, BTreeSet<Prefix>), String> {
    let mut new = BTreeSet::new();
    for entry in std::mem::take(&mut lines.entries) {
        let allowed = frame.protected.check(&entry.target);
        match allowed.and_then(|allowed| breadth.check(allowed.prefix).map(|()| allowed)) {
            Ok(allowed) => {
                new.insert(allowed.prefix);
            }
            Err(complaint) => lines.refuse(entry.line, complaint.message),
        }
    }
    breadth
        .check_all(new.iter().copied())
        .map_err(|why| format!("{why} (`wide = true` below [[feed]] takes it all the same)"))?;
    Ok((lines, new))
}

fn status_of(feed: &Feed, known: &[FeedStatus]) -> FeedStatus {
    let same = |status: &&FeedStatus| status.name == feed.name;
    match known.iter().find(same) {
        Some(status) if status.file == feed.file && status.breadth == feed.breadth => {
            status.clone()
        }
        // The networks of before stay until the file was read anew.
        Some(status) => FeedStatus {
            file: feed.file.clone(),
            breadth: feed.breadth,
            fingerprint: None,
            ..status.clone()
        },
        None => FeedStatus {
            breadth: feed.breadth,
            ..FeedStatus::new(&feed.name, Path::new(&feed.file))
        },
    }
}

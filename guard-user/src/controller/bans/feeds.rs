//! Feeds into bans: what a file names anew is banned first, then what it no longer names is let in, so
//! that no packet meets neither.

use std::path::Path;

use super::{Frame, Logins, PackedPrefix, now};
use crate::{
    bans::{
        BanTerm, Lines, Overfull, Prefix, Wanted,
        feed::{self, FeedError, FeedStatus, Fingerprint, NotBelieved},
        lines::{ListEntry, Stopped},
        settings::Feed,
        store::BanOrigin,
    },
    controller::{Controller, Lock, state::policy_files::stage_failure},
    failure::{Exit, Failure},
    state_file,
    text::staged::write_state,
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
        // What is read here and what is banned are compared in between, without the lock of commands.
        let _reading = Lock::of_feeds(&self.layout)?;
        let frame = self.ban_frame(Logins::Protected)?;
        let mut reread = Vec::new();
        for gone in gone {
            let origin = BanOrigin::Feed(gone.name.clone());
            self.unban_gradually(&origin, &self.no_longer(&origin, None)?)?;
            reread.push(FeedStatus {
                entries: 0,
                kept_because: Some("it is no longer in the policy".to_owned()),
                ..gone.clone()
            });
        }
        let mut statuses: Vec<FeedStatus> =
            feeds.iter().map(|feed| status_of(feed, &known)).collect();
        for feed in due {
            let Some(status) = statuses.iter_mut().find(|status| status.name == feed.name) else {
                continue;
            };
            // Of before it is read: a change meanwhile is seen the next time.
            let fingerprint = Fingerprint::of(&feed.file).ok();
            if let Err(failure) = self.swap(&frame, feed, status) {
                status.kept_because = Some(failure.message);
            }
            status.fingerprint = fingerprint;
            reread.push(status.clone());
        }
        self.save_feeds(&statuses)?;
        Ok(reread)
    }

    /// Is the file of a feed another one than when it was read?
    #[must_use]
    pub fn feeds_have_changed(&self) -> bool {
        let known = self.known_feeds();
        let mut known = known.iter();
        known.any(|feed| feed.fingerprint != Fingerprint::of(&feed.file).ok())
    }

    /// How many networks an origin has banned.
    fn count(&self, origin: &BanOrigin) -> Result<u64, Failure> {
        let session = self.ban_session()?;
        let mut count = 0;
        session
            .store
            .each_of(origin, &session.now, |_| count += 1)?;
        Ok(count)
    }

    /// What an origin has banned and is not wanted any more. What is banned already leaves what is wanted.
    fn no_longer(
        &self,
        origin: &BanOrigin,
        wanted: Option<&mut Wanted>,
    ) -> Result<Vec<PackedPrefix>, Failure> {
        let session = self.ban_session()?;
        let mut gone = Vec::new();
        let each = |each: &mut dyn FnMut(Prefix)| {
            let store = &session.store;
            store.each_of(origin, &session.now, each)
        };
        match wanted {
            Some(wanted) => {
                let mut compared = wanted.compare();
                each(&mut |prefix| {
                    if !compared.meets(prefix) {
                        gone.push(prefix.to_bytes());
                    }
                })?;
                compared.keep_new();
            }
            None => each(&mut |prefix| gone.push(prefix.to_bytes()))?,
        }
        Ok(gone)
    }

    /// The file of a feed becomes what is banned because of it.
    fn swap(&self, frame: &Frame, feed: &Feed, status: &mut FeedStatus) -> Result<(), Failure> {
        let origin = BanOrigin::Feed(feed.name.clone());
        let old = self.count(&origin)?;
        let believed = read(frame, feed).and_then(|(lines, wanted)| {
            feed::believe(&lines, old)?;
            feed.breadth.check_all(wanted.prefixes())?;
            Ok((lines, wanted))
        });
        let (lines, mut wanted) = match believed {
            Ok(believed) => believed,
            Err(why) => {
                status.kept_because = Some(why.to_string());
                status.entries = old;
                return Ok(());
            }
        };
        let named = wanted.len() as u64;
        let gone = self.no_longer(&origin, Some(&mut wanted))?;
        if !wanted.is_empty() {
            self.ban_gradually(&origin, &wanted, frame.settings, &mut |_, _| {})?;
        }
        self.unban_gradually(&origin, &gone)?;
        status.entries = named;
        status.wrong = lines.wrong_count as u64;
        let errors = lines.wrong.into_iter();
        status.errors = errors
            .map(|wrong| FeedError {
                line: wrong.line,
                message: wrong.message,
            })
            .collect();
        status.read_at = Some(now()?.wall_s);
        status.kept_because = None;
        Ok(())
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
        write_state(&self.layout.feeds(), &text).map_err(|error| stage_failure(&error))
    }
}

/// What the file of a feed says that may be banned.
fn read(frame: &Frame, feed: &Feed) -> Result<(Lines, Wanted), NotBelieved> {
    let capacity = frame.settings.capacity;
    let mut wanted = Wanted::new(capacity, BanTerm::Permanent, "");
    let mut take = |entry: ListEntry<'_>| {
        let allowed = frame.protected.check(&entry.target);
        match allowed.and_then(|allowed| feed.breadth.check(allowed.prefix).map(|()| allowed)) {
            Ok(allowed) => {
                wanted.add(allowed.prefix, None, None)?;
                Ok(None)
            }
            Err(complaint) => Ok(Some(complaint.message)),
        }
    };
    let lines = Lines::read(feed::open(&feed.file)?, &mut take);
    let lines = lines.map_err(|stopped| match stopped {
        Stopped::Unreadable(error) => NotBelieved::Unreadable(error),
        Stopped::Left(overfull) => too_many(overfull),
    })?;
    wanted.settle().map_err(too_many)?;
    Ok((lines, wanted))
}

fn too_many(overfull: Overfull) -> NotBelieved {
    NotBelieved::TooMany {
        most: overfull.most,
        what: overfull.what,
    }
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

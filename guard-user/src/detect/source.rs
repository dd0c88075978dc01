//! Files that a jail reads, and the filter that knows their lines: plain ones, or those that Docker keeps
//! for containers.

use std::path::{Path, PathBuf};

use super::{
    clock::wall_ms,
    marks::Marks,
    status::{LONGEST_REASON, SourceStatus},
};
use crate::{
    filters::{Failure, Filter, LineOutcome, LineTime},
    jails::FailureTime,
    logs::{
        Checkpoint, Files, Line, MAX_LINE_BYTES, Rest, Start, State,
        docker::{self, Decoder},
    },
};

/// Bytes that are read before it is another's turn.
const BUDGET: usize = 256 * 1024;
/// How much of a log that was never read before is looked at, for failures that still count.
const FIRST_BYTES: u64 = 1 << 20;
/// How much is read again after a restart, at most.
const MOST_AGAIN: u64 = 16 << 20;
/// How long a line may be in the making before its end is taken to come never.
const MOST_WAIT_MS: i64 = 60_000;
/// Between two looks which files containers have.
const LOOK_MS: i64 = 2000;

/// Some files of a jail.
#[derive(Debug)]
pub(super) struct FileSource {
    files: Files,
    pub(super) filter: Filter,
    marks: Marks<Vec<Checkpoint>>,
    /// Since when there has been more to read than was read.
    pub(super) behind_since: Option<i64>,
    containers: Option<Containers>,
}

/// Containers whose logs are read.
#[derive(Debug)]
struct Containers {
    /// Docker's folder; none: where its settings say.
    root: Option<PathBuf>,
    names: Vec<String>,
    decoder: Decoder,
    counts: docker::DockerCounts,
    looked_ms: i64,
    files: Vec<String>,
    /// Which are not read, and why.
    unread: Vec<(String, String)>,
}

impl FileSource {
    /// Reads these files, from where reading stopped.
    pub(super) fn of_files(
        patterns: &[String],
        filter: Filter,
        saved: Vec<Checkpoint>,
        window_ms: i64,
        now_ms: i64,
    ) -> Self {
        let start = Start::LastBytes(FIRST_BYTES);
        let files = Files::new(patterns, saved, start, now_ms);
        Self::with(files, filter, None, window_ms, now_ms)
    }

    /// Reads what these containers write.
    pub(super) fn of_containers(
        names: &[String],
        filter: Filter,
        saved: Vec<Checkpoint>,
        window_ms: i64,
        now_ms: i64,
    ) -> Self {
        Self::of_containers_in(None, names, filter, saved, window_ms, now_ms)
    }

    fn of_containers_in(
        root: Option<PathBuf>,
        names: &[String],
        filter: Filter,
        saved: Vec<Checkpoint>,
        window_ms: i64,
        now_ms: i64,
    ) -> Self {
        let mut containers = Containers {
            root,
            names: names.to_vec(),
            decoder: Decoder::new(),
            counts: docker::DockerCounts::default(),
            looked_ms: now_ms,
            files: Vec::new(),
            unread: Vec::new(),
        };
        containers.look();
        let start = Start::LastBytes(FIRST_BYTES);
        let mut files = Files::new(&containers.files, saved, start, now_ms);
        files.set_longest(docker::MAX_ENTRY_BYTES);
        Self::with(files, filter, Some(containers), window_ms, now_ms)
    }

    fn with(
        files: Files,
        filter: Filter,
        containers: Option<Containers>,
        window_ms: i64,
        now_ms: i64,
    ) -> Self {
        let mut marks = Marks::new(window_ms, MOST_AGAIN);
        marks.note(now_ms, 0, || files.checkpoints());
        Self {
            files,
            filter,
            marks,
            behind_since: None,
            containers,
        }
    }

    /// Hands on the failures of what came.
    pub(super) fn read(
        &mut self,
        now_ms: i64,
        each: &mut dyn FnMut(&Failure, FailureTime),
    ) -> Rest {
        let Self {
            files,
            filter,
            containers,
            ..
        } = self;
        let today_ms = wall_ms();
        let mut evaluate = |bytes: &[u8], is_caught_up: bool, known_ms: Option<i64>| {
            let LineOutcome::Failure(failure) = filter.line(bytes, LineTime::InText, today_ms)
            else {
                return;
            };
            let configured = failure.time_ms.or(known_ms);
            let when = if is_caught_up {
                FailureTime::caught_up(now_ms, today_ms, configured)
            } else {
                FailureTime::new(now_ms, today_ms, configured)
            };
            each(&failure, when);
        };
        let rest = match containers {
            None => files.read(now_ms, BUDGET, &mut |_, line: Line<'_>| {
                evaluate(line.bytes, line.is_caught_up, None);
            }),
            Some(containers) => {
                if now_ms.saturating_sub(containers.looked_ms) >= LOOK_MS {
                    containers.looked_ms = now_ms;
                    if containers.look() {
                        files.set_patterns(&containers.files);
                    }
                }
                let decoder = &mut containers.decoder;
                let rest = files.read(now_ms, BUDGET, &mut |path: &Path, line: Line<'_>| {
                    decoder.line(path, line.bytes, &mut |bytes, time_ms| {
                        evaluate(bytes, line.is_caught_up, time_ms);
                    });
                });
                let new = decoder.take_counts();
                containers.counts.lines += new.lines;
                containers.counts.cut += new.cut;
                rest
            }
        };
        self.behind_since = match rest {
            Rest::Nothing => None,
            Rest::More => self.behind_since.or(Some(now_ms)),
        };
        let read = self.files.counts().bytes;
        // In the middle of a container's line is no place to begin again: the rest of it would be a line.
        let has_begun = self
            .containers
            .as_ref()
            .is_some_and(|containers| containers.decoder.has_begun());
        if !has_begun || self.marks.are_older(now_ms, MOST_WAIT_MS) {
            self.marks.note(now_ms, read, || self.files.checkpoints());
        }
        rest
    }

    /// The descriptor that is readable when there is something to read.
    pub(super) fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.files.fd()
    }

    /// Where to begin again after a restart.
    pub(super) fn places(&self) -> Vec<Checkpoint> {
        match self.marks.oldest() {
            Some(places) => places.clone(),
            None => self.files.checkpoints(),
        }
    }

    /// Lines that were read, and those of them that were cut.
    pub(super) fn lines(&self) -> (u64, u64) {
        let counts = self.files.counts();
        match &self.containers {
            None => (counts.lines, counts.cut),
            Some(containers) => (containers.counts.lines, counts.cut + containers.counts.cut),
        }
    }

    /// Bytes that are there and were not read yet.
    pub(super) fn behind_bytes(&self) -> u64 {
        self.files.behind()
    }

    /// How it is with each file.
    pub(super) fn states(&self) -> Vec<SourceStatus> {
        let mut reports: Vec<SourceStatus> = self
            .files
            .states()
            .into_iter()
            .map(|(path, state)| {
                let (is_read, state) = state_text(state);
                SourceStatus {
                    name: path.display().to_string(),
                    is_read,
                    state,
                }
            })
            .collect();
        let unread = self.containers.iter().flat_map(|found| &found.unread);
        reports.extend(unread.map(|(name, why)| SourceStatus {
            name: format!("container {name}"),
            is_read: false,
            state: why.clone(),
        }));
        reports
    }
}

impl Containers {
    /// Which files do the names mean now? Says whether that has changed.
    fn look(&mut self) -> bool {
        let configured = || docker::root(Path::new(docker::DAEMON_JSON));
        let root = self.root.clone().unwrap_or_else(configured);
        let mut files = Vec::new();
        self.unread.clear();
        for name in &self.names {
            match docker::log_files(&root, name) {
                Ok(found) => {
                    let paths = found.files.iter().filter_map(|path| path.to_str());
                    // The name of a file and no pattern.
                    files.extend(paths.map(glob::Pattern::escape));
                    let unread = found.unread.into_iter();
                    self.unread
                        .extend(unread.map(|one| (one.container.clone(), one.to_string())));
                }
                Err(why) => {
                    let mut text = format!("{why} ({})", why.help());
                    text.truncate(text.floor_char_boundary(LONGEST_REASON));
                    self.unread.push((name.clone(), text));
                }
            }
        }
        files.sort_unstable();
        files.dedup();
        let has_changed = files != self.files;
        self.files = files;
        has_changed
    }
}

fn state_text(state: State) -> (bool, String) {
    match state {
        State::Followed => (true, "followed".to_owned()),
        State::Former => (true, "rotated or deleted; read to its end".to_owned()),
        State::Missing => (
            false,
            "there is no such file; it is read as soon as there is one".to_owned(),
        ),
        State::Unreadable(mut why) => {
            why.truncate(why.floor_char_boundary(LONGEST_REASON));
            (false, format!("cannot be read: {why}"))
        }
    }
}

// What is kept of a file's line fits what a filter is given.
const _: () = assert!(MAX_LINE_BYTES <= docker::MAX_ENTRY_BYTES);

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;
    use crate::filters::Given;

    /// A folder of Docker's with one container.
    fn container(root: &Path, id: &str, name: &str) -> PathBuf {
        let folder = root.join("containers").join(id);
        fs::create_dir_all(&folder).unwrap();
        let log = folder.join(format!("{id}-json.log"));
        let config = format!("{{\"Name\":\"/{name}\",\"LogPath\":\"{}\"}}", log.display());
        fs::write(folder.join("config.v2.json"), config).unwrap();
        let driver = "{\"LogConfig\":{\"Type\":\"json-file\"}}";
        fs::write(folder.join("hostconfig.json"), driver).unwrap();
        fs::write(&log, b"").unwrap();
        log
    }

    fn says(log: &Path, text: &str) {
        says_raw(log, &format!("{text}\\n"));
    }

    /// The same with whatever JSON it ends with: a line feed, or nothing yet.
    fn says_raw(log: &Path, text: &str) {
        let seconds = wall_ms() / 1000;
        let time = jiff::Timestamp::from_second(seconds).unwrap();
        let mut file = fs::OpenOptions::new().append(true).open(log).unwrap();
        writeln!(
            file,
            "{{\"log\":\"{text}\",\"stream\":\"stderr\",\"time\":\"{time}\"}}"
        )
        .unwrap();
    }

    fn hosts(source: &mut FileSource, now_ms: i64) -> Vec<(String, i64)> {
        let mut found = Vec::new();
        while source.read(now_ms, &mut |failure, when| {
            found.push((failure.host.to_string(), when.age_ms));
        }) == Rest::More
        {}
        found
    }

    #[test]
    fn what_containers_write_is_read_and_new_ones_are_found() {
        let root = tempfile::tempdir().unwrap();
        let filter = root.path().join("app.conf");
        fs::write(
            &filter,
            "[Definition]\nfailregex = ^login of <ADDR> failed$\n",
        )
        .unwrap();
        let filter = Filter::load(&filter, &Given::default()).unwrap();
        let first = container(root.path(), "aaa", "shop-1");
        let other = container(root.path(), "bbb", "mail");
        let names = ["shop-*".to_owned(), "missing".to_owned()];
        let mut source = FileSource::of_containers_in(
            Some(root.path().to_owned()),
            &names,
            filter,
            Vec::new(),
            600_000,
            0,
        );
        says(&first, "login of 203.0.113.7 failed");
        says(&first, "hello");
        says(&other, "login of 203.0.113.8 failed");
        let found = hosts(&mut source, 2500);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "203.0.113.7");
        assert!(
            found[0].1 < 10_000,
            "Docker's time is the line's: {found:?}"
        );
        assert_eq!(source.lines(), (2, 0));

        let second = container(root.path(), "ccc", "shop-2");
        says(&second, "login of 2001:db8::7 failed");
        assert_eq!(hosts(&mut source, 10_000)[0].0, "2001:db8::7");
        let reports = source.states();
        let missing = reports.iter().find(|report| !report.is_read).unwrap();
        assert_eq!(missing.name, "container missing");
        assert_eq!(reports.len(), 3, "{reports:?}");
    }

    #[test]
    fn a_line_that_is_half_written_is_read_as_a_whole_after_a_restart() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("app.conf");
        let text = "[Definition]\nfailregex = ^login of <ADDR> failed$\n";
        fs::write(&file, text).unwrap();
        let log = container(root.path(), "aaa", "shop");
        let start = |saved: Vec<Checkpoint>, now_ms: i64| {
            FileSource::of_containers_in(
                Some(root.path().to_owned()),
                &["shop".to_owned()],
                Filter::load(&file, &Given::default()).unwrap(),
                saved,
                // Only the last two places are remembered.
                1,
                now_ms,
            )
        };
        let mut source = start(Vec::new(), 0);
        says(&log, "login of 203.0.113.7 failed");
        assert_eq!(hosts(&mut source, 20_000).len(), 1);
        // A part of 16 KiB: its line goes on.
        says_raw(&log, &"x".repeat(16 * 1024));
        for now_ms in [40_000, 60_000] {
            assert_eq!(hosts(&mut source, now_ms), []);
        }

        let mut source = start(source.places(), 61_000);
        says(&log, "login of 203.0.113.8 failed");
        says(&log, "login of 203.0.113.9 failed");
        let found = hosts(&mut source, 62_000);
        let found: Vec<&str> = found.iter().map(|(host, _)| host.as_str()).collect();
        assert_eq!(found, ["203.0.113.7", "203.0.113.9"]);

        // One that never ends keeps no place for ever.
        says_raw(&log, &"x".repeat(16 * 1024));
        for now_ms in [70_000, 200_000, 300_000] {
            assert_eq!(hosts(&mut source, now_ms), []);
        }
        let mut source = start(source.places(), 301_000);
        assert_eq!(hosts(&mut source, 302_000), []);
        assert_eq!(source.lines().0, 0);
    }
}

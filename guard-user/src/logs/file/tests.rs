//! Rotations of every kind: no line is lost and none is read twice.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::symlink,
};

use proptest::prelude::*;

use super::*;

const ALL: usize = usize::MAX;

/// A log and whoever follows it.
struct World {
    folder: tempfile::TempDir,
    patterns: Vec<String>,
    has_events: bool,
    writer: File,
    written: u64,
    half: bool,
    rotations: u32,
    files: Files,
    found: Vec<String>,
    now_ms: i64,
}

impl World {
    fn new(pattern: &str, has_events: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let patterns = vec![folder.path().join(pattern).to_str().unwrap().to_owned()];
        let writer = append(&folder.path().join("x.log"));
        let files = follow(&patterns, has_events, Vec::new(), Start::End);
        Self {
            folder,
            patterns,
            has_events,
            writer,
            written: 0,
            half: false,
            rotations: 0,
            files,
            found: Vec::new(),
            now_ms: 0,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("x.log")
    }

    fn rotated(&mut self) -> PathBuf {
        self.rotations += 1;
        self.folder.path().join(format!("x.log.{}", self.rotations))
    }

    fn write(&mut self, lines: u64) {
        for _ in 0..lines {
            self.finish();
            self.written += 1;
            writeln!(self.writer, "{} is the number of this line", self.written).unwrap();
        }
    }

    fn write_half(&mut self) {
        self.finish();
        self.written += 1;
        self.half = true;
        write!(self.writer, "{} is the number", self.written).unwrap();
    }

    fn finish(&mut self) {
        if std::mem::take(&mut self.half) {
            writeln!(self.writer, " of this line").unwrap();
        }
    }

    fn read(&mut self, most: usize) -> Rest {
        self.now_ms += 1;
        let found = &mut self.found;
        self.files.read(self.now_ms, most, &mut |_, line| {
            found.push(String::from_utf8(line.bytes.to_vec()).unwrap());
        })
    }

    fn drain(&mut self) {
        while self.read(ALL) == Rest::More {}
    }

    /// Ends the one who follows, and begins anew with what he saved.
    fn restart(&mut self, meanwhile: impl FnOnce(&mut Self)) {
        let saved = serde_json::to_string(&self.files.checkpoints()).unwrap();
        self.files = follow(&[], false, Vec::new(), Start::End);
        meanwhile(self);
        let saved = serde_json::from_str(&saved).unwrap();
        self.files = follow(&self.patterns, self.has_events, saved, Start::End);
    }

    fn rename_and_create(&mut self) {
        self.finish();
        std::fs::rename(self.path(), self.rotated()).unwrap();
        self.writer = append(&self.path());
    }

    fn copy_and_truncate(&mut self) {
        self.finish();
        std::fs::copy(self.path(), self.rotated()).unwrap();
        self.writer = append(&self.path());
        self.writer.set_len(0).unwrap();
    }

    /// A copy is known by its first bytes, so there must have been some.
    fn be_known(&mut self) {
        self.write(1);
        self.drain();
    }

    fn delete_and_create(&mut self) {
        self.finish();
        std::fs::remove_file(self.path()).unwrap();
        self.writer = append(&self.path());
    }

    /// Every line was handed on once.
    fn check(&mut self) {
        self.finish();
        self.drain();
        self.now_ms += 3000;
        self.drain();
        let mut numbers: Vec<u64> = self
            .found
            .iter()
            .map(|line| {
                let (number, rest) = line.split_once(' ').expect(line);
                assert_eq!(rest, "is the number of this line", "{line}");
                number.parse().unwrap()
            })
            .collect();
        numbers.sort_unstable();
        let all: Vec<u64> = (1..=self.written).collect();
        assert_eq!(numbers, all);
        assert_eq!(self.files.counts().unfinished, 0);
    }
}

fn append(path: &Path) -> File {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap()
}

fn follow(patterns: &[String], has_events: bool, saved: Vec<Checkpoint>, start: Start) -> Files {
    let watch = if has_events {
        Watch::new()
    } else {
        Watch::none()
    };
    Files::with(watch, patterns, saved, start, 0)
}

#[derive(Clone, Debug)]
enum Step {
    Write(u64),
    WriteHalf,
    Read,
    ReadSome,
    Rename,
    RenameLate(u64),
    CopyTruncate,
    DeleteDrained,
    Restart,
    RenameWhileDown(u64),
    CopyTruncateWhileDown(u64),
    DeleteWhileDown,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..40).prop_map(Step::Write),
        1 => (3000_u64..6000).prop_map(Step::Write),
        2 => Just(Step::WriteHalf),
        4 => Just(Step::Read),
        2 => Just(Step::ReadSome),
        1 => Just(Step::Rename),
        1 => (1_u64..40).prop_map(Step::RenameLate),
        1 => Just(Step::CopyTruncate),
        1 => Just(Step::DeleteDrained),
        1 => Just(Step::Restart),
        1 => (0_u64..40).prop_map(Step::RenameWhileDown),
        1 => (0_u64..40).prop_map(Step::CopyTruncateWhileDown),
        1 => Just(Step::DeleteWhileDown),
        1 => Just(Step::Wait),
    ]
}

fn take(world: &mut World, step: &Step) {
    match step {
        Step::Write(lines) => world.write(*lines),
        Step::WriteHalf => world.write_half(),
        Step::Read => world.drain(),
        Step::ReadSome => {
            world.read(1);
        }
        Step::Rename => {
            world.read(1);
            world.rename_and_create();
            world.read(1);
        }
        Step::RenameLate(lines) => {
            world.finish();
            world.read(1);
            std::fs::rename(world.path(), world.rotated()).unwrap();
            let late = append(&world.path());
            world.read(1);
            // Whoever writes has not noticed yet.
            world.write(*lines);
            world.read(1);
            world.writer = late;
        }
        Step::CopyTruncate => {
            world.be_known();
            world.write(7);
            // Two rotations that nobody saw are one too many: the file between them had no name for us.
            world.copy_and_truncate();
            world.drain();
        }
        Step::DeleteDrained => {
            world.finish();
            world.drain();
            world.write(3);
            // What was written before the deletion is read behind it.
            world.delete_and_create();
            world.drain();
        }
        Step::Restart => world.restart(|_| {}),
        Step::RenameWhileDown(lines) => world.restart(|world| {
            world.write(*lines);
            world.rename_and_create();
            world.write(*lines / 2);
        }),
        Step::CopyTruncateWhileDown(lines) => {
            world.be_known();
            world.restart(|world| {
                world.write(*lines);
                world.copy_and_truncate();
                world.write(*lines / 2);
            });
        }
        Step::DeleteWhileDown => {
            world.finish();
            world.drain();
            // The new file likes to get the inode of the old one.
            world.restart(|world| {
                world.delete_and_create();
                world.write(2);
            });
        }
        Step::Wait => {
            world.drain();
            world.now_ms += LINGER_MS + 1;
            world.drain();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_line_is_lost_and_none_is_read_twice_over_all_rotations(
        steps in prop::collection::vec(step(), 1..40),
        pattern in prop::sample::select(vec!["x.log", "*.log", "x.log*"]),
        has_events in any::<bool>(),
    ) {
        let mut world = World::new(pattern, has_events);
        for step in &steps {
            take(&mut world, step);
        }
        world.check();
    }
}

#[test]
fn events_tell_of_lines_and_of_new_names() {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut world = World::new("x.log", true);
    world.drain();
    let is_readable = |world: &World| {
        let mut fds = [PollFd::new(world.files.fd().unwrap(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
    };
    assert!(!is_readable(&world), "nothing happened");

    world.write(1);
    assert!(is_readable(&world), "a line");
    world.read(ALL);
    assert_eq!((world.found.len(), is_readable(&world)), (1, false));

    world.rename_and_create();
    assert!(is_readable(&world), "a new name");
    world.read(ALL);
    world.write(1);
    assert!(is_readable(&world), "a line in the new file");
    world.check();
}

#[test]
fn a_file_that_comes_late_is_read_from_its_beginning() {
    for (pattern, has_events) in [
        ("late/*.log", true),
        ("late/x.log", true),
        ("late/x.log", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let patterns = [folder.path().join(pattern).to_str().unwrap().to_owned()];
        let mut files = follow(&patterns, has_events, Vec::new(), Start::End);
        assert_eq!(
            files.states(),
            [(PathBuf::from(&patterns[0]), State::Missing)]
        );

        std::fs::create_dir(folder.path().join("late")).unwrap();
        std::fs::write(folder.path().join("late/x.log"), "one\ntwo\n").unwrap();
        let mut found = 0;
        // Nobody watches a folder that was not there; the poll finds it.
        files.read(
            i64::try_from(POLL.as_millis()).unwrap(),
            ALL,
            &mut |_, _| found += 1,
        );

        assert_eq!(found, 2, "{pattern}");
        assert_eq!(
            files.states(),
            [(folder.path().join("late/x.log"), State::Followed)]
        );
    }
}

#[test]
fn a_link_that_is_set_to_another_file_leads_there() {
    for has_events in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (one, two, link) = (
            folder.path().join("1"),
            folder.path().join("2"),
            folder.path().join("now"),
        );
        std::fs::write(&one, "first\n").unwrap();
        symlink(&one, &link).unwrap();
        let patterns = [link.to_str().unwrap().to_owned()];
        let mut files = follow(&patterns, has_events, Vec::new(), Start::Beginning);
        let mut found = Vec::new();
        let mut read = |files: &mut Files, now_ms| {
            files.read(now_ms, ALL, &mut |_, line| {
                found.push(String::from_utf8(line.bytes.to_vec()).unwrap())
            });
        };
        read(&mut files, 1);

        append(&one).write_all(b"last of one\n").unwrap();
        std::fs::write(&two, "first of two\n").unwrap();
        let new = folder.path().join("new");
        symlink(&two, &new).unwrap();
        std::fs::rename(&new, &link).unwrap();
        read(&mut files, 2);
        append(&one).write_all(b"late\n").unwrap();
        append(&two).write_all(b"second of two\n").unwrap();
        read(&mut files, 3);

        assert_eq!(
            found,
            [
                "first",
                "last of one",
                "first of two",
                "late",
                "second of two"
            ]
        );
    }
}

#[test]
fn where_to_begin_is_up_to_the_caller() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
    let patterns = [path.to_str().unwrap().to_owned()];
    for (start, lines) in [
        (Start::Beginning, &["one", "two", "three", "new"][..]),
        (Start::End, &["new"]),
        (Start::LastBytes(6), &["three", "new"]),
        (Start::LastBytes(7), &["three", "new"]),
        (Start::LastBytes(1000), &["one", "two", "three", "new"]),
    ] {
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        let mut files = follow(&patterns, true, Vec::new(), start);
        append(&path).write_all(b"new\n").unwrap();
        let mut found = Vec::new();
        files.read(1, ALL, &mut |_, line| {
            found.push((
                String::from_utf8(line.bytes.to_vec()).unwrap(),
                line.is_caught_up,
            ));
        });

        let texts: Vec<&str> = found.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, lines, "{start:?}");
        assert!(
            found
                .iter()
                .all(|(text, is_old)| *is_old == (text != "new")),
            "{found:?}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_a_state_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    nix::unistd::mkfifo(&folder.path().join("a.log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::create_dir(folder.path().join("b.log")).unwrap();
    std::fs::write(folder.path().join("c.log"), "fine\n").unwrap();
    symlink("/nonexistent", folder.path().join("d.log")).unwrap();
    let patterns = [folder.path().join("*.log").to_str().unwrap().to_owned()];
    let mut files = follow(&patterns, true, Vec::new(), Start::Beginning);
    let mut found = 0;
    files.read(1, ALL, &mut |_, _| found += 1);

    assert_eq!(found, 1);
    let states = files.states();
    let unreadable = states
        .iter()
        .filter(|(_, state)| matches!(state, State::Unreadable(_)));
    assert_eq!(unreadable.count(), 3, "{states:?}");
    assert!(states.contains(&(folder.path().join("c.log"), State::Followed)));
}

#[test]
fn a_file_that_nobody_writes_any_more_is_let_go_and_stays_read() {
    let mut world = World::new("x.log*", true);
    world.write(5);
    world.drain();
    world.delete_and_create();
    world.drain();
    assert_eq!(world.files.opens.len(), 2);
    world.now_ms += LINGER_MS + 1;
    world.drain();
    assert_eq!(
        world.files.opens.len(),
        1,
        "a deleted file holds space of the disk"
    );
    world.check();
}

#[test]
fn a_budget_ends_a_call_before_a_long_log_does() {
    let mut world = World::new("x.log", true);
    world.write(20_000);

    assert_eq!(world.read(1), Rest::More);
    assert!(world.found.len() < 10_000, "{}", world.found.len());
    world.check();
}

#[test]
fn a_file_that_waits_for_its_turn_is_known_before_it_is_copied_and_truncated() {
    let folder = tempfile::tempdir().unwrap();
    let (busy, quiet) = (folder.path().join("a.log"), folder.path().join("b.log"));
    // More than is read at once.
    std::fs::write(&busy, "busy\n".repeat(200_000)).unwrap();
    std::fs::write(&quiet, b"").unwrap();
    let pattern = folder.path().join("*.log").display().to_string();
    let mut files = Files::new(&[pattern], Vec::new(), Start::Beginning, 0);
    let before: String = (0..100)
        .map(|number| format!("before {number}\n"))
        .collect();
    std::fs::write(&quiet, &before).unwrap();
    let mut found: Vec<String> = Vec::new();
    let mut each = |_: &Path, line: Line<'_>| {
        let line = String::from_utf8_lossy(line.bytes).into_owned();
        found.extend(Some(line).filter(|line| line != "busy"));
    };

    assert_eq!(files.read(1, 1, &mut each), Rest::More);
    std::fs::copy(&quiet, folder.path().join("b.log.1")).unwrap();
    std::fs::write(&quiet, "after\n".repeat(1000)).unwrap();
    for now_ms in [2, 3000, 6000] {
        while files.read(now_ms, 1 << 20, &mut each) == Rest::More {}
    }

    let expected = format!("{before}{}", "after\n".repeat(1000));
    assert_eq!(found, expected.lines().collect::<Vec<_>>());
}

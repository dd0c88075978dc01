//! A `journalctl` of our own writing: each time that it is begun it says what the next file says.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Instant};

use nix::poll::{PollFd, PollFlags, poll};

use super::*;

/// Nothing here takes longer.
const DEADLINE_SECONDS: u64 = 20;

struct Fake {
    folder: tempfile::TempDir,
}

impl Fake {
    /// What it writes each time; `true`: then it waits instead of ending.
    fn new(turns: &[(&str, bool)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for (number, (text, stays)) in turns.iter().enumerate() {
            let number = number + 1;
            fs::write(path.join(format!("turn{number}")), text).unwrap();
            if *stays {
                fs::write(path.join(format!("stays{number}")), "").unwrap();
            }
        }
        let script = format!(
            "#!/bin/sh\ncd {}\necho \"$@\" >> arguments\nn=$(wc -l < arguments)\ncat turn$n 2>/dev/null\n\
             test -e stays$n && exec sleep 1000\n\
             test -e complaint$n && cat complaint$n >&2 || echo \"turn $n is over\" >&2\nexit 1\n",
            path.display()
        );
        let program = path.join("journalctl");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn follow(&self, matches: &[&str], from: From) -> Reader {
        let matches = matches.iter().map(|text| Matches::parse(text).unwrap());
        let program = self.folder.path().join("journalctl");
        Reader {
            journal: JournalReader::new(&program, matches.collect(), from),
            now_ms: 0,
            lines: Vec::new(),
        }
    }

    /// The arguments of each time that it was begun.
    fn arguments(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("arguments"));
        text.unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

struct Reader {
    journal: JournalReader,
    now_ms: i64,
    lines: Vec<String>,
}

impl Reader {
    /// Reads on, and goes to the time when it is begun again, until this holds.
    fn until(&mut self, what: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !what(self) {
            assert!(begun.elapsed().as_secs() < DEADLINE_SECONDS, "{self:?}");
            if let Some(due) = self.journal.due_ms() {
                self.now_ms = self.now_ms.max(due);
            } else if let Some(fd) = self.journal.fd() {
                let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
                poll(&mut fds, 1000_u16).unwrap();
            }
            let lines = &mut self.lines;
            self.journal.read(self.now_ms, usize::MAX, &mut |entry| {
                lines.push(String::from_utf8_lossy(entry.line).into_owned());
            });
        }
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?} {:?} {:?}",
            self.lines, self.journal.state, self.journal.counts
        )
    }
}

fn entry(number: u32, unit: &str, message: &str) -> String {
    format!(
        "__CURSOR=c{number}\n__REALTIME_TIMESTAMP={number}000000\n_HOSTNAME=srv\n\
         SYSLOG_IDENTIFIER=sshd\n_PID=7\n_SYSTEMD_UNIT={unit}\nMESSAGE={message}\n\n"
    )
}

#[test]
fn entries_come_as_lines_with_their_cursor() {
    let text = entry(1, "ssh.service", "one")
        + &entry(2, "cron.service", "other")
        + &entry(3, "ssh.service", "two");
    let fake = Fake::new(&[(&text, true)]);
    let mut reader = fake.follow(&["_SYSTEMD_UNIT=ssh.service", "_COMM=sshd"], From::Now);

    reader.until(|reader| reader.lines.len() == 2);

    assert_eq!(reader.lines, ["srv sshd[7]: one", "srv sshd[7]: two"]);
    assert_eq!(reader.journal.state(), &State::Followed);
    let position = reader.journal.position().unwrap();
    assert_eq!(
        (position.cursor.as_str(), position.time_us),
        ("c3", 3_000_000)
    );
    let arguments = &fake.arguments()[0];
    for part in [
        "--follow",
        "--all",
        "--output=export",
        "--lines=0",
        "_SYSTEMD_UNIT=ssh.service + _COMM=sshd + MESSAGE_ID=",
    ] {
        assert!(arguments.contains(part), "{part}: {arguments}");
    }
    assert!(
        arguments.contains(",_SYSTEMD_UNIT "),
        "its matches need the field: {arguments}"
    );
}

#[test]
fn it_is_begun_again_behind_the_last_entry() {
    let fake = Fake::new(&[
        (&(entry(1, "a", "one") + &entry(2, "a", "two")), false),
        // It begins with the one that it was told.
        (&(entry(2, "a", "two") + &entry(3, "a", "three")), true),
    ]);
    let mut reader = fake.follow(&[], From::Since(100));

    reader.until(|reader| reader.lines.len() == 3);

    let arguments = fake.arguments();
    assert!(
        arguments[0].contains("--no-tail --since=@100"),
        "{arguments:?}"
    );
    assert!(
        arguments[1].contains("--no-tail --cursor=c2"),
        "{arguments:?}"
    );
    assert_eq!(reader.journal.counts().starts, 2);
}

#[test]
fn a_cursor_that_is_not_known_any_more_gives_way_to_its_time() {
    let saved = Position {
        cursor: "c1".to_owned(),
        time_us: 1_500_000,
    };
    let fake = Fake::new(&[
        ("", false),
        (&(entry(1, "a", "one") + &entry(2, "a", "two")), true),
    ]);
    fs::write(
        fake.folder.path().join("complaint1"),
        "Failed to seek to cursor: Invalid argument\n",
    )
    .unwrap();
    let mut reader = fake.follow(&[], From::Behind(saved));

    reader.until(|reader| !reader.lines.is_empty());

    assert_eq!(
        reader.lines,
        ["srv sshd[7]: two"],
        "what was read before comes once"
    );
    let arguments = fake.arguments();
    assert!(arguments[0].contains("--cursor=c1"), "{arguments:?}");
    assert!(arguments[1].contains("--since=@1"), "{arguments:?}");
}

#[test]
fn what_ends_at_once_is_begun_more_and_more_seldom() {
    let fake = Fake::new(&[]);
    let mut reader = fake.follow(&[], From::Now);
    let mut pauses = Vec::new();
    for starts in 1..=9 {
        reader.until(|reader| {
            reader.journal.counts().starts == starts && reader.journal.due_ms().is_some()
        });
        pauses.push(reader.journal.due_ms().unwrap() - reader.now_ms);
        let State::Ended(why) = reader.journal.state() else {
            panic!("{reader:?}");
        };
        assert_eq!(*why, format!("turn {starts} is over"));
    }

    let last = *pauses.last().unwrap();
    assert!(pauses.is_sorted() && last == PAUSE_MS.1, "{pauses:?}");
}

#[test]
fn a_host_without_a_journal_is_a_state() {
    let mut journal =
        JournalReader::new(Path::new("/nonexistent/journalctl"), Vec::new(), From::Now);

    assert_eq!(
        journal.read(0, usize::MAX, &mut |_| panic!("no entry")),
        Rest::Nothing
    );

    assert_eq!(journal.state(), &State::Absent);
    assert_eq!(
        (journal.fd().is_none(), journal.due_ms()),
        (true, Some(PAUSE_MS.0))
    );
}

#[test]
fn what_journald_dropped_is_counted_and_nonsense_does_no_harm() {
    let suppressed = format!(
        "__CURSOR=c2\n__REALTIME_TIMESTAMP=2000000\n_TRANSPORT=driver\n\
         MESSAGE_ID={SUPPRESSED_ID}\nMESSAGE=Suppressed 77 messages from ssh.service\n\n"
    );
    let text =
        entry(1, "a", "one") + &suppressed + "nonsense\n\nMESSAGE=x\n\n" + &entry(4, "a", "two");
    let fake = Fake::new(&[(&text, true)]);
    let mut reader = fake.follow(&["_SYSTEMD_UNIT=a"], From::Now);

    reader.until(|reader| reader.lines.len() == 2);

    let counts = reader.journal.counts();
    assert_eq!(
        (counts.entries, counts.suppressed, counts.unreadable),
        (2, 77, 2)
    );
}

#[test]
fn nobody_is_left_behind() {
    let fake = Fake::new(&[(&entry(1, "a", "one"), true)]);
    let mut reader = fake.follow(&[], From::Now);
    reader.until(|reader| reader.lines.len() == 1);
    let process = reader.journal.follower.as_ref().unwrap().child.id();

    drop(reader);

    assert!(!Path::new(&format!("/proc/{process}")).exists());
}

#[test]
fn what_the_journal_holds_is_read_once() {
    let fake = Fake::new(&[]);
    let program = fake.folder.path().join("journalctl");
    let path = fake.folder.path().display();
    let script = format!("#!/bin/sh\necho \"$@\" > {path}/arguments\ncat {path}/journal\n");
    fs::write(&program, script).unwrap();
    let text = entry(1, "a", "one") + "nonsense\n" + &entry(2, "a", "two");
    fs::write(fake.folder.path().join("journal"), text).unwrap();
    let mut times = Vec::new();
    let begun = Instant::now();
    let unreadable = loop {
        match entries(&program, &[Matches::unit("ssh")], &mut |entry| {
            times.push(entry.time_ms)
        }) {
            // Another test may have begun a child while the script was open for writing.
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                assert!(begun.elapsed().as_secs() < DEADLINE_SECONDS);
            }
            other => break other.unwrap(),
        }
    };

    assert_eq!((times, unreadable), (vec![1000, 2000], 1));
    let arguments = &fake.arguments()[0];
    assert!(
        arguments.ends_with(" _SYSTEMD_UNIT=ssh.service"),
        "{arguments}"
    );
    assert!(!arguments.contains("--follow"), "{arguments}");
    let error = entries(Path::new("/nonexistent/journalctl"), &[], &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

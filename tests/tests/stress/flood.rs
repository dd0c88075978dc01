//! A19: a log and a journal that are written as fast as they can be read, and the log is rotated in every way
//! meanwhile.

use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{Answer, GuardDaemon, Host, within},
    sshd_log,
};
use serde_json::Value;

use super::{
    endless::Endless,
    scene::{PORT, Scene, cpu_seconds, is_long, peak_kb},
};

/// Most memory of the daemon, in KB.
const MOST_KB: u64 = 128 * 1024;
/// Longest until a command answers.
const ANSWERS: Duration = Duration::from_secs(1);
/// Longest from the moment when the attacker's last failure is read, of which the daemon tells once a second, to his
/// first packet that is dropped; and from the moment when it is written, with a second's worth of others before it.
const BANS: Duration = Duration::from_secs(5);
const BANS_IN_ALL: Duration = Duration::from_secs(20);
/// Lines in a piece.
const PIECE: usize = 20_000;
/// Most lines that wait to be read: more than a second's worth, so that the daemon is behind all the time.
const AHEAD: u64 = 1_500_000;
/// Lines per second of the long form, whether the daemon keeps up or not: of the log alone, and beside a journal
/// whose entries, as fast as they are taken, are the rest of a million.
const PACE: [u64; 2] = [1_010_000, 900_000];
/// Fewest of both together that are written then.
const OFFERED: f64 = 1_000_000.0;
/// Between two looks at the daemon: an operator's, who watches closely. Each costs what lines could be read with.
const LOOKS: Duration = Duration::from_millis(300);
/// Fewest lines per second, on a machine whose other CPU writes them: a slow one, and one that nobody else uses.
const FLOOR: f64 = 150_000.0;

const FILE: &str = "[jail.sshd]\nenabled = true\nlogpath = \"LOG\"\nmaxretry = 5\nfindtime = \"10m\"\nbantime = \"1h\"\n";
const JOURNAL: &str = "[jail.journal]\nfilter = \"sshd\"\njournal = \"_SYSTEMD_UNIT=ssh.service\"\nmaxretry = 5\nbantime = \"1h\"\n";

/// Who writes the log: as fast as the daemon can read it, or at a pace.
struct Log {
    file: Mutex<File>,
    begun: Instant,
    pace: Option<u64>,
    written: AtomicU64,
    read: AtomicU64,
    is_over: AtomicBool,
}

impl Log {
    /// Piece after piece. Each begins with a line of its own, or all files would begin alike.
    fn write(&self) {
        let body = sshd_log::lines(0, PIECE - 1);
        let mut piece = 0_usize;
        while !self.is_over.load(Ordering::Relaxed) {
            let enough = match self.pace {
                Some(pace) => (self.begun.elapsed().as_secs_f64() * pace as f64) as u64,
                None => self.read.load(Ordering::Relaxed) + AHEAD,
            };
            if self.written.load(Ordering::Relaxed) > enough {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            piece += 1;
            let first = sshd_log::lines(piece * 10 + 5, 1);
            let mut file = self.file.lock().expect("the log");
            file.write_all(first.as_bytes()).expect("written");
            file.write_all(body.as_bytes()).expect("written");
            self.written.fetch_add(PIECE as u64, Ordering::Relaxed);
        }
    }

    fn append(&self, text: &str) {
        let mut file = self.file.lock().expect("the log");
        file.write_all(text.as_bytes()).expect("written");
        let lines = text.matches('\n').count() as u64;
        self.written.fetch_add(lines, Ordering::Relaxed);
    }

    /// As logrotate does by default: the writer learns of it a little later.
    fn rename_and_create(&self, scene: &Scene) {
        fs::rename(scene.log(), rotated(scene)).expect("renamed");
        thread::yield_now();
        *self.file.lock().expect("the log") = scene.open_log();
    }

    /// The writer is stopped meanwhile: what is written between copy and truncation is lost to everybody.
    fn copy_and_truncate(&self, scene: &Scene) {
        let file = self.file.lock().expect("the log");
        fs::copy(scene.log(), rotated(scene)).expect("copied");
        file.set_len(0).expect("truncated");
    }

    fn delete_and_create(&self, scene: &Scene) {
        fs::remove_file(scene.log()).expect("deleted");
        *self.file.lock().expect("the log") = scene.open_log();
    }
}

/// The next free name for a file that is rotated.
fn rotated(scene: &Scene) -> PathBuf {
    let mut names = (1..).map(|number| scene.log().with_extension(format!("log.{number}")));
    names.find(|name| !name.exists()).expect("a name")
}

/// What was seen while the log was flooded.
#[derive(Default)]
struct Seen {
    longest: Duration,
    lag_ms: u64,
    behind_bytes: u64,
    /// Lines that were read.
    read: u64,
}

impl Seen {
    /// Asks what an operator would, and lets the writer know how far the daemon is.
    fn look(&mut self, scene: &Scene, log: &Log) {
        for line in ["status", "jail status sshd --json"] {
            let ran = scene.guardctl(line).ok();
            self.longest = self.longest.max(ran.took);
            assert!(ran.took < ANSWERS, "{ran}");
            if line.ends_with("json") {
                let jail = &ran.json()["jails"][0];
                self.read = lines(jail);
                log.read.store(self.read, Ordering::Relaxed);
                self.lag_ms = self.lag_ms.max(number(&jail["lag_ms"]));
                self.behind_bytes = self.behind_bytes.max(number(&jail["behind_bytes"]));
            }
        }
    }
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

fn lines(jail: &Value) -> u64 {
    number(&jail["counts"]["lines"])
}

#[test]
fn a_flooded_log_that_is_rotated_is_read_once_and_its_attacker_is_banned() {
    flood(false);
}

#[test]
fn a_flooded_log_beside_a_flooded_journal_is_read_once_and_both_attackers_are_banned() {
    flood(true);
}

fn flood(has_journal: bool) {
    let jails = if has_journal {
        format!("{FILE}{JOURNAL}")
    } else {
        FILE.to_owned()
    };
    let Some(scene) = Scene::with(&jails) else {
        return;
    };
    let endless = has_journal.then(|| Endless::in_folder(&scene.guard.folder().join("bin")));
    let mut command = scene.guard.command(&["daemon"]);
    if let Some(endless) = &endless {
        command.env("PATH", endless.search_path());
    }
    let daemon = GuardDaemon::start_as(&scene.guard, &mut command);
    let attacker = &scene.lab.attacker;
    assert!(scene.is_attacker_let_in());
    let log = Log {
        file: Mutex::new(scene.open_log()),
        begun: Instant::now(),
        pace: is_long().then_some(PACE[usize::from(has_journal)]),
        written: AtomicU64::new(0),
        read: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
    };
    let lasts = Duration::from_secs(if is_long() { 30 } else { 8 });
    let spent_before = cpu_seconds(daemon.id());
    let begun = Instant::now();
    let mut seen = Seen::default();
    let mut banned_after = None;
    let rotations: [fn(&Log, &Scene); 3] = [
        Log::rename_and_create,
        Log::copy_and_truncate,
        Log::delete_and_create,
    ];
    let mut rotated = 0;

    thread::scope(|scope| {
        scope.spawn(|| log.write());
        // However this ends, the writer does.
        let over = Over(&log);
        while begun.elapsed() < lasts || rotated < 6 || banned_after.is_none() {
            assert!(
                begun.elapsed() < lasts * 4,
                "{rotated} rotations, {banned_after:?}"
            );
            let looked = Instant::now();
            seen.look(&scene, &log);
            if banned_after.is_none() && begun.elapsed() > lasts / 4 {
                log.append(&sshd_log::failures(&attacker.v4.to_string(), 5));
                if let Some(endless) = &endless {
                    endless.attack(&attacker.v6.to_string());
                }
                banned_after = Some(until_banned(&scene, &log, &mut seen, &daemon, has_journal));
            } else if begun.elapsed() > lasts * (rotated + 1) / 7 {
                rotations[rotated as usize % 3](&log, &scene);
                rotated += 1;
            }
            thread::sleep(LOOKS.saturating_sub(looked.elapsed()));
        }
        if let Some(endless) = &endless {
            endless.stop();
        }
        drop(over);
    });
    let took = begun.elapsed();
    let read_by_then = lines(&scene.status());
    let spent = cpu_seconds(daemon.id()) - spent_before;
    let entries_by_then = endless
        .as_ref()
        .map_or(0, |_| lines(&scene.jail("journal")));
    let written = log.written.load(Ordering::Relaxed);
    let of_journal = endless.as_ref().map_or(0, Endless::written);

    let caught_up = within(Duration::from_secs(30), || {
        let jail = scene.status();
        (lines(&jail) >= written && number(&jail["lag_ms"]) == 0).then_some(jail)
    });
    let jail =
        caught_up.unwrap_or_else(|| panic!("{written} written: {}", scene.status()["counts"]));
    assert_eq!(
        lines(&jail),
        written,
        "no line is lost, and none is read twice"
    );
    assert_eq!(number(&jail["behind_bytes"]), 0);
    // Nothing came late.
    log.append(&sshd_log::lines(0, 1));
    let one_more = within(Duration::from_secs(10), || {
        let lines = lines(&scene.status());
        (lines > written).then_some(lines)
    });
    assert_eq!(one_more, Some(written + 1));
    if let Some(endless) = &endless {
        endless.assert_read(|| lines(&scene.jail("journal")));
    }

    let (read_after, banned_after) = banned_after.expect("banned");
    let peak = peak_kb(daemon.id());
    let per_second = |count: u64| count as f64 / took.as_secs_f64();
    let speed = per_second(read_by_then + entries_by_then);
    let offered = per_second(written + of_journal);
    println!(
        "{took:.1?}, {rotated} rotations: {offered:.0} lines/s were written, {speed:.0} read and evaluated meanwhile, {:.0} of a file ({written} in all) and \
         {:.0} of the journal; {:.2} µs of CPU each; the attack \
         was read {read_after:.1?} and banned {banned_after:.1?} after it was written; at most {} ms and {} bytes behind; \
         slowest command {:?}; {peak} KB of memory",
        per_second(read_by_then),
        per_second(entries_by_then),
        spent * 1e6 / (read_by_then + entries_by_then) as f64,
        seen.lag_ms,
        seen.behind_bytes,
        seen.longest
    );
    assert!(
        banned_after - read_after < BANS,
        "{read_after:?} {banned_after:?}"
    );
    assert!(peak < MOST_KB, "{peak} KB");
    assert!(
        seen.lag_ms > 0 && seen.behind_bytes > 0,
        "it was never behind"
    );
    assert!(speed > FLOOR, "{speed:.0} lines/s");
    assert!(
        !is_long() || offered >= OFFERED,
        "only {offered:.0} lines/s were written"
    );
    scene.assert_friend_gets_in();
}

/// How long it takes until the attack on the log is read, and until the attacker, and that of the journal, gets no
/// answer any more.
fn until_banned(
    scene: &Scene,
    log: &Log,
    seen: &mut Seen,
    daemon: &GuardDaemon,
    has_journal: bool,
) -> (Duration, Duration) {
    let (written, lines) = (Instant::now(), log.written.load(Ordering::Relaxed));
    let attacker: &Host = &scene.lab.attacker;
    let is_silent = |to| attacker.ask_udp(to, PORT) == Answer::Silence;
    let mut read_after = None;
    let silent = within(BANS_IN_ALL, || {
        seen.look(scene, log);
        if seen.read >= lines {
            read_after.get_or_insert(written.elapsed());
        }
        let is_banned =
            is_silent(scene.lab.srv.v4) && (!has_journal || is_silent(scene.lab.srv.v6));
        is_banned.then(|| written.elapsed())
    });
    let silent = silent.unwrap_or_else(|| panic!("never banned: {}", daemon.said()));
    // What is not reported yet was read before the ban.
    (read_after.unwrap_or(silent), silent)
}

/// Tells the writer that it is over, also when a check fails.
struct Over<'l>(&'l Log);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

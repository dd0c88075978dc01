//! Lists that are longer than the tables, or have no end: memory is bounded, and nobody has to wait for them.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use guard_tests::lab::within;

use super::scene::{POLICY, Scene};

/// Most memory that any list may take, in kB.
const MOST_MEMORY: u64 = 150 << 10;
/// Another command's own time, and the time of one part of a list.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

fn is_long() -> bool {
    std::env::var_os("GUARD_LONG").is_some()
}

/// An address of its own for each number, spread over what is not protected.
fn address(number: u32) -> String {
    let [a, b, c, d] = number.wrapping_mul(2_654_435_761).to_be_bytes();
    format!("{}.{b}.{c}.{d}", 11 + a % 80)
}

fn write_addresses(to: impl Write, number: u32) -> io::Result<()> {
    let mut to = BufWriter::new(to);
    for number in 0..number {
        writeln!(to, "{}", address(number))?;
    }
    to.flush()
}

/// How a command ended: its code, what it said, and the most memory that it had, in kB.
struct Ended {
    code: Option<i32>,
    said: String,
    memory: u64,
}

fn watch(mut child: Child) -> Ended {
    let status = format!("/proc/{}/status", child.id());
    let mut memory = 0;
    while child.try_wait().expect("a child").is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok());
        memory = memory.max(peak.unwrap_or(0));
        thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("ended");
    let said = [output.stdout, output.stderr].concat();
    Ended {
        code: output.status.code(),
        said: String::from_utf8_lossy(&said).into_owned(),
        memory,
    }
}

fn started(scene: &Scene, words: &[&str]) -> Child {
    let mut command = scene.guard.command(words);
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().expect("guardctl")
}

/// Imports what `write` writes, until it ends or nobody reads any more.
fn import(scene: &Scene, write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send) -> Ended {
    let mut child = started(scene, &["bans", "import", "-", "--permanent"]);
    let mut input = child.stdin.take().expect("its input");
    thread::scope(|scope| {
        scope.spawn(move || write(&mut input).err());
        watch(child)
    })
}

/// How long other commands took at most while this went on, and how many there were.
fn meanwhile<T>(scene: &Scene, run: impl FnOnce() -> T) -> (T, Duration, u32) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let others = scope.spawn(|| {
            let (mut longest, mut number) = (Duration::ZERO, 0);
            while !is_over.load(Ordering::Relaxed) {
                let started = Instant::now();
                let _ = scene.guardctl(&["ban", "203.0.113.99"]).ok();
                longest = longest.max(started.elapsed());
                number += 1;
                thread::sleep(Duration::from_millis(50));
            }
            (longest, number)
        });
        let ran = run();
        is_over.store(true, Ordering::Relaxed);
        let (longest, number) = others.join().expect("commands");
        (ran, longest, number)
    })
}

#[test]
fn a_list_longer_than_the_table_is_left_where_it_is_full_and_nobody_waits_for_it() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let lines = if is_long() { 9_500_000 } else { 4_000_000 };
    let begun = Instant::now();
    let (ended, longest, _) = meanwhile(&scene, || import(&scene, |to| write_addresses(to, lines)));
    let Ended { code, said, memory } = ended;
    println!(
        "{lines} lines: {:?}, {memory} kB, others at most {longest:?}",
        begun.elapsed()
    );
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("more than 1000000 IPv4 addresses") && said.contains("nothing was changed"),
        "{said}"
    );
    assert!(memory < MOST_MEMORY, "{memory} kB");
    assert!(longest < LONGEST_WAIT, "{longest:?}");
    assert_eq!(scene.sources(), ["203.0.113.99"]);
}

#[test]
fn others_need_not_wait_for_a_list_that_fills_the_table() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let lines = if is_long() { 999_000 } else { 400_000 };
    let begun = Instant::now();
    let (ended, longest, others) =
        meanwhile(&scene, || import(&scene, |to| write_addresses(to, lines)));
    let Ended { code, said, memory } = ended;
    println!(
        "{lines} lines: {:?}, {memory} kB, others at most {longest:?}",
        begun.elapsed()
    );
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("new sources"), "{said}");
    assert!(memory < MOST_MEMORY, "{memory} kB");
    assert!(
        longest < LONGEST_WAIT,
        "{longest:?} for the longest of {others}"
    );
    assert!(others > 3, "{others}");
}

#[test]
fn duplicates_lines_without_end_and_pipes_cost_little_memory() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    // A pipe into which nobody writes is reported in the end; meanwhile, all others are read.
    let pipe = scene.guard.folder().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let name = pipe.to_string_lossy().into_owned();
    let begun = Instant::now();
    let silent = started(&scene, &["bans", "import", &name]);

    // As often as it likes: it is one ban.
    let ended = import(&scene, |to| {
        let text = "203.0.113.66\n".repeat(10_000);
        (0..400).try_for_each(|_| to.write_all(text.as_bytes()))
    });
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(
        ended.said.contains("1 new source, 3999999 known already"),
        "{}",
        ended.said
    );
    assert!(ended.memory < MOST_MEMORY, "{} kB", ended.memory);

    // A line that never ends, of a file that never ends.
    let child = started(&scene, &["bans", "import", "/dev/zero"]);
    let ended = watch(child);
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(
        ended.said.contains("/dev/zero: larger than 512 MB"),
        "{}",
        ended.said
    );
    assert!(ended.memory < MOST_MEMORY, "{} kB", ended.memory);

    let ended = watch(silent);
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(ended.said.contains("nobody has written"), "{}", ended.said);
    assert!(begun.elapsed() < Duration::from_secs(40));
    // And one into which somebody does is a list.
    let writer = thread::spawn(move || {
        let mut pipe = File::options().write(true).open(pipe)?;
        thread::sleep(Duration::from_millis(500));
        pipe.write_all(b"198.18.7.7\n")
    });
    let _ = scene.guardctl(&["bans", "import", &name]).ok();
    writer.join().expect("a writer").expect("written");
    assert_eq!(scene.sources(), ["198.18.7.7", "203.0.113.66"]);
}

#[test]
fn a_feed_longer_than_the_table_keeps_the_old_set_and_nobody_waits_for_one_that_fills_it() {
    let policy = format!("{POLICY}\n[[feed]]\nname = \"long\"\nfile = \"long.txt\"\n");
    let Some(scene) = Scene::with(&policy) else {
        return;
    };
    let file = scene.guard.etc().join("long.txt");
    let fits = if is_long() { 999_000 } else { 400_000 };
    for (lines, code, says) in [
        (fits, 0, "current"),
        (2_000_000, 8, "OLD SET KEPT"),
        (1_000, 0, "current"),
    ] {
        let written = File::create(&file).and_then(|file| write_addresses(file, lines));
        written.expect("a feed");
        let begun = Instant::now();
        let (ended, longest, _) =
            meanwhile(&scene, || watch(started(&scene, &["feeds", "reload"])));
        println!(
            "{lines} lines: {:?}, {} kB, others at most {longest:?}",
            begun.elapsed(),
            ended.memory
        );
        assert_eq!(ended.code, Some(code), "{}", ended.said);
        assert!(ended.said.contains(says), "{}", ended.said);
        assert!(ended.memory < MOST_MEMORY, "{} kB", ended.memory);
        assert!(longest < LONGEST_WAIT, "{lines}: {longest:?}");
    }
    let found = within(Duration::from_secs(5), || {
        (scene.sources().len() > 900).then_some(())
    });
    assert!(found.is_some());
}

//! `cargo xtask fuzz`: what strangers write, made up by libFuzzer. One program has all targets; it is built by the
//! stable compiler, with no cargo-fuzz (`fuzz/rustc-with-coverage`).

mod progress;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{artifacts::Artifacts, packages, sh, workspace};
use progress::Progress;

/// Slowest input that is no failure, in seconds: a hundred thousand times what most take.
const TIMEOUT_S: u32 = 10;
/// Most memory of a target, in MB.
const MEMORY_MB: u32 = 1024;
/// Longest input: what is longer finds nothing more, and takes longer.
const MOST_INPUT_BYTES: u32 = 4096;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these targets; without any, all of them
    target: Vec<String>,
    /// How long each target runs: 90s, 10m, 2h
    #[arg(long = "for", value_parser = duration, default_value = "1m")]
    time: Duration,
    /// Run these inputs once, and say what is wrong with them
    #[arg(long, value_name = "FILE", requires = "target")]
    input: Vec<PathBuf>,
    /// Keep what the corpus in the repository lacks (and leave out of it what finds nothing)
    #[arg(long)]
    keep: bool,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let program = build()?;
    let known = targets()?;
    let wanted = chosen(&args.target, &known)?;
    if !args.input.is_empty() {
        return repeat(&program, &wanted, &args.input);
    }
    let outcomes = run_all(&program, &wanted, args.time);
    let mut failed = Vec::new();
    println!();
    for (target, outcome) in wanted.iter().zip(outcomes) {
        match outcome {
            Ok(progress) => println!("{target:<16} {progress}"),
            Err(error) => {
                println!("{target:<16} FAILED\n{error:#}");
                failed.push(target.as_str());
            }
        }
    }
    if args.keep {
        for target in wanted
            .iter()
            .filter(|target| !failed.contains(&target.as_str()))
        {
            keep(&program, target)?;
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("fuzz: {} failed: {}", failed.len(), failed.join(", "))
}

/// The program, built.
fn build() -> Result<PathBuf> {
    // libFuzzer is C++, and comes as source.
    if !["c++", "g++", "clang++"]
        .into_iter()
        .any(|cxx| sh::find(cxx).is_some())
    {
        packages::ensure(&["g++"], "libFuzzer")?;
    }
    let wrapper = workspace::root().join("fuzz/rustc-with-coverage");
    let mut cargo = sh::cargo([
        "build",
        "--release",
        "-p",
        "guard-fuzz",
        "--features",
        "libfuzzer",
    ]);
    cargo
        .env("RUSTC_WORKSPACE_WRAPPER", wrapper)
        .env("GUARD_WITHOUT_OBJECT", "1");
    Artifacts::of(&mut cargo)?.executable("guard-fuzz")
}

/// The folders of the corpus are the targets: a test of guard-fuzz sees to that.
fn targets() -> Result<Vec<String>> {
    let corpus = corpus();
    let entries = fs::read_dir(&corpus).with_context(|| corpus.display().to_string())?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn corpus() -> PathBuf {
    workspace::root().join("fuzz/corpus")
}

fn chosen(wanted: &[String], known: &[String]) -> Result<Vec<String>> {
    if wanted.is_empty() {
        return Ok(known.to_vec());
    }
    for name in wanted {
        if !known.contains(name) {
            bail!("there is no target {name}; there are {}", known.join(", "));
        }
    }
    Ok(wanted.to_vec())
}

/// Runs as many at once as there are CPUs; the outcomes are in the order of the targets.
fn run_all(program: &Path, targets: &[String], time: Duration) -> Vec<Result<Progress>> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let lanes = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..lanes.min(targets.len()) {
            scope.spawn(|| {
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let number = targets.iter().position(|known| known == target);
                    let outcome = run_one(program, target, time);
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes.push((number, outcome));
                    }
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_default();
    outcomes.sort_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Runs one target. What it finds goes into a folder below `target`, and crashes into another.
fn run_one(program: &Path, target: &str, time: Duration) -> Result<Progress> {
    let found = workspace::target().join("fuzz").join(target);
    let crashes = workspace::target().join("fuzz-crashes").join(target);
    for folder in [&found, &crashes] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let log = workspace::target()
        .join("fuzz")
        .join(format!("{target}.log"));
    let mut command = fuzzer(program, target);
    command
        .arg(format!("-max_total_time={}", time.as_secs().max(1)))
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        .arg("-print_final_stats=1")
        .arg(&found)
        .arg(corpus().join(target));
    let output = fs::File::create(&log).with_context(|| log.display().to_string())?;
    command.stdout(output.try_clone()?).stderr(output);
    println!("fuzz: {target} for {} s", time.as_secs());
    let started = Instant::now();
    let status = command.status().context("cannot start the fuzzer")?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    if !status.success() {
        bail!("{}", finding(&text, target, &log));
    }
    Progress::read(&text, started.elapsed())
        .with_context(|| format!("libFuzzer said nothing that counts: {}", log.display()))
}

fn fuzzer(program: &Path, target: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(workspace::root())
        .env("GUARD_FUZZ_TARGET", target)
        .arg(format!("-timeout={TIMEOUT_S}"))
        .arg(format!("-rss_limit_mb={MEMORY_MB}"))
        .arg(format!("-max_len={MOST_INPUT_BYTES}"))
        .stdin(Stdio::null());
    command
}

/// What a failure is: the message, the input, and the command that repeats it.
fn finding(log: &str, target: &str, path: &Path) -> String {
    let is_message = |line: &&str| {
        ["panicked at", "ERROR: libFuzzer"]
            .iter()
            .any(|mark| line.contains(mark))
    };
    let lines: Vec<&str> = log.lines().collect();
    let begin = lines
        .iter()
        .position(is_message)
        .unwrap_or_else(|| lines.len().saturating_sub(20));
    let message = lines[begin..].iter().take(20).map(|line| {
        let cut = line
            .char_indices()
            .nth(400)
            .map_or(line.len(), |(at, _)| at);
        format!("  {}\n", &line[..cut])
    });
    let mut text: String = message.collect();
    match progress::artifact(log) {
        Some(input) => {
            text.push_str(&format!(
                "  input: {input}\n  again: cargo xtask fuzz {target} --input {input}\n"
            ));
        }
        None => text.push_str(&format!(
            "  no input was written; all that was said: {}\n",
            path.display()
        )),
    }
    text
}

/// Runs single inputs.
fn repeat(program: &Path, targets: &[String], inputs: &[PathBuf]) -> Result<()> {
    for target in targets {
        let mut command = fuzzer(program, target);
        command.args(inputs);
        let status = command.status().context("cannot start the fuzzer")?;
        if !status.success() {
            bail!("{target} still fails ({status})");
        }
    }
    Ok(())
}

/// The smallest part of what was found that sees as much becomes the corpus of the repository.
fn keep(program: &Path, target: &str) -> Result<()> {
    let kept = corpus().join(target);
    let merged = workspace::target()
        .join("fuzz")
        .join(format!("{target}.merged"));
    let _ = fs::remove_dir_all(&merged);
    fs::create_dir_all(&merged)?;
    let mut command = fuzzer(program, target);
    // Edges alone, and not how often: a tenth of the inputs, and small ones.
    let least = ["-merge=1", "-set_cover_merge=1", "-use_counters=0"];
    command.args(least).arg("-max_len=1024").args([
        &merged,
        &kept,
        &workspace::target().join("fuzz").join(target),
    ]);
    sh::quiet(&mut command)?;
    fs::remove_dir_all(&kept)?;
    fs::create_dir_all(&kept)?;
    for entry in fs::read_dir(&merged)? {
        let entry = entry?;
        fs::copy(entry.path(), kept.join(entry.file_name()))?;
    }
    println!(
        "fuzz: kept {} inputs of {target}",
        fs::read_dir(&kept)?.count()
    );
    Ok(())
}

/// `90`, or `90s`, `10m`, `2h` and what else humantime knows.
fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_or_are_seconds() {
        for (text, seconds) in [("90", 90), ("20s", 20), ("10m", 600), ("2h", 7200)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "m", "1x", "-1s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_target_that_does_not_exist_is_refused_with_those_that_do() {
        let known = ["a", "b"].map(str::to_owned);

        assert_eq!(chosen(&[], &known).expect("all"), known);
        let error = chosen(&["c".to_owned()], &known).expect_err("there is no c");
        assert_eq!(error.to_string(), "there is no target c; there are a, b");
    }

    #[test]
    fn a_crash_names_its_input_and_the_command_that_repeats_it() {
        let log = "#1\tNEW\nthread '<unnamed>' panicked at fuzz/src/x.rs:1:2:\nwrong\nartifact_prefix='t/'; Test unit written to t/crash-1\n";

        let finding = finding(log, "ban-list", Path::new("t/ban-list.log"));

        assert!(finding.contains("panicked at"), "{finding}");
        assert!(
            finding.contains("cargo xtask fuzz ban-list --input t/crash-1"),
            "{finding}"
        );
    }
}

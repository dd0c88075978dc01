//! Runs other programs: shows each command, and on failure what it printed.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// A command that runs in the workspace and never reads the keyboard.
pub(crate) fn command<'a>(program: &str, args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(crate::workspace::root())
        .stdin(Stdio::null());
    command
}

/// `cargo` as the user's PATH has it.
pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    command("cargo", args)
}

/// Runs with its output on the terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs silently and returns standard output; for questions that take no time.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        bail!(
            "`{}` failed ({}): {}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs something long whose output matters only when it fails: prints a dot every few seconds.
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    announce(command);
    let log = Log::create()?;
    let started = Instant::now();
    let mut child = command
        .stdout(log.file()?)
        .stderr(log.file()?)
        .spawn()
        .with_context(|| cannot_start(command))?;
    let mut dots = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(50));
        if started.elapsed().as_secs() / 5 > dots {
            dots += 1;
            print!(".");
            std::io::stdout().flush()?;
        }
    };
    if dots > 0 {
        println!(" {} s", started.elapsed().as_secs());
    }
    if !status.success() {
        bail!(
            "`{}` failed ({status}); its last lines:\n{}",
            shown(command),
            log.tail(25)?
        );
    }
    Ok(())
}

/// Runs with standard output shown line by line and handed to `on_line`; says whether it
/// succeeded.
pub(crate) fn stream(command: &mut Command, mut on_line: impl FnMut(&str)) -> Result<bool> {
    announce(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| cannot_start(command))?;
    let stdout = child.stdout.take().context("stdout is piped")?;
    for line in BufReader::new(stdout).split(b'\n') {
        on_line(&String::from_utf8_lossy(&line?));
    }
    Ok(child.wait()?.success())
}

/// Whether a program of this name is on PATH or in the folders that only root has there.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

fn announce(command: &Command) {
    println!("$ {}", shown(command));
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// One word of a POSIX shell.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", shown(command))
}

/// What a quiet command printed; gone when dropped.
struct Log(PathBuf);

impl Log {
    fn create() -> Result<Self> {
        // Two commands may run at once.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("guard-xtask-{}-{number}.log", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, "").with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(path))
    }

    fn file(&self) -> Result<std::fs::File> {
        Ok(std::fs::OpenOptions::new().append(true).open(&self.0)?)
    }

    fn tail(&self, lines: usize) -> Result<String> {
        let bytes = std::fs::read(&self.0)?;
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<&str> = text.lines().collect();
        Ok(all[all.len().saturating_sub(lines)..].join("\n"))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // A log left in the temporary folder harms nobody.
        let _gone = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_when_the_shell_would_split_them() {
        let cases = [
            ("--root=/a/b", "--root=/a/b"),
            ("two words", "'two words'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ];
        for (word, expected) in cases {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn a_quiet_failure_shows_what_the_program_printed() {
        let error = quiet(&mut command(
            "sh",
            ["-c", "echo broken pipe fitting; exit 3"],
        ));

        let text = format!("{:#}", error.expect_err("exit status 3"));
        assert!(text.contains("broken pipe fitting"), "{text}");
    }
}

//! A program that runs beside a test.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// A child that is killed with the value.
#[derive(Debug)]
pub struct Background {
    child: Child,
    line: String,
    log: PathBuf,
    is_kept: bool,
}

impl Background {
    /// Starts it; what it says goes into the file `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(command: &mut Command, log: PathBuf) -> Self {
        Self::start_with_input(command.stdin(Stdio::null()), log)
    }

    /// The same for a program that reads what the command says.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_with_input(command: &mut Command, log: PathBuf) -> Self {
        let line = format!("{command:?}");
        let file = File::create(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let second = file.try_clone().expect("a descriptor");
        let child = command
            .stdout(file)
            .stderr(second)
            .spawn()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        Self {
            child,
            line,
            log,
            is_kept: false,
        }
    }

    /// Lets it live when the value is dropped.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }

    /// What it has said so far.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Has it ended on its own?
    ///
    /// # Panics
    /// When it is not our child any more.
    #[must_use]
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_some()
    }

    /// Panics with what it said when it has ended on its own.
    ///
    /// # Panics
    /// As said.
    pub fn assert_alive(&mut self) {
        let ended = self.child.try_wait().expect("our own child");
        assert!(
            ended.is_none(),
            "ended early ({ended:?}): {}\n{}",
            self.line,
            self.said()
        );
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // Both fail only when it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

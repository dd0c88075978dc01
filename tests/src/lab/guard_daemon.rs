//! `guardctl daemon` beside an instance.

use std::process::Command;

use super::{Background, Instance, until};

/// The daemon of an instance; killed with the value.
#[derive(Debug)]
pub struct GuardDaemon {
    process: Background,
}

impl GuardDaemon {
    /// Starts it; when this returns, it answers and has looked at the interfaces once.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(guard: &Instance) -> Self {
        Self::start_as(guard, &mut guard.command(&["daemon"]))
    }

    /// The same by another command for it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_as(guard: &Instance, command: &mut Command) -> Self {
        command.env_remove("JOURNAL_STREAM");
        // The jail that every host has would read the logs of this machine.
        let jails = guard.etc().join("jails.d");
        if !jails.exists() {
            let none = "[jail.sshd]\nenabled = false\n";
            std::fs::create_dir(&jails)
                .and_then(|()| std::fs::write(jails.join("none.toml"), none))
                .unwrap_or_else(|error| panic!("{}: {error}", jails.display()));
        }
        let mut process = Background::start(command, guard.folder().join("daemon.log"));
        until("the daemon to answer", || {
            process.assert_alive();
            let ran = guard.guardctl(&["daemon", "--reconcile"]);
            ran.code == Some(0)
        });
        Self { process }
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has told so far.
    #[must_use]
    pub fn said(&self) -> String {
        self.process.said()
    }

    /// Waits until it has told this.
    ///
    /// # Panics
    /// When it does not within ten seconds.
    pub fn says(&self, text: &str) {
        until(
            &format!("the daemon to say {text:?}:\n{}", self.said()),
            || self.said().contains(text),
        );
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: libc::c_int) {
        let id = i32::try_from(self.id()).expect("a process number");
        // SAFETY: the call takes integers and touches no memory.
        let result = unsafe { libc::kill(id, signal) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it does not within ten seconds.
    pub fn wait(&mut self) {
        until("the daemon to end", || self.process.has_ended());
    }
}

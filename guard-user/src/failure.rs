//! How a command fails: what, why, a way out, and an exit code that scripts can tell apart.

use std::fmt;

/// Exit codes of `guardctl`. Documented in docs/reference/exit-codes.md; never renumbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Failed for a reason without a code of its own.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The firewall is not active.
    Inactive = 3,
    /// A capability or permission is missing.
    NotPermitted = 4,
    /// The policy files are wrong.
    BadConfiguration = 5,
    /// No such rule, entry or interface.
    NotFound = 6,
    /// Refused, because it would lock somebody out.
    Refused = 7,
    /// Partly done, or partly unprotected.
    Partial = 8,
    /// The kernel, the driver or the interface cannot do it.
    Unsupported = 9,
    /// Another XDP program is attached.
    ForeignProgram = 10,
    /// State of another version of guard is in place.
    AbiMismatch = 11,
    /// The daemon does not answer.
    NoAnswer = 12,
    /// No BPF file system, or not writable.
    NoBpffs = 13,
    /// A change waits for its confirmation.
    Pending = 14,
}

/// A failed command.
#[derive(Debug)]
pub struct Failure {
    /// The process's exit code.
    pub exit: Exit,
    /// What failed and why, one line or one per problem.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Failure {
    /// A failure without help.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            help: None,
        }
    }

    /// The same with a way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with what was being done in front.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// Without a line of its own for the way out.
    #[must_use]
    pub fn in_brackets(&self) -> String {
        match &self.help {
            Some(help) => format!("{} ({help})", self.message),
            None => self.message.clone(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// A system call's answer, as a failure of the class that it belongs to.
#[must_use]
pub fn from_io(context: impl fmt::Display, error: &std::io::Error) -> Failure {
    let exit = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Exit::NotPermitted,
        _ => Exit::Failed,
    };
    let failure = Failure::new(exit, format!("{context}: {error}"));
    if exit == Exit::NotPermitted {
        failure.help("run the command as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN")
    } else {
        failure
    }
}

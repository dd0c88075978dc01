//! What the kernel says when it refuses something, in one line.

use std::fmt;

use aya::programs::ProgramError;

/// The system call's answer, which aya keeps one level down.
pub(in crate::dataplane) fn describe(error: &ProgramError) -> String {
    Refused::of(error).text
}

/// An answer of the kernel, and its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dataplane) struct Refused {
    /// In words.
    pub(in crate::dataplane) text: String,
    /// `errno`; `None` when it was not the kernel that refused.
    pub(in crate::dataplane) number: Option<i32>,
}

impl Refused {
    pub(in crate::dataplane) fn of(error: &ProgramError) -> Self {
        if let ProgramError::SyscallError(syscall) = error {
            Self {
                text: syscall.io_error.to_string(),
                number: syscall.io_error.raw_os_error(),
            }
        } else {
            Self::from(error.to_string())
        }
    }
}

impl From<String> for Refused {
    fn from(text: String) -> Self {
        Self { text, number: None }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

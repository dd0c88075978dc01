//! What the kernel says when it refuses something, in one line.

use aya::programs::ProgramError;

/// The system call's answer, which aya keeps one level down.
pub(super) fn describe(error: &ProgramError) -> String {
    if let ProgramError::SyscallError(syscall) = error {
        syscall.io_error.to_string()
    } else {
        error.to_string()
    }
}

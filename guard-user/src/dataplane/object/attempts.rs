//! Loading a program takes the kernel's verifier up to a second, and any signal to the process ends it early.

use aya::programs::ProgramError;

/// As many as libbpf makes.
const MOST: u32 = 5;

/// Loads a program, and again where a signal was in the way.
///
/// # Errors
/// What the kernel says against the program.
pub(in crate::dataplane) fn load(
    program: impl FnMut() -> Result<(), ProgramError>,
) -> Result<(), ProgramError> {
    again_while(is_interrupted, program)
}

fn is_interrupted(error: &ProgramError) -> bool {
    matches!(error, ProgramError::LoadError { io_error, .. }
        if io_error.raw_os_error() == Some(libc::EAGAIN))
}

fn again_while<E>(
    is_interrupted: impl Fn(&E) -> bool,
    mut program: impl FnMut() -> Result<(), E>,
) -> Result<(), E> {
    for _ in 1..MOST {
        match program() {
            Err(error) if is_interrupted(&error) => {}
            result => return result,
        }
    }
    program()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_no_refusal_and_a_refusal_is_one_at_the_first_attempt() {
        let load = |signals: u32, refuses: bool| {
            let mut attempts = 0;
            let loaded = again_while(
                |is_signal| *is_signal,
                || {
                    attempts += 1;
                    if attempts <= signals {
                        Err(true)
                    } else if refuses {
                        Err(false)
                    } else {
                        Ok(())
                    }
                },
            );
            (loaded, attempts)
        };
        assert_eq!(load(0, false), (Ok(()), 1));
        assert_eq!(load(MOST - 1, false), (Ok(()), MOST));
        assert_eq!(load(1, true), (Err(false), 2));
        assert_eq!(load(MOST, false), (Err(true), MOST));
    }
}

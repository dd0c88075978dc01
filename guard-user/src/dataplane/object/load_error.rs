//! Why the object could not be loaded, in the kernel's words and in ours.

use std::{error::Error, io, iter};

use aya::programs::ProgramError;

use crate::failure::{Exit, Failure};

/// Why the object could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// aya or the kernel refused the object.
    #[error("cannot load the BPF object: {0}")]
    Object(#[from] aya::EbpfError),
    /// The kernel's verifier refused a program.
    #[error("the kernel refused a BPF program: {0}")]
    Program(#[from] ProgramError),
    /// A map that the object must have is missing or of another kind.
    #[error("the BPF object has no usable map \"{0}\"")]
    Map(&'static str),
    /// A map cannot be shared with this process.
    #[error("cannot map \"{0}\": {1}")]
    Mapping(&'static str, #[source] io::Error),
}

/// Why a program that others jump to is not there.
#[derive(Debug, thiserror::Error)]
pub enum CannotJump {
    /// This kernel has no such jumps from programs that call functions of their own.
    #[error("a program cannot jump to another one")]
    NoJumps,
    /// The program is refused.
    #[error(transparent)]
    Refused(LoadError),
}

/// The same for the operator, with the way out.
pub(in crate::dataplane) fn load_failure(error: LoadError) -> Failure {
    let errno = errno(&error);
    let text = match &error {
        LoadError::Program(ProgramError::LoadError {
            io_error,
            verifier_log,
        }) => format!(
            "the kernel refuses the XDP program: {io_error}: {}",
            objection(&verifier_log.to_string())
        ),
        LoadError::Program(_)
        | LoadError::Object(_)
        | LoadError::Map(_)
        | LoadError::Mapping(..) => {
            // aya repeats itself on the way down; the step and the kernel's answer are enough.
            let error = anyhow::Error::new(error);
            let (step, cause) = (error.to_string(), error.root_cause().to_string());
            if step.contains(&cause) {
                step
            } else {
                format!("{step}: {cause}")
            }
        }
    };
    if errno == Some(libc::EPERM) {
        return Failure::new(Exit::NotPermitted, text)
            .help("run the command as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN");
    }
    if errno == Some(libc::ENOMEM) {
        return Failure::new(Exit::Failed, text).help(
            "the maps need more memory than there is: `flow-table` in [limits] and the room in [bans] say how much",
        );
    }
    Failure::new(Exit::Unsupported, text)
        .help("guard needs Linux 5.10 or newer with BPF and its JIT; `uname -r` shows the kernel")
}

/// The kernel's number at the bottom of an error.
fn errno(error: &(dyn Error + 'static)) -> Option<i32> {
    iter::successors(Some(error), |error| (*error).source())
        .filter_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error())
        .last()
}

/// What the verifier objects to: the last line of its log that is not about its own effort.
fn objection(log: &str) -> &str {
    const EFFORT: [&str; 3] = ["verification time", "stack depth", "processed "];
    log.lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty() && EFFORT.iter().all(|effort| !line.starts_with(effort)))
        .unwrap_or("the verifier gives no reason")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_number_decides_the_exit_and_the_way_out() {
        let refused = |errno| LoadError::Mapping("flows", io::Error::from_raw_os_error(errno));
        for (errno, exit, help) in [
            (libc::EPERM, Exit::NotPermitted, "as root"),
            (libc::ENOMEM, Exit::Failed, "more memory"),
            (libc::EINVAL, Exit::Unsupported, "5.10"),
        ] {
            let failure = load_failure(refused(errno));
            assert_eq!(failure.exit, exit, "{failure}");
            assert!(failure.to_string().contains(help), "{failure}");
        }
        // As aya wraps it: two levels down.
        let created = aya::maps::MapError::CreateError {
            name: "flows".to_owned(),
            io_error: io::Error::from_raw_os_error(libc::ENOMEM),
        };
        assert_eq!(
            errno(&LoadError::Object(created.into())),
            Some(libc::ENOMEM)
        );
        assert_eq!(errno(&LoadError::Map("flows")), None);
    }

    #[test]
    fn the_verifiers_objection_is_one_line() {
        let log = "0: (bf) r6 = r1\n1: (1f) r4 -= r5\nR4 pointer -= pointer prohibited\n\
                   verification time 95 usec\nstack depth 0\nprocessed 2 insns (limit 1000000)\n";
        assert_eq!(objection(log), "R4 pointer -= pointer prohibited");
        assert_eq!(objection(""), "the verifier gives no reason");
    }
}

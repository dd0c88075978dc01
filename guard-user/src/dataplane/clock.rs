//! The kernel's clock of flows and bans: what a jiffy lasts, and the time in eighths of a tick.

use std::{path::Path, time::Duration};

use aya::programs::{ProgramError, SchedClassifier, TestRun as _, TestRunOptions};
pub use guard_common::abi::clock::ticks_of;

use crate::host::clock::jiffy_ns;

/// Jiffies per tick as a power of two, so that a tick lasts 0.85 to 1.28 s whatever the kernel's HZ
/// (256 jiffies at 250 Hz, 1024 at 1000 Hz).
#[must_use]
pub fn tick_shift() -> u32 {
    let hz = 1_000_000_000 / jiffy_ns();
    // The power of two that is nearest to HZ by ratio: at least HZ / sqrt(2).
    (1..16)
        .find(|shift| (1u64 << shift) * 1414 >= hz * 1000)
        .unwrap_or(8)
}

/// Microseconds of a jiffy.
#[must_use]
pub fn jiffy_us() -> u64 {
    jiffy_ns() / 1000
}

/// Duration of an eighth of a tick.
#[must_use]
pub fn eighth() -> Duration {
    Duration::from_nanos((jiffy_ns() << tick_shift()) / 8)
}

/// The time in eighths of a tick, asked of the loaded clock program.
///
/// # Errors
/// When the kernel refuses the test run.
pub fn now(program: &SchedClassifier) -> Result<u32, ProgramError> {
    // Some kernels refuse a frame that ends behind its Ethernet header (fd1894224407, 5.10.151).
    let frame = [0; 64];
    let run = program.test_run(TestRunOptions {
        data_in: Some(&frame),
        ..TestRunOptions::default()
    })?;
    Ok(run.return_value)
}

/// The same of a pinned one.
///
/// # Errors
/// When it is not pinned there, or the kernel refuses the test run.
pub fn pinned_now(path: &Path) -> Result<u32, ProgramError> {
    now(&SchedClassifier::from_pin(path)?)
}

/// The time in ticks, asked of a pinned program.
///
/// # Errors
/// As [`pinned_now`].
pub fn pinned_ticks(path: &Path) -> Result<u32, ProgramError> {
    pinned_now(path).map(ticks_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eighth_is_one() {
        let ns = u64::try_from(eighth().as_nanos()).expect("short");
        assert_eq!(ns * 8, jiffy_ns() << tick_shift());
    }

    #[test]
    fn a_tick_is_about_a_second() {
        let ns = jiffy_ns() << tick_shift();
        assert!((700_000_000..1_450_000_000).contains(&ns), "{ns} ns");
    }
}

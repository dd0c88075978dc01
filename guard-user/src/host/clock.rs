//! The clock of deadlines: boot time, which goes on during suspend and which nobody can set.

/// Nanoseconds since boot, the same clock that the program in the kernel compares with.
#[must_use]
pub fn boot_time_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a known clock and a live structure to write to.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    debug_assert_eq!(result, 0, "every kernel that guard runs on has this clock");
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_goes_forward() {
        let before = boot_time_ns();
        assert!(before > 0);
        assert!(boot_time_ns() >= before);
    }
}

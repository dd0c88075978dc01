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

/// Length of a jiffy in nanoseconds. The coarse clocks advance with it.
#[must_use]
pub fn jiffy_ns() -> u64 {
    const OF_250_HZ: u64 = 4_000_000;
    let mut resolution = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call fills the struct that it is given.
    let result = unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &raw mut resolution) };
    match u64::try_from(resolution.tv_nsec) {
        Ok(ns) if result == 0 && ns > 0 => ns,
        Ok(_) | Err(_) => OF_250_HZ,
    }
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

//! The clock of deadlines: boot time, which goes on during suspend and which nobody can set.

use nix::time::{ClockId, clock_getres, clock_gettime};

/// Nanoseconds since boot, the same clock that the program in the kernel compares with.
#[must_use]
pub fn boot_time_ns() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME);
    debug_assert!(
        time.is_ok(),
        "every kernel that guard runs on has this clock"
    );
    time.map_or(0, |time| {
        time.tv_sec().unsigned_abs() * 1_000_000_000 + time.tv_nsec().unsigned_abs()
    })
}

/// Which boot this is; empty where the kernel does not say.
#[must_use]
pub fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    text.map_or_else(|_| String::new(), |text| text.trim().to_owned())
}

/// Length of a jiffy in nanoseconds. The coarse clocks advance with it.
#[must_use]
pub fn jiffy_ns() -> u64 {
    const OF_250_HZ: u64 = 4_000_000;
    let resolution = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE);
    let ns = resolution.map_or(0, |resolution| resolution.tv_nsec().unsigned_abs());
    if ns > 0 { ns } else { OF_250_HZ }
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

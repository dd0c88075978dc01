//! Whether the kernel makes SYN cookies.

use std::fs;

/// Of this network namespace: 0 = never, 1 = when a queue is full, 2 = always.
const SETTING: &str = "/proc/sys/net/ipv4/tcp_syncookies";

/// Has somebody turned them off? A kernel that was built without them has no such setting.
#[must_use]
pub fn are_off() -> bool {
    fs::read_to_string(SETTING).is_ok_and(|setting| setting.trim() == "0")
}

//! Whether the kernel checks where packets come from against its routes (RFC 3704).

use std::fs;

/// Is it off on this interface? The stricter of its own setting and the one for all counts.
#[must_use]
pub fn is_off(interface: &str) -> bool {
    let setting = |of: &str| {
        let text = fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{of}/rp_filter")).ok()?;
        text.trim().parse::<u8>().ok()
    };
    match (setting("all"), setting(interface)) {
        (Some(all), Some(own)) => all.max(own) == 0,
        (None, _) | (_, None) => false,
    }
}

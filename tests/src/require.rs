//! What a test needs of its machine. What is missing skips the test with a printed reason, and
//! fails it where `GUARD_TESTS_STRICT=1` says that nothing may be missing.

use std::{env, path::PathBuf};

/// Is this process root?
#[must_use]
pub fn root() -> bool {
    // SAFETY: the call has no arguments and cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    need(is_root, || "needs root".to_owned())
}

/// Is there a program of this name on the search path?
#[must_use]
pub fn program(name: &str) -> bool {
    need(find(name).is_some(), || {
        format!("needs the program {name}: {}", how_to_install(name))
    })
}

/// Programs whose package has another name.
const PACKAGES: [(&str, &str); 23] = [
    ("busybox", "busybox-static"),
    ("conntrack", "conntrack"),
    ("dhclient", "isc-dhcp-client"),
    ("dig", "bind9-dnsutils"),
    ("dnsmasq", "dnsmasq-base"),
    ("docker", "docker.io"),
    ("dockerd", "docker.io"),
    ("fail2ban-client", "fail2ban"),
    ("fail2ban-server", "fail2ban"),
    ("gtlsclient", "ngtcp2-client"),
    ("gtlsserver", "ngtcp2-server"),
    ("journalctl", "systemd"),
    ("nft", "nftables"),
    ("nginx", "nginx-light"),
    ("nsenter", "util-linux"),
    ("rsyslogd", "rsyslog"),
    ("ssh", "openssh-client"),
    ("sshd", "openssh-server"),
    ("systemd-cat", "systemd"),
    ("trafgen", "netsniff-ng"),
    ("unshare", "util-linux"),
    ("wg", "wireguard-tools"),
    ("xdp-filter", "xdp-tools"),
];

fn how_to_install(program: &str) -> String {
    let package = PACKAGES.iter().find(|(name, _)| *name == program);
    let package = package.map_or(program, |(_, package)| package);
    format!("`cargo xtask setup --tests`, or `apt-get install --no-install-recommends {package}`")
}

/// Are all of these there?
#[must_use]
pub fn programs(names: &[&str]) -> bool {
    names.iter().all(|name| program(name))
}

/// Where a program is.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    // Root's search path may lack the folders for administration when it comes from a user's.
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

/// Prints why a test is skipped, or fails it, unless `is_there`.
///
/// # Panics
/// When it is not there and `GUARD_TESTS_STRICT=1`.
pub fn need(is_there: bool, reason: impl FnOnce() -> String) -> bool {
    if is_there {
        return true;
    }
    let reason = reason();
    let is_strict = env::var_os("GUARD_TESTS_STRICT").is_some_and(|value| value == "1");
    assert!(!is_strict, "GUARD_TESTS_STRICT=1: {reason}");
    eprintln!("skipped: {reason}");
    false
}

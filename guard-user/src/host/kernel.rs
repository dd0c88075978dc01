//! What the running kernel is, and how it was told to treat BPF.

use std::{fs, path::Path};

/// What `/proc/sys/net/core/bpf_jit_enable` says.
const JIT: &str = "/proc/sys/net/core/bpf_jit_enable";
/// Below the root of the system.
const LOCKDOWN: &str = "sys/kernel/security/lockdown";
const RELEASE: &str = "/proc/sys/kernel/osrelease";

/// Its release, as `uname -r` shows it.
#[must_use]
pub fn release() -> String {
    fs::read_to_string(RELEASE).map_or_else(|_| "?".to_owned(), |text| text.trim().to_owned())
}

/// The first two numbers of a release.
#[must_use]
pub fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|other: char| !other.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Are BPF programs translated to machine code? `None` where the kernel does not say: then always.
#[must_use]
pub fn has_jit() -> Option<bool> {
    let text = fs::read_to_string(JIT).ok()?;
    Some(text.trim() != "0")
}

/// `integrity` or `confidentiality`, while the kernel of the system below `root` is locked down.
#[must_use]
pub fn lockdown(root: &Path) -> Option<String> {
    chosen(&fs::read_to_string(root.join(LOCKDOWN)).ok()?)
}

/// The word in brackets of `none [integrity] confidentiality`.
fn chosen(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    let (word, _) = rest.split_once(']')?;
    (word != "none").then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_and_lockdown_are_read() {
        for (text, expected) in [
            ("6.18.44", Some((6, 18))),
            ("5.10.0-32-cloud-amd64", Some((5, 10))),
            ("7.3-rc1+", Some((7, 3))),
            ("6", None),
            ("", None),
        ] {
            assert_eq!(version(text), expected, "{text}");
        }
        assert_eq!(chosen("[none] integrity confidentiality\n"), None);
        let locked = chosen("none integrity [confidentiality]\n");
        assert_eq!(locked.as_deref(), Some("confidentiality"));
        assert_eq!(chosen("]["), None);
    }
}

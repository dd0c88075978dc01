//! The program as it is packed: without debugging information, and what it needs of the C library.

use std::path::Path;

use anyhow::Result;

use crate::{cross::Target, sh};

/// Copies the program without what only debuggers read.
pub(super) fn strip(target: Target, from: &Path, to: &Path) -> Result<()> {
    let program = match target {
        Target::Arm if !target.is_of_this_machine() => "aarch64-linux-gnu-strip",
        Target::X86 | Target::Arm => "strip",
    };
    let mut strip = sh::command(program, ["--strip-all", "--remove-section=.comment", "-o"]);
    sh::output(strip.arg(to).arg(from)).map(drop)
}

/// The newest version of glibc that the program asks for; `None` for one that is linked statically.
pub(super) fn libc(program: &Path) -> Result<Option<String>> {
    let mut readelf = sh::command("readelf", ["--version-info", "--wide"]);
    let text = sh::output(readelf.arg(program))?;
    Ok(newest(&text))
}

fn newest(text: &str) -> Option<String> {
    let asked = text
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("GLIBC_"));
    asked
        .max_by_key(|version| parts(version))
        .map(str::to_owned)
}

/// The newer of two versions.
pub(super) fn newer(one: Option<String>, other: Option<String>) -> Option<String> {
    let both = one.into_iter().chain(other);
    both.max_by_key(|version| parts(version))
}

fn parts(version: &str) -> Vec<u32> {
    let parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_asked_for_decides() {
        let text = "0x00: Name: GLIBC_2.9 Flags: none\n 0x10: Name: GLIBC_2.34  Flags\n GCC_3.0 GLIBC_2.2.5";

        assert_eq!(newest(text).as_deref(), Some("2.34"));
        assert_eq!(newest("No version information found"), None);
        let of = |text: &str| Some(text.to_owned());
        assert_eq!(newer(of("2.9"), of("2.34")), of("2.34"));
        assert_eq!(newer(None, of("2.9")), of("2.9"));
    }
}

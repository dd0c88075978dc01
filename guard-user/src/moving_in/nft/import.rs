//! The ruleset from wherever it is.

use std::path::Path;

use super::{
    super::{
        files,
        reading::Reading,
        saved::{self, Whence},
    },
    read,
};
use crate::failure::{Exit, Failure};

/// The file that is loaded at boot.
const BOOT_FILE: &str = "etc/nftables.conf";

/// Is there a file that is loaded at boot, with rules about what arrives?
#[must_use]
pub fn is_here(root: &Path) -> bool {
    let whence = Whence {
        root: Some(root),
        ..Whence::default()
    };
    rules(&whence).is_ok()
}

/// Reads the rules.
///
/// # Errors
/// Exit 6 when there are none, 5 when they cannot be read.
pub fn rules(whence: &Whence<'_>) -> Result<Reading, Failure> {
    let nothing = |from: &str| {
        Failure::new(
            Exit::NotFound,
            format!("{from}: no rules about what arrives"),
        )
        .help(
            "a chain with `hook input` is imported; give what `nft list ruleset` says with --from",
        )
    };
    let text = match (whence.file, whence.root) {
        (Some(file), _) => Some(saved::named(file)?),
        (None, Some(root)) => {
            let path = root.join(BOOT_FILE);
            Some(files::read(&path)?.ok_or_else(|| nothing(&path.display().to_string()))?)
        }
        (None, None) => saved::asked("nft", &["list", "ruleset"])?,
    };
    let text = text.ok_or_else(|| nothing("nft is not installed"))?;
    let mut reading = Reading::new("nft", text.name.to_string());
    read(
        &text.name,
        &text.text,
        &mut reading.firewall,
        &mut reading.left,
    )?;
    let firewall = &reading.firewall;
    let is_said = |chain: &str, accepts: bool| !accepts || !firewall.rules(chain).is_empty();
    let mut stages = firewall.stages.iter();
    if !stages.any(|stage| is_said(&stage.chain, stage.accepts)) {
        return Err(nothing(&text.name));
    }
    Ok(reading)
}

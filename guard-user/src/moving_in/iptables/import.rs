//! The rules of both families from wherever they are.

use std::path::Path;

use super::{
    super::{
        chains::Stage,
        condition::Condition,
        files::{self, Text},
        reading::Reading,
        saved::{self, Whence},
    },
    Saved, read,
};
use crate::failure::{Exit, Failure};

/// Files that are loaded at boot, of IPv4 and of IPv6.
const BOOT_FILES: [&str; 2] = ["etc/iptables/rules.v4", "etc/iptables/rules.v6"];

/// Are there rules that are loaded at boot?
#[must_use]
pub fn is_here(root: &Path) -> bool {
    BOOT_FILES
        .iter()
        .any(|file| root.join(file).symlink_metadata().is_ok())
}

/// Reads the rules.
///
/// # Errors
/// Exit 6 when there are none, 5 when they cannot be read.
pub fn rules(whence: &Whence<'_>) -> Result<Reading, Failure> {
    let (from, texts) = texts(whence)?;
    let mut reading = Reading::new("iptables", from);
    let mut filters = false;
    for (text, is_v4) in texts.iter().zip([true, false]) {
        let saved = match text {
            Some(text) => read(&text.name, &text.text, is_v4)?,
            None => Saved::default(),
        };
        filters |= saved.filters();
        if text.is_none() {
            // What nobody has shown is not opened.
            let family = if is_v4 { "IPv4" } else { "IPv6" };
            reading.notes.push(format!(
                "there were no rules of {family} to read: guard closes it"
            ));
            reading.firewall.stages.push(Stage {
                chain: format!("no {family}"),
                accepts: false,
                when: Condition::of_family(is_v4),
            });
            continue;
        }
        saved.add_to(&mut reading.firewall, &mut reading.left);
    }
    if !filters {
        return Err(Failure::new(
            Exit::NotFound,
            format!("{}: no rules about what arrives", reading.from),
        )
        .help("a table `filter` with a chain INPUT is imported; give the file with --from and --from6"));
    }
    Ok(reading)
}

fn texts(whence: &Whence<'_>) -> Result<(String, [Option<Text>; 2]), Failure> {
    if whence.file.is_some() || whence.file_v6.is_some() {
        let read = |path: Option<&Path>| path.map(saved::named).transpose();
        let texts = [read(whence.file)?, read(whence.file_v6)?];
        let names: Vec<&str> = texts.iter().flatten().map(|text| &*text.name).collect();
        return Ok((names.join(", "), texts));
    }
    if let Some(root) = whence.root {
        let [v4, v6] = BOOT_FILES.map(|file| files::read(&root.join(file)));
        let from = root.join("etc/iptables").display().to_string();
        return Ok((from, [v4?, v6?]));
    }
    let v4 = saved::asked("iptables-save", &[])?;
    let v6 = saved::asked("ip6tables-save", &[])?;
    Ok(("the kernel".to_owned(), [v4, v6]))
}

//! Rules of firewalld: its default zone, zones by interface and source, and what they let in; the administrator's files
//! before the package's.

mod rich;
mod services;
mod xml;
mod zone;

use std::path::Path;

use super::{
    chains::{ChainRule, Remark, SourceLine, Stage, Target},
    condition::Condition,
    files,
    reading::Reading,
};
use crate::{
    failure::{Exit, Failure},
    text::value::{self, quoted},
};
use xml::{Element, File};

const FOLDER: &str = "etc/firewalld";
const CONFIG: &str = "etc/firewalld/firewalld.conf";
/// Where the administrator's files are, and the package's.
const BASES: [&str; 2] = [FOLDER, "usr/lib/firewalld"];
/// The zone that firewalld begins with.
const DEFAULT_ZONE: &str = "public";
/// The chain that packets enter.
const ENTRY: &str = "firewalld";

/// Is there a firewalld?
#[must_use]
pub fn is_here(root: &Path) -> bool {
    root.join(CONFIG).symlink_metadata().is_ok()
}

/// Reads its files.
///
/// # Errors
/// Exit 6 when there is no firewalld, 5 when a file of it is damaged.
pub fn read(root: &Path) -> Result<Reading, Failure> {
    let Some(config) = files::read(&root.join(CONFIG))? else {
        return Err(Failure::new(
            Exit::NotFound,
            format!("{}: there is no firewalld", root.join(CONFIG).display()),
        )
        .help("give the folder that its etc/firewalld is in with --root; guard needs no import to begin"));
    };
    let default = config
        .text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("DefaultZone"))
        .filter_map(|rest| rest.trim().strip_prefix('='))
        .map(|zone| zone.trim().to_owned())
        .next_back()
        .unwrap_or_else(|| DEFAULT_ZONE.to_owned());
    let folder = root.join(FOLDER).display().to_string();
    let mut reading = Reading::new("firewalld", folder.clone());
    let here = SourceLine {
        file: folder.into(),
        line: 0,
    };
    let mut way: Vec<ChainRule> = Vec::new();
    drops_elsewhere(root, &mut reading, &mut way)?;
    // Senders come before interfaces, whichever zones they are of.
    let mut by_interface = Vec::new();
    let mut names_interfaces = false;
    let mut has_default = false;
    for name in xml::names(root, &BASES, "zones") {
        let Some(file) = xml::find(root, "zones", &name)? else {
            continue;
        };
        let members: Vec<&Element> = file
            .root
            .children
            .iter()
            .filter(|child| ["interface", "source"].contains(&child.name.as_str()))
            .collect();
        let is_default = name == default;
        has_default |= is_default;
        if members.is_empty() && !is_default {
            continue;
        }
        zone::read(root, &name, &file, &mut reading)?;
        for member in members {
            if member.name == "interface" {
                names_interfaces = true;
                by_interface.push(enter_by_interface(&name, &file, member));
            } else {
                way.extend(enter_by_source(root, &name, &file, member, &mut reading)?);
            }
        }
    }
    if !has_default {
        return Err(Failure::new(
            Exit::BadConfiguration,
            format!(
                "{}: there is no zone {}, which is the default zone",
                config.name,
                quoted(&default)
            ),
        )
        .help("copy usr/lib/firewalld beside etc/firewalld, or name a zone that is there"));
    }
    way.extend(by_interface);
    way.push(ChainRule::new(
        here,
        format!("DefaultZone={default}"),
        Target::Goto(zone::chain(&default)),
    ));
    if !names_interfaces {
        reading.notes.push(format!(
            "no zone names an interface: all are taken for zone {default}; NetworkManager may have put some in others, \
             which `firewall-cmd --get-active-zones` shows"
        ));
    }
    reading.notes.push(
        "what firewalld refuses with an answer is dropped: guard answers no packet that it drops"
            .to_owned(),
    );
    reading.firewall.chains.insert(ENTRY.to_owned(), way);
    reading.firewall.stages.push(Stage {
        chain: ENTRY.to_owned(),
        accepts: false,
        when: Condition::default(),
    });
    Ok(reading)
}

fn enter_by_interface(zone: &str, file: &File, member: &Element) -> ChainRule {
    let target = Target::Goto(zone::chain(zone));
    let mut rule = ChainRule::new(file.place(member), member.shown(), target);
    match member.attribute("name").map(value::interface_name) {
        Some(Ok(name)) => rule.when.interface = Some(name),
        Some(Err(_)) | None => rule.unclear.push("this interface".to_owned()),
    }
    rule
}

/// Packets of a source go to its zone, unless nobody can tell whose they are.
fn enter_by_source(
    root: &Path,
    zone: &str,
    file: &File,
    member: &Element,
    reading: &mut Reading,
) -> Result<Option<ChainRule>, Failure> {
    let target = Target::Goto(zone::chain(zone));
    let mut rule = ChainRule::new(file.place(member), member.shown(), target);
    match rich::networks(root, member)? {
        Some(networks) => rule.when = Condition::from(networks),
        // A zone that lets everything in lets nobody in here whom others keep out.
        None if zone::only_accepts(&file.root) => {
            reading.left.push(
                Remark::about(
                    &rule,
                    "guard cannot ask for this sender; the zone is not opened to it",
                )
                .help("name its addresses"),
            );
            return Ok(None);
        }
        None => rule.unclear.push("this sender".to_owned()),
    }
    Ok(Some(rule))
}

/// Policies and direct rules of the administrator's, which may drop what zones let in.
fn drops_elsewhere(
    root: &Path,
    reading: &mut Reading,
    way: &mut Vec<ChainRule>,
) -> Result<(), Failure> {
    let mut found = Vec::new();
    for name in xml::names(root, &[FOLDER], "policies") {
        if let Some(file) = xml::find(root, "policies", &name)? {
            found.push(file);
        }
    }
    found.extend(xml::read(&root.join(FOLDER).join("direct.xml"))?);
    for file in found {
        let to_host = file.root.name == "direct"
            || file.root.children.iter().any(|child| {
                child.name == "egress-zone"
                    && child
                        .attribute("name")
                        .is_some_and(|name| ["HOST", "ANY"].contains(&name))
            });
        if file.root.children.is_empty() {
            continue;
        }
        let drops = ["DROP", "REJECT", "<drop", "<reject"];
        let place = file.place(&file.root);
        let mut rule = ChainRule::new(place, file.root.name.clone(), Target::Unclear);
        if to_host && drops.iter().any(|word| file.text.text.contains(word)) {
            rule.unclear.push("what a file like this drops".to_owned());
            way.push(rule);
        } else {
            reading.left.push(
                Remark::about(&rule, "policies and direct rules are not taken over")
                    .help("write what they let in as rules of guard"),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

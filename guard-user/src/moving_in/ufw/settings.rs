//! /etc/default/ufw and /etc/ufw/ufw.conf: what becomes of packets without a rule, and whether ufw is on.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _, path::Path};

use super::super::{chains::SourceLine, files};
use crate::{
    failure::{Exit, Failure},
    text::value::quoted,
};

/// What the files say.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) is_enabled: bool,
    pub(super) has_v6: bool,
    /// Is let in what no rule is about?
    pub(super) accepts: bool,
    /// Is routed what no rule is about?
    pub(super) forwards: bool,
    pub(super) forward_place: SourceLine,
}

impl Settings {
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        let mut values = BTreeMap::new();
        for file in ["etc/default/ufw", "etc/ufw/ufw.conf"] {
            let Some(text) = files::read(&root.join(file))? else {
                continue;
            };
            for (index, line) in text.text.lines().enumerate() {
                let line = line.trim();
                if line.starts_with('#') {
                    continue;
                }
                if let Some((key, value)) = line.split_once('=') {
                    let value = value.trim().trim_matches(['"', '\'']);
                    let place = SourceLine {
                        file: text.name.clone(),
                        line: index + 1,
                    };
                    values.insert(key.trim().to_lowercase(), (value.to_owned(), place));
                }
            }
        }
        let text = |key: &str| values.get(key).map_or("", |(value, _)| value.as_str());
        let is_yes = |key| text(key).eq_ignore_ascii_case("yes");
        let accepts = match text("default_input_policy") {
            "ACCEPT" => true,
            // Without a word, ufw drops.
            "DROP" | "REJECT" | "" => false,
            other => {
                let place = values.get("default_input_policy").map(|(_, place)| place);
                let place = place.map(ToString::to_string).unwrap_or_default();
                return Err(Failure::new(
                    Exit::BadConfiguration,
                    format!(
                        "{place}: DEFAULT_INPUT_POLICY {} is none of ACCEPT, DROP and REJECT",
                        quoted(other)
                    ),
                )
                .help("`ufw default deny incoming` repairs it"));
            }
        };
        let forward = values.get("default_forward_policy");
        Ok(Self {
            is_enabled: is_yes("enabled"),
            has_v6: is_yes("ipv6"),
            accepts,
            forwards: forward.is_some_and(|(policy, _)| policy == "ACCEPT"),
            forward_place: forward.map_or_else(
                || SourceLine {
                    file: "/etc/default/ufw".into(),
                    line: 0,
                },
                |(_, place)| place.clone(),
            ),
        })
    }
}

/// Does ufw run this script?
pub(super) fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

//! `xdp-mode = { eth0 = "generic" }`: where the program runs on an interface.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::{Located, Reader, Value, keys};
use crate::{
    ruleset::model::ModeChoice,
    text::{
        nearest::nearest,
        value::{self, BadValue, quoted},
    },
};

impl Reader<'_, '_> {
    pub(super) fn modes(
        &mut self,
        value: &Value<'_>,
    ) -> Option<Located<BTreeMap<String, ModeChoice>>> {
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_type(value, "modes by interface, { eth0 = \"generic\" }");
            return None;
        };
        let mut modes = BTreeMap::new();
        for (key, word) in table.iter() {
            let name = match value::interface_name(key.get_ref()) {
                Ok(name) => name,
                Err(bad) => {
                    self.error(key.span(), bad);
                    continue;
                }
            };
            let Some(text) = self.string(word, "\"auto\", \"native\" or \"generic\"") else {
                continue;
            };
            match ModeChoice::ALL.into_iter().find(|mode| mode.word() == text) {
                Some(mode) => {
                    modes.insert(name, mode);
                }
                None => {
                    let bad = unknown(text);
                    self.error(word.span(), bad);
                }
            }
        }
        Some(self.located(modes, value.span()))
    }
}

fn unknown(text: &str) -> BadValue {
    let words = ModeChoice::ALL.map(ModeChoice::word);
    let near =
        nearest(text, words).map_or_else(String::new, |near| format!("; did you mean {near}?"));
    BadValue::new(format!("unknown XDP mode {}{near}", quoted(text))).help(keys::XDP_MODE_HELP)
}

//! `[metrics]` of a policy file.

use toml::de::DeValue;

use super::{Located, Reader, Value, keys};
use crate::ruleset::listen::Listen;

impl Reader<'_, '_> {
    pub(super) fn metrics(&mut self, value: &Value<'_>) -> Option<Located<Listen>> {
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_type(value, "a table, [metrics]");
            return None;
        };
        let mut listen = None;
        for (key, value) in table.iter() {
            if key.get_ref() != "listen" {
                self.error(key.span(), keys::unknown_in_metrics(key.get_ref()));
                continue;
            }
            let Some(text) =
                self.string(value, "\"unix:/run/guard/metrics\" or \"127.0.0.1:9977\"")
            else {
                continue;
            };
            match Listen::parse(text) {
                Ok(read) => listen = Some(self.located(read, value.span())),
                Err(bad) => self.error(value.span(), bad),
            }
        }
        listen
    }
}

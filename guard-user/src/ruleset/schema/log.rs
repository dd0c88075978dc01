//! `[log]` of a policy file.

use toml::de::DeValue;

use super::{Located, Reader, Value, keys};
use crate::ruleset::{drop_log::DropLog, limit::Rate};

impl Reader<'_, '_> {
    pub(super) fn log(&mut self, value: &Value<'_>) -> Option<Located<Option<DropLog>>> {
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_type(value, "a table, [log]");
            return None;
        };
        let (mut drops, mut rate) = (false, DropLog::RATE);
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "drops" => {
                    let DeValue::Boolean(wanted) = value.get_ref() else {
                        self.wrong_type(value, "true or false");
                        return None;
                    };
                    drops = *wanted;
                }
                "rate" => {
                    let text = self.string(value, "a rate, e.g. \"10/s\"")?;
                    match Rate::parse(text) {
                        Ok(read) => rate = read,
                        Err(bad) => self.error(value.span(), bad),
                    }
                }
                other => self.error(key.span(), keys::unknown_in_log(other)),
            }
        }
        let log = drops.then_some(DropLog { rate });
        Some(self.located(log, value.span()))
    }
}

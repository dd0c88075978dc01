//! A set that is taken out of a database: `{ mmdb = "…", country = "DE" }`.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::{Reader, SetContent, Value, keys};
use crate::{
    ruleset::mmdb::Selector,
    text::value::{BadValue, quoted},
};

/// Is it a set from a database, right or wrong?
pub(super) fn is_meant(table: &DeTable<'_>) -> bool {
    let keys = ["mmdb", "country", "continent", "asn"];
    let is_one = |key: &str| keys.contains(&key);
    table.iter().any(|(key, _)| is_one(key.get_ref()))
}

impl Reader<'_, '_> {
    pub(super) fn set_database(
        &mut self,
        table: &DeTable<'_>,
        whole: Range<usize>,
    ) -> Option<SetContent> {
        let mut path = None;
        let mut selectors = Vec::new();
        let mut is_whole = true;
        for (key, value) in table.iter() {
            let selector = match key.get_ref().as_ref() {
                "mmdb" => {
                    let text = self.string(value, "the name of a database file");
                    path = text.map(|text| self.located(text.to_owned(), value.span()));
                    is_whole &= path.is_some();
                    continue;
                }
                "country" => self.codes(value, "country", Selector::countries),
                "continent" => self.codes(value, "continent", Selector::continents),
                "asn" => self.networks(value),
                "file" => {
                    let bad = BadValue::new("a set has a file or a database, not both")
                        .help("make two sets of it and name both in the rule");
                    self.error(key.span(), bad);
                    None
                }
                unknown => {
                    self.error(key.span(), keys::unknown_in_set(unknown));
                    None
                }
            };
            is_whole &= selector.is_some();
            selectors.extend(selector);
        }
        if !is_whole {
            return None;
        }
        let Some(path) = path.filter(|path| !path.value.is_empty()) else {
            let bad = BadValue::new("the set names no database")
                .help("write { mmdb = \"GeoLite2-Country.mmdb\", country = \"DE\" }");
            self.error(whole, bad);
            return None;
        };
        match (selectors.pop(), selectors.is_empty()) {
            (Some(selector), true) => Some(SetContent::Database(path, selector)),
            (Some(_), false) => {
                let bad = BadValue::new("a set has one of country, continent and asn")
                    .help("make several sets of it and name all in the rule");
                self.error(whole, bad);
                None
            }
            (None, _) => {
                let bad = BadValue::new("the set does not say what of the database it holds")
                    .help("add country = \"DE\", continent = \"EU\" or asn = 64496");
                self.error(whole, bad);
                None
            }
        }
    }

    fn codes(
        &mut self,
        value: &Value<'_>,
        key: &str,
        read: impl Fn(&[&str]) -> Result<Selector, BadValue>,
    ) -> Option<Selector> {
        let found = self.strings(value, &format!("a code of two letters, e.g. {key} = \"…\""))?;
        let codes: Vec<&str> = found.iter().map(|(code, _)| *code).collect();
        self.selector(value, read(&codes))
    }

    fn networks(&mut self, value: &Value<'_>) -> Option<Selector> {
        let list = match value.get_ref() {
            DeValue::Array(array) => array.iter().collect(),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => vec![value],
        };
        let mut numbers = Vec::new();
        for element in &list {
            match element.get_ref() {
                DeValue::Integer(number) => {
                    let text = number.as_str();
                    match u32::from_str_radix(text, number.radix()) {
                        Ok(number @ 1..) => numbers.push(number),
                        Ok(_) | Err(_) => {
                            let bad =
                                BadValue::new(format!("asn {text} is out of range (1-4294967295)"))
                                    .help("write the number of the network, e.g. asn = 64496");
                            self.error(element.span(), bad);
                        }
                    }
                }
                DeValue::String(text) => {
                    let bad = BadValue::new(format!("asn {} is text", quoted(text)))
                        .help("write the number alone, e.g. asn = 64496 or asn = [64496, 64511]");
                    self.error(element.span(), bad);
                }
                DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_)
                | DeValue::Table(_) => self.wrong_type(element, "the number of a network"),
            }
        }
        if numbers.len() < list.len() {
            return None;
        }
        self.selector(value, Selector::networks(numbers))
    }

    fn selector(
        &mut self,
        value: &Value<'_>,
        read: Result<Selector, BadValue>,
    ) -> Option<Selector> {
        match read {
            Ok(selector) => Some(selector),
            Err(bad) => {
                self.error(value.span(), bad);
                None
            }
        }
    }
}

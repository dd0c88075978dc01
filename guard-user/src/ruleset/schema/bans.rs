//! `[bans]` and `[[feed]]` of a policy file.

use toml::de::{DeTable, DeValue};

use super::{Located, Reader, Value, keys};
use crate::{
    bans::{rails::Breadth, settings::Settings, term::BanTerm},
    text::value::{self, BadValue, quoted},
};

/// A feed whose file is still relative to the policy file.
#[derive(Debug)]
pub(in crate::ruleset) struct FeedDraft {
    pub(in crate::ruleset) name: Located<String>,
    pub(in crate::ruleset) file: String,
    pub(in crate::ruleset) breadth: Breadth,
}

/// Largest capacity of a table: 2^24 entries.
const MOST: i64 = 1 << 24;

impl Reader<'_, '_> {
    pub(super) fn bans(&mut self, value: &Value<'_>) -> Option<Located<Settings>> {
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_type(value, "a table, [bans]");
            return None;
        };
        let mut settings = Settings::default();
        for (key, value) in table.iter() {
            let capacity = &mut settings.capacity;
            match key.get_ref().as_ref() {
                "ipv4" => capacity.ipv4 = self.capacity(value).unwrap_or(capacity.ipv4),
                "ipv6" => capacity.ipv6 = self.capacity(value).unwrap_or(capacity.ipv6),
                "cidrs" => capacity.cidrs = self.capacity(value).unwrap_or(capacity.cidrs),
                "default" => {
                    let text = self.string(value, "a length of time, e.g. \"1h\"");
                    match text.map(BanTerm::parse).transpose() {
                        Ok(term) => settings.default = term.unwrap_or_default(),
                        Err(help) => {
                            let text = quoted(text.unwrap_or_default());
                            let bad =
                                BadValue::new(format!("default {text} is not a length of time"));
                            self.error(value.span(), bad.help(help.to_string()));
                        }
                    }
                }
                unknown => self.error(key.span(), keys::unknown_in_bans(unknown)),
            }
        }
        Some(self.located(settings, value.span()))
    }

    fn capacity(&mut self, value: &Value<'_>) -> Option<u32> {
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(value, "a number");
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| (1..=MOST).contains(number));
        if number.is_none() {
            let bad = BadValue::new(format!(
                "{} is not a number of bans (1 to {MOST})",
                integer.as_str()
            ));
            self.error(value.span(), bad.help("a million needs about 16 MB"));
        }
        number.and_then(|number| u32::try_from(number).ok())
    }

    pub(super) fn feeds(&mut self, value: &Value<'_>) -> Vec<FeedDraft> {
        let DeValue::Array(array) = value.get_ref() else {
            if value.get_ref().is_table() {
                let bad = BadValue::new("[feed] is a single table, feeds are a list");
                self.error(value.span(), bad.help("write [[feed]] with two brackets"));
            } else {
                self.wrong_type(value, "a list of tables, [[feed]]");
            }
            return Vec::new();
        };
        let mut feeds = Vec::new();
        for element in array.iter() {
            if let DeValue::Table(table) = element.get_ref() {
                feeds.extend(self.feed(table, element.span()));
            } else {
                self.wrong_type(element, "a table, [[feed]]");
            }
        }
        feeds
    }

    fn feed(&mut self, table: &DeTable<'_>, whole: std::ops::Range<usize>) -> Option<FeedDraft> {
        let (mut name, mut file) = (None, None);
        let mut breadth = Breadth::Usual;
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "name" => {
                    let text = self.string(value, "a name")?;
                    match value::set_name(text) {
                        Ok(text) => name = Some(self.located(text, value.span())),
                        Err(bad) => {
                            self.error(value.span(), bad);
                            return None;
                        }
                    }
                }
                "file" => file = Some(self.string(value, "the name of a file")?.to_owned()),
                "wide" => {
                    let DeValue::Boolean(is_wide) = value.get_ref() else {
                        self.wrong_type(value, "true or false");
                        return None;
                    };
                    breadth = if *is_wide {
                        Breadth::Any
                    } else {
                        Breadth::Usual
                    };
                }
                unknown => {
                    self.error(key.span(), keys::unknown_in_feed(unknown));
                    return None;
                }
            }
        }
        match (name, file.filter(|file| !file.is_empty())) {
            (Some(name), Some(file)) => Some(FeedDraft {
                name,
                file,
                breadth,
            }),
            (None, _) | (_, None) => {
                let bad = BadValue::new("a feed has a name and a file");
                let help = "write name = \"drop\" and file = \"feeds/drop.txt\"";
                self.error(whole, bad.help(help));
                None
            }
        }
    }
}

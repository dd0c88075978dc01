//! The values of settings: texts, numbers, switches and lengths of time.

use std::{
    ops::{Range, RangeInclusive},
    time::Duration,
};

use toml::de::DeValue;

use super::{File, Value};
use crate::{jails::span, text::value::quoted};

impl File<'_, '_> {
    pub(super) fn text<'v>(&mut self, value: &'v Value<'_>, expected: &str) -> Option<&'v str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(value, expected);
        }
        text
    }

    /// The texts of a list, or the one text that stands for a list of one.
    pub(super) fn texts<'v>(
        &mut self,
        value: &'v Value<'_>,
        expected: &str,
    ) -> Option<Vec<(&'v str, Range<usize>)>> {
        if let Some(text) = value.get_ref().as_str() {
            return Some(vec![(text, value.span())]);
        }
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(value, expected);
            return None;
        };
        let mut texts = Vec::new();
        for element in array.iter() {
            texts.push((self.text(element, "a text in quotes")?, element.span()));
        }
        Some(texts)
    }

    pub(super) fn switch(&mut self, value: &Value<'_>, into: &mut bool) {
        match value.get_ref() {
            DeValue::Boolean(is_on) => *into = *is_on,
            DeValue::String(_)
            | DeValue::Array(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => self.wrong_type(value, "true or false"),
        }
    }

    pub(super) fn number(
        &mut self,
        value: &Value<'_>,
        what: &str,
        allowed: RangeInclusive<i64>,
    ) -> Option<u32> {
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong_type(value, what);
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        match number.filter(|number| allowed.contains(number)) {
            Some(number) => u32::try_from(number).ok(),
            None => {
                let (least, most) = (allowed.start(), allowed.end());
                let message = format!("{} is not {what}", integer.as_str());
                let help = format!("write a number from {least} to {most}");
                self.error(value.span(), message, help);
                None
            }
        }
    }

    /// A length of time as a text; a bare number is one of seconds.
    pub(super) fn time_text(&mut self, value: &Value<'_>) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) => Some(text.as_ref().to_owned()),
            DeValue::Integer(number) => Some(number.as_str().to_owned()),
            DeValue::Boolean(_)
            | DeValue::Array(_)
            | DeValue::Float(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => {
                self.wrong_type(value, "a length of time, e.g. \"10m\"");
                None
            }
        }
    }

    /// Says whether there was one.
    pub(super) fn length(&mut self, value: &Value<'_>, into: &mut Duration) -> bool {
        let Some(text) = self.time_text(value) else {
            return false;
        };
        match span::parse(&text) {
            Ok(length) => {
                *into = length;
                true
            }
            Err(wrong) => {
                let message = format!("{} {wrong}", quoted(&text));
                self.error(value.span(), message, span::HELP);
                false
            }
        }
    }

    fn wrong_type(&mut self, value: &Value<'_>, expected: &str) {
        let found = value.get_ref().type_str();
        self.error(
            value.span(),
            format!("expected {expected}, found {found}"),
            "",
        );
    }
}

//! For tests: does a file fit a schema? Of JSON Schema, what the shipped ones use; any other word is a mistake of theirs.

use serde_json::{Map, Value};

/// The schema of policy files.
pub(crate) const POLICY: &str = include_str!("../../../packaging/schema/guard.schema.json");
/// The schema of files of jails.
pub(crate) const JAILS: &str = include_str!("../../../packaging/schema/jails.schema.json");

/// Words that say something to people, and where other things are defined.
const REMARKS: [&str; 3] = ["title", "description", "$defs"];

/// Why a value does not fit.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Misfit(String);

/// A schema that was read.
pub(crate) struct Schema(Value);

impl Schema {
    pub(crate) fn read(text: &str) -> Self {
        Self(serde_json::from_str(text).expect("JSON"))
    }

    /// The keys at a place such as `/$defs/rule`, sorted.
    pub(crate) fn keys(&self, place: &str) -> Vec<&str> {
        let at = self.0.pointer(place).unwrap_or_else(|| panic!("{place}"));
        let keys = at["properties"].as_object().expect("properties");
        let mut keys: Vec<&str> = keys.keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    /// Says which keys the schema lacks, and which it has too many.
    pub(crate) fn assert_keys<'k>(&self, place: &str, known: impl IntoIterator<Item = &'k str>) {
        let mut known: Vec<&str> = known.into_iter().collect();
        known.sort_unstable();
        let found = self.keys(place);
        let missing: Vec<_> = known.iter().filter(|key| !found.contains(*key)).collect();
        let unknown: Vec<_> = found.iter().filter(|key| !known.contains(*key)).collect();
        assert!(
            missing.is_empty() && unknown.is_empty(),
            "packaging/schema, {place}: missing {missing:?}, not read by guard {unknown:?}"
        );
    }

    /// What does not fit of a file; `None` when it fits. What is no TOML is nobody's business here.
    pub(crate) fn problem(&self, toml: &str) -> Option<String> {
        let value: Value = toml::from_str(toml).ok()?;
        self.check(&self.0, &value)
            .err()
            .map(|misfit| misfit.to_string())
    }

    fn check(&self, schema: &Value, value: &Value) -> Result<(), Misfit> {
        let words = schema.as_object().expect("a table");
        for (word, means) in words {
            let fits = match word.as_str() {
                remark if REMARKS.contains(&remark) => true,
                "$ref" => {
                    let place = means.as_str().and_then(|place| place.strip_prefix('#'));
                    let place = place.and_then(|place| self.0.pointer(place));
                    self.check(place.unwrap_or_else(|| panic!("{means}")), value)?;
                    true
                }
                "oneOf" => {
                    let all = means.as_array().expect("a list").iter();
                    all.filter(|one| self.check(one, value).is_ok()).count() == 1
                }
                "enum" => means.as_array().expect("a list").contains(value),
                "type" => has_type(means, value),
                "properties" => self.properties(means, value)?,
                "additionalProperties" => self.others(words, means, value)?,
                "items" => self.items(means, value)?,
                "required" => {
                    let all = means.as_array().expect("a list").iter();
                    let mut names = all.map(|name| name.as_str().expect("a name"));
                    value
                        .as_object()
                        .is_none_or(|table| names.all(|name| table.contains_key(name)))
                }
                bound => within(bound, means, value),
            };
            if !fits {
                return Err(Misfit(format!("{value} does not fit {word}: {means}")));
            }
        }
        Ok(())
    }

    fn properties(&self, means: &Value, value: &Value) -> Result<bool, Misfit> {
        for (key, value) in value.as_object().into_iter().flatten() {
            if let Some(schema) = means.get(key) {
                self.check(schema, value)
                    .map_err(|why| Misfit(format!("{key}: {why}")))?;
            }
        }
        Ok(true)
    }

    fn others(
        &self,
        words: &Map<String, Value>,
        means: &Value,
        value: &Value,
    ) -> Result<bool, Misfit> {
        let is_known = |key: &str| {
            words
                .get("properties")
                .is_some_and(|known| known.get(key).is_some())
        };
        for (key, value) in value.as_object().into_iter().flatten() {
            if is_known(key) {
                continue;
            }
            if *means == Value::Bool(false) {
                return Err(Misfit(format!("unknown key {key}")));
            }
            self.check(means, value)
                .map_err(|why| Misfit(format!("{key}: {why}")))?;
        }
        Ok(true)
    }

    fn items(&self, means: &Value, value: &Value) -> Result<bool, Misfit> {
        for value in value.as_array().into_iter().flatten() {
            self.check(means, value)?;
        }
        Ok(true)
    }
}

fn has_type(means: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().expect("a name") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("type {other}"),
    };
    means
        .as_array()
        .map_or_else(|| is(means), |names| names.iter().any(is))
}

/// Bounds say something about one type each.
fn within(bound: &str, means: &Value, value: &Value) -> bool {
    let most = || means.as_u64().expect("a number") as usize;
    let number = value.as_i64().zip(means.as_i64());
    match bound {
        "minimum" => number.is_none_or(|(number, least)| number >= least),
        "maximum" => number.is_none_or(|(number, most)| number <= most),
        "minLength" => value
            .as_str()
            .is_none_or(|text| text.chars().count() >= most()),
        "maxLength" => value
            .as_str()
            .is_none_or(|text| text.chars().count() <= most()),
        "minItems" => value.as_array().is_none_or(|list| list.len() >= most()),
        "maxItems" => value.as_array().is_none_or(|list| list.len() <= most()),
        "minProperties" => value.as_object().is_none_or(|table| table.len() >= most()),
        "maxProperties" => value.as_object().is_none_or(|table| table.len() <= most()),
        "pattern" => value.as_str().is_none_or(|text| {
            let pattern = means.as_str().expect("a pattern");
            let pattern = regex_automata::meta::Regex::new(pattern).expect("a pattern");
            pattern.is_match(text)
        }),
        other => panic!("the test does not know {other}"),
    }
}

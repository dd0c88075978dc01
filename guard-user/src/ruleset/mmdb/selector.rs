//! What a set asks of a database: countries, continents or networks by number.

use std::{collections::BTreeSet, fmt};

use maxminddb::PathElement;

use crate::text::value::{BadValue, quoted};

/// Most values of one set: there are 249 countries.
const MOST_VALUES: usize = 1000;
/// Codes that people type, and those of ISO 3166.
const OTHER_CODES: [(&str, &str); 2] = [("UK", "GB"), ("EL", "GR")];
/// Codes of continents.
pub(in crate::ruleset) const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

/// The values that a record must have one of. Sorted, without doubles, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// `country.iso_code`: two letters.
    Countries(Vec<String>),
    /// `continent.code`: two letters.
    Continents(Vec<String>),
    /// `autonomous_system_number`.
    Networks(Vec<u32>),
}

impl Selector {
    /// Countries by their codes, in any case.
    pub(in crate::ruleset) fn countries(codes: &[&str]) -> Result<Self, BadValue> {
        let codes = codes.iter().map(|code| {
            let is_code = code.len() == 2 && code.bytes().all(|letter| letter.is_ascii_alphabetic());
            if !is_code {
                return Err(BadValue::new(format!("country {} is no code of two letters", quoted(code)))
                    .help("write the code of ISO 3166, e.g. country = \"DE\" or country = [\"DE\", \"FR\"]"));
            }
            Ok(code.to_ascii_uppercase())
        });
        sorted(codes.collect::<Result<_, _>>()?, "country").map(Self::Countries)
    }

    /// Continents by their codes, in any case.
    pub(in crate::ruleset) fn continents(codes: &[&str]) -> Result<Self, BadValue> {
        let codes = codes.iter().map(|code| {
            let upper = code.to_ascii_uppercase();
            if !CONTINENTS.contains(&upper.as_str()) {
                return Err(
                    BadValue::new(format!("continent {} is unknown", quoted(code)))
                        .help("the continents are AF, AN, AS, EU, NA, OC and SA"),
                );
            }
            Ok(upper)
        });
        sorted(codes.collect::<Result<_, _>>()?, "continent").map(Self::Continents)
    }

    /// Networks by their numbers.
    pub(in crate::ruleset) fn networks(numbers: Vec<u32>) -> Result<Self, BadValue> {
        sorted(numbers, "asn").map(Self::Networks)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Countries(codes) | Self::Continents(codes) => codes.len(),
            Self::Networks(numbers) => numbers.len(),
        }
    }

    /// Which of the values this is.
    pub(super) fn position(&self, value: &str) -> Option<usize> {
        match self {
            Self::Countries(codes) | Self::Continents(codes) => {
                codes.binary_search_by(|code| code.as_str().cmp(value)).ok()
            }
            Self::Networks(numbers) => numbers.binary_search(&value.parse().ok()?).ok(),
        }
    }

    /// Where a record has it.
    pub(super) fn path(&self) -> &'static [PathElement<'static>] {
        match self {
            Self::Countries(_) => &[PathElement::Key("country"), PathElement::Key("iso_code")],
            Self::Continents(_) => &[PathElement::Key("continent"), PathElement::Key("code")],
            Self::Networks(_) => &[PathElement::Key("autonomous_system_number")],
        }
    }

    /// The same for people.
    pub(super) fn field(&self) -> &'static str {
        match self {
            Self::Countries(_) => "country.iso_code",
            Self::Continents(_) => "continent.code",
            Self::Networks(_) => "autonomous_system_number",
        }
    }

    /// `country "XX"`.
    pub(super) fn value(&self, index: usize) -> String {
        match self {
            Self::Countries(codes) => format!("country {}", quoted(&codes[index])),
            Self::Continents(codes) => format!("continent {}", quoted(&codes[index])),
            Self::Networks(numbers) => format!("asn {}", numbers[index]),
        }
    }

    /// What may have been meant by a value that the database has not.
    pub(super) fn guess(&self, index: usize, known: &BTreeSet<String>) -> String {
        let Self::Countries(codes) = self else {
            return String::new();
        };
        let code = codes[index].as_str();
        if CONTINENTS.contains(&code) {
            return format!("; did you mean continent = \"{code}\"");
        }
        let other = OTHER_CODES.iter().find(|(word, _)| *word == code);
        if let Some((_, iso)) = other {
            return format!("; did you mean \"{iso}\"");
        }
        // Of codes of two letters, each is near every other.
        let alike = known.iter().filter(|known| known[..1] == code[..1]);
        let alike: Vec<&str> = alike.take(20).map(String::as_str).collect();
        if alike.is_empty() {
            return String::new();
        }
        format!("; with {} it has {}", &code[..1], alike.join(", "))
    }

    /// What tells it from others: `country=DE,FR`.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Countries(codes) => format!("country={}", codes.join(",")),
            Self::Continents(codes) => format!("continent={}", codes.join(",")),
            Self::Networks(numbers) => format!("asn={}", join(numbers, ",")),
        }
    }
}

/// `country DE, FR`.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Countries(codes) => write!(f, "country {}", codes.join(", ")),
            Self::Continents(codes) => write!(f, "continent {}", codes.join(", ")),
            Self::Networks(numbers) => write!(f, "asn {}", join(numbers, ", ")),
        }
    }
}

fn join(numbers: &[u32], between: &str) -> String {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    numbers.join(between)
}

fn sorted<T: Ord>(mut values: Vec<T>, key: &str) -> Result<Vec<T>, BadValue> {
    values.sort_unstable();
    values.dedup();
    if values.is_empty() {
        return Err(BadValue::new(format!("{key} names nothing"))
            .help("name what the set holds, e.g. country = \"DE\" or asn = 64496"));
    }
    if values.len() > MOST_VALUES {
        return Err(BadValue::new(format!(
            "{key} has {} values, at most {MOST_VALUES}",
            values.len()
        ))
        .help("make several sets of them and name all in the rule"));
    }
    Ok(values)
}

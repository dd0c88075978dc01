//! Reads a sample log and evaluates its lines: a comment with `failJSON` says what the next line gives.

use std::{fs, net::IpAddr};

use guard_user::filters::{Definition, Failure, Filter, Given, LineOutcome, LineTime};
use jiff::{civil::DateTime, tz::TimeZone};
use serde_json::{Map, Value};

use crate::{
    condition,
    package::{FilterFile, Package},
    score::Score,
};

/// fail2ban's tests take place at this time, in seconds since 1970 …
const NOW: i64 = 1_124_013_600;
/// … and in this zone.
const ZONE: &str = "CET-01CEST-02,M3.5.0,M10.5.0";

type Options = Map<String, Value>;

/// One filter with one set of options.
struct Trial {
    options: Options,
    filter: Filter,
}

/// Evaluates every line of a filter's log.
pub(crate) fn evaluate(package: &Package, filter: &FilterFile, score: &mut Score) {
    let mut files = vec![filter.name.clone()];
    let mut known: Vec<Trial> = Vec::new();
    let mut at = 0;
    // The set of trials outlives a file: an included one goes on with it until it says otherwise.
    let mut tried: Vec<usize> = Vec::new();
    while let Some(file) = files.get(at).cloned() {
        at += 1;
        let bytes = fs::read(package.logs.join(&file)).unwrap();
        let mut common = Options::new();
        let mut is_left_out = false;
        let mut expected = Options::new();
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let text = String::from_utf8_lossy(line);
            if let Some((word, json)) = instruction(&text) {
                let value: Value = serde_json::from_str(json).unwrap();
                match word {
                    "failJSON" => expected = value.as_object().unwrap().clone(),
                    "fileOptions" => common = value.as_object().unwrap().clone(),
                    "addFILE" => files.push(value.as_str().unwrap().to_owned()),
                    "filterOptions" => {
                        tried.clear();
                        is_left_out = false;
                        let one = vec![value.clone()];
                        let list = value.as_array().cloned().unwrap_or(one);
                        for options in list {
                            let mut all = common.clone();
                            all.extend(options.as_object().unwrap().clone());
                            if let Some(condition) = all.get("test.condition") {
                                let condition = condition.as_str().unwrap();
                                is_left_out = !condition::holds(condition, &filter.name, &all);
                            }
                            if !is_left_out {
                                tried.push(trial(filter, &mut known, all));
                            }
                        }
                    }
                    _ => unreachable!("{word}"),
                }
                continue;
            }
            let is_comment = text.starts_with('#') || text.trim().is_empty();
            if expected.is_empty() && is_comment || is_left_out {
                expected.clear();
                continue;
            }
            if tried.is_empty() {
                tried.push(trial(filter, &mut known, Options::new()));
            }
            for number in &tried {
                let trial = &mut known[*number];
                let is_meant = expected.get("constraint").is_none_or(|condition| {
                    condition::holds(condition.as_str().unwrap(), &filter.name, &trial.options)
                });
                if is_meant {
                    let wrong = wrong_about(trial, line, &expected);
                    score.note(&filter.name, &file, index + 1, &trial.options, wrong);
                }
            }
            expected.clear();
        }
    }
}

/// `# failJSON: {…}` and its kin.
fn instruction(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix('#')?.trim_start_matches('#');
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let words = ["failJSON", "fileOptions", "filterOptions", "addFILE"];
    let word = words.into_iter().find(|word| rest.starts_with(word))?;
    Some((word, rest[word.len()..].strip_prefix(':')?))
}

fn trial(filter: &FilterFile, known: &mut Vec<Trial>, options: Options) -> usize {
    if let Some(there) = known.iter().position(|trial| trial.options == options) {
        return there;
    }
    let mut given: Given = filter.given.clone();
    given.extend(
        options
            .iter()
            .filter(|(name, _)| !name.starts_with("test."))
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())),
    );
    let compiled = Definition::read(&filter.file, &given)
        .and_then(|definition| Filter::new(definition, TimeZone::posix(ZONE).unwrap()));
    match compiled {
        Ok(filter) => known.push(Trial { options, filter }),
        Err(problem) => panic!("{} {options:?}: {problem}", filter.name),
    }
    known.len() - 1
}

/// What guard says otherwise than fail2ban expects.
fn wrong_about(trial: &mut Trial, line: &[u8], expected: &Options) -> Option<String> {
    let is_journal = trial
        .options
        .get("logtype")
        .is_some_and(|kind| kind == "journal");
    let outcome = if is_journal {
        let prefix = trial
            .options
            .get("test.prefix-line")
            .and_then(Value::as_str);
        let mut whole = prefix.unwrap_or_default().as_bytes().to_vec();
        whole.extend_from_slice(line);
        trial
            .filter
            .line(&whole, LineTime::Known(NOW * 1000), NOW * 1000)
    } else {
        trial.filter.line(line, LineTime::InText, NOW * 1000)
    };
    let is_expected = expected.get("match") == Some(&Value::Bool(true));
    let failure = match (&outcome, is_expected) {
        (LineOutcome::Failure(failure), true) => failure,
        (LineOutcome::Failure(failure), false) => {
            return Some(format!("a failure of {} that is none", failure.host));
        }
        (LineOutcome::None | LineOutcome::Ignored | LineOutcome::Pending, true) => {
            return Some(format!("{outcome:?} instead of a failure"));
        }
        (LineOutcome::None | LineOutcome::Ignored | LineOutcome::Pending, false) => return None,
    };
    for (key, value) in expected {
        if key == "time" && is_journal {
            continue;
        }
        if let Some(wrong) = wrong_value(failure, key, value) {
            return Some(wrong);
        }
    }
    None
}

fn wrong_value(failure: &Failure, key: &str, value: &Value) -> Option<String> {
    let group = |name: &str| failure.groups.named(name).map(Value::from);
    let found = match key {
        "match" | "desc" | "constraint" => return None,
        "time" if value.is_null() => return None,
        "time" => {
            let local = local_time(value.as_str().unwrap());
            let zone = TimeZone::posix(ZONE).unwrap();
            let at = local.to_zoned(zone).unwrap().timestamp().as_millisecond();
            return (failure.time_ms != Some(at))
                .then(|| format!("time {:?} instead of {at} ({value})", failure.time_ms));
        }
        "host" => {
            let id = failure
                .id
                .clone()
                .unwrap_or_else(|| failure.host.to_string());
            // An address may be written in several ways.
            let address = |text: &str| text.parse::<IpAddr>().ok();
            let named = value.as_str().unwrap();
            let is_same = address(&id).is_some() && address(&id) == address(named);
            Some(Value::String(if is_same { named.to_owned() } else { id }))
        }
        "attempts" => Some(Value::from(failure.attempts)),
        "users" => Some(Value::from(failure.users.to_vec())),
        _ => group(key),
    };
    let sorted = |value: &Value| {
        let Some(list) = value.as_array() else {
            return value.clone();
        };
        let mut list: Vec<String> = list.iter().map(ToString::to_string).collect();
        list.sort();
        Value::from(list)
    };
    let found = found.unwrap_or(Value::Null);
    (sorted(&found) != sorted(value)).then(|| format!("{key} is {found} instead of {value}"))
}

/// `2005-08-14T9:0:1`, padded or not, with or without a fraction.
fn local_time(text: &str) -> DateTime {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<i16> = whole
        .split(['-', 'T', ':'])
        .map(|part| part.parse().expect(text))
        .collect();
    let [year, month, day, hour, minute, second] = parts[..] else {
        panic!("{text}")
    };
    let small = |part: i16| i8::try_from(part).expect(text);
    let nanoseconds: i32 = format!("{fraction:0<9}").parse().expect(text);
    let date = jiff::civil::date(year, small(month), small(day));
    date.at(small(hour), small(minute), small(second), nanoseconds)
}

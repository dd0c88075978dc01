//! One form of a date: `%Y-%m-%d` and the like among regular expressions, as a pattern for Rust's engine.

use super::{error::DateError, fields::Field};

/// What the groups of a template mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Year, month, hour …
    Calendar,
    /// Seconds since 1970, or milliseconds or microseconds if it is longer.
    Epoch,
    /// `@4000000050…`
    Tai64n,
}

/// A form of date.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// For the engine; its first group is what is cut out of a line.
    pub(super) pattern: String,
    pub(super) kind: Kind,
    /// Only at the start of a line.
    pub(super) is_anchored: bool,
}

/// `{^LN-BEG}`: at the start of the line, behind at most two characters such as `[` and `<`.
const AT_START: &str = "{^LN-BEG}";
const UNBOUND: &str = "{UNB}";
const EPOCH: &str = r"[0-9]{10,11}\b(?:\.[0-9]{3,6})?";
const LONG_EPOCH: &str = r"[0-9]{10,11}(?:[0-9]{3}(?:\.[0-9]{1,6}|[0-9]{3})?)?";
/// Not between two letters of one word.
const BOUND: &str = r"(?:\b{start-half}|\b{end-half})";

/// The forms that are tried when a filter names none, the most exact ones first. `SEP` is one of
/// the separators that `[SEP:…]` lists, the same throughout.
const DEFAULTS: &[&str] = &[
    r"%ExY[SEP:-/.]%mSEP%d(?:T|  ?)%H:%M:%S(?:[.,]%f)?(?:\s*%z)?",
    r"(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    r"(?:%a )?%b %d %ExY %k:%M:%S(?:\.%f)?",
    r"%d[SEP:-/]%mSEP(?:%ExY|%Exy) %k:%M:%S",
    r"%d[SEP:-/]%bSEP%ExY[ :]?%H:%M:%S(?:\.%f)?(?: %z)?",
    r"%m/%d/%ExY:%H:%M:%S",
    r"%m-%d-%ExY %k:%M:%S(?:\.%f)?",
    "EPOCH",
    r"{^LN-BEG}%H:%M:%S",
    r"^<%m/%d/%Exy@%H:%M:%S>",
    r"%Exy%Exm%Exd  ?%H:%M:%S",
    r"%b %d, %ExY %I:%M:%S %p",
    r"^%b-%d-%Exy %k:%M:%S",
    r"%ExY%Exm%Exd(?:T|  ?)%ExH%ExM%ExS(?:[.,]%f)?(?:\s*%z)?",
    r"(?:%Z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    r"(?:%z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    "TAI64N",
];

/// The templates of a filter's date patterns; without any, the default ones.
///
/// # Errors
/// What is wrong with one of the patterns.
pub(super) fn templates(patterns: &[String]) -> Result<Vec<Template>, DateError> {
    let mut result = Vec::new();
    if patterns.is_empty() {
        add_defaults(&mut result, Which::All)?;
    }
    for pattern in patterns {
        let upper = pattern.to_uppercase();
        match upper.as_str() {
            "{DEFAULT}" => add_defaults(&mut result, Which::All)?,
            AT_START => add_defaults(&mut result, Which::AtStart)?,
            "{NONE}" => result.push(Template {
                pattern: "^()".to_owned(),
                kind: Kind::Calendar,
                is_anchored: true,
            }),
            _ => match upper.find("{DATE}") {
                Some(at) => {
                    let (before, behind) = (&pattern[..at], &pattern[at + "{DATE}".len()..]);
                    for default in DEFAULTS {
                        let bare = default.strip_prefix(AT_START).unwrap_or(default);
                        let is_word = matches!(bare, "EPOCH" | "TAI64N");
                        // Words stand for themselves only if nothing but an anchor is before them.
                        if !is_word || matches!(before, "" | "^") && behind.is_empty() {
                            add(&mut result, &format!("{before}{bare}{behind}"))?;
                        }
                    }
                }
                None => add(&mut result, pattern)?,
            },
        }
    }
    Ok(result)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    AtStart,
}

fn add_defaults(result: &mut Vec<Template>, which: Which) -> Result<(), DateError> {
    let is_bound = |pattern: &str| pattern.starts_with(AT_START) || pattern.starts_with('^');
    for default in DEFAULTS {
        if !is_bound(default) {
            add(result, &format!("{AT_START}{default}"))?;
        }
    }
    for default in DEFAULTS {
        if which == Which::All || is_bound(default) {
            add(result, default)?;
        }
    }
    Ok(())
}

fn add(result: &mut Vec<Template>, pattern: &str) -> Result<(), DateError> {
    for variant in separated(pattern) {
        result.push(template(&variant)?);
    }
    Ok(())
}

/// One variant per separator: what fail2ban writes with a back-reference.
fn separated(pattern: &str) -> Vec<String> {
    let pattern = pattern
        .replace("(?P<_sep>[", "[SEP:")
        .replace("(?P=_sep)", "SEP")
        .replace("])", "]\u{0})");
    let closed = |text: &str| text.replace("]\u{0})", "])");
    let Some((before, rest)) = pattern.split_once("[SEP:") else {
        return vec![closed(&pattern)];
    };
    let Some((letters, behind)) = rest.split_once(']') else {
        return vec![closed(&pattern)];
    };
    // The group that fail2ban's pattern opened is closed here.
    let behind = behind.strip_prefix("\u{0})").unwrap_or(behind);
    letters
        .chars()
        .filter(|letter| *letter != '\\')
        .map(|letter| {
            let letter = format!("\\{letter}");
            closed(&format!(
                "{before}{letter}{}",
                behind.replace("SEP", &letter)
            ))
        })
        .collect()
}

/// One pattern as fail2ban reads it.
fn template(pattern: &str) -> Result<Template, DateError> {
    let upper = pattern.to_uppercase();
    let bare = upper
        .strip_prefix(AT_START)
        .or(upper.strip_prefix('^'))
        .unwrap_or(&upper);
    let is_at_start = bare.len() < upper.len();
    match (bare, is_at_start) {
        ("EPOCH" | "LEPOCH", _) => {
            let digits = if bare == "EPOCH" { EPOCH } else { LONG_EPOCH };
            let before = if is_at_start {
                r"^\W{0,2}"
            } else {
                r"(?:^\[?|\baudit\()"
            };
            return Ok(Template {
                pattern: format!("{before}(({digits})){BOUND}"),
                kind: Kind::Epoch,
                is_anchored: is_at_start,
            });
        }
        ("TAI64N", _) => {
            let before = if is_at_start { r"^\W{0,2}" } else { "" };
            return Ok(Template {
                pattern: format!("{before}(@[0-9a-f]{{24}}){BOUND}"),
                kind: Kind::Tai64n,
                is_anchored: is_at_start,
            });
        }
        (_, _) => {}
    }
    for (word, digits) in [("{EPOCH}", EPOCH), ("{LEPOCH}", LONG_EPOCH)] {
        if let Some(at) = upper.find(word) {
            let (before, behind) = (&pattern[..at], &pattern[at + word.len()..]);
            let text = format!("({before}({digits}){behind})");
            return Ok(bounded(&text, "", Start::Word, Kind::Epoch));
        }
    }
    let (pattern, start) = if let Some(rest) = pattern.strip_prefix(UNBOUND) {
        (rest, Start::Free)
    } else if let Some(rest) = pattern.strip_prefix(AT_START) {
        (rest, Start::Line)
    } else {
        (pattern, Start::Word)
    };
    let (text, has_names) = Field::expand(pattern)?;
    let flags = if has_names { "(?i)" } else { "" };
    Ok(bounded(text.trim(), flags, start, Kind::Calendar))
}

/// Where a date may begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Anywhere.
    Free,
    /// Where a word may.
    Word,
    /// At the start of the line, or two characters into it.
    Line,
}

fn bounded(text: &str, flags: &str, start: Start, kind: Kind) -> Template {
    let open = text.trim_start_matches('(');
    let is_begun = open.starts_with(['^', '*']) || text.starts_with("(?:^");
    let closed = text.trim_end_matches(')');
    let is_ended = closed.ends_with("**")
        || ["$", "$)", r"\b", r"\s"]
            .iter()
            .any(|end| text.ends_with(end));
    let body = text.replace("**", "");
    let body = if has_group(&body) {
        body
    } else {
        let (anchor, rest) = match body.strip_prefix('^') {
            Some(rest) => ("^", rest),
            None => ("", body.as_str()),
        };
        let (rest, end) = match rest.strip_suffix('$') {
            Some(rest) => (rest, "$"),
            None => (rest, ""),
        };
        format!("{anchor}({rest}){end}")
    };
    let before = match start {
        _ if is_begun => "",
        Start::Free => "",
        Start::Word => BOUND,
        Start::Line => r"^\W{0,2}",
    };
    let behind = if is_ended || start == Start::Free {
        ""
    } else {
        BOUND
    };
    let is_anchored = start == Start::Line && !is_begun
        || ["^", "(^", "(?:^"]
            .iter()
            .any(|begin| body.starts_with(begin) && !body.starts_with("(?:^|"));
    Template {
        pattern: format!("{flags}{before}{body}{behind}"),
        kind,
        is_anchored,
    }
}

/// A `(` that captures and has no name.
fn has_group(text: &str) -> bool {
    let bytes = text.as_bytes();
    (0..bytes.len()).any(|at| {
        bytes[at] == b'('
            && bytes.get(at + 1) != Some(&b'?')
            && !text[..at].ends_with('\\')
            && !text[..at].ends_with("(?")
    })
}

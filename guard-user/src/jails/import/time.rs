//! Lengths of time in fail2ban's files, which are sums and products there: `10m`, `24*60*60`, `1d + 12h`.

use thiserror::Error;

use crate::jails::span;

/// It is not a length of time, or arithmetic that nobody should need here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a length of time that guard knows")]
pub(super) struct NoLength(String);

/// Seconds, at least 0; below 0 stands for ever.
///
/// # Errors
/// It is not a length of time, or arithmetic that nobody should need here.
pub(super) fn seconds(text: &str) -> Result<i64, NoLength> {
    let text = text.trim();
    if let Some(behind) = text.strip_prefix('-') {
        return sum(behind).map(|seconds| -seconds);
    }
    sum(text)
}

fn sum(text: &str) -> Result<i64, NoLength> {
    let wrong = || NoLength(text.to_owned());
    let mut sum = 0_i64;
    for term in text.split('+') {
        let mut product = 1_i64;
        for factor in term.split('*') {
            let factor = factor.trim();
            let is_nothing = factor
                .trim_end_matches(|letter: char| letter.is_ascii_alphabetic())
                .bytes()
                .all(|byte| byte == b'0')
                && factor.starts_with('0');
            let seconds = if is_nothing {
                0
            } else {
                let length = span::parse(factor).map_err(|_| wrong())?;
                i64::try_from(length.as_secs()).map_err(|_| wrong())?
            };
            product = product.checked_mul(seconds).ok_or_else(wrong)?;
        }
        sum = sum.checked_add(product).ok_or_else(wrong)?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_fail2ban() {
        for (text, expected) in [
            ("600", 600),
            ("10m", 600),
            ("1d 12h", 129_600),
            ("1h30m", 5400),
            ("24*60*60", 86_400),
            ("7 * 24 * 60 * 60", 604_800),
            ("1hour+30min", 5400),
            ("2*1h + 60", 7260),
            ("-1", -1),
            ("0", 0),
            ("0m", 0),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "soon",
            "1.5h",
            "1h-10m",
            "import os",
            "9999999999*9999999999y",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}

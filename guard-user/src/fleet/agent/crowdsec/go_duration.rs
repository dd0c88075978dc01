//! Lengths of time as Go prints them: `3h59m57.6s`, `-1m0s`, `9.2ms`. A negative one has passed.

/// Whole seconds, rounded up; what has passed is 0. `None`: no length of time.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let (is_past, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|letter: char| letter.is_ascii_digit() || letter == '.')
            .unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        rest = &rest[letters..];
        total += number * unit;
    }
    if is_past {
        return Some(0);
    }
    // Go's longest is 292 years; a float that is larger becomes the largest number.
    total.is_finite().then(|| total.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_prints_is_read() {
        for (text, expected) in [
            ("3h59m57.6s", 14_398),
            ("4h0m0s", 14_400),
            ("1.5h", 5400),
            ("9.219791ms", 1),
            ("150\u{b5}s", 1),
            ("0s", 0),
            ("0", 0),
            ("-1m", 0),
            ("-9.219791ms", 0),
            ("2562047h47m16.854775807s", 9_223_372_037),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn whatever_else_is_no_length_of_time() {
        for text in [
            "", "-", "4", "h", "4 h", "4d", "1.2.3s", ".s", "+1s", "nan", "infs", "4h3",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
        let huge = format!("{}h", "9".repeat(400));
        assert_eq!(seconds(&huge), None);
    }
}

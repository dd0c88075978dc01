//! The log that a client can forge whole: nginx writes decoded paths and user names into its error log as they are,
//! line feeds included. Whoever believes its lines bans whomever a client names.

/// What pattern for its lines have and no others: `7#7: ` of process and thread, and how the client is named.
const MARKS: [&str; 4] = [r"\d+#\d+", r"\d*#\d*", "client: <HOST>", "client: <ADDR>"];

/// Do some of these patterns match lines of nginx's error log?
pub(super) fn are_for_it<'p>(mut patterns: impl Iterator<Item = &'p str>) -> bool {
    patterns.any(|pattern| MARKS.iter().any(|mark| pattern.contains(mark)))
}

/// Does a log that begins so look like one of nginx's errors: `2026/11/28 10:57:25 [error] 7#7: `?
#[must_use]
pub fn is_it(first: &[u8]) -> bool {
    let Some((date, rest)) = first.split_at_checked("2026/11/28 10:57:25 [".len()) else {
        return false;
    };
    let is_date = date
        .iter()
        .zip(b"0000/00/00 00:00:00 [")
        .all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            _ => byte == form,
        });
    let level = rest.iter().position(|byte| !byte.is_ascii_lowercase());
    let behind = level.map(|end| &rest[end..]);
    let process = behind.and_then(|behind| behind.strip_prefix(b"] "));
    let number = process.and_then(|text| text.iter().position(|byte| !byte.is_ascii_digit()));
    is_date && matches!((process, number), (Some(text), Some(end)) if end > 0 && text[end] == b'#')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::{Definition, Given, builtin};

    #[test]
    fn an_error_log_of_nginx_is_known_by_its_first_line() {
        for (line, is_so) in [
            ("2026/11/28 10:57:25 [error] 7#7: *1 open()", true),
            ("2026/11/28 10:57:25 [notice] 12#0: x", true),
            ("2026/11/28 10:57:25 error 7#7: x", false),
            ("2026-11-28 10:57:25 [error] 7#7: x", false),
            ("203.0.113.7 - - [28/Nov/2026:10:57:25 +0000]", false),
            ("2026/11/28 10:57:25 [error] x", false),
            ("", false),
        ] {
            assert_eq!(is_it(line.as_bytes()), is_so, "{line}");
        }
    }

    #[test]
    fn a_built_in_filter_believes_it_only_when_it_is_told_to() {
        for name in builtin::names() {
            let file = builtin::file(name).unwrap();
            let definition = Definition::read(&file, &Given::new()).unwrap();
            assert!(!definition.is_forgeable, "{name}");
        }
        let given = Given::from([("log".to_owned(), "error".to_owned())]);
        for name in ["nginx-http-auth", "nginx-botsearch", "nginx-limit-req"] {
            let definition = Definition::read(&builtin::file(name).unwrap(), &given).unwrap();
            assert!(definition.is_forgeable, "{name}");
            let warning = definition.warnings.first().expect(name);
            assert!(warning.message.contains("anyone banned"), "{warning}");
        }
    }
}

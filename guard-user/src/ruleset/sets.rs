//! Named sets of prefixes: inline, or from a file with one prefix per line (`#` and `;` begin a
//! comment, so that common feeds can be used as they are).

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use ipnetwork::IpNetwork;

use crate::text::{
    address,
    diagnostic::{Diagnostic, Diagnostics, Position},
    nearest::nearest,
    value::{BadValue, quoted},
};

/// Contents of every set, by name without `@`.
pub type SetTable = BTreeMap<String, Arc<[IpNetwork]>>;

/// Problems of one kind reported per set file; a feed in a wrong format has one per line.
const MAX_REPORTED: usize = 20;

/// The complaint about a set that no file defines.
pub(super) fn unknown<'k>(name: &str, known: impl Iterator<Item = &'k str> + Clone) -> BadValue {
    let shown = quoted(&format!("@{name}"));
    let message = match nearest(name, known.clone()) {
        Some(near) => format!("unknown set {shown}; did you mean \"@{near}\""),
        None => format!("unknown set {shown}"),
    };
    let names: Vec<String> = known.take(10).map(|name| format!("@{name}")).collect();
    let bad = BadValue::new(message);
    if names.is_empty() {
        bad.help("define it in guard.toml below [sets]: name = [\"192.0.2.0/24\"]")
    } else {
        bad.help(format!("defined sets: {}", names.join(", ")))
    }
}

/// Reads the text of a set file; `None` if any line is wrong.
pub(super) fn read_file(
    file: &Arc<PathBuf>,
    bytes: &[u8],
    problems: &mut Diagnostics,
) -> Option<Vec<IpNetwork>> {
    let mut networks = Vec::new();
    let (mut wrong, mut remarked) = (0, 0);
    for (index, raw) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let read = match std::str::from_utf8(raw) {
            Ok(line) => content(line).map(address::parse_network).transpose(),
            Err(_) => Err(BadValue::new("the line is not UTF-8 text")),
        };
        let at = Position {
            line: index + 1,
            column: 1 + raw
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count(),
        };
        match read {
            Ok(None) => {}
            Ok(Some((network, note))) => {
                networks.push(network);
                if let Some(note) = note {
                    remarked += 1;
                    if remarked <= MAX_REPORTED {
                        problems.push(Diagnostic::warning(file.clone(), Some(at), note));
                    }
                }
            }
            Err(bad) => {
                wrong += 1;
                if wrong <= MAX_REPORTED {
                    let problem = Diagnostic::error(file.clone(), Some(at), bad.message);
                    problems.push(problem.with_help(bad.help));
                }
            }
        }
    }
    if wrong > MAX_REPORTED {
        let message = format!("{} more lines are wrong", wrong - MAX_REPORTED);
        let help = "a set file has one address or prefix per line; # and ; begin a comment";
        let problem = Diagnostic::error(file.clone(), None, message);
        problems.push(problem.with_help(Some(help.to_owned())));
    }
    (wrong == 0).then_some(networks)
}

/// What a line says beside comments and spaces.
fn content(line: &str) -> Option<&str> {
    let text = line.split(['#', ';']).next().unwrap_or("").trim();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_reads_with_its_comments() {
        let mut problems = Diagnostics::default();
        let file = Arc::new(PathBuf::from("drop.txt"));
        let text = b"; Spamhaus\n# more\n\n1.10.16.0/20 ; SBL256894\r\n2001:db8::/32\n192.0.2.1";

        let networks = read_file(&file, text, &mut problems).expect("no errors");

        let shown: Vec<String> = networks.iter().map(address::show).collect();
        assert_eq!(shown, ["1.10.16.0/20", "2001:db8::/32", "192.0.2.1"]);
        assert!(problems.is_empty());
    }

    #[test]
    fn a_wrong_format_is_reported_by_line_and_not_endlessly() {
        let mut problems = Diagnostics::default();
        let file = Arc::new(PathBuf::from("drop.txt"));
        let text = format!("192.0.2.1\n  bad\n{}", "<html>\n".repeat(1000));

        assert_eq!(read_file(&file, text.as_bytes(), &mut problems), None);

        let first = problems.iter().next().expect("one").to_string();
        assert!(
            first.starts_with("drop.txt:2:3: \"bad\" is not an address"),
            "{first}"
        );
        assert_eq!(problems.len(), MAX_REPORTED + 1);
    }
}

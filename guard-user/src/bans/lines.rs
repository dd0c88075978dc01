//! Lists of networks as they are handed around: one per line with comments, Spamhaus' DROP
//! (`1.2.3.0/24 ; SBL123`), `ipset save` (`add NAME 1.2.3.4 timeout 600`), what `bans export` writes, and the forms
//! of `forms`.

mod forms;

use std::time::Duration;

use super::{
    prefix::Prefix,
    target::{Reading, Target},
    term::{LONGEST, Term},
};
use crate::ruleset::value::quoted;

/// Wrong lines that are told one by one; a file of another kind has one per line.
pub const MOST_TOLD: usize = 20;
/// Longest line in bytes.
const LONGEST_LINE: usize = 4096;
/// Longest reason in bytes: `ipset`'s own limit for a comment.
pub const LONGEST_REASON: usize = 255;

/// What a list says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// Every line that can be used, in order.
    pub entries: Vec<Entry>,
    /// The first wrong lines, [`MOST_TOLD`] at most.
    pub wrong: Vec<WrongLine>,
    /// How many lines are wrong.
    pub wrong_count: usize,
    /// IPv6 addresses that were taken for their /64.
    pub aggregated: usize,
    /// IPv4 addresses in IPv6 notation.
    pub unmapped: usize,
    /// There are more lines, which were not read.
    pub is_cut: bool,
}

/// A line that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// From 1.
    pub line: u32,
    /// What it names.
    pub target: Target,
    /// For how long, if the line says so.
    pub term: Option<Term>,
    /// Why, if the line says so.
    pub reason: Option<Box<str>>,
}

/// A line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongLine {
    /// From 1.
    pub line: u32,
    /// What is wrong with it.
    pub message: String,
}

/// Words of an entry beside its network.
#[derive(Default)]
struct Options {
    term: Option<Term>,
    reason: Option<Box<str>>,
}

impl Lines {
    /// Reads a whole list. Wrong lines are part of the answer.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        Self::read_up_to(bytes, usize::MAX)
    }

    /// The same, but no further than `most` lines that can be used.
    #[must_use]
    pub fn read_up_to(bytes: &[u8], most: usize) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut lines = Self::default();
        for (index, raw) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let text = std::str::from_utf8(raw)
                .ok()
                .filter(|_| raw.len() <= LONGEST_LINE);
            let is_first = lines.said() == 0;
            match text.and_then(|text| forms::networks(text, is_first)) {
                Some(named) => lines.take_named(number, named),
                None => match read_line(raw) {
                    Ok(None) => {}
                    Ok(Some((target, options))) => lines.take(number, target, options),
                    Err(message) => lines.refuse(number, message),
                },
            }
            if lines.entries.len() > most {
                lines.entries.truncate(most);
                lines.is_cut = true;
                break;
            }
        }
        lines
    }

    /// All that a line names; of one that names something else, nothing.
    fn take_named(&mut self, line: u32, named: Result<Vec<String>, String>) {
        let targets = named.and_then(|texts| {
            let targets = texts.iter().map(|text| Target::parse(text));
            let targets: Result<Vec<Target>, _> = targets.collect();
            targets.map_err(|complaint| complaint.message)
        });
        match targets {
            Ok(targets) => {
                for target in targets {
                    self.take(line, target, Options::default());
                }
            }
            Err(message) => self.refuse(line, message),
        }
    }

    fn take(&mut self, line: u32, target: Target, options: Options) {
        self.aggregated += usize::from(target.reading == Reading::Aggregated);
        self.unmapped += usize::from(target.reading == Reading::Unmapped);
        self.entries.push(Entry {
            line,
            target,
            term: options.term,
            reason: options.reason,
        });
    }

    /// Adds a line that turned out to be wrong.
    pub fn refuse(&mut self, line: u32, message: String) {
        self.wrong_count += 1;
        if self.wrong.len() < MOST_TOLD {
            self.wrong.push(WrongLine { line, message });
        }
    }

    /// Lines that say something.
    #[must_use]
    pub fn said(&self) -> usize {
        self.entries.len() + self.wrong_count
    }
}

/// As a line that [`Lines::read`] reads back.
#[must_use]
pub fn write_line(prefix: Prefix, term: Term, reason: &str) -> String {
    let mut line = prefix.to_string();
    if let Term::For(left) = term {
        // A ban that is about to end is still one.
        let seconds = left.as_secs().max(1);
        line.push_str(&format!(" timeout {seconds}"));
    }
    if !reason.is_empty() {
        let reason: String = reason.chars().map(harmless).collect();
        line.push_str(&format!(" comment \"{reason}\""));
    }
    line
}

/// Neither the end of a comment nor of a line.
fn harmless(c: char) -> char {
    match c {
        '"' => '\'',
        c if c.is_control() => ' ',
        c => c,
    }
}

fn read_line(raw: &[u8]) -> Result<Option<(Target, Options)>, String> {
    if raw.len() > LONGEST_LINE {
        return Err(format!("the line is longer than {LONGEST_LINE} bytes"));
    }
    let Ok(line) = std::str::from_utf8(raw) else {
        return Err("the line is not UTF-8 text".to_owned());
    };
    let mut rest = line.trim();
    let mut word = next_word(&mut rest);
    match word {
        "" => return Ok(None),
        // The head of a set in `ipset save`; its members say for themselves how long.
        "create" | "-N" => return Ok(None),
        "add" | "-A" => {
            word = next_word(&mut rest);
            if is_flag(word) {
                word = next_word(&mut rest);
            }
            if word.is_empty() {
                return Err("`add` names no set".to_owned());
            }
            word = next_word(&mut rest);
            if word.is_empty() {
                return Err("`add` names no address".to_owned());
            }
        }
        _ => {}
    }
    let target = Target::parse(word).map_err(|complaint| complaint.message)?;
    let options = options(&mut rest)?;
    Ok(Some((target, options)))
}

fn options(rest: &mut &str) -> Result<Options, String> {
    let mut options = Options::default();
    loop {
        match next_word(rest) {
            "" => return Ok(options),
            "timeout" => options.term = Some(timeout(next_word(rest))?),
            "comment" => options.reason = Some(comment(rest)?),
            // Counters of a set that counts.
            "packets" | "bytes" | "skbmark" | "skbprio" | "skbqueue" => {
                next_word(rest);
            }
            "nomatch" => {
                return Err(
                    "`nomatch`: exceptions belong into the never list (`guardctl never add`)"
                        .to_owned(),
                );
            }
            word if is_flag(word) => {}
            word => return Err(format!("{} behind the network", quoted(word))),
        }
    }
}

fn is_flag(word: &str) -> bool {
    ["-exist", "-!"].contains(&word)
}

/// `ipset` writes 0 for what has no end.
fn timeout(word: &str) -> Result<Term, String> {
    let seconds = word.parse().ok().map(Duration::from_secs);
    match seconds {
        Some(Duration::ZERO) => Ok(Term::Permanent),
        Some(time) if time <= LONGEST => Ok(Term::For(time)),
        Some(_) | None => Err(format!("timeout {} is no number of seconds", quoted(word))),
    }
}

fn comment(rest: &mut &str) -> Result<Box<str>, String> {
    let text = rest.trim_start();
    let Some((inner, behind)) = text.strip_prefix('"').and_then(|open| open.split_once('"')) else {
        return Err("`comment` takes a text in quotes".to_owned());
    };
    *rest = behind;
    if inner.len() > LONGEST_REASON {
        return Err(format!("the comment is longer than {LONGEST_REASON} bytes"));
    }
    Ok(inner.into())
}

/// The next word; empty at the end and where a comment begins.
fn next_word<'t>(rest: &mut &'t str) -> &'t str {
    let text = rest.trim_start();
    let end = text
        .find(|c: char| c.is_whitespace() || c == '#' || c == ';')
        .unwrap_or(text.len());
    let (word, behind) = text.split_at(end);
    *rest = if word.is_empty() { "" } else { behind };
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Entry {
        let lines = Lines::read(text.as_bytes());
        assert_eq!(lines.wrong, [], "{text}");
        assert_eq!(lines.entries.len(), 1, "{text}");
        lines.entries.into_iter().next().expect("one")
    }

    #[test]
    fn the_usual_formats_are_read() {
        let for_ten_minutes = Some(Term::For(Duration::from_secs(600)));
        for (text, prefix, term, reason) in [
            ("1.2.3.4", "1.2.3.4", None, None),
            ("  1.2.3.4\r", "1.2.3.4", None, None),
            ("\u{feff}1.2.3.4", "1.2.3.4", None, None),
            ("1.2.3.4 # a scanner", "1.2.3.4", None, None),
            ("1.2.3.4#x", "1.2.3.4", None, None),
            ("1.10.16.0/20 ; SBL256894", "1.10.16.0/20", None, None),
            ("2001:db8::/32 ; SBL1", "2001:db8::/32", None, None),
            ("2001:db8::1", "2001:db8::/64", None, None),
            ("add bad 1.2.3.4", "1.2.3.4", None, None),
            (
                "add bad 1.2.3.4 timeout 600",
                "1.2.3.4",
                for_ten_minutes,
                None,
            ),
            (
                "add bad 1.2.3.4 timeout 0",
                "1.2.3.4",
                Some(Term::Permanent),
                None,
            ),
            ("add -exist bad 1.2.3.4", "1.2.3.4", None, None),
            ("add bad 1.2.3.4 -exist", "1.2.3.4", None, None),
            ("-A bad 1.2.3.4", "1.2.3.4", None, None),
            (
                "add bad 1.2.3.0/24 timeout 600 packets 3 bytes 180 comment \"ssh # 5 times\"",
                "1.2.3.0/24",
                for_ten_minutes,
                Some("ssh # 5 times"),
            ),
        ] {
            let entry = one(text);
            assert_eq!(entry.target.prefix.to_string(), prefix, "{text}");
            assert_eq!(entry.term, term, "{text}");
            assert_eq!(entry.reason.as_deref(), reason, "{text}");
        }
    }

    #[test]
    fn lines_that_say_nothing_are_no_mistakes() {
        let text = "# a list\n\n; more\n   \ncreate bad hash:ip family inet timeout 300\n";
        assert_eq!(Lines::read(text.as_bytes()), Lines::default());
    }

    #[test]
    fn garbage_is_reported_by_line_and_the_rest_is_read() {
        let text = b"1.2.3.4\n<html>\n5.6.7.8/8\n\xff\xfe\nadd\nadd x\n9.9.9.9 x\n\
            1.1.1.1 timeout soon\n1.1.1.1 comment x\nadd x 1.1.1.1 nomatch\n2.2.2.2";
        let lines = Lines::read(text);
        let found: Vec<(u32, &str)> = lines
            .wrong
            .iter()
            .map(|wrong| (wrong.line, wrong.message.as_str()))
            .collect();
        for ((line, message), (expected, part)) in found.iter().zip([
            (2, "neither an address"),
            (3, "host bits"),
            (4, "UTF-8"),
            (5, "no set"),
            (6, "no address"),
            (7, "behind the network"),
            (8, "no number of seconds"),
            (9, "quotes"),
            (10, "never list"),
        ]) {
            assert_eq!(*line, expected, "{message}");
            assert!(message.contains(part), "{line}: {message}");
        }
        assert_eq!((lines.wrong_count, lines.entries.len()), (9, 2));
        assert_eq!(lines.entries.last().map(|entry| entry.line), Some(11));
    }

    #[test]
    fn a_file_of_another_kind_is_not_told_line_by_line() {
        let lines = Lines::read("<html>\n".repeat(100_000).as_bytes());
        assert_eq!((lines.wrong.len(), lines.wrong_count), (MOST_TOLD, 100_000));
        let long = "1".repeat(LONGEST_LINE + 1);
        assert!(
            Lines::read(long.as_bytes()).wrong[0]
                .message
                .contains("longer")
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        for (text, term, reason) in [
            ("1.2.3.4", Term::Permanent, ""),
            ("2001:db8::/64", Term::For(Duration::from_secs(7)), "ssh"),
            ("2001:db8::1/128", Term::Permanent, "say \"no\"\nnow"),
        ] {
            let prefix = Target::parse(text).expect(text).prefix;
            let entry = one(&write_line(prefix, term, reason));
            assert_eq!(entry.target.prefix, prefix);
            assert_eq!(entry.term.unwrap_or(Term::Permanent), term);
            let safe = reason.replace('"', "'").replace('\n', " ");
            assert_eq!(entry.reason.as_deref().unwrap_or_default(), safe);
        }
    }
}

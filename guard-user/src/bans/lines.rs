//! Lists of networks as they are handed around: one per line with comments, Spamhaus' DROP
//! (`1.2.3.0/24 ; SBL123`), `ipset save` (`add NAME 1.2.3.4 timeout 600`), what `bans export` writes, and the forms
//! of `forms`.

mod error;
mod forms;

use std::{
    io::{self, Read},
    time::Duration,
};

use super::{
    list::{LONGEST_LINE, Raw, RawLines},
    prefix::Prefix,
    target::{BanTarget, Reading},
    term::{BanTerm, LONGEST},
};
use error::LineError;

/// Wrong lines that are reported one by one; a file of another kind has one per line.
pub const MOST_LISTED: usize = 20;
/// Longest reason in bytes: `ipset`'s own limit for a comment.
pub const LONGEST_REASON: usize = 255;

/// What a list says beside its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// Sources that can be used.
    pub named: u64,
    /// The first wrong lines, [`MOST_LISTED`] at most.
    pub wrong: Vec<WrongLine>,
    /// How many lines are wrong.
    pub wrong_count: usize,
    /// How many of them name what must not be banned.
    pub protected: usize,
    /// IPv6 addresses that were taken for their /64.
    pub aggregated: usize,
    /// IPv4 addresses in IPv6 notation.
    pub unmapped: usize,
}

/// Where entries go. What it says is wrong with one makes a wrong line of it.
pub type Take<'t, E> = dyn FnMut(ListEntry<'_>) -> Result<Option<String>, E> + 't;

/// Why a list was not read to its end.
#[derive(Debug)]
pub enum Stopped<E> {
    /// It could not be read.
    Unreadable(io::Error),
    /// Whoever takes the entries wants no more.
    Left(E),
}

/// A line that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListEntry<'l> {
    /// What it names.
    pub target: BanTarget,
    /// For how long, if the line says so.
    pub term: Option<BanTerm>,
    /// Why, if the line says so.
    pub reason: Option<&'l str>,
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
struct Options<'l> {
    term: Option<BanTerm>,
    reason: Option<&'l str>,
}

impl Lines {
    /// Reads a list to its end. Wrong lines are part of the answer.
    ///
    /// # Errors
    /// When it cannot be read, or `take` wants no more of it.
    pub fn read<E>(source: impl Read, take: &mut Take<'_, E>) -> Result<Self, Stopped<E>> {
        let mut raw_lines = RawLines::new(source);
        let mut lines = Self::default();
        let mut number = 0u32;
        while let Some(raw) = raw_lines.next_line().map_err(Stopped::Unreadable)? {
            number = number.saturating_add(1);
            let text = match raw {
                Raw::Line(line) => {
                    std::str::from_utf8(line).map_err(|_| "the line is not UTF-8 text".to_owned())
                }
                Raw::TooLong => Err(format!("the line is longer than {LONGEST_LINE} bytes")),
            };
            match text {
                Ok(text) => lines.line(number, text, take).map_err(Stopped::Left)?,
                Err(message) => lines.refuse(number, message),
            }
        }
        Ok(lines)
    }

    fn line<E>(&mut self, number: u32, text: &str, take: &mut Take<'_, E>) -> Result<(), E> {
        let read = match forms::networks(text, self.said() == 0) {
            // All that such a line names; of one that names something else, nothing.
            Some(named) => named.and_then(|texts| {
                let targets = texts.iter().map(|text| BanTarget::parse(text));
                let targets: Result<Vec<BanTarget>, _> = targets.collect();
                targets.map_err(|complaint| LineError::Target(complaint.message))
            }),
            None => match read_line(text) {
                Ok(None) => return Ok(()),
                Ok(Some((target, options))) => {
                    return self.take(number, target, &options, take);
                }
                Err(wrong) => Err(wrong),
            },
        };
        match read {
            Ok(targets) => targets
                .into_iter()
                .try_for_each(|target| self.take(number, target, &Options::default(), take)),
            Err(wrong) => {
                self.refuse(number, wrong.to_string());
                Ok(())
            }
        }
    }

    fn take<E>(
        &mut self,
        number: u32,
        target: BanTarget,
        options: &Options<'_>,
        take: &mut Take<'_, E>,
    ) -> Result<(), E> {
        let refused = take(ListEntry {
            target,
            term: options.term,
            reason: options.reason,
        })?;
        match refused {
            Some(message) => {
                self.protected += 1;
                self.refuse(number, message);
            }
            None => self.note(target.reading),
        }
        Ok(())
    }

    /// Counts a source that is taken.
    fn note(&mut self, reading: Reading) {
        self.named += 1;
        self.aggregated += usize::from(reading == Reading::Aggregated);
        self.unmapped += usize::from(reading == Reading::Unmapped);
    }

    fn refuse(&mut self, line: u32, message: String) {
        self.wrong_count += 1;
        if self.wrong.len() < MOST_LISTED {
            self.wrong.push(WrongLine { line, message });
        }
    }

    /// Lines that say something.
    #[must_use]
    pub fn said(&self) -> u64 {
        self.named + self.wrong_count as u64
    }
}

/// As a line that [`Lines::read`] reads back.
#[must_use]
pub fn write_line(prefix: Prefix, term: BanTerm, reason: &str) -> String {
    let mut line = prefix.to_string();
    if let BanTerm::For(left) = term {
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

fn read_line(line: &str) -> Result<Option<(BanTarget, Options<'_>)>, LineError> {
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
                return Err(LineError::NoSet);
            }
            word = next_word(&mut rest);
            if word.is_empty() {
                return Err(LineError::NoAddress);
            }
        }
        _ => {}
    }
    let target =
        BanTarget::parse(word).map_err(|complaint| LineError::Target(complaint.message))?;
    let options = options(&mut rest)?;
    Ok(Some((target, options)))
}

fn options<'l>(rest: &mut &'l str) -> Result<Options<'l>, LineError> {
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
                return Err(LineError::IsException("nomatch"));
            }
            word if is_flag(word) => {}
            word => return Err(LineError::Behind(word.to_owned())),
        }
    }
}

fn is_flag(word: &str) -> bool {
    ["-exist", "-!"].contains(&word)
}

/// `ipset` writes 0 for what has no end.
fn timeout(word: &str) -> Result<BanTerm, LineError> {
    let seconds = word.parse().ok().map(Duration::from_secs);
    match seconds {
        Some(Duration::ZERO) => Ok(BanTerm::Permanent),
        Some(time) if time <= LONGEST => Ok(BanTerm::For(time)),
        Some(_) | None => Err(LineError::Timeout(word.to_owned())),
    }
}

fn comment<'l>(rest: &mut &'l str) -> Result<&'l str, LineError> {
    let text = rest.trim_start();
    let Some((inner, behind)) = text.strip_prefix('"').and_then(|open| open.split_once('"')) else {
        return Err(LineError::CommentUnquoted);
    };
    *rest = behind;
    if inner.len() > LONGEST_REASON {
        return Err(LineError::CommentTooLong);
    }
    Ok(inner)
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

    /// An entry, as it stays when its line is gone.
    struct Owned {
        target: BanTarget,
        term: Option<BanTerm>,
        reason: Option<String>,
    }

    fn read(text: &[u8]) -> (Lines, Vec<Owned>) {
        let mut entries = Vec::new();
        let mut take = |entry: ListEntry<'_>| -> Result<Option<String>, std::convert::Infallible> {
            entries.push(Owned {
                target: entry.target,
                term: entry.term,
                reason: entry.reason.map(str::to_owned),
            });
            Ok(None)
        };
        let lines = Lines::read(text, &mut take).expect("bytes");
        (lines, entries)
    }

    fn one(text: &str) -> Owned {
        let (lines, mut entries) = read(text.as_bytes());
        assert_eq!(lines.wrong, [], "{text}");
        assert_eq!(entries.len(), 1, "{text}");
        entries.remove(0)
    }

    #[test]
    fn the_usual_formats_are_read() {
        let for_ten_minutes = Some(BanTerm::For(Duration::from_secs(600)));
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
                Some(BanTerm::Permanent),
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
        assert_eq!(read(text.as_bytes()).0, Lines::default());
    }

    #[test]
    fn garbage_is_reported_by_line_and_the_rest_is_read() {
        let text = b"1.2.3.4\n<html>\n5.6.7.8/8\n\xff\xfe\nadd\nadd x\n9.9.9.9 x\n\
            1.1.1.1 timeout soon\n1.1.1.1 comment x\nadd x 1.1.1.1 nomatch\n2.2.2.2";
        let (lines, entries) = read(text);
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
            (7, "after the network"),
            (8, "not a number of seconds"),
            (9, "quotes"),
            (10, "never list"),
        ]) {
            assert_eq!(*line, expected, "{message}");
            assert!(message.contains(part), "{line}: {message}");
        }
        assert_eq!((lines.wrong_count, lines.named), (9, 2));
        let last = entries.last().map(|entry| entry.target.prefix.to_string());
        assert_eq!(last.as_deref(), Some("2.2.2.2"));
    }

    #[test]
    fn a_file_of_another_kind_is_not_told_line_by_line() {
        let (lines, _) = read("<html>\n".repeat(100_000).as_bytes());
        assert_eq!(
            (lines.wrong.len(), lines.wrong_count),
            (MOST_LISTED, 100_000)
        );
        let long = "1".repeat(LONGEST_LINE + 1);
        assert!(read(long.as_bytes()).0.wrong[0].message.contains("longer"));
    }

    #[test]
    fn what_is_written_reads_back() {
        for (text, term, reason) in [
            ("1.2.3.4", BanTerm::Permanent, ""),
            ("2001:db8::/64", BanTerm::For(Duration::from_secs(7)), "ssh"),
            ("2001:db8::1/128", BanTerm::Permanent, "say \"no\"\nnow"),
        ] {
            let prefix = BanTarget::parse(text).expect(text).prefix;
            let entry = one(&write_line(prefix, term, reason));
            assert_eq!(entry.target.prefix, prefix);
            assert_eq!(entry.term.unwrap_or(BanTerm::Permanent), term);
            let safe = reason.replace('"', "'").replace('\n', " ");
            assert_eq!(entry.reason.as_deref().unwrap_or_default(), safe);
        }
    }
}

//! `filter test`: reads a log with a filter and reports.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::{
    failure::{Exit, Failure, from_io},
    filters::{Failure as LoginFailure, Filter, Host, LineOutcome, LineTime},
    logs::{self, Matches},
    output::Output,
    text::value::quoted,
};

/// Longer lines are cut; what comes behind is not read.
const MAX_LINE_BYTES: u64 = 64 * 1024;
/// Hosts that the text shows; the JSON has them all.
const HOSTS_SHOWN: usize = 20;

/// Which lines to show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) missed: bool,
    pub(super) matched: bool,
}

#[derive(Debug, Default)]
struct Report {
    lines: u64,
    matched: u64,
    ignored: u64,
    pending: u64,
    missed: u64,
    undated: u64,
    cut: u64,
    patterns: BTreeMap<usize, u64>,
    hosts: BTreeMap<String, u64>,
    matched_lines: Vec<(String, String)>,
    missed_lines: Vec<String>,
}

/// What is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'s> {
    /// A file, or standard input.
    File(&'s Path),
    /// The journal of a unit, or of what matches.
    Journal(&'s str),
}

/// Reads the log.
pub(super) fn run(
    filter: &mut Filter,
    source: Source<'_>,
    wanted: Wanted,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let report = match source {
        Source::File(log) => file(filter, log, wanted)?,
        Source::Journal(unit) => journal(filter, Path::new("journalctl"), unit, wanted)?,
    };
    let counts = filter.counts();
    output.show(
        |out| {
            for (host, line) in &report.matched_lines {
                writeln!(out, "{}\t{}", printable(host), printable(line))?;
            }
            for line in &report.missed_lines {
                writeln!(out, "missed\t{}", printable(line))?;
            }
            writeln!(
                out,
                "{} lines: {} matched, {} ignored, {} pending, {} missed",
                report.lines, report.matched, report.ignored, report.pending, report.missed
            )?;
            for (number, count) in &report.patterns {
                let pattern = &filter.definition().failures[*number].text;
                writeln!(out, "{count:8}  failregex {}: {}", number + 1, shortened(pattern))?;
            }
            let mut hosts: Vec<(&String, &u64)> = report.hosts.iter().collect();
            hosts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for (host, count) in hosts.iter().take(HOSTS_SHOWN) {
                writeln!(out, "{count:8}  {}", printable(host))?;
            }
            if hosts.len() > HOSTS_SHOWN {
                writeln!(out, "          and {} more", hosts.len() - HOSTS_SHOWN)?;
            }
            for (count, what) in [
                (counts.names, "failures with a host name: names are never looked up, so nobody is banned"),
                (report.undated, "failures without a time: they count as if they happened now"),
                (counts.too_long, "attempts that took too many steps and were given up"),
                (report.cut, "lines longer than 64 KiB, of which the rest was not read"),
            ] {
                if count > 0 {
                    writeln!(out, "{count:8}  {what}")?;
                }
            }
            Ok(())
        },
        || {
            json!({
                "lines": report.lines,
                "matched": report.matched,
                "ignored": report.ignored,
                "pending": report.pending,
                "missed": report.missed,
                "undated": report.undated,
                "cut": report.cut,
                "names": counts.names,
                "too_long": counts.too_long,
                "patterns": report.patterns.iter().map(|(number, count)| pattern_json(filter, *number, *count)).collect::<Vec<_>>(),
                "hosts": report.hosts.iter().map(|(host, count)| json!({"host": host, "failures": count})).collect::<Vec<_>>(),
                "matched_lines": report.matched_lines.iter().map(|(host, line)| json!({"host": host, "line": line})).collect::<Vec<_>>(),
                "missed_lines": report.missed_lines,
            })
        },
    );
    Ok(if report.matched > 0 {
        Exit::Ok
    } else {
        Exit::NotFound
    })
}

fn file(filter: &mut Filter, log: &Path, wanted: Wanted) -> Result<Report, Failure> {
    let failed = |error: &io::Error| {
        if error.kind() == io::ErrorKind::NotFound {
            Failure::new(Exit::NotFound, format!("{}: {error}", log.display()))
                .help("name a log file, or - for standard input")
        } else {
            from_io(log.display(), error)
        }
    };
    let mut source: Box<dyn BufRead> = if log == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(
            File::open(log).map_err(|error| failed(&error))?,
        ))
    };
    read(filter, &mut source, wanted).map_err(|error| failed(&error))
}

fn journal(
    filter: &mut Filter,
    program: &Path,
    unit: &str,
    wanted: Wanted,
) -> Result<Report, Failure> {
    let matches = if unit.contains('=') {
        Matches::parse(unit)
    } else {
        Some(unit)
            .filter(|unit| !unit.is_empty() && !unit.contains(char::is_whitespace))
            .map(Matches::unit)
    };
    let Some(matches) = matches else {
        let message = format!(
            "{} is neither a systemd unit nor a journalctl match",
            quoted(unit)
        );
        return Err(Failure::new(Exit::Usage, message)
            .help("write ssh.service, or \"_SYSTEMD_UNIT=ssh.service + _COMM=sshd\""));
    };
    let mut report = Report::default();
    let unreadable = logs::journal::entries(program, &[matches], &mut |entry| {
        report.cut += u64::from(entry.is_cut);
        evaluate(
            filter,
            entry.line,
            LineTime::Known(entry.time_ms),
            &mut report,
            wanted,
        );
    })
    .map_err(|error| {
        let failure = from_io(program.display(), &error);
        if error.kind() == io::ErrorKind::NotFound {
            failure.help("there is no journal here; name a log file")
        } else {
            failure
        }
    })?;
    report.missed += unreadable;
    report.lines += unreadable;
    Ok(report)
}

fn read(filter: &mut Filter, source: &mut dyn BufRead, wanted: Wanted) -> io::Result<Report> {
    let mut report = Report::default();
    let mut line = Vec::new();
    while next_line(source, &mut line, &mut report.cut)? {
        let when = stamp(filter, now_ms());
        evaluate(filter, &line, when, &mut report, wanted);
    }
    Ok(report)
}

fn evaluate(filter: &mut Filter, line: &[u8], when: LineTime, report: &mut Report, wanted: Wanted) {
    let outcome = filter.line(line, when, now_ms());
    let text = || {
        let text = String::from_utf8_lossy(line);
        text.trim_end_matches(['\r', '\n']).to_owned()
    };
    report.lines += 1;
    match outcome {
        LineOutcome::Failure(failure) => {
            report.matched += 1;
            report.undated += u64::from(failure.time_ms.is_none());
            *report.patterns.entry(failure.pattern).or_default() += 1;
            *report.hosts.entry(failure.host.to_string()).or_default() += 1;
            if wanted.matched {
                report.matched_lines.push((named(&failure), text()));
            }
        }
        LineOutcome::Ignored => report.ignored += 1,
        LineOutcome::Pending => report.pending += 1,
        LineOutcome::None if filter.ignores(line, when) => report.ignored += 1,
        LineOutcome::None => {
            report.missed += 1;
            if wanted.missed {
                report.missed_lines.push(text());
            }
        }
    }
}

/// The next line with its line feed, cut if it is too long. `false` at the end.
fn next_line(source: &mut dyn BufRead, line: &mut Vec<u8>, cut: &mut u64) -> io::Result<bool> {
    line.clear();
    if source.take(MAX_LINE_BYTES).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.len() as u64 == MAX_LINE_BYTES && line.last() != Some(&b'\n') {
        *cut += 1;
        source.skip_until(b'\n')?;
    }
    Ok(true)
}

/// Lines of the journal have no date of their own.
fn stamp(filter: &Filter, now: i64) -> LineTime {
    if filter.is_for_journal() {
        LineTime::Known(now)
    } else {
        LineTime::InText
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn named(failure: &LoginFailure) -> String {
    match &failure.host {
        Host::Address(_) | Host::Network(..) => failure.host.to_string(),
        Host::Name(name) => format!("{name} (a name)"),
    }
}

/// What a terminal shows and does not obey: clients write into logs, and some letters turn the direction of others.
fn printable(text: &str) -> Cow<'_, str> {
    let is_hidden = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for letter in text.chars() {
        match is_hidden(letter) {
            true => shown.extend(letter.escape_default()),
            false => shown.push(letter),
        }
    }
    Cow::Owned(shown)
}

fn shortened(pattern: &str) -> String {
    let mut letters = pattern.chars();
    let start: String = letters.by_ref().take(100).collect();
    if letters.next().is_some() {
        format!("{start}…")
    } else {
        start
    }
}

fn pattern_json(filter: &Filter, number: usize, count: u64) -> Value {
    let expression = &filter.definition().failures[number];
    json!({"number": number + 1, "pattern": expression.text, "matched": count})
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::filters::{Given, builtin};

    #[test]
    fn every_line_is_counted_once_and_long_ones_are_cut() {
        let file = builtin::file("postfix").unwrap();
        let given = Given::from([("mode".to_owned(), "auth".to_owned())]);
        let mut filter = Filter::load(&file, &given).unwrap();
        let line = |text: &str| format!("Aug 14 10:00:00 srv postfix/smtpd[7]: {text}\n");
        let log = [
            line("warning: a[203.0.113.7]: SASL LOGIN authentication failed: x"),
            line("warning: a[203.0.113.7]: SASL LOGIN authentication failed: Connection lost to authentication server"),
            line("connect from a[203.0.113.7]"),
            line(&"x".repeat(100_000)),
            "warning: a[2001:db8::7]: SASL PLAIN authentication failed: undated, no line feed".to_owned(),
        ]
        .concat();
        let wanted = Wanted {
            missed: true,
            matched: true,
        };

        let report = read(&mut filter, &mut Cursor::new(log), wanted).unwrap();

        assert_eq!((report.lines, report.matched, report.ignored), (5, 1, 1));
        assert_eq!((report.missed, report.pending, report.cut), (3, 0, 1));
        assert_eq!(
            report.hosts,
            BTreeMap::from([("203.0.113.7".to_owned(), 1)])
        );
        assert_eq!(report.matched_lines.len(), 1);
        assert!(report.missed_lines[0].ends_with("connect from a[203.0.113.7]"));
    }

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        for (text, shown) in [
            ("a\u{1b}[2Kb\rc", "a\\u{1b}[2Kb\\rc"),
            ("tab\there\u{7}\u{9b}31m", "tab\\there\\u{7}\\u{9b}31m"),
            ("\u{202e}moor", "\\u{202e}moor"),
            ("Grüße \\x22 \"q\"", "Grüße \\x22 \"q\""),
        ] {
            assert_eq!(printable(text), shown);
        }
    }

    #[test]
    fn a_journal_is_read_as_the_filter_has_it_with_the_time_that_it_knows() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("journalctl");
        let entry = |process: u32, message: &str| {
            format!(
                "__CURSOR=c\n__REALTIME_TIMESTAMP=1700000000000000\n_HOSTNAME=srv\n\
                 SYSLOG_IDENTIFIER=sshd\n_PID={process}\nMESSAGE={message}\n\n"
            )
        };
        let text = entry(
            7,
            "Failed password for root from 203.0.113.7 port 40000 ssh2",
        ) + &entry(
            8,
            "Failed password for root from 2001:db8::7 port 40000 ssh2",
        ) + &entry(9, "Server listening on 0.0.0.0 port 22.");
        std::fs::write(folder.path().join("journal"), text).unwrap();
        let script = format!("#!/bin/sh\ncat {}/journal\n", folder.path().display());
        std::fs::write(&program, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).unwrap();
        let given = Given::from([("logtype".to_owned(), "journal".to_owned())]);
        let mut filter = Filter::load(&builtin::file("sshd").unwrap(), &given).unwrap();
        let wanted = Wanted {
            missed: true,
            matched: true,
        };

        let begun = std::time::Instant::now();
        let report = loop {
            match journal(&mut filter, &program, "ssh", wanted) {
                // Another test may have begun a child while the script was open for writing.
                Err(failure) if failure.message.contains("busy") => {
                    assert!(begun.elapsed().as_secs() < 20, "{failure}");
                }
                other => break other.unwrap(),
            }
        };

        assert_eq!((report.lines, report.matched, report.undated), (3, 2, 0));
        let hosts: Vec<&str> = report.hosts.keys().map(String::as_str).collect();
        assert_eq!(hosts, ["2001:db8::7", "203.0.113.7"]);
        assert_eq!(
            report.missed_lines,
            ["srv sshd[9]: Server listening on 0.0.0.0 port 22."]
        );
        for unit in ["", "a b", "comm=x"] {
            let failure = journal(&mut filter, &program, unit, wanted).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{unit}");
        }
        let none = Path::new("/nonexistent/journalctl");
        let failure = journal(&mut filter, none, "ssh", wanted).unwrap_err();
        assert!(failure.help.unwrap().contains("no journal here"));
    }
}

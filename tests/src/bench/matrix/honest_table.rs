//! What honest clients noticed, for people and for programs.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use super::{
    honest::{AT_ONCE, CONNECTIONS, DOWNLOAD_MOST, Noticed, Row, Work},
    host::Subject,
};
use crate::lab::{DownloadEnd, Downloaded};

/// What the numbers are.
#[must_use]
pub fn explanation(work: &Work) -> String {
    let (megabytes, most) = (work.download / 1_000_000, DOWNLOAD_MOST.as_secs());
    format!(
        "Honest clients while their port is flooded from random sources, 200 000 frames per second. They have a \
         cable of their own, and share two CPUs with the flood.\n\"pause\": the longest wait for an answer in a session with 50 \
         messages per second. \"idle\": is a session that was silent in the flood answered after it?\n\"MB/s\": a \
         download of {megabytes} MB from the flooded port, of which each byte is checked; \"late\": it had not ended \
         after {most} s.\n\"new\": of 200 new connections, per cent that were served within a second. \"UDP\": per cent \
         of datagrams of a known\nclient (60 per second) that were lost. \"HTTP/3\": does a page come?"
    )
}

const SUBJECTS: [Subject; 2] = [Subject::Guard, Subject::Nftables];
const COLUMNS: [&str; 6] = ["pause ms", "idle", "MB/s", "new %", "UDP lost %", "HTTP/3"];

/// The fields of a cell, in the order of [`COLUMNS`].
fn fields(noticed: &Noticed) -> [String; 6] {
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let broken = || "broken".to_owned();
    [
        noticed
            .longest
            .map_or_else(broken, |longest| format!("{:.0}", millis(longest))),
        yes(noticed.idle),
        rate(&noticed.download),
        format!("{:.1}", 100.0 * served(noticed)),
        format!("{:.1}", 100.0 * lost(noticed)),
        noticed.page.map_or_else(|| "-".to_owned(), yes),
    ]
}

fn rate(download: &Downloaded) -> String {
    let rate = download.rate();
    match download.end {
        DownloadEnd::Complete => format!("{rate:.1}"),
        DownloadEnd::OutOfTime => format!("{rate:.1} late"),
        DownloadEnd::BrokenOff(_) => "broken".to_owned(),
    }
}

fn millis(time: Duration) -> f64 {
    1000.0 * time.as_secs_f64()
}

fn served(noticed: &Noticed) -> f64 {
    noticed.served as f64 / CONNECTIONS as f64
}

fn lost(noticed: &Noticed) -> f64 {
    let (sent, answered) = noticed.datagrams;
    f64::from(sent.saturating_sub(answered)) / f64::from(sent.max(1))
}

fn flood(row: &Row) -> &'static str {
    row.kind.map_or("none", super::kind::Kind::name)
}

fn cell(row: &Row, subject: Subject) -> Option<[String; 6]> {
    let mut cells = row.cells.iter();
    let found = cells.find(|(of, _)| *of == subject)?;
    Some(fields(&found.1))
}

/// The rows of one target and family on a terminal.
#[must_use]
pub fn text(rows: &[Row]) -> String {
    let Some(first) = rows.first() else {
        return String::new();
    };
    let mut text = format!(
        "honest clients: {}, {}\n{:<21}",
        first.target.name(),
        first.family.name(),
        "flood"
    );
    for subject in SUBJECTS {
        text += &line(subject.name(), &COLUMNS.map(str::to_owned));
    }
    text.push('\n');
    for row in rows {
        put(&mut text, format_args!("{:<21}", flood(row)));
        for subject in SUBJECTS {
            let cell = cell(row, subject).unwrap_or_else(|| ["-"; 6].map(str::to_owned));
            text += &line("", &cell);
        }
        text.push('\n');
    }
    text
}

fn line(name: &str, fields: &[String; 6]) -> String {
    let mut text = format!(" | {name:>8}");
    for field in fields {
        put(&mut text, format_args!(" {field:>10}"));
    }
    text
}

/// The same in Markdown: in each field guard and nftables.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let Some(first) = rows.first() else {
        return String::new();
    };
    let mut text = format!(
        "**Honest clients, {}, {}**\n\n| flood | {} |\n|---|---|---|---|---|---|---|\n",
        first.target.name(),
        first.family.name(),
        COLUMNS.join(" | ")
    );
    for row in rows {
        let cells = SUBJECTS.map(|subject| cell(row, subject));
        let of = |column: usize| {
            let shown = cells.iter().map(|cell| match cell {
                Some(fields) => fields[column].clone(),
                None => "-".to_owned(),
            });
            shown.collect::<Vec<_>>().join(" / ")
        };
        let fields: Vec<String> = (0..COLUMNS.len()).map(of).collect();
        put(
            &mut text,
            format_args!("| {} | {} |\n", flood(row), fields.join(" | ")),
        );
    }
    text.push('\n');
    text
}

/// A row for programs. What broke off is left out.
#[must_use]
pub fn of_row(row: &Row) -> Value {
    let cells = row.cells.iter().map(|(subject, noticed)| {
        let mut cell = json!({
            "filter": subject.name(),
            "idle_session_answered": noticed.idle,
            "served_within_ms": AT_ONCE.as_millis() as u64,
            "share_of_new_connections_served": served(noticed),
            "share_of_datagrams_lost": lost(noticed),
        });
        if let Some(longest) = noticed.longest {
            cell["longest_pause_ms"] = json!(millis(longest));
        }
        let download = &noticed.download;
        cell["download_bytes"] = json!(download.bytes);
        cell["download_ended"] = json!(match &download.end {
            DownloadEnd::Complete => "complete",
            DownloadEnd::OutOfTime => "out of time",
            DownloadEnd::BrokenOff(_) => "broken off",
        });
        match &download.end {
            DownloadEnd::Complete | DownloadEnd::OutOfTime => {
                cell["download_megabytes_per_second"] = json!(download.rate());
            }
            DownloadEnd::BrokenOff(why) => cell["download_failure"] = json!(why),
        }
        if let Some(page) = noticed.page {
            cell["http3_page"] = json!(page);
        }
        cell
    });
    json!({
        "family": row.family.name(),
        "target": row.target.name(),
        "flood": flood(row),
        "filters": cells.collect::<Vec<_>>(),
    })
}

fn put(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _written = text.write_fmt(more);
}

#[cfg(test)]
mod tests {
    use super::{
        super::{kind::Family, target::Target},
        *,
    };

    fn row(noticed: Noticed) -> Row {
        Row {
            family: Family::V4,
            target: Target::Host,
            kind: None,
            cells: vec![(Subject::Guard, noticed)],
        }
    }

    fn noticed(end: DownloadEnd) -> Noticed {
        Noticed {
            longest: None,
            idle: false,
            download: Downloaded {
                bytes: 24_680_000,
                took: Duration::from_secs(2),
                end,
            },
            served: 150,
            datagrams: (60, 45),
            page: None,
        }
    }

    #[test]
    fn what_broke_off_is_a_word_for_people_and_left_out_for_programs() {
        let rows = [row(noticed(DownloadEnd::Complete))];
        let expected = "| none | broken / - | no / - | 12.3 / - | 75.0 / - | 25.0 / - | - / - |\n";
        assert!(markdown(&rows).contains(expected), "{}", markdown(&rows));
        assert!(text(&rows).contains("broken"), "{}", text(&rows));
        let value = of_row(&rows[0]);
        let cell = &value["filters"][0];
        assert_eq!(cell.get("longest_pause_ms"), None, "{value}");
        assert_eq!(cell["share_of_new_connections_served"], 0.75, "{value}");
        assert_eq!(cell["download_megabytes_per_second"], 12.34, "{value}");
    }

    #[test]
    fn a_download_that_did_not_end_says_how() {
        let broken = DownloadEnd::BrokenOff("reset".to_owned());
        for (end, shown, rate) in [
            (DownloadEnd::OutOfTime, "| 12.3 late / - |", Some(12.34)),
            (broken, "| broken / - |", None),
        ] {
            let row = row(noticed(end));
            let text = markdown(std::slice::from_ref(&row));
            assert!(text.contains(shown), "{text}");
            let value = of_row(&row);
            let of_download = value["filters"][0].get("download_megabytes_per_second");
            assert_eq!(of_download.and_then(Value::as_f64), rate, "{value}");
        }
    }
}

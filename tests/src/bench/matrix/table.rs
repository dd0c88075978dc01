//! The matrix for people: on the terminal row by row, in Markdown one line per flood; and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    Row,
    host::{Accounts, Subject},
    kind::{Family, Kind, Origin},
    target::Target,
};

/// What the numbers are.
pub const EXPLANATION: &str = "Floods of one port, as fast as one CPU sends. \"reached\": share of the packets that \
     the filter let through (guard's counters; nftables: of the\nrules that accept). \"back\": packets that the host \
     sent, per packet that arrived. \"ns\": CPU time of the threads that receive for the interface,\nper packet, with \
     what the cable itself takes, which is more in front of XDP: a program that only drops is beside it (\"bare\"). nftables has `ct state \
     invalid drop`,\nthe same rules and the kernel's own settings; \"strict\" has nf_conntrack_tcp_loose = 0. The first column of each \
     is frames sent. Shares count from the beginning of a flood, so \
     short ones show larger bursts.";

const SUBJECTS: [Subject; 3] = [Subject::Guard, Subject::Nftables, Subject::NftablesStrict];

/// The rows of one target and family on a terminal.
#[must_use]
pub fn text(rows: &[Row]) -> String {
    let Some(first) = rows.first() else {
        return String::new();
    };
    let mut text = format!(
        "{}, {}\n{:<21}{:<8}",
        first.target.name(),
        first.family.name(),
        "flood",
        "sources"
    );
    for subject in SUBJECTS {
        put(
            &mut text,
            format_args!(
                " | {:>10}{:>9}{:>9}{:>6}",
                subject.name(),
                "reached",
                "back",
                "ns"
            ),
        );
    }
    text += " |  bare\n";
    for row in rows {
        put(
            &mut text,
            format_args!("{:<21}{:<8}", row.kind.name(), row.origin.name()),
        );
        for subject in SUBJECTS {
            match row.cell(subject) {
                Some(cell) => put(
                    &mut text,
                    format_args!(
                        " | {:>10}{:>9}{:>9}{:>6.0}",
                        cell.sent,
                        percent(cell.share_reached()),
                        percent(cell.share_back()),
                        cell.cpu_ns()
                    ),
                ),
                None => put(
                    &mut text,
                    format_args!(" | {:>10}{:>9}{:>9}{:>6}", "-", "-", "-", "-"),
                ),
            }
        }
        let bare = row.cell(Subject::BareDrop);
        let bare = bare.map_or_else(|| "-".to_owned(), |cell| format!("{:.0}", cell.cpu_ns()));
        put(&mut text, format_args!(" | {bare:>5}\n"));
    }
    text
}

/// Everything in Markdown: a table per target and family, in each field guard, nftables, strict nftables.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::new();
    for family in Family::ALL {
        for target in Target::ALL {
            let of: Vec<&Row> = rows
                .iter()
                .filter(|row| row.family == family && row.target == target)
                .collect();
            if of.is_empty() {
                continue;
            }
            put(
                &mut text,
                format_args!(
                    "**{}, {}**\n\n| flood | reached %, random sources | 10 000 | one | sent back %, random sources | \
                     10 000 | one | CPU ns, random sources |\n|---|---|---|---|---|---|---|---|\n",
                    capital(target.name()),
                    family.name()
                ),
            );
            for kind in Kind::ALL {
                text += &markdown_line(&of, kind);
            }
            text.push('\n');
        }
    }
    text
}

fn markdown_line(rows: &[&Row], kind: Kind) -> String {
    let row = |origin| {
        let mut found = rows.iter();
        found.find(|row| row.kind == kind && row.origin == origin)
    };
    if Origin::ALL.into_iter().all(|origin| row(origin).is_none()) {
        return String::new();
    }
    let field = |origin, subjects: &[Subject], value: fn(&Accounts) -> String| {
        let of = |subject: &Subject| Some(value(row(origin)?.cell(*subject)?));
        let shown = |subject| of(subject).unwrap_or_else(|| "-".to_owned());
        subjects.iter().map(shown).collect::<Vec<_>>().join(" / ")
    };
    let mut fields = vec![kind.name().to_owned()];
    let shares: [fn(&Accounts) -> String; 2] = [
        |cell| short(cell.share_reached()),
        |cell| short(cell.share_back()),
    ];
    for share in shares {
        fields.extend(Origin::ALL.map(|origin| field(origin, &SUBJECTS, share)));
    }
    let all = [SUBJECTS.as_slice(), &[Subject::BareDrop]].concat();
    fields.push(field(Origin::Random, &all, |cell| {
        format!("{:.0}", cell.cpu_ns())
    }));
    format!("| {} |\n", fields.join(" | "))
}

/// A row for programs.
#[must_use]
pub fn of_row(row: &Row) -> Value {
    let cells = row.cells.iter().map(|(subject, cell)| {
        json!({
            "filter": subject.name(),
            "frames_sent": cell.sent,
            "frames_received": cell.received,
            "share_reached": cell.share_reached(),
            "sent_back_per_packet": cell.share_back(),
            "cpu_ns_per_packet": cell.cpu_ns(),
        })
    });
    json!({
        "family": row.family.name(),
        "target": row.target.name(),
        "flood": row.kind.name(),
        "sources": row.origin.name(),
        "filters": cells.collect::<Vec<_>>(),
    })
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// In per cent, without what says nothing: most fields are none or all.
fn short(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    match text.strip_suffix(".00") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn put(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _written = text.write_fmt(more);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn cell(received: u64, reached: u64) -> Accounts {
        Accounts {
            sent: 2000,
            received,
            reached,
            back: 5,
            cpu: Duration::from_micros(100),
        }
    }

    fn row(cells: Vec<(Subject, Accounts)>) -> Row {
        Row {
            family: Family::V4,
            target: Target::Host,
            kind: Kind::Ack,
            origin: Origin::Random,
            cells,
        }
    }

    fn both() -> Vec<Row> {
        vec![row(vec![
            (Subject::Guard, cell(1000, 2)),
            (Subject::Nftables, cell(500, 500)),
        ])]
    }

    #[test]
    fn shares_are_of_what_arrived_and_not_of_what_was_sent() {
        let cell = cell(1000, 2);
        let shares = (cell.share_reached(), cell.share_back(), cell.cpu_ns());
        assert_eq!(shares, (0.002, 0.005, 100.0));
    }

    #[test]
    fn a_line_of_markdown_has_guard_before_nftables_and_dashes_for_what_was_not_run() {
        let text = markdown(&both());
        assert!(text.starts_with("**Open port of this host, IPv4**\n"));
        let line = "| ACK | 0.20 / 100 / - | - / - / - | - / - / - \
                    | 0.50 / 1 / - | - / - / - | - / - / - | 100 / 200 / - / - |\n";
        assert!(text.contains(line), "{text}");
        assert!(!text.contains("XMAS"), "{text}");
    }

    #[test]
    fn the_terminal_shows_a_dash_for_a_filter_that_is_missing() {
        let shown = text(&[row(vec![(Subject::Guard, cell(1000, 2))])]);
        let last = shown.lines().last().unwrap_or_default();
        assert!(last.contains("0.20 %") && last.contains('-'), "{shown}");
    }

    #[test]
    fn a_flood_of_which_nothing_arrived_is_no_number_for_programs() {
        let value = of_row(&row(vec![(Subject::Guard, cell(0, 0))]));
        assert!(value["filters"][0]["share_reached"].is_null(), "{value}");
    }
}

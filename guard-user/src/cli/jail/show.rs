//! Jails as text and as JSON.

use std::{
    io::{self, Write},
    time::Duration,
};

use serde_json::{Value, json};

use super::is_of;
use crate::{
    bans::{
        BanTerm,
        store::{BanRow, Now},
    },
    control::{JailReport, JailsReport, SourceReport},
    filters::Catalog,
    jails::{Jails, Settings, forgeable, span},
};

/// Bans of one jail that are listed; `bans list` shows all.
const MOST_LISTED: usize = 20;

/// What is known of a jail, from its files, the daemon and the store.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) settings: Option<Settings>,
    pub(super) report: Option<JailReport>,
    pub(super) broken: Option<String>,
    pub(super) banned: usize,
    /// What an operator must know of its logs.
    pub(super) warnings: Vec<String>,
}

impl Row {
    fn is_enabled(&self) -> bool {
        self.settings
            .as_ref()
            .is_none_or(|settings| settings.is_enabled)
    }

    fn state(&self) -> &'static str {
        match (&self.broken, self.is_enabled(), &self.report) {
            (Some(_), _, _) => "BROKEN",
            (None, false, _) => "off",
            (None, true, Some(_)) => "on",
            (None, true, None) => "waits",
        }
    }
}

pub(super) fn rows(
    jails: &Jails,
    catalog: &Catalog,
    report: Option<&JailsReport>,
    records: &[BanRow],
) -> Vec<Row> {
    let mut names: Vec<&String> = jails.jails.keys().chain(&jails.broken).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            let mut reports = report.into_iter().flat_map(|report| &report.jails);
            let report = reports.find(|report| report.name == *name).cloned();
            let why = "its settings are wrong; it keeps those it had before, if any";
            let broken = report.as_ref().and_then(|report| report.broken.clone());
            let is_wrong = jails.broken.contains(name);
            let settings = jails.jails.get(name).cloned();
            let enabled = settings.as_ref().filter(|settings| settings.is_enabled);
            Row {
                warnings: enabled
                    .map_or_else(Vec::new, |settings| forgeable::warnings(settings, catalog)),
                settings,
                broken: broken.or_else(|| is_wrong.then(|| why.to_owned())),
                banned: records.iter().filter(|record| is_of(record, name)).count(),
                name: name.clone(),
                report,
            }
        })
        .collect()
}

pub(super) fn table(out: &mut dyn Write, rows: &[Row]) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "no jails; `guardctl jail enable FILTER` makes one");
    }
    let width = rows
        .iter()
        .map(|row| row.name.len())
        .max()
        .unwrap_or(0)
        .max(4);
    writeln!(
        out,
        "{:width$}  {:<6}  {:>8}  {:>8}  {:>7}  LOGS",
        "JAIL", "STATE", "FAILURES", "SUSPECTS", "BANNED"
    )?;
    for row in rows {
        let counts = row.report.as_ref().map(|report| report.counts);
        let number = |of: Option<u64>| of.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let text = match &row.broken {
            Some(why) => why.clone(),
            None => logs(row),
        };
        writeln!(
            out,
            "{:width$}  {:<6}  {:>8}  {:>8}  {:>7}  {text}",
            row.name,
            row.state(),
            number(counts.map(|counts| counts.failures)),
            number(counts.map(|counts| counts.suspects)),
            row.banned,
        )?;
    }
    Ok(())
}

/// The logs in a few words.
fn logs(row: &Row) -> String {
    let Some(report) = &row.report else {
        return String::new();
    };
    let mut parts: Vec<String> = Vec::new();
    for file in &report.files {
        let mark = if file.is_read { "" } else { " (not there)" };
        parts.push(format!("{}{mark}", file.name));
    }
    if report.more_files > 0 {
        parts.push(format!("{} more", report.more_files));
    }
    if report.reads_journal {
        parts.push("journal".to_owned());
    }
    if parts.is_empty() {
        parts.push("bans of other jails".to_owned());
    }
    parts.join(", ")
}

/// What keeps jails from working, as far as it is no matter of one of them.
pub(super) fn problems(jails: &Jails, report: Option<&JailsReport>) -> Vec<String> {
    let mut problems: Vec<String> = report.map_or_else(Vec::new, |report| report.problems.clone());
    if report.is_none() {
        let text = jails.problems.to_string();
        problems.extend(Some(text.trim_end().to_owned()).filter(|text| !text.is_empty()));
    }
    problems
}

pub(super) fn row_json(row: &Row) -> Value {
    json!({
        "jail": row.name,
        "state": row.state().to_lowercase(),
        "enabled": row.is_enabled(),
        "broken": row.broken,
        "warnings": row.warnings,
        "banned": row.banned,
        "failures": row.report.as_ref().map(|report| report.counts.failures),
        "suspects": row.report.as_ref().map(|report| report.counts.suspects),
    })
}

pub(super) fn whole(
    out: &mut dyn Write,
    row: &Row,
    report: &JailsReport,
    records: &[BanRow],
    now: &Now,
) -> io::Result<()> {
    writeln!(out, "{}: {}", row.name, row.state())?;
    if let Some(why) = &row.broken {
        writeln!(out, "  why       {why}")?;
    }
    if let Some(settings) = &row.settings {
        writeln!(out, "  rule      {}", rule(settings))?;
    }
    let Some(jail) = &row.report else {
        return Ok(());
    };
    if !jail.filter.is_empty() {
        writeln!(out, "  filter    {}", jail.filter)?;
    }
    for source in sources(jail, report) {
        writeln!(out, "  log       {}: {}", source.name, source.state)?;
    }
    let counts = jail.counts;
    write!(out, "  lines     {} read", counts.lines)?;
    if jail.lag_ms > 0 {
        write!(
            out,
            ", {:.1} s and {} bytes behind",
            jail.lag_ms as f64 / 1000.0,
            jail.behind_bytes
        )?;
    }
    for (number, what) in [
        (counts.cut, "cut because they are too long"),
        (counts.too_long, "given up after too many steps"),
    ] {
        if number > 0 {
            write!(out, ", {number} {what}")?;
        }
    }
    write!(
        out,
        "\n  failures  {}, {} sources suspected",
        counts.failures, counts.suspects
    )?;
    for (number, what) in [
        (counts.old, "too long ago"),
        (counts.banned, "from sources already banned"),
        (counts.spared, "from sources that ignoreip spares"),
        (counts.named, "from host names, which are never looked up"),
        (counts.too_wide, "from networks that are too wide"),
        (counts.pushed_out, "sources forgotten, there were too many"),
    ] {
        if number > 0 {
            write!(out, ", {number} {what}")?;
        }
    }
    write!(
        out,
        "\n  bans      {}, {} of them hold now",
        counts.bans, row.banned
    )?;
    if counts.refused > 0 {
        write!(out, ", {} refused: protected", counts.refused)?;
    }
    writeln!(out)?;
    for warning in &row.warnings {
        writeln!(out, "  WARNING   {warning}")?;
    }
    let mine = records.iter().filter(|record| is_of(record, &row.name));
    for record in mine.take(MOST_LISTED) {
        let left = match record.end.left(now) {
            BanTerm::For(left) => format!("{} left", span::text(left + Duration::from_millis(999))),
            BanTerm::Permanent => "permanent".to_owned(),
        };
        writeln!(out, "  banned    {} ({left})", record.prefix)?;
    }
    if row.banned > MOST_LISTED {
        let more = row.banned - MOST_LISTED;
        writeln!(out, "            and {more} more: `guardctl bans list`")?;
    }
    Ok(())
}

/// `5 failures in 10m: banned for 10m, longer each time (5weeks at most)`.
fn rule(settings: &Settings) -> String {
    let length = span::text;
    let term = match settings.ban_time {
        BanTerm::For(time) => format!("for {}", length(time)),
        BanTerm::Permanent => "for good".to_owned(),
    };
    let growth = match (settings.growth.is_on, settings.growth.most) {
        (false, _) => String::new(),
        (true, None) => ", longer each time".to_owned(),
        (true, Some(most)) => format!(", longer each time ({} at most)", length(most)),
    };
    format!(
        "{} failures in {}: banned {term}{growth}",
        settings.max_retry,
        length(settings.find_time)
    )
}

fn sources<'r>(
    jail: &'r JailReport,
    report: &'r JailsReport,
) -> impl Iterator<Item = &'r SourceReport> {
    let journal = report.journal.iter().filter(|_| jail.reads_journal);
    jail.files.iter().chain(journal)
}

pub(super) fn whole_json(row: &Row, report: &JailsReport, records: &[BanRow], now: &Now) -> Value {
    let mine = records.iter().filter(|record| is_of(record, &row.name));
    let banned: Vec<Value> = mine
        .map(|record| {
            let seconds = match record.end.left(now) {
                BanTerm::For(left) => json!(left.as_secs_f64()),
                BanTerm::Permanent => Value::Null,
            };
            json!({"source": record.prefix.to_string(), "seconds_left": seconds})
        })
        .collect();
    let jail = row.report.as_ref();
    json!({
        "jail": row.name,
        "state": row.state().to_lowercase(),
        "broken": row.broken,
        "warnings": row.warnings,
        "filter": jail.map(|jail| &jail.filter),
        "logs": jail.map(|jail| sources(jail, report).collect::<Vec<_>>()),
        "counts": jail.map(|jail| jail.counts),
        "lag_ms": jail.map(|jail| jail.lag_ms),
        "behind_bytes": jail.map(|jail| jail.behind_bytes),
        "banned": banned,
    })
}

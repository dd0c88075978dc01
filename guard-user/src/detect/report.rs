//! How it is with the jails, for whoever asks.

use super::{journal::SharedJournal, running::Running};
use crate::control::{
    JailCounts, JailReport, SourceReport,
    jails::{LONGEST_REASON, MOST_FILES},
};

/// One jail.
pub(super) fn of(jail: &Running, journal: Option<&SharedJournal>, now_ms: i64) -> JailReport {
    let counts = jail.jail.counts();
    let mut report = JailReport {
        name: jail.jail.settings().name.clone(),
        broken: jail.broken.clone(),
        filter: jail.filter_file.clone(),
        counts: JailCounts {
            failures: counts.failures,
            suspects: counts.suspects as u64,
            bans: counts.bans - jail.refused.min(counts.bans),
            refused: jail.refused,
            old: counts.old,
            banned: counts.banned,
            spared: counts.spared,
            named: counts.named,
            too_wide: counts.too_wide,
            pushed_out: counts.pushed_out,
            ..JailCounts::default()
        },
        ..JailReport::default()
    };
    let mut behind = Vec::new();
    for source in &jail.files {
        let (lines, cut) = source.lines();
        report.counts.lines += lines;
        report.counts.cut += cut;
        report.counts.too_long += source.filter.counts().too_long;
        report.behind_bytes += source.behind_bytes();
        behind.extend(source.behind_since);
        report.files.append(&mut source.reports());
    }
    let more = report.files.len().saturating_sub(MOST_FILES);
    report.more_files = u32::try_from(more).unwrap_or(u32::MAX);
    report.files.truncate(MOST_FILES);
    if let Some(source) = &jail.journal {
        report.reads_journal = true;
        report.counts.lines += source.entries;
        report.counts.cut += source.cut;
        report.counts.too_long += source.filter.counts().too_long;
        behind.extend(journal.and_then(|journal| journal.behind_since));
    }
    let since = behind.into_iter().min();
    report.lag_ms = since.map_or(0, |since| now_ms.saturating_sub(since).unsigned_abs());
    report
}

/// The journal.
pub(super) fn of_journal(journal: &SharedJournal) -> SourceReport {
    let (is_read, mut state) = journal.state();
    state.truncate(state.floor_char_boundary(LONGEST_REASON));
    SourceReport {
        name: "journal".to_owned(),
        is_read,
        state,
    }
}

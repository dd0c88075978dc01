//! Looking up how it is with the jails, for whoever asks.

use std::time::Duration;

use super::{
    journal::SharedJournal,
    running::Running,
    status::{JailStatus, LONGEST_REASON, SourceStatus},
};

/// One jail.
pub(super) fn of(jail: &Running, journal: Option<&SharedJournal>, now_ms: i64) -> JailStatus {
    let mut status = JailStatus {
        name: jail.jail.settings().name.clone(),
        broken: jail.broken.clone(),
        filter: jail.filter_file.clone(),
        failures: jail.jail.counts(),
        refused: jail.refused,
        ..JailStatus::default()
    };
    let mut behind = Vec::new();
    for source in &jail.files {
        let (lines, cut) = source.lines();
        status.lines.read += lines;
        status.lines.cut += cut;
        status.lines.too_long += source.filter.counts().too_long;
        status.behind_bytes += source.behind_bytes();
        behind.extend(source.behind_since);
        status.files.append(&mut source.states());
    }
    if let Some(source) = &jail.journal {
        status.reads_journal = true;
        status.lines.read += source.entries;
        status.lines.cut += source.cut;
        status.lines.too_long += source.filter.counts().too_long;
        behind.extend(journal.and_then(|journal| journal.behind_since));
    }
    let since = behind.into_iter().min();
    let lag_ms = since.map_or(0, |since| now_ms.saturating_sub(since).unsigned_abs());
    status.lag = Duration::from_millis(lag_ms);
    status
}

/// The journal.
pub(super) fn of_journal(journal: &SharedJournal) -> SourceStatus {
    let (is_read, mut state) = journal.state();
    state.truncate(state.floor_char_boundary(LONGEST_REASON));
    SourceStatus {
        name: "journal".to_owned(),
        is_read,
        state,
    }
}

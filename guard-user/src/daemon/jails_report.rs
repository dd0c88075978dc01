//! What the socket tells of the jails, made of what detection knows of them.

use crate::{
    control::{JailCounts, JailReport, JailsReport, Level, SourceReport, jails::MOST_FILES},
    detect::{JailStatus, JailsStatus, Severity, SourceStatus},
};

/// Of all of them.
pub(super) fn of(status: JailsStatus) -> JailsReport {
    JailsReport {
        jails: status.jails.into_iter().map(of_jail).collect(),
        journal: status.journal.map(of_source),
        problems: status.problems,
    }
}

fn of_jail(mut jail: JailStatus) -> JailReport {
    let (lines, failures) = (jail.lines, jail.failures);
    let more = jail.files.len().saturating_sub(MOST_FILES);
    jail.files.truncate(MOST_FILES);
    JailReport {
        name: jail.name,
        broken: jail.broken,
        filter: jail.filter,
        files: jail.files.into_iter().map(of_source).collect(),
        more_files: u32::try_from(more).unwrap_or(u32::MAX),
        reads_journal: jail.reads_journal,
        counts: JailCounts {
            lines: lines.read,
            cut: lines.cut,
            too_long: lines.too_long,
            failures: failures.failures,
            suspects: failures.suspects as u64,
            bans: failures.bans.saturating_sub(jail.refused),
            refused: jail.refused,
            old: failures.old,
            banned: failures.banned,
            spared: failures.spared,
            named: failures.named,
            too_wide: failures.too_wide,
            pushed_out: failures.pushed_out,
        },
        lag_ms: u64::try_from(jail.lag.as_millis()).unwrap_or(u64::MAX),
        behind_bytes: jail.behind_bytes,
    }
}

fn of_source(source: SourceStatus) -> SourceReport {
    SourceReport {
        name: source.name,
        is_read: source.is_read,
        state: source.state,
    }
}

/// How bad it is, in the words of the socket.
pub(super) fn level(severity: Severity) -> Level {
    match severity {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warning,
        Severity::Info => Level::Info,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{detect::LineCounts, jails::FailureCounts};

    #[test]
    fn files_beyond_what_an_answer_holds_are_a_number() {
        let source = |number: usize| SourceStatus {
            name: format!("/var/log/{number}"),
            ..SourceStatus::default()
        };
        for (files, shown, more) in [(0, 0, 0), (MOST_FILES, MOST_FILES, 0), (11, MOST_FILES, 3)] {
            let report = of_jail(JailStatus {
                files: (0..files).map(source).collect(),
                ..JailStatus::default()
            });

            assert_eq!(
                (report.files.len(), report.more_files),
                (shown, more),
                "{files}"
            );
        }
    }

    #[test]
    fn bans_that_were_refused_are_no_bans() {
        let report = of_jail(JailStatus {
            lines: LineCounts {
                read: 9,
                cut: 2,
                too_long: 1,
            },
            failures: FailureCounts {
                failures: 7,
                bans: 3,
                suspects: 4,
                ..FailureCounts::default()
            },
            refused: 1,
            lag: Duration::from_millis(1500),
            ..JailStatus::default()
        });

        let expected = JailCounts {
            lines: 9,
            cut: 2,
            too_long: 1,
            failures: 7,
            bans: 2,
            refused: 1,
            suspects: 4,
            ..JailCounts::default()
        };
        assert_eq!((report.counts, report.lag_ms), (expected, 1500));
    }
}

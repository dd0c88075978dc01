//! One jail at work: its filter on the lines of its files and of the journal, and what it makes of the
//! failures.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{clock::wall_ms, source::FileSource, status::LONGEST_REASON};
use crate::{
    bans::Prefix,
    controller::JailBan,
    filters::{self, Catalog, Filter, Host, LineOutcome, LineTime, Problem},
    jails::{FailureTime, FailureVerdict, Jail, JailInput, Parts, Past, Settings, proxies},
    logs::{Checkpoint, JournalEntry, Matches, Rest},
};

/// How far back reading begins again, at most: a window of a day would mean the whole log.
const MOST_WINDOW_MS: i64 = 3_600_000;

/// The part of the journal that a jail reads. Its lines have no date, so it has a filter of its own.
#[derive(Debug)]
pub(super) struct JournalSource {
    pub(super) matches: Vec<Matches>,
    pub(super) filter: Filter,
    pub(super) entries: u64,
    pub(super) cut: u64,
}

/// Where a jail is in its files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Places {
    #[serde(default)]
    pub(super) files: Vec<Checkpoint>,
    #[serde(default)]
    pub(super) containers: Vec<Checkpoint>,
}

/// A jail at work.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) jail: Jail,
    pub(super) files: Vec<FileSource>,
    pub(super) journal: Option<JournalSource>,
    /// The file of its filter.
    pub(super) filter_file: String,
    /// Why it does nothing.
    pub(super) broken: Option<String>,
    /// Bans that were not made, because the source is protected.
    pub(super) refused: u64,
}

impl Running {
    /// Begins, where reading stopped or with what is not too long ago.
    pub(super) fn new(settings: Settings, catalog: &Catalog, saved: Places, now_ms: i64) -> Self {
        let mut running = Self {
            jail: Jail::new(settings.clone()),
            files: Vec::new(),
            journal: None,
            filter_file: String::new(),
            broken: None,
            refused: 0,
        };
        if let Err(problem) = running.begin(&settings, catalog, saved, now_ms) {
            let mut why = one_line(&problem);
            why.truncate(why.floor_char_boundary(LONGEST_REASON));
            running.broken = Some(why);
            running.files.clear();
            running.journal = None;
        }
        running
    }

    /// One that only says why it cannot work.
    pub(super) fn broken(name: &str, why: &str) -> Self {
        let mut settings = Settings::new(name);
        settings.filter.clear();
        Self {
            jail: Jail::new(settings),
            files: Vec::new(),
            journal: None,
            filter_file: String::new(),
            broken: Some(why.to_owned()),
            refused: 0,
        }
    }

    fn begin(
        &mut self,
        settings: &Settings,
        catalog: &Catalog,
        saved: Places,
        now_ms: i64,
    ) -> Result<(), Problem> {
        let parts = Parts::load(settings, catalog)?;
        if settings.watched() == JailInput::Lines {
            let file = catalog.file(&settings.spec(false)?.name)?;
            self.filter_file = file.display().to_string();
        }
        let window = window_ms(settings);
        if let Some(filter) = parts.for_files {
            let source = FileSource::of_files(&settings.files, filter, saved.files, window, now_ms);
            self.files.push(source);
        }
        if let Some(filter) = parts.for_containers {
            let names = &settings.containers;
            let source = FileSource::of_containers(names, filter, saved.containers, window, now_ms);
            self.files.push(source);
        }
        self.journal = parts.for_journal.map(|(matches, filter)| JournalSource {
            matches,
            filter,
            entries: 0,
            cut: 0,
        });
        Ok(())
    }

    /// Reads what came in its files, and says what is to be banned for it.
    pub(super) fn read(&mut self, now_ms: i64, past: &mut Past, asked: &mut Vec<JailBan>) -> Rest {
        let mut rest = Rest::Nothing;
        for source in &mut self.files {
            let jail = &mut self.jail;
            let read = source.read(now_ms, &mut |failure, when| {
                let host = client(jail, failure);
                evaluate(jail, &host, when, past, asked);
            });
            if read == Rest::More {
                rest = Rest::More;
            }
        }
        rest
    }

    /// An entry of the journal, if it is one of this jail's.
    pub(super) fn entry(
        &mut self,
        entry: &JournalEntry<'_>,
        now_ms: i64,
        past: &mut Past,
        asked: &mut Vec<JailBan>,
    ) {
        let Some(source) = &mut self.journal else {
            return;
        };
        if !source.matches.iter().any(|matches| entry.fits(matches)) {
            return;
        }
        source.entries += 1;
        source.cut += u64::from(entry.is_cut);
        let today_ms = wall_ms();
        let stamp = LineTime::Known(entry.time_ms);
        let LineOutcome::Failure(failure) = source.filter.line(entry.line, stamp, today_ms) else {
            return;
        };
        let logged = failure.time_ms.or(Some(entry.time_ms));
        let when = FailureTime::caught_up(now_ms, today_ms, logged);
        let host = client(&self.jail, &failure);
        evaluate(&mut self.jail, &host, when, past, asked);
    }

    /// A failure that no line says: of an operator, or a ban by another jail.
    pub(super) fn failed(
        &mut self,
        address: IpAddr,
        now_ms: i64,
        past: &mut Past,
        asked: &mut Vec<JailBan>,
    ) -> FailureVerdict {
        let when = FailureTime { now_ms, age_ms: 0 };
        evaluate(&mut self.jail, &Host::Address(address), when, past, asked)
    }

    /// Is it fed with the bans of other jails?
    pub(super) fn watches_bans(&self) -> bool {
        self.jail.settings().watched() == JailInput::Bans
    }

    /// Would its filter be the same if it were read again?
    pub(super) fn is_current(&self, catalog: &Catalog) -> bool {
        let settings = self.jail.settings();
        let is_same = |old: &Filter, is_journal| {
            let spec = settings.spec(is_journal).ok();
            let file = spec.and_then(|spec| catalog.definition(&spec).ok());
            file.is_some_and(|new| new == *old.definition())
        };
        let mut files = self.files.iter().map(|source| &source.filter);
        let journal = self.journal.as_ref().map(|source| &source.filter);
        self.broken.is_none()
            && files.all(|filter| is_same(filter, false))
            && journal.is_none_or(|filter| is_same(filter, true))
    }

    /// Where to begin again after a restart.
    pub(super) fn places(&self) -> Places {
        let of = |is_meant: bool| {
            let index = usize::from(!is_meant && !self.jail.settings().files.is_empty());
            self.files.get(index).map(FileSource::places)
        };
        let settings = self.jail.settings();
        Places {
            files: of(true)
                .filter(|_| !settings.files.is_empty())
                .unwrap_or_default(),
            containers: of(false)
                .filter(|_| !settings.containers.is_empty())
                .unwrap_or_default(),
        }
    }

    /// What is to be said of patterns that are not tried on every line.
    pub(super) fn narrow_patterns(&self) -> Vec<String> {
        let name = &self.jail.settings().name;
        let mut notes: Vec<String> = self
            .filters()
            .flat_map(Filter::remarks)
            .map(|problem| {
                format!(
                    "jail {name}, filter {}: {}",
                    self.filter_file,
                    one_line(&problem)
                )
            })
            .collect();
        notes.dedup();
        notes
    }

    /// Were there lines that were too long for a pattern, or took it too many steps?
    pub(super) fn passed_over(&self) -> Option<String> {
        let number: u64 = self.filters().map(|filter| filter.counts().too_long).sum();
        let name = &self.jail.settings().name;
        (number > 0).then(|| {
            format!(
                "jail {name}: some lines took too many steps in patterns of its filter {} and count as no match \
                 (`guardctl jail status {name}` has their number, `guardctl filter check {}` the patterns)",
                self.filter_file,
                self.jail.settings().filter
            )
        })
    }

    fn filters(&self) -> impl Iterator<Item = &Filter> {
        let journal = self.journal.iter().map(|source| &source.filter);
        self.files
            .iter()
            .map(|source| &source.filter)
            .chain(journal)
    }

    /// Proxies that it trusts.
    pub(super) fn proxies(&self) -> &[Prefix] {
        &self.jail.settings().proxies
    }
}

/// How long a failure counts, as far as it matters for reading again.
pub(super) fn window_ms(settings: &Settings) -> i64 {
    let window = i64::try_from(settings.find_time.as_millis()).unwrap_or(i64::MAX);
    window.min(MOST_WINDOW_MS)
}

/// Who failed: behind a trusted proxy, who that says.
fn client(jail: &Jail, failure: &filters::Failure) -> Host {
    let proxies = &jail.settings().proxies;
    if proxies.is_empty() {
        return failure.host.clone();
    }
    proxies::client(
        &failure.host,
        failure.groups.named(proxies::FORWARDED),
        proxies,
    )
}

fn evaluate(
    jail: &mut Jail,
    host: &Host,
    when: FailureTime,
    past: &mut Past,
    asked: &mut Vec<JailBan>,
) -> FailureVerdict {
    let verdict = jail.failed(host, when, past);
    if let FailureVerdict::Ban(ban) = &verdict {
        asked.push(JailBan {
            jail: jail.settings().name.clone(),
            ban: ban.clone(),
        });
    }
    verdict
}

fn one_line(problem: &Problem) -> String {
    let text = match &problem.help {
        Some(help) => format!("{problem} ({help})"),
        None => problem.to_string(),
    };
    text.replace('\n', " ")
}

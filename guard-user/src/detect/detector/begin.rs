//! Beginning: jails, their sources and the journal, as the files say now.

use std::{collections::BTreeMap, path::Path};

use super::{Detector, Due, JOURNALCTL, wall_ms};
use crate::{
    detect::{
        Observer, Severity,
        journal::SharedJournal,
        running::{Places, Running, window_ms},
    },
    filters::Catalog,
    jails,
    logs::Matches,
};

impl<L: Observer> Detector<L> {
    /// Begins the jails that the files say; those of which nothing changed go on. `saved` is where they
    /// were in their files before a restart.
    pub(super) fn begin(&mut self, mut saved: BTreeMap<String, Places>) {
        let now_ms = self.clock.steady_ms();
        let configured = jails::configured(self.controller.layout());
        let catalog = Catalog::new(self.controller.layout());
        let mut before: BTreeMap<String, Running> = self
            .running
            .drain(..)
            .map(|running| (running.jail.settings().name.clone(), running))
            .collect();
        let mut after = Vec::new();
        for (name, settings) in configured.jails {
            let old = before.remove(&name);
            if !settings.is_enabled {
                continue;
            }
            let running = match old {
                // A filter's own file may have changed, or have come.
                Some(old) if *old.jail.settings() == settings && old.is_current(&catalog) => old,
                // Failures are counted again from the logs, under the new settings.
                Some(old) => Running::new(settings, &catalog, old.places(), now_ms),
                None => {
                    let saved = saved.remove(&name).unwrap_or_default();
                    Running::new(settings, &catalog, saved, now_ms)
                }
            };
            after.push(running);
        }
        // A jail whose settings are wrong goes on with those it had.
        for name in &configured.broken {
            let old = before.remove(name).filter(|old| old.broken.is_none());
            let why = "its settings are wrong";
            let running = old.unwrap_or_else(|| Running::broken(name, why));
            after.push(running);
        }
        after.sort_by(|a, b| a.jail.settings().name.cmp(&b.jail.settings().name));
        self.running = after;
        let wrong = configured.problems.to_string();
        let wrong = wrong.trim_end();
        self.standing(
            "jails",
            (!wrong.is_empty()).then(|| format!("the files of jails are wrong:\n{wrong}")),
        );
        let broken = self.running.iter().filter_map(|running| {
            let why = running.broken.as_ref()?;
            Some(format!("jail {}: {why}", running.jail.settings().name))
        });
        let broken: Vec<String> = broken.collect();
        let forgeable: Vec<String> = self
            .running
            .iter()
            .flat_map(|running| jails::forgeable::warnings(running.jail.settings(), &catalog))
            .collect();
        let forgeable = (!forgeable.is_empty()).then(|| (Severity::Warning, forgeable.join("\n")));
        self.observer
            .standing("detect logs that can be forged".to_owned(), forgeable);
        let narrow = self.running.iter().flat_map(Running::narrow_patterns);
        let narrow: Vec<String> = narrow.collect();
        let narrow = (!narrow.is_empty()).then(|| (Severity::Warning, narrow.join("\n")));
        self.observer
            .standing("detect patterns that are large".to_owned(), narrow);
        self.standing("filters", (!broken.is_empty()).then(|| broken.join("\n")));
        self.begin_journal();
        self.executor.forget();
        self.due = Due::default();
    }

    /// One journal for what all jails want of it.
    fn begin_journal(&mut self) {
        let mut matches: Vec<Matches> = self
            .running
            .iter()
            .filter_map(|running| running.journal.as_ref())
            .flat_map(|source| source.matches.iter().cloned())
            .collect();
        matches.sort_unstable();
        matches.dedup();
        if let Some(journal) = &self.journal {
            if journal.is_for(&matches) {
                return;
            }
            self.stopped = journal.position().or(self.stopped.take());
            self.journal = None;
        }
        if matches.is_empty() {
            return;
        }
        let windows = self.running.iter().filter(|r| r.journal.is_some());
        let window = windows.map(|r| window_ms(r.jail.settings())).max();
        self.journal = Some(SharedJournal::new(
            Path::new(JOURNALCTL),
            matches,
            self.stopped.take(),
            window.unwrap_or_default(),
            wall_ms(),
        ));
    }
}

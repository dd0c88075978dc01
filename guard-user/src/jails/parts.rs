//! What a jail reads with: its filter, once for each kind of log, because their lines differ.

use super::{
    forgeable,
    settings::{JailInput, JournalUse, Settings},
};
use crate::{
    filters::{Catalog, Filter, Problem},
    logs::Matches,
};

/// What a jail reads with. All are none for a jail that watches bans.
#[derive(Debug, Default)]
pub struct Parts {
    /// For files.
    pub for_files: Option<Filter>,
    /// For what containers write.
    pub for_containers: Option<Filter>,
    /// For the journal, and what of it.
    pub for_journal: Option<(Vec<Matches>, Filter)>,
}

impl Parts {
    /// Loads the filters that a jail needs.
    ///
    /// # Errors
    /// What is wrong with its filter, or that it has nothing to read.
    pub fn load(settings: &Settings, catalog: &Catalog) -> Result<Self, Problem> {
        let mut parts = Self::default();
        if settings.watched() == JailInput::Bans {
            return Ok(parts);
        }
        if let Some(problem) = forgeable::refusal(settings, catalog) {
            return Err(problem);
        }
        if !settings.files.is_empty() {
            parts.for_files = Some(catalog.load(&settings.spec(false)?)?);
        }
        if !settings.containers.is_empty() {
            parts.for_containers = Some(catalog.load(&settings.spec(false)?)?);
        }
        let has_files = parts.for_files.is_some() || parts.for_containers.is_some();
        let texts = match &settings.journal {
            JournalUse::No if has_files => return Ok(parts),
            JournalUse::No => Some(Vec::new()),
            JournalUse::OfFilter => None,
            JournalUse::Matches(texts) => Some(texts.clone()),
        };
        let filter = catalog.load(&settings.spec(true)?)?;
        let texts = texts.unwrap_or_else(|| filter.definition().journal.clone());
        let matches: Vec<Matches> = texts
            .iter()
            .filter_map(|text| Matches::parse(text))
            .collect();
        if !matches.is_empty() {
            parts.for_journal = Some((matches, filter));
        } else if has_files {
            let Settings { name, filter, .. } = settings;
            let problem = Problem::new(format!(
                "the jail {name} reads the journal, and the filter {filter} does not say which part of it"
            ));
            return Err(problem.help(format!(
                "`guardctl jail set {name} journal _SYSTEMD_UNIT=NAME.service`, or journal false for the files alone"
            )));
        } else {
            let Settings { name, filter, .. } = settings;
            let problem = Problem::new(format!(
                "the jail {name} has nothing to read: no logpath, no container, and the filter {filter} \
                 does not say which part of the journal it reads"
            ));
            return Err(problem.help(format!(
                "`guardctl jail set {name} logpath /var/log/…`, or journal with matches of journalctl"
            )));
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;

    #[test]
    fn a_built_in_filter_reads_no_error_log_of_nginx() {
        let catalog = Catalog::new(&Layout::from_environment());
        let mut settings = Settings::new("web");
        settings.journal = JournalUse::No;
        settings.filter = "builtin:nginx-http-auth".to_owned();
        settings.files = vec!["/var/log/nginx/shop.error.log".to_owned()];
        let problem = Parts::load(&settings, &catalog).unwrap_err();
        assert!(problem.message.contains("can be forged"), "{problem}");
        assert!(
            problem
                .help
                .unwrap()
                .contains("logpath /var/log/nginx/shop.access.log")
        );

        settings.files = vec!["/var/log/nginx/shop.access.log".to_owned()];
        assert!(Parts::load(&settings, &catalog).is_ok());
        settings.filter = "builtin:nginx-http-auth[log=error]".to_owned();
        settings.files = vec!["/var/log/nginx/shop.error.log".to_owned()];
        assert!(
            Parts::load(&settings, &catalog).is_ok(),
            "it was told to believe it"
        );
    }

    #[test]
    fn a_jail_with_files_reads_the_journal_as_well_or_says_that_it_cannot() {
        let catalog = Catalog::new(&Layout::from_environment());
        let mut settings = Settings::new("web");
        settings.files = vec!["/var/log/x.log".to_owned()];
        settings.filter = "builtin:sshd".to_owned();
        let parts = Parts::load(&settings, &catalog).unwrap();
        assert!(parts.for_files.is_some() && parts.for_journal.is_some());

        settings.filter = "builtin:nginx-http-auth".to_owned();
        let problem = Parts::load(&settings, &catalog).unwrap_err();
        assert!(
            problem.message.contains("does not say which part of it"),
            "{problem}"
        );
        settings.journal = JournalUse::No;
        assert!(
            Parts::load(&settings, &catalog)
                .unwrap()
                .for_journal
                .is_none()
        );
    }
}

//! What an operator must hear of a jail that reads nginx's error log: whoever connects writes whole lines there, and
//! names in them whomever he likes.

use std::{fs::File, io::Read as _, path::Path};

use super::{JailInput, JournalUse, Settings};
use crate::{
    filters::{Catalog, Problem, builtin, forgeable},
    logs::Matches,
};

/// Files of one pattern that are looked at.
const MOST_FILES: usize = 100;

/// What is to be said of this jail, each with a way out; nothing of most.
#[must_use]
pub fn warnings(settings: &Settings, catalog: &Catalog) -> Vec<String> {
    let Some(reader) = Reader::of(settings, catalog) else {
        return Vec::new();
    };
    let name = &settings.name;
    let mut warnings: Vec<String> = settings
        .files
        .iter()
        .flat_map(|pattern| error_logs(&settings.filter, pattern))
        .map(|file| {
            let consequence = match reader {
                Reader::Believes => "so anyone who connects can get anyone banned",
                Reader::KnowsOthers => "so the jail, whose filter knows the access log, does not read it",
                Reader::Other => "so anyone who connects can write what the filter of this jail looks for",
            };
            format!(
                "the jail {name} reads {file}, an error log of nginx, which can be forged: it contains what \
                 clients send verbatim, line feeds included, {consequence} (`guardctl jail set {name} \
                 logpath {}`)",
                access_log(&file)
            )
        })
        .collect();
    if warnings.is_empty() && matches!(reader, Reader::Believes) {
        warnings.push(format!(
            "the filter of the jail {name} is for nginx's error log, which can be forged: it contains what clients send verbatim, line feeds included, so anyone who connects can get anyone banned \
             (a filter of the same purpose that reads the access log: `guardctl filter list`)"
        ));
    }
    warnings.extend(of_journal(settings, catalog));
    warnings
}

/// Why a jail of a filter that knows nginx's access log is refused: in the error log clients can write lines of the
/// access log as well.
pub(in crate::jails) fn refusal(settings: &Settings, catalog: &Catalog) -> Option<Problem> {
    if Reader::of(settings, catalog)? != Reader::KnowsOthers {
        return None;
    }
    let file = settings
        .files
        .iter()
        .flat_map(|pattern| error_logs(&settings.filter, pattern))
        .next()?;
    let problem = Problem::new(format!(
        "{file}: an error log of nginx, which can be forged by whoever connects"
    ));
    Some(problem.help(format!(
        "`guardctl jail set {} logpath {}`",
        settings.name,
        access_log(&file)
    )))
}

/// What is to be said of what the jail reads of the journal.
fn of_journal(settings: &Settings, catalog: &Catalog) -> Option<String> {
    let texts = match &settings.journal {
        JournalUse::No => return None,
        JournalUse::Matches(texts) => texts.clone(),
        JournalUse::OfFilter => catalog.definition(&settings.spec(true).ok()?).ok()?.journal,
    };
    let text = texts
        .iter()
        .find(|text| Matches::parse(text).is_some_and(|matches| matches.can_be_forged()))?;
    let name = &settings.name;
    Some(format!(
        "the jail {name} trusts {text} in the journal, but a process can choose its own name, so anyone who \
         can log in here can get anyone banned (add _UID=0 to each part: `guardctl jail set {name} journal …`)"
    ))
}

/// What a filter makes of an error log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// Its patterns are for it.
    Believes,
    /// It is one of guard's own for nginx, whose patterns are for the access log.
    KnowsOthers,
    /// Who knows.
    Other,
}

impl Reader {
    /// None for a jail without lines, or whose filter does not work, which is reported elsewhere.
    fn of(settings: &Settings, catalog: &Catalog) -> Option<Self> {
        if settings.watched() == JailInput::Bans {
            return None;
        }
        let spec = settings.spec(false).ok()?;
        let definition = catalog.definition(&spec).ok()?;
        let is_builtin = catalog
            .file(&spec.name)
            .is_ok_and(|file| file.starts_with(builtin::FOLDER));
        Some(match (definition.is_forgeable, is_builtin) {
            (true, _) => Self::Believes,
            (false, true) => Self::KnowsOthers,
            (false, false) => Self::Other,
        })
    }
}

/// The files of a pattern that are error logs of nginx by their name, or by what stands in them. Where the
/// filter is one for nginx, the word "error" in the name of a file is enough: the log may be empty yet.
fn error_logs(filter: &str, pattern: &str) -> Vec<String> {
    let is_for_nginx = filter.contains("nginx");
    let is_named_so = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        name.contains("error") && (is_for_nginx || path.contains("nginx"))
    };
    let mut found: Vec<String> = glob::glob(pattern)
        .into_iter()
        .flatten()
        .take(MOST_FILES)
        .filter_map(|path| Some(path.ok()?.to_str()?.to_owned()))
        .filter(|file| is_named_so(file) || begins_so(Path::new(file)))
        .collect();
    if found.is_empty() && is_named_so(pattern) {
        found.push(pattern.to_owned());
    }
    found
}

fn begins_so(file: &Path) -> bool {
    let mut first = [0; 64];
    let is_file = file.is_file();
    let read = is_file.then(|| File::open(file).and_then(|mut file| file.read(&mut first)));
    matches!(read, Some(Ok(length)) if forgeable::is_it(&first[..length]))
}

/// Is it an error log of nginx?
pub(in crate::jails) fn is_error_log(file: &str) -> bool {
    !error_logs("", file).is_empty()
}

/// The access log beside an error log, as it is usually called.
pub(in crate::jails) fn access_log(file: &str) -> String {
    match file.rsplit_once("error") {
        Some((before, behind)) => format!("{before}access{behind}"),
        None => "/var/log/nginx/access.log".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;

    fn warned(filter: &str, files: &[&str]) -> Vec<String> {
        let mut settings = Settings::new("web");
        settings.filter = filter.to_owned();
        settings.files = files.iter().map(|file| (*file).to_owned()).collect();
        warnings(&settings, &Catalog::new(&Layout::from_environment()))
    }

    #[test]
    fn a_jail_on_an_error_log_of_nginx_is_told_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("shop.log");
        std::fs::write(
            &own,
            "2026/11/28 10:57:25 [error] 7#7: *1 open() \"/x\" failed\n",
        )
        .unwrap();
        let own = own.to_str().unwrap();
        for (filter, file, consequence) in [
            (
                "nginx-http-auth",
                "/var/log/nginx/error.log",
                "does not read it",
            ),
            (
                "nginx-http-auth[log=error]",
                "/var/log/nginx/error.log",
                "anyone banned",
            ),
            ("nginx-botsearch[log=error]", own, "anyone banned"),
            ("nginx-limit-req", own, "does not read it"),
            // Wherever it stands, and with nothing in it yet.
            ("nginx-limit-req", "/srv/logs/error.log", "does not read it"),
        ] {
            let warned = warned(filter, &[file]);
            assert!(
                warned.len() == 1 && warned[0].contains(file),
                "{filter}: {warned:?}"
            );
            assert!(warned[0].contains(consequence), "{filter}: {warned:?}");
        }
        let other = warned("nginx-http-auth", &["/var/log/nginx/shop.error.log"]);
        assert!(
            other[0].ends_with("logpath /var/log/nginx/shop.access.log`)"),
            "{other:?}"
        );
    }

    #[test]
    fn a_jail_that_believes_the_name_of_a_process_is_told() {
        let catalog = Catalog::new(&Layout::from_environment());
        let mut settings = Settings::new("sshd");
        assert!(warnings(&settings, &catalog).is_empty());
        settings.journal = JournalUse::Matches(vec!["_COMM=sshd".to_owned()]);
        let warned = warnings(&settings, &catalog);
        assert!(
            warned.len() == 1 && warned[0].contains("_COMM=sshd"),
            "{warned:?}"
        );
    }

    #[test]
    fn other_logs_and_other_jails_are_not() {
        for (filter, file) in [
            ("nginx-http-auth", "/var/log/nginx/access.log"),
            ("apache-auth", "/var/log/apache2/error.log"),
            ("sshd", "/var/log/auth.log"),
            ("recidive", "/var/log/fail2ban.log"),
        ] {
            assert!(warned(filter, &[file]).is_empty(), "{filter}");
        }
    }

    #[test]
    fn a_filter_for_error_logs_is_told_whatever_it_reads() {
        let warned = warned("nginx-http-auth[log=error]", &["/nonexistent/x.log"]);
        assert!(
            warned.len() == 1 && warned[0].contains("anyone banned"),
            "{warned:?}"
        );
    }
}

//! The files of a filter or of jails: `NAME.conf`, `NAME.local`, `NAME.d/`, and what they include, put
//! together in the order in which later options replace earlier ones.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    ini::{self, DEFAULT, Ini, Section},
    problem::{ConfigLine, Problem},
};
use crate::filters::{builtin, stock};

/// What `%(known/NAME)s` asks: the options of a section that a later file replaced.
pub(super) const KNOWN: &str = "KNOWN/";
const INCLUDES: &str = "INCLUDES";
/// More files than any sane filter has; a bound against trees that grow.
const MAX_FILES: usize = 200;
/// Bytes of one file; the largest stock filter has 10 kB.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// All sections of a filter, after the files were put together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Merged {
    /// Sections by name, among them `DEFAULT` and `KNOWN/…`.
    pub(crate) sections: BTreeMap<String, Section>,
    /// The files that were read, in order.
    pub(crate) files: Vec<Arc<PathBuf>>,
}

/// Reads a filter's files.
///
/// # Errors
/// A file that cannot be read or is wrong, and includes in a circle.
pub(crate) fn read(first: &Path) -> Result<Merged, Problem> {
    read_all(first, || {
        Err(
            Problem::missing(format!("{}: there is no such filter", first.display()))
                .help("`guardctl filter list` shows the filters that there are"),
        )
    })
}

/// Reads what there is of `NAME.conf` and the files beside it; perhaps there is nothing.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_existing(first: &Path) -> Result<Merged, Problem> {
    read_all(first, || Ok(()))
}

fn read_all(
    first: &Path,
    on_missing: impl FnOnce() -> Result<(), Problem>,
) -> Result<Merged, Problem> {
    let mut reader = Reader::default();
    let base = first.with_extension("");
    // What stands alone as NAME.local changes the filter of that name that is elsewhere.
    if first.extension().is_some_and(|end| end == "local")
        && let Some(changed) = changed_by(first)
    {
        reader.include(&changed, None, &mut Vec::new())?;
    }
    if !reader.include(first, None, &mut Vec::new())? {
        on_missing()?;
    }
    let mut names = folder(&base.with_extension("d"), "conf")?;
    let local = base.with_extension("local");
    if local != first {
        names.push(local);
    }
    names.extend(folder(&base.with_extension("d"), "local")?);
    for name in &names {
        reader.include(name, None, &mut Vec::new())?;
    }
    Ok(reader.merged)
}

/// The filter that a file of the name NAME.local is about: beside it, inside guard, or fail2ban's.
fn changed_by(local: &Path) -> Option<PathBuf> {
    let beside = local.with_extension("conf");
    if beside.is_file() {
        return Some(beside);
    }
    let stock = Path::new(stock::FOLDER).join(beside.file_name()?);
    builtin::file(beside.file_stem()?.to_str()?)
        .or_else(|| Some(stock).filter(|file| file.is_file()))
}

/// The file that an include means: beside the file that includes it, else among those of fail2ban, else inside guard.
fn sought(folder: &Path, name: &str) -> PathBuf {
    let beside = folder.join(name);
    if beside.exists() || name.contains('/') || builtin::text(&beside).is_some() {
        return beside;
    }
    let inside = Path::new(builtin::FOLDER).join(name);
    let stock = Path::new(stock::FOLDER).join(name);
    if stock.is_file() {
        stock
    } else if builtin::text(&inside).is_some() {
        inside
    } else {
        beside
    }
}

fn folder(path: &Path, extension: &str) -> Result<Vec<PathBuf>, Problem> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(Problem::new(format!("{}: {error}", path.display()))),
    };
    let mut names: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    names.sort();
    Ok(names)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[derive(Default)]
struct Reader {
    merged: Merged,
}

impl Reader {
    /// Adds a file and what it includes. `false` if it does not exist, which is no error: stock
    /// filters name `.local` files that nobody has written.
    fn include(
        &mut self,
        path: &Path,
        from: Option<&ConfigLine>,
        above: &mut Vec<PathBuf>,
    ) -> Result<bool, Problem> {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if above.contains(&real) {
            let chain: Vec<String> = above
                .iter()
                .chain([&real])
                .map(|path| path.display().to_string())
                .collect();
            let message = format!(
                "the files include each other in a circle: {}",
                chain.join(" -> ")
            );
            let problem = match from {
                Some(place) => Problem::at(place, message),
                None => Problem::new(message),
            };
            return Err(problem.help("take the `before` or `after` out that leads back"));
        }
        let Some(text) = text(path, from)? else {
            return Ok(false);
        };
        if self.merged.files.len() >= MAX_FILES {
            return Err(Problem::new(format!(
                "{}: more than {MAX_FILES} files are included",
                path.display()
            )));
        }
        let name = Arc::new(path.to_path_buf());
        let ini = ini::parse(&name, &text)?;
        above.push(real);
        self.included(path, &ini, "before", above)?;
        self.merge(&name, &ini);
        self.included(path, &ini, "after", above)?;
        above.pop();
        Ok(true)
    }

    fn included(
        &mut self,
        path: &Path,
        ini: &Ini,
        option: &str,
        above: &mut Vec<PathBuf>,
    ) -> Result<(), Problem> {
        let Some(raw) = ini
            .sections
            .get(INCLUDES)
            .and_then(|section| section.get(option))
        else {
            return Ok(());
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        for name in raw.text.lines().filter(|name| !name.is_empty()) {
            let target = sought(folder, name);
            let found = self.include(&target, Some(&raw.place), above)?;
            let has_local = target.extension().is_some_and(|end| end == "local");
            if !found && !has_local && option == "before" {
                return Err(Problem::at(
                    &raw.place,
                    format!("{} is included and does not exist", target.display()),
                )
                .help("correct the name; it is looked for beside this file, then in fail2ban's filter.d, \
                 then inside guard"));
            }
            if !has_local {
                self.include(&target.with_extension("local"), Some(&raw.place), above)?;
            }
        }
        Ok(())
    }

    fn merge(&mut self, name: &Arc<PathBuf>, ini: &Ini) {
        self.merged.files.push(Arc::clone(name));
        for (section, options) in &ini.sections {
            if let Some(there) = self.merged.sections.get(section)
                && section != DEFAULT
            {
                let replaced: Vec<_> = there
                    .iter()
                    .filter(|(option, _)| options.contains_key(*option))
                    .map(|(option, raw)| (option.clone(), raw.clone()))
                    .collect();
                self.merged
                    .sections
                    .entry(format!("{KNOWN}{section}"))
                    .or_default()
                    .extend(replaced);
            }
            self.merged
                .sections
                .entry(section.clone())
                .or_default()
                .extend(
                    options
                        .iter()
                        .map(|(name, raw)| (name.clone(), raw.clone())),
                );
        }
    }
}

/// The text of a file, on disk or inside guard.
fn text(path: &Path, from: Option<&ConfigLine>) -> Result<Option<String>, Problem> {
    if let Some(text) = builtin::text(path) {
        return Ok(Some(text.to_owned()));
    }
    let failed = |message: String| match from {
        Some(place) => Problem::at(place, message),
        None => Problem::new(message),
    };
    let facts = match fs::metadata(path) {
        Ok(facts) => facts,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(failed(format!("{}: {error}", path.display()))),
    };
    if !facts.is_file() || facts.len() > MAX_FILE_BYTES {
        return Err(failed(format!(
            "{}: not a file of at most {MAX_FILE_BYTES} bytes",
            path.display()
        )));
    }
    match fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(error) => {
                let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
                Err(failed(format!("{}:{line}: not UTF-8", path.display()))
                    .help("write the file in UTF-8"))
            }
        },
        Err(error) => Err(failed(format!("{}: {error}", path.display()))),
    }
}

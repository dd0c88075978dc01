//! Where the fail2ban package has its filters and sample logs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use guard_user::filters::{Given, builtin};

const TESTS: &str = "/usr/lib/python3/dist-packages/fail2ban/tests";
const FILTERS: &str = "/etc/fail2ban/filter.d";

/// The installed package.
pub(crate) struct Package {
    pub(crate) logs: PathBuf,
    /// Filters that the package has for its tests alone, with includes that lead to its others.
    extra: tempdir::Folder,
}

/// A filter and its log.
#[derive(Clone, Debug)]
pub(crate) struct FilterFile {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    /// Options besides those that a sample asks for.
    pub(crate) given: Given,
}

impl Package {
    /// The package, or a word about it: with `GUARD_TESTS_STRICT=1` its absence is a failure.
    pub(crate) fn installed() -> Option<Self> {
        let logs = Path::new(TESTS).join("files/logs");
        if !logs.is_dir() || !Path::new(FILTERS).is_dir() {
            let strict = std::env::var_os("GUARD_TESTS_STRICT").is_some_and(|value| value == "1");
            assert!(
                !strict,
                "the fail2ban package is missing: cargo xtask setup --tests"
            );
            eprintln!("skipped: the fail2ban package is missing (cargo xtask setup --tests)");
            return None;
        }
        let extra = tempdir::Folder::new();
        for entry in fs::read_dir(Path::new(TESTS).join("config/filter.d")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with("zzz-") {
                let text = fs::read_to_string(&path).unwrap();
                // They are written for a place in fail2ban's source tree.
                let text = text.replace("../../../../../../../config/filter.d", FILTERS);
                fs::write(extra.path().join(name), text).unwrap();
            }
        }
        Some(Self { logs, extra })
    }

    /// Every filter that has a log.
    pub(crate) fn filters(&self) -> Vec<FilterFile> {
        let mut found = Vec::new();
        for folder in [Path::new(FILTERS), self.extra.path()] {
            for entry in fs::read_dir(folder).unwrap() {
                let file = entry.unwrap().path();
                let is_filter = file.extension().is_some_and(|end| end == "conf");
                let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
                if is_filter && !name.ends_with("common") {
                    assert!(self.logs.join(&name).is_file(), "{name} has no sample log");
                    let given = Given::new();
                    found.push(FilterFile { name, file, given });
                }
            }
        }
        found.sort_by(|left, right| left.name.cmp(&right.name));
        found
    }
}

/// guard's own filters; each is evaluated by the log of fail2ban's filter of the same name.
pub(crate) fn builtin() -> Vec<FilterFile> {
    let named = |name: &'static str| FilterFile {
        name: name.to_owned(),
        file: builtin::file(name).unwrap(),
        // The samples of nginx are lines of its error log.
        given: match name {
            "nginx-http-auth" | "nginx-botsearch" | "nginx-limit-req" => {
                Given::from([("log".to_owned(), "error".to_owned())])
            }
            _ => Given::new(),
        },
    };
    // Of guard's own log fail2ban has no lines.
    let names = builtin::names().filter(|name| *name != "guard-portscan");
    names.map(named).collect()
}

mod tempdir {
    use std::{
        env, fs,
        path::{Path, PathBuf},
        process,
        sync::atomic::{AtomicU32, Ordering},
    };

    /// A folder that goes away with the value.
    pub(crate) struct Folder(PathBuf);

    impl Folder {
        pub(crate) fn new() -> Self {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("guard-fail2ban-{}-{number}", process::id());
            let path = env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        pub(crate) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }
}

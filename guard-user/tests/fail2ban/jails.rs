//! Jails that are imported from fail2ban's files mean what fail2ban itself makes of the same files
//! (`fail2ban-client -d`), and the command that imports them.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use guard_user::{
    bans::{BanTerm, Prefix},
    filters::{Catalog, Spec},
    jails::{
        self, FOLDER, JailInput, Settings,
        import::{CheckedFilter, FILE, Import, STOCK, Surroundings, import},
    },
    layout::Layout,
    text::address,
};
use tempfile::TempDir;

use crate::package::Package;

/// A copy of the installed configuration whose logs are in a folder of its own, with this `jail.local`.
struct Copy {
    folder: TempDir,
}

impl Copy {
    fn with(local: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(STOCK).unwrap() {
            let path = entry.unwrap().path();
            let target = folder.path().join(path.file_name().unwrap());
            if path.is_file() {
                fs::copy(&path, target).unwrap();
            } else {
                symlink(&path, target).unwrap();
            }
        }
        // The dump names only logs that exist.
        let log = folder.path().join("auth.log");
        fs::write(&log, "").unwrap();
        let defaults = format!("[DEFAULT]\nsyslog_authpriv = {}\n", log.display());
        fs::write(folder.path().join("jail.local"), defaults + local).unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn imported(&self) -> (Import, BTreeMap<String, Settings>) {
        let layout = Layout {
            etc: self.path().join("no-guard"),
            ..Layout::from_environment()
        };
        let catalog = Catalog::new(&layout);
        let surroundings = Surroundings {
            taken: &BTreeMap::new(),
            is_edited: &|file| {
                !Path::new(STOCK)
                    .join("filter.d")
                    .join(file.file_name().unwrap())
                    .exists()
            },
            check_filter: &|spec: &Spec| {
                let filter = catalog.load(spec)?;
                Ok(CheckedFilter {
                    knows_journal: !filter.definition().journal.is_empty(),
                    ..CheckedFilter::default()
                })
            },
        };
        let import = import(self.path(), &surroundings).unwrap();
        let etc = tempfile::tempdir().unwrap();
        fs::create_dir(etc.path().join(FOLDER)).unwrap();
        fs::write(etc.path().join(FOLDER).join(FILE), &import.text).unwrap();
        let read = jails::read(etc.path(), &[]);
        assert!(read.problems.is_empty(), "{}", read.problems);
        (import, read.jails)
    }

    /// What fail2ban would tell its server: the words of each `set JAIL …`, and the jails.
    fn dumped(&self) -> Dump {
        let mut client = Command::new("fail2ban-client");
        let output = client
            .arg("-c")
            .arg(self.path())
            .arg("-d")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut dump = Dump::default();
        for line in text.lines() {
            let words = words(line);
            match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["add", jail, backend] => {
                    dump.backends.insert(jail.to_owned(), backend.to_owned());
                }
                ["set", jail, option, ..] => dump
                    .options
                    .entry((jail.to_owned(), option.to_owned()))
                    .or_default()
                    .push(words[3..].to_vec()),
                _ => {}
            }
        }
        dump
    }
}

/// The words of a Python list of texts and numbers; lists inside are not of interest.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start_matches('[');
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        let quote = rest
            .chars()
            .next()
            .filter(|letter| ['\'', '"'].contains(letter));
        let Some(quote) = quote else {
            let end = rest.find([',', ']']).unwrap_or(rest.len());
            if end > 0 {
                words.push(rest[..end].to_owned());
            }
            rest = &rest[end..];
            if rest.starts_with(']') || rest.is_empty() {
                return words;
            }
            continue;
        };
        let Some(end) = rest[1..].find(quote) else {
            return words;
        };
        words.push(rest[1..=end].to_owned());
        rest = &rest[end + 2..];
    }
}

#[derive(Default)]
struct Dump {
    backends: BTreeMap<String, String>,
    options: BTreeMap<(String, String), Vec<Vec<String>>>,
}

impl Dump {
    /// All words of all lines about an option of a jail.
    fn all(&self, jail: &str, option: &str) -> Vec<Vec<String>> {
        let key = (jail.to_owned(), option.to_owned());
        self.options.get(&key).cloned().unwrap_or_default()
    }

    fn one(&self, jail: &str, option: &str) -> Option<String> {
        self.all(jail, option).last()?.first().cloned()
    }

    /// In seconds, as fail2ban itself counts them.
    fn seconds(&self, jail: &str, option: &str, known: &mut BTreeMap<String, i64>) -> Option<i64> {
        let text = self.one(jail, option)?;
        let seconds = known.entry(text.clone()).or_insert_with(|| {
            let mut client = Command::new("fail2ban-client");
            let output = client.arg(format!("--str2sec={text}")).output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            said.trim().parse::<f64>().unwrap() as i64
        });
        Some(*seconds)
    }
}

fn seconds_of(term: BanTerm) -> i64 {
    match term {
        BanTerm::For(time) => i64::try_from(time.as_secs()).unwrap(),
        BanTerm::Permanent => -1,
    }
}

/// Compares every jail that was carried over. Gives their number.
fn compared(case: &str, copy: &Copy) -> usize {
    let (import, found) = copy.imported();
    let dump = copy.dumped();
    let expected: Vec<&String> = dump.backends.keys().collect();
    let mut all = [import.jails.clone(), import.left_out.clone()].concat();
    all.sort();
    assert_eq!(all.iter().collect::<Vec<_>>(), expected, "{case}: jails");
    let mut known = BTreeMap::new();
    for (name, jail) in &found {
        let at = format!("{case}: {name}\n{}", import.text);
        let number = dump.one(name, "maxretry").map(|text| text.parse().unwrap());
        assert_eq!(Some(jail.max_retry), number, "{at}");
        let mut seconds = |option| dump.seconds(name, option, &mut known);
        let find = i64::try_from(jail.find_time.as_secs()).unwrap();
        assert_eq!(Some(find), seconds("findtime"), "{at}");
        assert_eq!(Some(seconds_of(jail.ban_time)), seconds("bantime"), "{at}");
        let is_on = dump.one(name, "bantime.increment").as_deref() == Some("True");
        assert_eq!(jail.growth.is_on, is_on, "{at}");
        if is_on {
            let most = jail
                .growth
                .most
                .map(|most| i64::try_from(most.as_secs()).unwrap());
            assert_eq!(most, seconds("bantime.maxtime"), "{at}");
        }
        let ignored = dump.all(name, "addignoreip").concat();
        let ignored: Vec<Prefix> = ignored
            .iter()
            .filter_map(|word| Some(Prefix::from(address::parse_network(word).ok()?.0)))
            .collect();
        assert_eq!(jail.ignored, ignored, "{at}");
        if jail.watched() == JailInput::Bans {
            continue;
        }
        if dump.backends[name].starts_with("systemd") {
            assert!(
                jail.files.is_empty() && jail.journal != jails::JournalUse::No,
                "{at}"
            );
        }
        // fail2ban says the files that are there, guard what it looks for.
        let mut followed: Vec<String> = jail
            .files
            .iter()
            .flat_map(|pattern| glob::glob(pattern).unwrap())
            .map(|path| path.unwrap().display().to_string())
            .collect();
        let logs = dump.all(name, "addlogpath");
        // Into nginx's error log clients write whole lines: guard reads the access log in its place.
        let here = |file: &String| match jail.filter.starts_with("nginx-") {
            true => file.replace("/nginx/error.log", "/nginx/access.log"),
            false => file.clone(),
        };
        let mut logs: Vec<String> = logs.iter().map(|words| here(&words[0])).collect();
        followed.sort();
        logs.sort();
        logs.dedup();
        assert_eq!(followed, logs, "{at}");
    }
    found.len()
}

const ENABLED: &str = "\
[sshd]\nenabled = true\n[nginx-http-auth]\nenabled = true\n[postfix]\nenabled = true\n\
[dovecot]\nenabled = true\n[apache-auth]\nenabled = true\n[recidive]\nenabled = true\n";

#[test]
fn imported_jails_mean_what_fail2ban_makes_of_the_same_files() {
    if Package::installed().is_none() {
        return;
    }
    for (case, local, jails) in [
        ("as installed", String::new(), 1),
        ("some jails", ENABLED.to_owned(), 6),
        (
            "other defaults",
            format!(
                "bantime = 1h\nfindtime = 1d\nmaxretry = 3\nignoreip = 127.0.0.1/8 ::1, 192.168.0.0/16 2001:db8::/32\n\
                 bantime.increment = true\nbantime.maxtime = 5w\n{ENABLED}"
            ),
            6,
        ),
        (
            "jails of their own",
            "[sshd]\nmode = aggressive\nport = 2222\nbantime = -1\nmaxretry = %(known/maxretry)s\n\
             logpath = %(sshd_log)s\n          %(syslog_authpriv)s\n\
             [web]\nenabled = true\nfilter = nginx-http-auth\nlogpath = %(syslog_authpriv)s tail\n\
             findtime = 24*60*60\nbantime = 1d 12h\nignoreip = 10.0.0.1\n"
                .to_owned(),
            2,
        ),
        (
            "the journal",
            "backend = systemd\n[sshd]\nenabled = true\n[postfix]\nenabled = true\n".to_owned(),
            2,
        ),
        // Some stock filters are without a filter file, or want what guard does not have.
        ("all of them", "enabled = true\n".to_owned(), 80),
    ] {
        let copy = Copy::with(&local);
        let found = compared(case, &copy);
        println!("{case}: {found} jails");
        assert!(found >= jails, "{case}: {found} jails");
    }
}

/// guardctl with its folders below `etc`.
fn guardctl(etc: &Path, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guardctl"));
    for name in ["GUARD_STATE", "GUARD_RUN", "GUARD_BPFFS", "GUARD_UNITS"] {
        command.env(name, etc.join("nothing"));
    }
    let output: Output = command.env("GUARD_ETC", etc).args(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_command_writes_one_file_and_says_what_to_do_next() {
    let etc = tempfile::tempdir().unwrap();
    let from = tempfile::tempdir().unwrap();
    let target: PathBuf = etc.path().join(FOLDER).join(FILE);
    let jails = from.path().join("jail.local");
    let mine = "[sshd]\nenabled = true\nfilter = sshd\nlogpath = /var/log/auth.log\nport = ssh\n";
    fs::write(&jails, mine).unwrap();
    let folder = from.path().to_str().unwrap();
    let words = ["import", "fail2ban", "--from", folder];
    let run = |more: &[&str]| guardctl(etc.path(), &[&words[..], more].concat());

    let (exit, said, warned) = run(&["--dry-run"]);
    assert_eq!(exit, 0, "{warned}");
    assert!(
        said.contains("would write") && said.contains("[jail.sshd]"),
        "{said}"
    );
    assert!(!target.exists());

    let (exit, said, warned) = run(&[]);
    assert_eq!(exit, 0, "{warned}");
    assert!(
        warned.contains("jail.local:5: port means nothing"),
        "{warned}"
    );
    for next in [
        "1 jail (sshd)",
        "systemctl disable --now fail2ban",
        "guardctl jail list",
    ] {
        assert!(said.contains(next), "{said}");
    }
    let first = fs::read_to_string(&target).unwrap();

    // Nobody edited it: it is replaced. A jail that cannot be carried over is left out.
    fs::write(&jails, format!("{mine}maxretry = 3\n[x]\nenabled = true\n")).unwrap();
    let (exit, _, warned) = run(&[]);
    assert_eq!(exit, 8, "{warned}");
    assert!(
        warned.contains("the jail x is left out: it has no filter"),
        "{warned}"
    );
    let second = fs::read_to_string(&target).unwrap();
    assert!(
        second != first && second.contains("maxretry = 3"),
        "{second}"
    );

    // Somebody did: it is kept.
    let edited = second.replace("maxretry = 3", "maxretry = 4");
    fs::write(&target, &edited).unwrap();
    let (exit, _, warned) = run(&[]);
    assert_eq!(exit, 7);
    assert!(
        warned.contains("was edited") && warned.contains("--force"),
        "{warned}"
    );
    assert_eq!(fs::read_to_string(&target).unwrap(), edited);
    let (exit, ..) = run(&["--force"]);
    assert_eq!((exit, fs::read_to_string(&target).unwrap()), (8, second));

    // A jail of another file stays there.
    fs::write(
        etc.path().join(FOLDER).join("own.toml"),
        "[jail.sshd]\nmaxretry = 9\n",
    )
    .unwrap();
    let (exit, said, _) = run(&["--json"]);
    assert_eq!(exit, 8);
    let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(answer["jails"], serde_json::json!([]));
    assert_eq!(answer["left_out"], serde_json::json!(["sshd", "x"]));
}

#[test]
fn no_fail2ban_and_wrong_files_have_exit_codes_of_their_own() {
    let etc = tempfile::tempdir().unwrap();
    let from = tempfile::tempdir().unwrap();
    let words = [
        "import",
        "fail2ban",
        "--from",
        from.path().to_str().unwrap(),
    ];
    let (exit, _, warned) = guardctl(etc.path(), &words);
    assert_eq!(exit, 6, "{warned}");
    assert!(
        warned.contains("there are no jails of fail2ban") && warned.contains("help:"),
        "{warned}"
    );

    fs::write(from.path().join("jail.conf"), "[DEFAULT]\nbantime\n").unwrap();
    let (exit, _, warned) = guardctl(etc.path(), &words);
    assert_eq!(exit, 5, "{warned}");
    assert!(warned.contains("jail.conf:2:"), "{warned}");
    assert!(!etc.path().join(FOLDER).exists());
}

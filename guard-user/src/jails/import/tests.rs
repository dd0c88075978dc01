//! Jails of fail2ban, and what becomes of them.

use std::{fs, time::Duration};

use super::*;
use crate::{
    bans::BanTerm,
    jails::{self, FOLDER, JailInput, JournalUse, Settings},
};

/// Imports these files of fail2ban; every filter is right but `broken`.
fn imported(files: &[(&str, &str)], taken: &[&str]) -> Result<Import, Problem> {
    let from = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = from.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let taken = taken.iter().map(|name| {
        (
            (*name).to_owned(),
            PathBuf::from("/etc/guard/jails.d/own.toml"),
        )
    });
    import(
        from.path(),
        &Surroundings {
            taken: &taken.collect(),
            check_filter: &|spec| match spec.name.as_str() {
                "broken" => Err(Problem::new("it is broken")),
                "no-journal" => Ok(CheckedFilter::default()),
                _ => Ok(CheckedFilter {
                    knows_journal: true,
                    ..CheckedFilter::default()
                }),
            },
            is_edited: &|file| fs::read_to_string(file).unwrap().contains("edited"),
        },
    )
}

/// The jails that guard reads back.
fn read_back(import: &Import) -> BTreeMap<String, Settings> {
    let etc = tempfile::tempdir().unwrap();
    fs::create_dir(etc.path().join(FOLDER)).unwrap();
    fs::write(etc.path().join(FOLDER).join(FILE), &import.text).unwrap();
    let read = jails::read(etc.path(), &[]);
    assert!(
        read.problems.is_empty(),
        "{}\n{}",
        import.text,
        read.problems
    );
    read.jails
}

const DEFAULTS: &str = "[DEFAULT]\nenabled = false\nmode = normal\nfilter = %(__name__)s[mode=%(mode)s]\nusedns = no\nbackend = auto\nmaxretry = 5\nfindtime = 10m\nbantime = 10m\nlogpath = /var/log/%(__name__)s.log\n";

/// One jail `x` with these options.
fn jail(options: &str) -> (Settings, Vec<Problem>) {
    let import = imported(
        &[
            ("jail.conf", DEFAULTS),
            ("jail.local", &format!("[x]\nenabled = true\n{options}")),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(import.left_out, [""; 0], "{options}: {:?}", import.warnings);
    let jail = read_back(&import).remove("x").unwrap();
    (jail, import.warnings)
}

fn right(options: &str) -> Settings {
    let (jail, warnings) = jail(options);
    assert!(warnings.is_empty(), "{options}: {warnings:?}");
    jail
}

#[test]
fn a_jail_means_what_it_meant_to_fail2ban() {
    let plain = right("");
    assert_eq!(
        (plain.filter.as_str(), plain.mode.as_deref()),
        ("x", Some("normal"))
    );
    assert_eq!(plain.files, ["/var/log/x.log"]);
    assert_eq!(plain.journal, JournalUse::No);
    assert_eq!((plain.max_retry, plain.find_time.as_secs()), (5, 600));
    assert_eq!(plain.ban_time, BanTerm::For(Duration::from_secs(600)));
    assert!(!plain.growth.is_on && plain.ignores_self && plain.ignored.is_empty());

    let full = right(
        "mode = aggressive\nfilter = sshd[mode=%(mode)s, publickey=\"any\"]\n\
         logpath = /var/log/a.log\n          /var/log/b/*.log tail\n\
         maxretry = 3\nfindtime = 24*60*60\nbantime = 1h 30m\nbantime.increment = true\n\
         bantime.factor = 1.5\nbantime.multipliers = 1 2 4 8\nbantime.maxtime = 5w\n\
         bantime.rndtime = 5m\nbantime.overalljails = yes\n\
         ignoreip = 127.0.0.1/8 ::1, 192.0.2.7 10.0.0.0/255.255.0.0\nignoreself = false\n",
    );
    assert_eq!(full.filter, "sshd[publickey=\"any\"]");
    assert_eq!(full.mode.as_deref(), Some("aggressive"));
    assert_eq!(full.files, ["/var/log/a.log", "/var/log/b/*.log"]);
    assert_eq!((full.max_retry, full.find_time.as_secs()), (3, 86_400));
    assert_eq!(full.ban_time, BanTerm::For(Duration::from_secs(5400)));
    let growth = &full.growth;
    assert!(growth.is_on && growth.counts_all_jails && growth.factor == 1.5);
    assert_eq!(growth.multipliers, [1, 2, 4, 8]);
    assert_eq!(growth.most, Some(Duration::from_secs(5 * 7 * 86_400)));
    assert_eq!(growth.random.as_secs(), 300);
    let ignored: Vec<String> = full.ignored.iter().map(ToString::to_string).collect();
    assert_eq!(
        ignored,
        ["127.0.0.0/8", "::1/128", "192.0.2.7", "10.0.0.0/16"]
    );
    assert!(!full.ignores_self);
}

#[test]
fn fail2bans_own_defaults_are_written_where_guard_has_others() {
    let permanent = right("bantime = -1\nbantime.increment = true\n");
    assert_eq!(permanent.ban_time, BanTerm::Permanent);
    assert_eq!(permanent.growth.most, None);
}

#[test]
fn lines_come_from_the_journal_where_fail2ban_read_it() {
    for (options, journal) in [
        ("backend = systemd\n", JournalUse::OfFilter),
        ("logpath =\n", JournalUse::OfFilter),
        (
            "backend = systemd\njournalmatch = _SYSTEMD_UNIT=a.service + _COMM=a\n  _COMM=b\n",
            JournalUse::Matches(vec![
                "_SYSTEMD_UNIT=a.service + _COMM=a".to_owned(),
                "_COMM=b".to_owned(),
            ]),
        ),
    ] {
        let found = right(options);
        assert_eq!((found.journal, found.files), (journal, vec![]), "{options}");
    }
}

#[test]
fn recidive_is_fed_with_bans() {
    let import = imported(
        &[
            ("jail.conf", DEFAULTS),
            (
                "jail.local",
                "[recidive]\nenabled = true\nlogpath = /var/log/fail2ban.log\nbantime = 1w\nfindtime = 1d\n",
            ),
        ],
        &[],
    )
    .unwrap();
    let recidive = &read_back(&import)["recidive"];
    assert_eq!(recidive.watched(), JailInput::Bans);
    assert_eq!(recidive.find_time.as_secs(), 86_400);
    assert_eq!(
        recidive.ban_time,
        BanTerm::For(Duration::from_secs(7 * 86_400))
    );
    assert!(import.warnings.is_empty(), "{:?}", import.warnings);
}

#[test]
fn files_replace_each_other_in_fail2bans_order() {
    let import = imported(
        &[
            ("jail.conf", &format!("[INCLUDES]\nbefore = paths.conf\n{DEFAULTS}[a]\nmaxretry = 2\nlogpath = %(a_log)s\n[b]\n[off]\n")),
            ("paths.conf", "[DEFAULT]\na_log = /var/log/from-paths.log\n"),
            ("jail.d/10.conf", "[a]\nenabled = true\nmaxretry = 3\n"),
            ("jail.local", "[a]\nmaxretry = 4\n[b]\nenabled = true\nfindtime = 1h\n"),
            ("jail.d/20.local", "[DEFAULT]\nbantime = 2h\n[b]\nfindtime = %(known/findtime)s 5m\n"),
        ],
        &[],
    )
    .unwrap();
    let jails = read_back(&import);
    assert_eq!(import.jails, ["a", "b"]);
    assert_eq!(jails["a"].max_retry, 4);
    assert_eq!(jails["a"].files, ["/var/log/from-paths.log"]);
    assert_eq!(jails["a"].ban_time, BanTerm::For(Duration::from_secs(7200)));
    assert_eq!(jails["b"].find_time.as_secs(), 3900);
}

#[test]
fn what_is_not_carried_over_is_told_with_its_place() {
    for (options, said, help) in [
        (
            "usedns = warn\n",
            "jail.local:3: usedns = warn is not",
            "addresses",
        ),
        (
            "port = ssh\n",
            "jail.local:3: port means nothing",
            "guard.toml",
        ),
        (
            "action = sendmail-whois[name=x]\n",
            ":3: the action sendmail-whois is not",
            "bans list",
        ),
        (
            "ignoreip = 192.0.2.7 myhost\n",
            ":3: ignoreip myhost is not",
            "never",
        ),
        ("logtimezone = UTC+1\n", ":3: logtimezone = UTC+1", "zone"),
        (
            "bantime.increment = true\nbantime.formula = ban.Time * 2\n",
            ":4: bantime.formula is a Python expression",
            "multipliers",
        ),
        (
            "bantime.increment = true\nbantime.factor = 1+1\n",
            ":4: bantime.factor = 1+1",
            "number",
        ),
        (
            "maxretry = 100000\n",
            ":3: maxretry = 100000 is taken as 1000",
            "1 to 1000",
        ),
        ("findtime = 1.5h\n", ":3: findtime: `1.5h`", "default"),
        (
            "logpath = /var/log/a\n  relative.log\n",
            ":3: logpath relative.log is not absolute",
            "jail",
        ),
        (
            "backend = systemd[journalpath=/x]\n",
            ":3: the options of backend",
            "journal",
        ),
        (
            "backend = systemd\njournalmatch = ssh\n",
            ":4: journalmatch ssh is not a journalctl match",
            "_SYSTEMD_UNIT",
        ),
    ] {
        let (jail, warnings) = jail(options);

        assert_eq!(jail.name, "x");
        assert_eq!(warnings.len(), 1, "{options}: {warnings:?}");
        let printed = warnings[0].to_string();
        assert!(printed.contains(said), "{options}: {printed}");
        let found = warnings[0].help.as_deref().unwrap_or_default();
        assert!(found.contains(help), "{options}: {found}");
    }
}

#[test]
fn a_jail_that_cannot_be_carried_over_is_left_out_and_no_other() {
    for (section, options, taken, said) in [
        ("x", "filter =\n", &[][..], "it has no filter"),
        (
            "x",
            "filter = broken\n",
            &[],
            "its filter cannot be used: it is broken",
        ),
        ("x", "filter = a[b=1\n", &[], "the `[` is not closed"),
        (
            "x",
            "filter = a[b='\"', c=\"'\"]\nfailregex = '\"\n",
            &[],
            "both kinds of quotation",
        ),
        (
            "x",
            "maxretry = %(nothing)s\n",
            &[],
            "refers to %(nothing)s",
        ),
        ("x", "logpath = relative\n", &[], "none of its logs"),
        (
            "x",
            "action = iptables[blocktype=RETURN, returntype=DROP]\n",
            &[],
            "lets sources in",
        ),
        ("x", "", &["x"], "own.toml has a jail x already"),
        (&"y".repeat(65), "", &[], "longer than 64"),
        (
            "a.b",
            "[a-b]\nenabled = true\n",
            &[],
            "another jail is called a-b",
        ),
    ] {
        let text = format!("[good]\nenabled = true\n[{section}]\nenabled = true\n{options}");
        let import = imported(&[("jail.conf", DEFAULTS), ("jail.local", &text)], taken).unwrap();

        assert_eq!(import.left_out.len(), 1, "{text}");
        let printed: Vec<String> = import.warnings.iter().map(ToString::to_string).collect();
        let is_told = |line: &String| {
            line.contains("is left out") && line.contains(said) && line.contains("jail.local:")
        };
        assert!(printed.iter().any(is_told), "{text}: {printed:?}");
        assert!(
            import.warnings.iter().all(|warning| warning.help.is_some()),
            "{printed:?}"
        );
        assert!(read_back(&import).contains_key("good"));
    }
}

#[test]
fn patterns_of_a_jail_become_options_of_its_filter() {
    let jail = right(
        "failregex = ^a \"quoted\" <HOST>$\n            ^b 100%% <HOST>$\ndatepattern = %%Y\n",
    );

    let spec = jail.spec(false).unwrap();
    assert_eq!(
        spec.given["failregex"],
        "^a \"quoted\" <HOST>$\n^b 100% <HOST>$"
    );
    assert_eq!(spec.given["datepattern"], "%Y");
}

#[test]
fn a_filter_that_was_changed_is_the_one_that_is_named() {
    let import = imported(
        &[
            ("jail.conf", DEFAULTS),
            ("filter.d/sshd.conf", ""),
            ("filter.d/sshd.local", ""),
            ("filter.d/mine.conf", ""),
            ("filter.d/postfix.conf", ""),
            (
                "jail.local",
                "[sshd]\nenabled = true\n[mine]\nenabled = true\n[postfix]\nenabled = true\n",
            ),
        ],
        &[],
    )
    .unwrap();
    let jails = read_back(&import);
    assert!(jails["sshd"].filter.ends_with("/filter.d/sshd.conf"));
    assert!(jails["mine"].filter.ends_with("/filter.d/mine.conf"));
    assert_eq!(jails["postfix"].filter, "postfix");
    assert_eq!(import.stock_filters, ["mine", "sshd"]);
}

#[test]
fn whom_a_program_spared_is_not_banned() {
    let options = "[x]\nenabled = true\nignorecommand = /bin/true <ip>\n";
    let import = imported(&[("jail.conf", DEFAULTS), ("jail.local", options)], &[]).unwrap();

    assert_eq!(
        (&import.jails[..], &import.off[..]),
        (&["x".to_owned()][..], &["x".to_owned()][..])
    );
    assert!(!read_back(&import)["x"].is_enabled);
    let printed = import.warnings[0].to_string();
    assert!(
        printed.contains("jail.local:3: the jail x is not enabled"),
        "{printed}"
    );
}

#[test]
fn the_same_thing_is_told_once() {
    let import = imported(
        &[
            ("jail.conf", &DEFAULTS.replace("usedns = no", "usedns = warn")),
            ("jail.local", "[a]\nenabled = true\nport = 1\n[b]\nenabled = true\nport = 2\n[c]\nenabled = true\nport = 3\n"),
        ],
        &[],
    )
    .unwrap();
    let printed: Vec<String> = import.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(printed.len(), 2, "{printed:?}");
    assert!(
        printed[0].contains("jail.local:3: port") && printed[0].ends_with("(and in 2 more places)")
    );
    assert!(printed[1].contains("jail.conf:5: usedns"));
}

#[test]
fn where_there_is_no_fail2ban_that_is_told_apart_from_files_that_are_wrong() {
    let missing = imported(&[("filter.d/x.conf", "")], &[]).unwrap_err();
    assert!(missing.is_missing, "{missing}");
    let wrong = imported(&[("jail.local", "[x]\nenabled\n")], &[]).unwrap_err();
    assert!(!wrong.is_missing);
    assert!(wrong.to_string().contains("jail.local:2:"), "{wrong}");
}

#[test]
fn a_filter_that_somebody_edited_is_kept() {
    let local = "[x]\nenabled = true\nfilter = sshd\n";
    let filter = "[Definition]\nfailregex = ^<HOST>$\n";
    let of = |files: &[(&str, &str)]| {
        let all = [&[("jail.conf", DEFAULTS), ("jail.local", local)], files].concat();
        let import = imported(&all, &[]).unwrap();
        let printed = import.warnings.iter().any(|problem| {
            problem
                .message
                .contains("the filter sshd of the jail x differs from the packaged one")
        });
        (read_back(&import)["x"].filter.clone(), printed)
    };
    let edited = format!("# edited\n{filter}");

    assert_eq!(
        of(&[("filter.d/sshd.conf", filter)]),
        ("sshd".to_owned(), false)
    );
    for files in [
        &[("filter.d/sshd.conf", edited.as_str())][..],
        &[
            ("filter.d/sshd.conf", filter),
            ("filter.d/sshd.local", filter),
        ],
        &[
            ("filter.d/sshd.conf", filter),
            ("filter.d/common.local", "[DEFAULT]\n"),
        ],
    ] {
        let (kept, printed) = of(files);
        assert!(kept.ends_with("filter.d/sshd.conf") && printed, "{kept}");
    }
}

#[test]
fn a_jail_that_would_read_the_whole_journal_is_left_out() {
    let import = |options: &str| {
        let local = format!("[x]\nenabled = true\nbackend = systemd\n{options}");
        imported(&[("jail.conf", DEFAULTS), ("jail.local", &local)], &[]).unwrap()
    };
    let left_out = import("filter = no-journal\n");
    assert_eq!(left_out.left_out, ["x"]);
    let printed = &left_out.warnings[0];
    assert!(
        printed.message.contains("which part of the journal") && printed.help.is_some(),
        "{printed}"
    );

    let matched = import("filter = no-journal\njournalmatch = _SYSTEMD_UNIT=x.service\n");
    assert_eq!(matched.jails, ["x"]);
    assert_eq!(import("filter = sshd\n").jails, ["x"]);
}

#[test]
fn a_jail_of_nginx_reads_the_log_that_cannot_be_forged() {
    let (settings, warnings) =
        jail("filter = nginx-http-auth\nlogpath = /var/log/nginx/shop.error.log\n");
    assert_eq!(settings.files, ["/var/log/nginx/shop.access.log"]);
    let printed = warnings
        .iter()
        .find(|problem| problem.message.contains("get anyone banned"));
    assert!(
        printed.is_some_and(|problem| problem.message.contains("/var/log/nginx/shop.error.log"))
    );
}

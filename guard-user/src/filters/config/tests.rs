//! Files that are wrong: where, what, and a way out; and files that are put together.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;
use crate::filters::{Spec, builtin};

/// Files in a folder that goes away with the value.
struct Files(PathBuf);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("guard-filters-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        Self(folder)
    }

    fn read(&self, given: &[(&str, &str)]) -> Result<Definition, problem::Problem> {
        let given = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Definition::read(&self.0.join("a.conf"), &given.collect())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn patterns(definition: &Definition) -> Vec<&str> {
    definition
        .failures
        .iter()
        .map(|expression| expression.text.as_str())
        .collect()
}

#[test]
fn what_is_wrong_is_said_with_file_line_and_a_way_out() {
    for (files, said) in [
        (
            &[("a.conf", "[Definition]\nx = 1\n")][..],
            "a.conf:1: the filter has no failregex",
        ),
        (
            &[("a.conf", "[Definition]\n\nfailregx = <HOST>\n")],
            "a.conf:3: unknown option `failregx`",
        ),
        (
            &[("a.conf", "[Definiton]\nfailregex = <HOST>\n")],
            "a.conf:2: there is no section [Definiton]",
        ),
        (
            &[("a.conf", "[Definition]\nfailregex = %(no)s <HOST>\n")],
            "a.conf:2: `failregex` refers to %(no)s",
        ),
        (
            &[("a.conf", "[Definition]\nfailregex = 100% <HOST>\n")],
            "a.conf:2: `failregex` has a `%`",
        ),
        (
            &[(
                "a.conf",
                "[Definition]\nx = %(y)s\ny = %(x)s\nfailregex = %(x)s <HOST>\n",
            )],
            "a.conf:4: `failregex` leads to more than 10",
        ),
        (
            &[(
                "a.conf",
                "[Definition]\n_x = <_y>\n_y = <_x>\nfailregex = <_x> <HOST>\n",
            )],
            "a.conf:4: `failregex` refers to itself",
        ),
        (
            &[(
                "a.conf",
                "[Definition]\nmaxlines = many\nfailregex = <HOST>\n",
            )],
            "a.conf:2: maxlines = many",
        ),
        (
            &[(
                "a.conf",
                "[Definition]\nmode = agressive\nm-normal = <HOST>\nm-aggressive = <HOST>\nfailregex = x<m-<mode>>\n",
            )],
            "a.conf:5: failregex 1: <m-agressive> is not defined",
        ),
        (
            &[
                (
                    "a.conf",
                    "[INCLUDES]\nbefore = b.conf\n[Definition]\nfailregex = <HOST>\n",
                ),
                ("b.conf", "[INCLUDES]\n\nafter = a.conf\n"),
            ],
            "b.conf:3: the files include each other in a circle",
        ),
        (
            &[("a.conf", "[INCLUDES]\nbefore = c.conf\n")],
            "c.conf is included and does not exist",
        ),
        (
            &[("a.conf", "failregex = <HOST>\n")],
            "a.conf:1: `failregex = <HOST>` is not in a section",
        ),
        (&[("b.conf", "")], "a.conf: there is no such filter"),
    ] {
        let files = Files::new(files);

        let problem = files.read(&[]).unwrap_err();

        let shown = problem.to_string();
        assert!(shown.contains(said), "{shown}");
        assert!(
            problem.help.is_some() || said.contains("maxlines"),
            "{shown}"
        );
    }
    let files = Files::new(&[]);
    fs::write(
        files.0.join("a.conf"),
        b"[Definition]\nfailregex = \xff <HOST>\n",
    )
    .unwrap();
    assert!(
        files
            .read(&[])
            .unwrap_err()
            .to_string()
            .contains("a.conf:2: not UTF-8")
    );
}

#[test]
fn files_replace_each_other_in_their_order() {
    let files = Files::new(&[
        (
            "common.conf",
            "[DEFAULT]\n_daemon = \\S+\n_prefix = ^<_daemon>:\\s\n[lt_file]\ndate = %(_daemon)s x\n",
        ),
        (
            "a.conf",
            "[INCLUDES]\nbefore = common.conf\nafter = a-after.conf\n[Definition]\n_daemon = mine\nfailregex = %(_prefix)sone <HOST>$\n            <more-<mode>>\nmode = normal\nmore-normal =\nmore-all = ^two <HOST>$\n           ^three <lt_file/date> <HOST>$\nignoreregex =\n[Init]\njournalmatch = A=b + C=d\n",
        ),
        ("a-after.conf", "[Definition]\nmaxlines = 2\n"),
        (
            "a.local",
            "[Definition]\nfailregex = %(known/failregex)s\n            ^four 100%% <HOST>$\n",
        ),
    ]);

    let definition = files.read(&[]).unwrap();
    assert_eq!(
        patterns(&definition),
        ["^mine:\\sone <HOST>$", "^four 100% <HOST>$"]
    );
    assert_eq!(definition.max_lines, 2);
    assert_eq!(definition.journal, ["A=b + C=d"]);
    assert_eq!(definition.files.len(), 4);

    let definition = files
        .read(&[("mode", "all"), ("_daemon", "yours"), ("maxlines", "1")])
        .unwrap();
    assert_eq!(
        patterns(&definition),
        [
            "^yours:\\sone <HOST>$",
            "^two <HOST>$",
            "^three \\S+ x <HOST>$",
            "^four 100% <HOST>$"
        ]
    );
    assert_eq!(definition.max_lines, 1);
}

#[test]
fn an_option_that_nothing_asks_for_is_worth_a_word() {
    let files = Files::new(&[(
        "a.conf",
        "[Definition]\nfailregex = ^<HOST>$\nfrobnicate = 1\n",
    )]);

    let definition = files.read(&[("mod", "x"), ("mode", "normal")]).unwrap();

    let warnings: Vec<String> = definition
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(warnings.len(), 2);
    assert!(
        warnings[1].contains("a.conf:3: unknown option `frobnicate`"),
        "{warnings:?}"
    );
}

#[test]
fn an_option_without_effect_is_told() {
    let remarks = |spec: &str| {
        let spec = Spec::parse(spec).unwrap();
        let file = builtin::file(&spec.name).unwrap();
        let definition = Definition::read(&file, &spec.given).unwrap();
        let messages = definition
            .warnings
            .into_iter()
            .map(|warning| warning.message);
        messages.collect::<Vec<_>>().join("\n")
    };
    for (spec, option) in [
        ("sshd[publickey=any]", "publickey"),
        ("nginx-bad-request[mode=aggressive]", "mode"),
        ("nginx-limit-req[zones=one]", "zones"),
        ("postfix[colour=red]", "colour"),
    ] {
        assert!(
            remarks(spec).contains(&format!("`{option}` has no effect")),
            "{spec}"
        );
    }
    for spec in [
        "sshd[mode=aggressive]",
        "nginx-bad-request[mode=normal]",
        "nginx-limit-req[status=503]",
        "postfix[logtype=journal]",
    ] {
        assert_eq!(remarks(spec), "", "{spec}");
    }
}

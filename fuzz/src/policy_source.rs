//! Policy files: whatever is accepted compiles or is too complex, and means the same when its rules are
//! written anew.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use guard_user::{
    ruleset::{
        compile::{Host, Stamp, compile},
        describe,
        edit::{self, EditOutcome, InsertAt},
        names::Names,
        source::{Loaded, Source},
        words::{self, Scope},
    },
    text::Overlay,
};

/// No such folder: all that is read is the input.
const ETC: &str = "/nonexistent/guard";

thread_local! {
    static NAMES: Names = Names::embedded();
}

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    // Sets may name files anywhere; what a machine has there is no matter of the input.
    if text.contains("file") {
        return;
    }
    NAMES.with(|names| {
        let source = source(names, text.to_owned());
        let Ok(loaded) = source.load() else {
            return;
        };
        let image = compile(&loaded.policy, &host(), Stamp::default());
        means_the_same(names, &loaded);
        if image.is_ok() {
            is_edited(names, &source, &loaded);
        }
    });
}

fn source(names: &Names, text: String) -> Source<'_> {
    let source = Source::new(Path::new(ETC)).with_names(names);
    let mut overlay = Overlay::default();
    overlay.insert(source.main_file(), text);
    let home = vec!["192.0.2.9".parse().expect("an address")];
    let hosts = BTreeMap::from([("a.example".to_owned(), home)]);
    source.with_overlay(overlay).with_hosts(Arc::new(hosts))
}

fn host() -> Host {
    Host {
        interfaces: vec![("eth0".to_owned(), 2)],
        own: vec!["192.0.2.1".parse().expect("an address")],
        ..Host::default()
    }
}

/// The words of each rule are that rule.
fn means_the_same(names: &Names, loaded: &Loaded) {
    for rule in &loaded.policy.rules {
        let words = describe::words(rule);
        let scope = Scope {
            names,
            sets: &loaded.sets,
        };
        match words::parse(&words, &scope) {
            Ok(parsed) => assert!(
                describe::same_rule(&parsed.rule, rule),
                "{words:?}: {:?}, and not {rule:?}",
                parsed.rule
            ),
            Err(error) => panic!("{words:?}: {error}"),
        }
    }
}

/// Without its last rule, and with it again, the files mean the same.
fn is_edited(names: &Names, source: &Source<'_>, loaded: &Loaded) {
    let Some(last) = loaded.policy.rules.last() else {
        return;
    };
    let count = loaded.policy.rules.len();
    let deleted = match edit::delete(source, loaded, count) {
        Ok(edited) => edited,
        Err(error) => panic!("rule {count} cannot be deleted: {error}"),
    };
    let [change] = deleted.changes.as_slice() else {
        panic!("{} files changed", deleted.changes.len());
    };
    let without = self::source(names, change.text.clone());
    let loaded_without = match without.load() {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{}\n{problems}", change.text),
    };
    let rule = guard_user::ruleset::model::Rule {
        origin: None,
        ..last.clone()
    };
    let added = match edit::add(&without, &loaded_without, &rule, InsertAt::End) {
        Ok(EditOutcome::Edited(edited)) => edited,
        // Files may say a thing that a command would not: warnings tell.
        Ok(EditOutcome::Covered { .. } | EditOutcome::Unchanged) | Err(_) => return,
    };
    let rules = &added.loaded.policy.rules;
    assert_eq!(rules.len(), count);
    for (one, other) in rules.iter().zip(&loaded.policy.rules) {
        assert!(describe::same_rule(one, other), "{one:?}\n{other:?}");
    }
}

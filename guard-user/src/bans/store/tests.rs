use std::{fs, net::IpAddr, time::Duration};

use super::*;
use crate::bans::term::Term;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("guard-bans-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("bans.redb")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn at(boot_ms: u64) -> Now {
    Now {
        boot_id: "one".to_owned(),
        boot_ms,
        wall_s: 1_000_000 + boot_ms / 1000,
    }
}

fn prefix(text: &str) -> Prefix {
    Prefix::from(text.parse::<ipnetwork::IpNetwork>().expect("a prefix"))
}

fn seconds(seconds: u64) -> Term {
    Term::For(Duration::from_secs(seconds))
}

fn add(store: &Store, now: &Now, text: &str, term: Term) -> Added {
    store
        .change(now, |change| {
            let operator = change.origin(&Origin::Operator)?;
            Ok(change.add(prefix(text), operator, term, "because")?)
        })
        .expect("added")
}

fn listed(store: &Store, now: &Now) -> Vec<(String, Term)> {
    let mut all = Vec::new();
    store
        .each(now, |record| {
            all.push((record.prefix.to_string(), record.end.left(now)));
            true
        })
        .expect("read");
    all
}

#[test]
fn the_longest_of_two_bans_holds() {
    let folder = Folder::new("longest");
    let store = Store::open(&folder.file(), &at(0)).expect("a store").store;
    assert_eq!(add(&store, &at(0), "192.0.2.1", seconds(60)), Added::New);
    assert_eq!(add(&store, &at(0), "192.0.2.1", seconds(10)), Added::Known);
    assert_eq!(add(&store, &at(0), "192.0.2.1", seconds(90)), Added::Longer);
    assert_eq!(
        listed(&store, &at(1000)),
        [("192.0.2.1".to_owned(), seconds(89))]
    );
    assert_eq!(
        add(&store, &at(0), "192.0.2.1", Term::Permanent),
        Added::Longer
    );
    assert_eq!(add(&store, &at(0), "192.0.2.1", seconds(90)), Added::Known);
    assert_eq!(store.counts().expect("counts").total(), 1);
}

#[test]
fn what_is_over_is_not_shown_and_swept_once_a_minute() {
    let folder = Folder::new("sweep");
    let store = Store::open(&folder.file(), &at(0)).expect("a store").store;
    add(&store, &at(0), "192.0.2.1", seconds(5));
    add(&store, &at(0), "2001:db8::/64", Term::Permanent);
    assert_eq!(listed(&store, &at(4_999)).len(), 2);
    assert_eq!(listed(&store, &at(5_000)).len(), 1);
    let sweep = |now: &Now| {
        store
            .change(now, |change| Ok(change.sweep()?))
            .expect("swept");
        store.counts().expect("counts")
    };
    assert_eq!(sweep(&at(1000)).total(), 2);
    assert_eq!(sweep(&at(30_000)).total(), 2, "too early");
    let left = Counts {
        ipv6: 1,
        ..Counts::default()
    };
    assert_eq!(sweep(&at(61_000)), left);
    // A ban that was over and not yet swept is a new one.
    assert_eq!(
        add(&store, &at(70_000), "192.0.2.1", seconds(5)),
        Added::New
    );
}

#[test]
fn bans_around_a_prefix_are_those_that_hold_it_and_those_inside() {
    let folder = Folder::new("around");
    let store = Store::open(&folder.file(), &at(0)).expect("a store").store;
    for text in [
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.1.1.0/24",
        "10.1.1.1",
        "10.1.2.0/24",
        "11.0.0.0/8",
        "2001:db8::/32",
    ] {
        add(&store, &at(0), text, Term::Permanent);
    }
    let around = |text: &str| -> Vec<String> {
        let found = store.change(&at(0), |change| Ok(change.around(prefix(text))?));
        let found = found.expect("found").into_iter();
        found.map(|(prefix, _)| prefix.to_string()).collect()
    };
    assert_eq!(
        around("10.1.1.0/24"),
        ["10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24", "10.1.1.1"]
    );
    assert_eq!(around("11.1.1.1"), ["11.0.0.0/8"]);
    assert_eq!(around("2001:db8:7::/64"), ["2001:db8::/32"]);
    assert_eq!(around("12.0.0.0/8").len(), 0);
}

#[test]
fn what_is_refused_leaves_no_trace() {
    let folder = Folder::new("refused");
    let store = Store::open(&folder.file(), &at(0)).expect("a store").store;
    let refused: Result<(), Failure> = store.change(&at(0), |change| {
        let operator = change.origin(&Origin::Operator)?;
        change.add(prefix("192.0.2.1"), operator, Term::Permanent, "")?;
        Err(Failure::new(Exit::Refused, "no").into())
    });
    assert_eq!(refused.map_err(|failure| failure.exit), Err(Exit::Refused));
    assert_eq!(listed(&store, &at(0)), []);
    assert_eq!(store.counts().expect("counts"), Counts::default());
}

#[test]
fn another_boot_leaves_each_ban_the_time_it_had() {
    let folder = Folder::new("boot");
    let store = Store::open(&folder.file(), &at(500_000))
        .expect("a store")
        .store;
    add(&store, &at(500_000), "192.0.2.1", seconds(100));
    add(&store, &at(500_000), "192.0.2.2", seconds(20));
    add(&store, &at(500_000), "192.0.2.3", Term::Permanent);
    drop(store);
    let later = |seconds: i64| Now {
        boot_id: "two".to_owned(),
        boot_ms: 7_000,
        wall_s: (1_000_500 + seconds) as u64,
    };
    let store = Store::open(&folder.file(), &later(30))
        .expect("a store")
        .store;
    assert_eq!(
        listed(&store, &later(30)),
        [
            ("192.0.2.1".to_owned(), seconds(70)),
            ("192.0.2.3".to_owned(), Term::Permanent)
        ]
    );
    // The same boot, whatever the wall clock says now.
    drop(store);
    let store = Store::open(&folder.file(), &later(86_400))
        .expect("a store")
        .store;
    assert_eq!(listed(&store, &later(-86_400)).len(), 2);
}

#[test]
fn a_wall_clock_that_went_back_makes_no_ban_longer() {
    let folder = Folder::new("back");
    let store = Store::open(&folder.file(), &at(0)).expect("a store").store;
    add(&store, &at(0), "192.0.2.1", seconds(100));
    drop(store);
    let wrong = Now {
        boot_id: "two".to_owned(),
        boot_ms: 1_000,
        wall_s: 0,
    };
    let store = Store::open(&folder.file(), &wrong).expect("a store").store;
    assert_eq!(
        listed(&store, &wrong),
        [("192.0.2.1".to_owned(), seconds(100))]
    );
}

#[test]
fn a_damaged_file_is_put_aside_and_not_lost() {
    let folder = Folder::new("damaged");
    for damage in [
        b"this is no database".to_vec(),
        vec![0; 100_000],
        vec![0xff; 5_000],
    ] {
        fs::write(folder.file(), &damage).expect("written");
        let opened = Store::open(&folder.file(), &at(0)).expect("opened");
        let aside = opened.quarantined.expect("put aside");
        assert_eq!(fs::read(&aside).expect("kept"), damage);
        assert_eq!(listed(&opened.store, &at(0)), []);
        drop(opened.store);
        fs::remove_file(aside).expect("removed");
        fs::remove_file(folder.file()).expect("removed");
    }
}

#[test]
fn origins_keep_their_bans_apart() {
    let folder = Folder::new("origins");
    let store = Store::open(&folder.file(), &at(0)).expect("a store").store;
    let feed = Origin::Feed("drop".to_owned());
    add(&store, &at(0), "192.0.2.1", seconds(60));
    store
        .change(&at(0), |change| {
            let number = change.origin(&feed)?;
            change.add(prefix("192.0.2.1"), number, Term::Permanent, "")?;
            Ok(change.add(prefix("192.0.2.2"), number, Term::Permanent, "")?)
        })
        .expect("added");
    let removed = store.change(&at(0), |change| {
        let number = change.origin(&feed)?;
        Ok(change.remove_all(number)?)
    });
    let removed = removed.expect("removed");
    let single = |text: &str| Prefix::single(text.parse::<IpAddr>().expect("an address"));
    assert_eq!(removed, [single("192.0.2.1"), single("192.0.2.2")]);
    assert_eq!(
        listed(&store, &at(0)),
        [("192.0.2.1".to_owned(), seconds(60))]
    );
}

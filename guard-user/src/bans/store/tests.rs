use std::{fs, net::IpAddr, time::Duration};

use super::*;
use crate::bans::term::BanTerm;

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

    fn copy(&self) -> PathBuf {
        self.0.join("bans.copy")
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

fn seconds(seconds: u64) -> BanTerm {
    BanTerm::For(Duration::from_secs(seconds))
}

fn add(store: &Store, now: &Now, text: &str, term: BanTerm) -> Added {
    store
        .change(now, |change| {
            let operator = change.origin(&BanOrigin::Operator)?;
            Ok(change.add(prefix(text), operator, term, "because")?)
        })
        .expect("added")
}

fn listed(store: &Store, now: &Now) -> Vec<(String, BanTerm)> {
    let mut all = Vec::new();
    store
        .each(now, |record| {
            all.push((record.prefix.to_string(), record.end.left(now)));
            true
        })
        .expect("read");
    all
}

mod own;

#[test]
fn the_longest_of_two_bans_holds() {
    let folder = Folder::new("longest");
    let store = Store::open(&folder.file(), &folder.copy(), &at(0))
        .expect("a store")
        .store;
    assert_eq!(add(&store, &at(0), "192.0.2.1", seconds(60)), Added::New);
    assert_eq!(add(&store, &at(0), "192.0.2.1", seconds(10)), Added::Known);
    assert_eq!(add(&store, &at(0), "192.0.2.1", seconds(90)), Added::Longer);
    assert_eq!(
        listed(&store, &at(1000)),
        [("192.0.2.1".to_owned(), seconds(89))]
    );
    assert_eq!(
        add(&store, &at(0), "192.0.2.1", BanTerm::Permanent),
        Added::Longer
    );
    assert_eq!(add(&store, &at(0), "192.0.2.1", seconds(90)), Added::Known);
    assert_eq!(store.counts().expect("counts").total(), 1);
}

#[test]
fn what_is_over_is_not_shown_and_swept_once_a_minute() {
    let folder = Folder::new("sweep");
    let store = Store::open(&folder.file(), &folder.copy(), &at(0))
        .expect("a store")
        .store;
    add(&store, &at(0), "192.0.2.1", seconds(5));
    add(&store, &at(0), "2001:db8::/64", BanTerm::Permanent);
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
    let left = BanCounts {
        ipv6: 1,
        ..BanCounts::default()
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
    let store = Store::open(&folder.file(), &folder.copy(), &at(0))
        .expect("a store")
        .store;
    for text in [
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.1.1.0/24",
        "10.1.1.1",
        "10.1.2.0/24",
        "11.0.0.0/8",
        "2001:db8::/32",
    ] {
        add(&store, &at(0), text, BanTerm::Permanent);
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
    let store = Store::open(&folder.file(), &folder.copy(), &at(0))
        .expect("a store")
        .store;
    let refused: Result<(), Failure> = store.change(&at(0), |change| {
        let operator = change.origin(&BanOrigin::Operator)?;
        change.add(prefix("192.0.2.1"), operator, BanTerm::Permanent, "")?;
        Err(Failure::new(Exit::Refused, "no").into())
    });
    assert_eq!(refused.map_err(|failure| failure.exit), Err(Exit::Refused));
    assert_eq!(listed(&store, &at(0)), []);
    assert_eq!(store.counts().expect("counts"), BanCounts::default());
}

#[test]
fn another_boot_leaves_each_ban_the_time_it_had() {
    let folder = Folder::new("boot");
    let store = Store::open(&folder.file(), &folder.copy(), &at(500_000))
        .expect("a store")
        .store;
    add(&store, &at(500_000), "192.0.2.1", seconds(100));
    add(&store, &at(500_000), "192.0.2.2", seconds(20));
    add(&store, &at(500_000), "192.0.2.3", BanTerm::Permanent);
    drop(store);
    let later = |seconds: i64| Now {
        boot_id: "two".to_owned(),
        boot_ms: 7_000,
        wall_s: (1_000_500 + seconds) as u64,
    };
    let store = Store::open(&folder.file(), &folder.copy(), &later(30))
        .expect("a store")
        .store;
    assert_eq!(
        listed(&store, &later(30)),
        [
            ("192.0.2.1".to_owned(), seconds(70)),
            ("192.0.2.3".to_owned(), BanTerm::Permanent)
        ]
    );
    // The same boot, whatever the wall clock says now.
    drop(store);
    let store = Store::open(&folder.file(), &folder.copy(), &later(86_400))
        .expect("a store")
        .store;
    assert_eq!(listed(&store, &later(-86_400)).len(), 2);
}

#[test]
fn a_wall_clock_that_went_back_makes_no_ban_longer() {
    let folder = Folder::new("back");
    let store = Store::open(&folder.file(), &folder.copy(), &at(0))
        .expect("a store")
        .store;
    add(&store, &at(0), "192.0.2.1", seconds(100));
    drop(store);
    let wrong = Now {
        boot_id: "two".to_owned(),
        boot_ms: 1_000,
        wall_s: 0,
    };
    let store = Store::open(&folder.file(), &folder.copy(), &wrong)
        .expect("a store")
        .store;
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
        let opened = Store::open(&folder.file(), &folder.copy(), &at(0)).expect("opened");
        let aside = opened.quarantine.and_then(|file| file.aside);
        let aside = aside.expect("put aside");
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
    let store = Store::open(&folder.file(), &folder.copy(), &at(0))
        .expect("a store")
        .store;
    let feed = BanOrigin::Feed("drop".to_owned());
    add(&store, &at(0), "192.0.2.1", seconds(60));
    store
        .change(&at(0), |change| {
            let number = change.origin(&feed)?;
            change.add(prefix("192.0.2.1"), number, BanTerm::Permanent, "")?;
            Ok(change.add(prefix("192.0.2.2"), number, BanTerm::Permanent, "")?)
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

/// Numbers that look random (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

/// Changes bytes of a file as disks, crashes and people do.
fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    let at = dice.below(bytes.len());
    let end = (at + 1 + dice.below(5000)).min(bytes.len());
    match dice.below(5) {
        0 => {
            bytes[at] ^= 1 << dice.below(8);
            format!("a bit of byte {at}")
        }
        1 => {
            bytes[at..end].fill(0);
            format!("zeroes in {at}..{end}")
        }
        2 => {
            bytes[at..end]
                .iter_mut()
                .for_each(|byte| *byte = dice.below(256) as u8);
            format!("garbage in {at}..{end}")
        }
        3 => {
            bytes.truncate(at);
            format!("cut after {at}")
        }
        _ => {
            let other = dice.below(bytes.len() / 4096) * 4096;
            let page = at / 4096 * 4096;
            bytes.copy_within(other..other + 4096, page);
            format!("page {page} is page {other}")
        }
    }
}

const SOURCES: u32 = 2000;

fn source(number: u32) -> Prefix {
    Prefix::single(std::net::Ipv4Addr::from(0x0a00_0000 + number).into())
}

fn stored(folder: &Folder) -> Vec<u8> {
    let store = Store::open(&folder.file(), &folder.copy(), &at(0))
        .expect("a store")
        .store;
    for chunk in 0..4 {
        let sources = (0..SOURCES / 4).map(|number| source(number * 4 + chunk));
        let added = store.change(&at(0), |change| {
            let operator = change.origin(&BanOrigin::Operator)?;
            for source in sources {
                change.add(source, operator, BanTerm::Permanent, "because")?;
            }
            Ok(())
        });
        added.expect("added");
    }
    drop(store);
    fs::read(folder.file()).expect("read")
}

/// What a command does.
fn command(folder: &Folder) -> Result<(), Failure> {
    let store = Store::open(&folder.file(), &folder.copy(), &at(1))?.store;
    store.change(&at(1), |change| {
        let operator = change.origin(&BanOrigin::Operator)?;
        change.around(source(77))?;
        change.add(source(SOURCES + 1), operator, BanTerm::Permanent, "")?;
        Ok(change.all()?)
    })?;
    store.counts()?;
    store.each(&at(1), |_| true)
}

#[test]
fn whatever_is_damaged_fails_at_most_once() {
    let folder = Folder::new("fuzzed");
    let whole = stored(&folder);
    let mut dice = Dice(0x5eed);
    let (mut late, mut careful) = (0, 0);
    for _ in 0..400 {
        let mut bytes = whole.clone();
        let what = damage(&mut bytes, &mut dice);

        fs::write(folder.file(), &bytes).expect("written");
        if let Err(failure) = command(&folder) {
            late += 1;
            command(&folder).unwrap_or_else(|again| panic!("{what}: {failure}, then {again}"));
        }

        // With care nothing is believed that was not written.
        fs::write(folder.file(), &bytes).expect("written");
        let opened = Store::open_with_care(&folder.file(), &folder.copy(), &at(1));
        let opened = opened.unwrap_or_else(|failure| panic!("{what}: {failure}"));
        let found = listed(&opened.store, &at(1));
        let are_all = found.len() == SOURCES as usize;
        assert!(
            are_all || opened.quarantine.is_some(),
            "{what}: {} bans",
            found.len()
        );
        careful += usize::from(opened.quarantine.is_some());
        drop(opened);
        for entry in fs::read_dir(&folder.0).expect("a folder").flatten() {
            fs::remove_file(entry.path()).expect("removed");
        }
    }
    assert!(careful > 50, "only {careful} of 400 damages were noticed");
    println!("{careful} of 400 were noticed with care, {late} late without");
}

#[test]
fn a_store_of_a_later_version_is_put_aside() {
    let folder = Folder::new("later");
    let store = Store::open(&folder.file(), &folder.copy(), &at(0))
        .expect("a store")
        .store;
    add(&store, &at(0), "192.0.2.1", BanTerm::Permanent);
    let raised = store.change(&at(0), |change| Ok(change.set_text("version", "2")?));
    raised.expect("raised");
    drop(store);

    let opened = Store::open(&folder.file(), &folder.copy(), &at(0)).expect("opened");

    let aside = opened.quarantine.and_then(|file| file.aside);
    let aside = aside.expect("put aside");
    assert!(aside.exists() && listed(&opened.store, &at(0)).is_empty());
}

#[test]
fn a_copy_takes_the_place_of_a_damaged_file_unless_it_is_no_better() {
    for (is_copy_good, kept) in [(true, 1), (false, 0)] {
        let folder = Folder::new(&format!("copy-{is_copy_good}"));
        let store = Store::open(&folder.file(), &folder.copy(), &at(0))
            .expect("a store")
            .store;
        add(&store, &at(0), "192.0.2.1", BanTerm::Permanent);
        drop(store);
        fs::copy(folder.file(), folder.copy()).expect("copied");
        if !is_copy_good {
            fs::write(folder.copy(), vec![7; 50_000]).expect("written");
        }
        fs::write(folder.file(), "no database").expect("written");

        let opened = Store::open(&folder.file(), &folder.copy(), &at(0)).expect("opened");

        let quarantine = opened.quarantine.expect("put aside");
        assert_eq!(quarantine.copy.is_some(), is_copy_good);
        let aside = fs::read(quarantine.aside.expect("put aside")).expect("kept");
        assert_eq!(aside, b"no database");
        assert_eq!(listed(&opened.store, &at(0)).len(), kept);
        drop(opened.store);
        // It is not put aside again.
        let again = Store::open(&folder.file(), &folder.copy(), &at(0)).expect("opened");
        assert!(again.quarantine.is_none());
    }
}

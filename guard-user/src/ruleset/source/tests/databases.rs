//! Policies whose sets come from databases.

use std::{fs, os::unix::fs::symlink, time::Instant};

use super::*;
use crate::{
    ruleset::{
        compile::{Host, Stamp, compile},
        mmdb::written::Database,
    },
    text::Overlay,
};

const POLICY: &str = "[sets]\nde = { mmdb = \"geo.mmdb\", country = \"DE\" }\n\n[[rule]]\naction = \"allow\"\n\
                      port = 22\nfrom = \"@de\"\n";

fn world() -> Database {
    Database::new("GeoLite2-Country")
        .country("192.0.2.0/24", "DE", "EU")
        .country("198.51.100.0/24", "FR", "EU")
        .country("2001:db8::/32", "DE", "EU")
}

fn folder(database: &Database) -> Folder {
    let folder = Folder::new();
    folder.write("guard.toml", POLICY);
    folder.write("geo.mmdb", database.bytes());
    folder
}

fn shown(loaded: &Loaded, set: &str) -> Vec<String> {
    loaded.sets[set].iter().map(ToString::to_string).collect()
}

#[test]
fn a_set_holds_what_its_database_says_of_a_country() {
    let folder = folder(&world());
    let loaded = source(&folder).load().expect("a policy");
    assert_eq!(shown(&loaded, "de"), ["192.0.2.0/24", "2001:db8::/32"]);
    assert_eq!(loaded.policy.rules[0].source.prefixes.len(), 2);
    let [set] = loaded.policy.databases.as_slice() else {
        panic!("{:?}", loaded.policy.databases);
    };
    assert_eq!((set.ipv4, set.ipv6), (1, 1));
    assert_eq!(set.file, Path::new("geo.mmdb"));
}

#[test]
fn another_version_of_the_database_is_another_policy() {
    let folder = folder(&world());
    let before = source(&folder).load().expect("a policy");
    folder.write(
        "geo.mmdb",
        world().country("203.0.113.0/24", "DE", "EU").bytes(),
    );
    let after = source(&folder).load().expect("a policy");
    assert_ne!(before.digest, after.digest);
    assert_eq!(shown(&after, "de").len(), 3);
}

#[test]
fn files_of_guard_d_name_databases_beside_them() {
    let folder = folder(&world());
    folder.write("guard.d/fr.mmdb", world().bytes());
    folder.write(
        "guard.d/1.toml",
        "sets.fr = { mmdb = \"fr.mmdb\", country = \"FR\" }\n",
    );
    let loaded = source(&folder).load().expect("a policy");
    assert_eq!(shown(&loaded, "fr"), ["198.51.100.0/24"]);
    let named = |set: &str| {
        let mut sets = loaded.policy.databases.iter();
        sets.find(|found| found.set == set)
            .map(|found| found.file.clone())
    };
    assert_eq!(named("fr"), Some("guard.d/fr.mmdb".into()));
}

/// What a copy of the policy is read with.
#[test]
fn an_extract_stands_in_for_the_database() {
    let folder = folder(&world());
    let loaded = source(&folder).load().expect("a policy");
    fs::remove_file(folder.path().join("geo.mmdb")).expect("removed");
    let mut overlay = Overlay::default();
    for (path, text) in &loaded.extracts {
        overlay.insert(path.clone(), text.to_string());
    }
    let copy = source(&folder)
        .with_overlay(overlay)
        .load()
        .expect("a policy");
    assert_eq!(copy.digest, loaded.digest);
    assert_eq!((copy.sets, copy.policy), (loaded.sets, loaded.policy));
}

#[test]
fn a_database_that_cannot_be_used_is_an_error_at_its_place() {
    type Prepare = fn(&Path);
    let cases: [(&str, Prepare); 9] = [
        ("does not exist", |_| {}),
        ("is a symbolic link to nothing", |path| {
            symlink("gone", path).expect("a link");
        }),
        ("is a directory, not a file", |path| {
            fs::create_dir(path).expect("a folder");
        }),
        ("is not a regular file", |path| {
            nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        }),
        ("is not a regular file", |path| {
            symlink("/dev/zero", path).expect("a link");
        }),
        ("is larger than 256 MiB", |path| {
            let file = fs::File::create(path).expect("a file");
            file.set_len(1 << 30).expect("a gigabyte of nothing");
        }),
        ("is empty", |path| fs::write(path, "").expect("a file")),
        ("is no mmdb database, or is cut off", |path| {
            let bytes = world().bytes();
            fs::write(path, &bytes[..bytes.len() / 2]).expect("a file");
        }),
        ("has no network of country \"DE\"", |path| {
            let other = Database::new("GeoLite2-Country").country("192.0.2.0/24", "FR", "EU");
            fs::write(path, other.bytes()).expect("a file");
        }),
    ];
    for (expected, prepare) in cases {
        let folder = Folder::new();
        folder.write("guard.toml", POLICY);
        prepare(&folder.path().join("geo.mmdb"));
        let text = source(&folder).load().expect_err(expected).to_string();
        let first = text.lines().next().unwrap_or_default();
        assert!(
            first.contains("guard.toml:2:15: set \"de\": "),
            "{expected}: {text}"
        );
        assert!(first.contains(expected), "{expected}: {text}");
        assert!(text.contains("\n  help: "), "{expected}: {text}");
        assert!(text.len() < 1000, "{expected}: {text}");
    }
}

/// As many prefixes as the largest countries have. `cargo test --release -p guard-user --lib sixty_thousand -- --nocapture`
/// says how long it took; here only a mistake of another order is one.
#[test]
fn sixty_thousand_prefixes_are_read_and_compiled() {
    let mut database = Database::new("GeoLite2-Country");
    // Every second one: no two can be merged.
    for n in 0..40_000_u32 {
        let network = std::net::Ipv4Addr::from(0x0b00_0000 + n * 512);
        database = database.country(&format!("{network}/24"), "DE", "EU");
    }
    for n in 0..20_000_u32 {
        let (high, low) = (n >> 8, (n & 0xff) * 2);
        database = database.country(&format!("2a00:{high:x}:{low:x}::/48"), "DE", "EU");
    }
    let folder = folder(&database);
    folder.write(
        "guard.toml",
        format!("{POLICY}\n[[rule]]\naction = \"deny\"\nfrom = \"@de\"\n\n[[rule]]\naction = \"allow\"\nport = 80\n"),
    );
    let started = Instant::now();
    let loaded = source(&folder).load().expect("a policy");
    let read = started.elapsed();
    assert_eq!(loaded.sets["de"].len(), 60_000);
    let image = compile(&loaded.policy, &Host::default(), Stamp::default()).expect("room for it");
    let took = started.elapsed();
    println!(
        "60 000 prefixes: read in {} ms, compiled in {} ms, {} KiB",
        read.as_millis(),
        (took - read).as_millis(),
        image.words.len() / 128
    );
}

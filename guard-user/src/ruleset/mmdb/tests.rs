//! What sets take out of databases, right ones and wrong ones.

use std::collections::BTreeSet;

use super::{
    written::{Database, Value},
    *,
};

fn countries(codes: &[&str]) -> Selector {
    Selector::countries(codes).expect("codes")
}

fn taken(database: &Database, selector: &Selector) -> Vec<String> {
    let extract = extract(&database.bytes(), selector).expect("a database");
    extract.networks.iter().map(ToString::to_string).collect()
}

fn refused(bytes: &[u8], selector: &Selector) -> String {
    extract(bytes, selector).expect_err("refused").to_string()
}

/// Two countries in both families.
fn world() -> Database {
    Database::new("GeoLite2-Country")
        .country("192.0.2.0/25", "DE", "EU")
        .country("192.0.2.128/25", "DE", "EU")
        .country("198.51.100.0/24", "FR", "EU")
        .country("203.0.113.0/24", "US", "NA")
        .country("2001:db8::/33", "DE", "EU")
        .country("2001:db8:8000::/33", "DE", "EU")
        .country("2001:db8:1:8000::/50", "US", "NA")
}

#[test]
fn a_country_is_its_prefixes_of_both_families_merged() {
    assert_eq!(
        taken(
            &world().country("2001:db8::/32", "DE", "EU"),
            &countries(&["de"])
        ),
        ["192.0.2.0/24", "2001:db8::/32"]
    );
    assert_eq!(
        taken(&world(), &countries(&["FR", "US", "FR"])),
        ["198.51.100.0/24", "203.0.113.0/24", "2001:db8:1:8000::/50"]
    );
    let europe = Selector::continents(&["EU"]).expect("a code");
    let europe = taken(&world(), &europe);
    assert_eq!(europe[..2], ["192.0.2.0/24", "198.51.100.0/24"]);
}

#[test]
fn a_network_is_its_prefixes() {
    let database = Database::new("GeoLite2-ASN")
        .asn("192.0.2.0/24", 64496)
        .asn("198.51.100.0/24", 64511)
        .asn("2001:db8::/32", 64496);
    let short = Value::Map(vec![("autonomous_system_number", Value::Short(64497))]);
    let database = database.record("203.0.113.0/24", short);
    let networks = |numbers: &[u32]| Selector::networks(numbers.to_vec()).expect("numbers");
    assert_eq!(
        taken(&database, &networks(&[64496])),
        ["192.0.2.0/24", "2001:db8::/32"]
    );
    assert_eq!(taken(&database, &networks(&[64511, 64496])).len(), 3);
    assert_eq!(taken(&database, &networks(&[64497])), ["203.0.113.0/24"]);
    let error = refused(&database.bytes(), &networks(&[64496, 64500]));
    assert_eq!(error, "has no network of asn 64500");
}

#[test]
fn a_database_of_ipv4_alone_has_no_other() {
    let database = Database::new("GeoLite2-Country")
        .of_ipv4()
        .country("0.0.0.0/1", "DE", "EU")
        .country("203.0.113.7/32", "US", "NA");
    assert_eq!(taken(&database, &countries(&["DE"])), ["0.0.0.0/1"]);
    assert_eq!(taken(&database, &countries(&["US"])), ["203.0.113.7/32"]);
}

/// Else a rule for a country would also be one for forged mapped addresses, and twice as large.
#[test]
fn ipv4_in_the_clothes_of_ipv6_is_taken_once_and_as_ipv4() {
    let aliases = |database: Database| {
        database
            // Not by a reference to the IPv4 part, but written out.
            .country("::ffff:192.0.2.0/120", "DE", "EU")
            .country("2002:c000:200::/40", "DE", "EU")
            .country("2001:0:c000::/48", "DE", "EU")
    };
    let plain = Database::new("GeoLite2-Country").country("192.0.2.0/24", "DE", "EU");
    assert_eq!(taken(&plain, &countries(&["DE"])), ["192.0.2.0/24"]);
    assert_eq!(
        taken(&aliases(plain), &countries(&["DE"])),
        ["192.0.2.0/24"]
    );
    // Such prefixes alone are no network of the country.
    let error = refused(&aliases(Database::new("X")).bytes(), &countries(&["DE"]));
    assert!(error.contains("no network of country"), "{error}");
}

#[test]
fn a_value_without_a_network_is_an_error_with_what_may_be_meant() {
    for (code, expected) in [
        (
            "UK",
            "has no network of country \"UK\"; did you mean \"GB\"",
        ),
        (
            "EU",
            "has no network of country \"EU\"; did you mean continent = \"EU\"",
        ),
        ("FX", "has no network of country \"FX\"; with F it has FR"),
        ("XX", "has no network of country \"XX\""),
    ] {
        assert_eq!(
            refused(&world().bytes(), &countries(&["DE", code])),
            expected
        );
    }
}

#[test]
fn a_database_of_another_kind_is_named() {
    let flag = Value::Map(vec![("is_anonymous", Value::Number(1))]);
    let anonymous = Database::new("GeoIP2-Anonymous-IP\u{1b}[31m").record("192.0.2.0/24", flag);
    let error = extract(&anonymous.bytes(), &countries(&["DE"])).expect_err("another kind");
    assert_eq!(
        error.to_string(),
        "is a database of type \"GeoIP2-Anonymous-IP[31m\", and none of its records has country.iso_code"
    );
    assert!(error.help().contains("GeoLite2-Country"));
    let networks = Selector::networks(vec![64496]).expect("a number");
    let error = refused(&world().bytes(), &networks);
    assert!(
        error.ends_with("none of its records has autonomous_system_number"),
        "{error}"
    );
    // Other makers have text where this field has a table.
    let text = Value::Map(vec![("country", Value::Text("DE".to_owned()))]);
    let other = Database::new("other").record("192.0.2.0/24", text);
    let error = refused(&other.bytes(), &countries(&["DE"]));
    assert!(error.contains("none of its records has"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    assert_eq!(refused(b"", &countries(&["DE"])), "is empty");
    for bytes in [
        &b"192.0.2.0/24\n"[..],
        &[0; 4096],
        b"\xab\xcd\xefMaxMind.com",
    ] {
        let error = refused(bytes, &countries(&["DE"]));
        assert!(
            error.starts_with("is no mmdb database, or is cut off: "),
            "{error}"
        );
    }
}

/// However a download ends, no part of a database is taken for the whole.
#[test]
fn a_database_that_is_cut_anywhere_is_refused() {
    let bytes = world().bytes();
    for len in 0..bytes.len() {
        assert!(
            extract(&bytes[..len], &countries(&["US"])).is_err(),
            "{len}"
        );
    }
}

/// Any of it may be anything: no panic, no endless loop, no prefix that is none.
#[test]
fn a_database_with_a_wrong_byte_ends_in_prefixes_or_in_an_error() {
    let bytes = world().bytes();
    let mut outcomes = BTreeSet::new();
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut wrong = bytes.clone();
            wrong[at] ^= flip;
            outcomes.insert(extract(&wrong, &countries(&["US"])).is_ok());
        }
    }
    assert_eq!(outcomes.len(), 2);
}

/// 60 nodes whose two sides lead to the next one have 2^60 ends.
#[test]
fn a_tree_that_is_none_is_not_walked_to_its_end() {
    let mut database = Database::new("GeoLite2-Country").of_ipv4();
    database = database.country("255.255.255.255/32", "DE", "EU");
    let mut bytes = database.bytes();
    for node in 0..31_u32 {
        let at = node as usize * 8;
        bytes[at..at + 4].copy_from_slice(&(node + 1).to_be_bytes());
    }
    let error = refused(&bytes, &countries(&["DE"]));
    assert!(error.contains("is no tree"), "{error}");
}

#[test]
fn an_extract_comes_back_from_its_text() {
    let extract = extract(&world().bytes(), &countries(&["DE"])).expect("a database");
    let text = extract.to_text();
    let networks = text
        .lines()
        .skip(1)
        .map(|line| line.parse().expect("a prefix"));
    assert_eq!(Extract::from_text(&text, networks.collect()), extract);
    assert_eq!(extract.kind, "GeoLite2-Country");
    let set = DatabaseSet::new("de", Path::new("geo.mmdb"), &countries(&["DE"]), &extract);
    assert_eq!(
        set.to_string(),
        "@de: 1 IPv4 and 18 IPv6 prefixes: country DE of geo.mmdb (GeoLite2-Country, built 2026-11-23)"
    );
}

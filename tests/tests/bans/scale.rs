//! A20: a million bans at once, nothing lost meanwhile, and a table that is full.

use std::{
    fmt::Write as _,
    fs,
    time::{Duration, Instant},
};

use guard_tests::lab::Conversation;

use super::scene::{POLICY, Scene};

/// Long with `GUARD_LONG`: a million; short: a fifth.
fn scale() -> u32 {
    if std::env::var_os("GUARD_LONG").is_some() {
        1
    } else {
        5
    }
}

#[test]
fn a_million_bans_are_imported_while_sessions_go_on() {
    let Some(scene) = Scene::enabled() else {
        return;
    };
    let (v4, v6, cidrs) = (1_000_000 / scale(), 100_000 / scale(), 10_000 / scale());
    let mut text = String::new();
    let (attacker, srv) = scene.families()[0];
    // One of them is asked about in the end.
    writeln!(text, "{attacker}").expect("text");
    for number in 1..v4 {
        // Spread over the address space, without what is protected.
        let [a, b, c, d] = number.wrapping_mul(2_654_435_761).to_be_bytes();
        let a = 11 + a % 80;
        writeln!(text, "{a}.{b}.{c}.{d}").expect("text");
    }
    for number in 0..v6 {
        writeln!(text, "2a00:{:x}:{:x}::1", number >> 16, number & 0xffff).expect("text");
    }
    for number in 0..cidrs {
        let [_, _, b, c] = number.to_be_bytes();
        let length = if c % 16 == 0 { 20 } else { 25 + number % 4 };
        writeln!(text, "150.{b}.{c}.0/{length}").expect("text");
    }
    let list = scene.guard.folder().join("list.txt");
    fs::write(&list, text).expect("a list");
    let mut talks: Vec<Conversation> = scene
        .families()
        .into_iter()
        .map(|(_, srv)| {
            let stream = scene.connection(&scene.lab.friend, srv);
            Conversation::tcp(srv.to_string(), stream, 1000)
        })
        .collect();
    Conversation::assert_go_on(&mut talks);

    let started = Instant::now();
    let ran = scene
        .guardctl(&["--json", "bans", "import", &list.to_string_lossy()])
        .ok()
        .json();
    let took = started.elapsed();
    println!("{v4} IPv4, {v6} IPv6 and {cidrs} prefixes in {took:?}: {ran}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    Conversation::assert_go_on(&mut talks);
    for talk in talks {
        let report = talk.stop();
        println!("{}: longest answer {:?}", report.name, report.longest);
        report.assert_steady(Duration::from_secs(3));
    }
    let status = scene.guardctl(&["--json", "status"]).ok().json();
    let bytes = status["ban_tables"]["total_bytes"].as_u64().expect("bytes");
    println!("tables of bans: {}", status["ban_tables"]);
    assert!(bytes < 160 << 20, "{bytes}");

    // One of many, lifted at once.
    assert!(!scene.gets_through(srv));
    let _ = scene.guardctl(&["unban", &attacker.to_string()]).ok();
    assert!(scene.gets_through(srv));
    let _ = scene.guardctl(&["ban", &attacker.to_string()]).ok();
    if scale() == 1 {
        let ran = scene.guardctl(&["ban", "203.0.113.67"]).exit(1);
        let _ = ran.says("full: 1000001 IPv4 addresses, at most 1000000");
    }
    assert!(!scene.gets_through(srv));
    let started = Instant::now();
    let _ = scene.guardctl(&["unban", "--all"]).ok();
    println!("all lifted in {:?}", started.elapsed());
    assert_eq!(scene.sources(), [""; 0]);
}

#[test]
fn a_full_table_is_an_error_and_bans_that_are_there_stay() {
    let policy = format!("{POLICY}\n[bans]\nipv4 = 3\nipv6 = 2\ncidrs = 1\n");
    let Some(scene) = Scene::with(&policy) else {
        return;
    };
    for (words, key) in [
        (
            ["203.0.113.66", "198.18.0.1", "198.18.0.2", "198.18.0.3"],
            "ipv4",
        ),
        (
            [
                "2001:db8:66::66",
                "2001:db8:67::1",
                "2001:db8:68::1",
                "2001:db8:69::1",
            ],
            "ipv6",
        ),
        (
            [
                "198.18.1.0/24",
                "198.18.2.0/24",
                "198.18.3.0/24",
                "2001:db8:77::/48",
            ],
            "cidrs",
        ),
    ] {
        let room = match key {
            "ipv4" => 3,
            "ipv6" => 2,
            _ => 1,
        };
        for word in &words[..room] {
            let _ = scene.guardctl(&["ban", word]).ok();
        }
        let ran = scene.guardctl(&["ban", words[room]]).exit(1);
        let _ = ran.says("full").says(&format!("`{key}`"));
        let (code, said) = scene.guardctl_reads(&["bans", "import", "-"], words[room]);
        assert_eq!(code, Some(1), "{said}");
        // What is there may become longer.
        let _ = scene.guardctl(&["ban", words[0], "--for", "2h"]).ok();
    }
    assert_eq!(scene.sources().len(), 6);
    for (_, srv) in scene.families() {
        assert!(!scene.gets_through(srv));
    }
    let _ = scene.guardctl(&["unban", "198.18.0.2"]).ok();
    let _ = scene.guardctl(&["ban", "198.18.0.3"]).ok();
}

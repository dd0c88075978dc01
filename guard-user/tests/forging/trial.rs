//! Evaluates hostile lines, and honest ones: a filter that matches nothing names nobody.

use std::net::IpAddr;

use guard_user::filters::{Filter, Host, LineOutcome, LineTime, Spec, builtin};

use crate::{
    daemons::{Daemon, PEERS},
    hostile,
};

/// 2026-11-28 11:00 UTC, in milliseconds: a moment after the lines were written.
const NOW_MS: i64 = 1_795_863_600_000;

/// The lines that name somebody else, each with what was made of it.
pub(crate) fn run(daemon: &Daemon) -> Vec<String> {
    let mut wrong = Vec::new();
    for filter in daemon.filters {
        let spec = Spec::parse(filter).unwrap();
        let file = builtin::file(&spec.name).unwrap();
        let mut compiled = Filter::load(&file, &spec.given).unwrap();
        assert_honest_lines_count(daemon, filter, &mut compiled);
        for (number, line) in daemon.lines.iter().enumerate() {
            for field in 0..daemon.fields(line) {
                let seed = (number * 16 + field) as u64;
                for text in hostile::texts(daemon, seed) {
                    for peer in PEERS {
                        let written = daemon.hostile(line, peer, field, &text);
                        evaluate(&mut compiled, &written, peer, filter, &mut wrong);
                    }
                }
            }
        }
    }
    wrong
}

/// All that a daemon wrote at once, which may be several lines.
fn evaluate(filter: &mut Filter, written: &[u8], peer: &str, name: &str, wrong: &mut Vec<String>) {
    let peer: IpAddr = peer.parse().unwrap();
    for line in written.split(|byte| *byte == b'\n') {
        let LineOutcome::Failure(failure) = filter.line(line, LineTime::InText, NOW_MS) else {
            continue;
        };
        if failure.host != Host::Address(peer) {
            let text = String::from_utf8_lossy(line);
            wrong.push(format!("{name}: {} for {text:?}", failure.host));
        }
    }
}

/// Lines that the table marks as failures name who wrote them.
fn assert_honest_lines_count(daemon: &Daemon, name: &str, filter: &mut Filter) {
    let mut named = 0;
    for line in daemon.lines {
        for peer in PEERS {
            let written = daemon.benign(line, peer);
            if let LineOutcome::Failure(failure) =
                filter.line(written.as_bytes(), LineTime::InText, NOW_MS)
            {
                let peer = Host::Address(peer.parse().unwrap());
                assert_eq!(failure.host, peer, "{name}: {written}");
                named += 1;
            }
        }
    }
    match daemon.is_trusted {
        true => assert!(named >= 2, "{name} matches none of its daemon's lines"),
        false => assert_eq!(named, 0, "{name} believes a log that can be forged"),
    }
}

//! The table in memory of this process.

use std::{
    fs::File,
    net::SocketAddr,
    os::fd::{FromRawFd as _, OwnedFd},
};

use guard_common::abi::{flow::Phase, service::protocol};

use super::*;

const TICK: u32 = 1000;
const PORT: u16 = 443;

fn mapping(words: usize) -> Mapping {
    // SAFETY: the name is a terminated string, and the call touches no other memory.
    let number = unsafe { libc::memfd_create(c"words".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(number >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: made just above, and owned by nobody else.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(number) });
    file.set_len(words as u64 * 8).expect("memory");
    Mapping::new(file, words).expect("a mapping")
}

fn table(buckets: usize) -> FlowTable {
    let ports = mapping((usize::from(u16::MAX) + 1) / 8);
    FlowTable::new(mapping(buckets * BUCKET_WORDS), ports, 7)
}

/// A session of a client with a port of ours.
fn session(number: u16, own_port: u16) -> LiveFlow {
    let [_, b, c, d] = u32::from(number).wrapping_mul(0x9e37_79b9).to_be_bytes();
    let remote = SocketAddr::new([11, b, c, d].into(), 10_000 + number);
    let local = SocketAddr::new([192, 0, 2, 1].into(), own_port);
    LiveFlow {
        tuple: Tuple::between(remote, local, protocol::TCP),
        phase: Phase::Open,
    }
}

/// Fills a table with so many sessions of either kind that lived in one with room for all.
fn taken_up(into: &FlowTable, others: u16, own: u16) -> (usize, usize) {
    let from = table(4096);
    for number in 0..others {
        assert!(from.adopt_inbound(&session(number, PORT), TICK));
    }
    for number in 0..own {
        assert!(from.adopt(&session(number, 50_000), TICK));
    }
    into.take_up(&from, TICK);
    let known = |count: u16, port| {
        (0..count)
            .filter(|number| into.knows(&session(*number, port).tuple, TICK))
            .count()
    };
    (known(others, PORT), known(own, 50_000))
}

#[test]
fn a_table_with_room_takes_up_every_session() {
    let larger = table(8192);
    assert_eq!(taken_up(&larger, 300, 300), (300, 300));
    assert!(!larger.has_mark(PORT, flow::LOST_SESSIONS));
    assert_eq!(larger.living(TICK), 600);
}

#[test]
fn a_smaller_table_takes_up_what_fits_and_sockets_are_asked_about_the_rest() {
    let smaller = table(16);
    let (others, own) = taken_up(&smaller, 300, 40);
    // Half of the places are for what others began, and not one more.
    assert!((48..=64).contains(&others), "{others}");
    assert!(own >= 30, "{own}");
    assert!(smaller.has_mark(PORT, flow::LOST_SESSIONS));
    assert!(smaller.has_mark(PORT, flow::HAS_SESSIONS));
}

#[test]
fn a_table_of_the_smallest_size_that_is_full_loses_nothing_by_being_taken_up_again() {
    let first = table(16);
    let (others, own) = taken_up(&first, 300, 300);
    let again = table(16);
    again.take_up(&first, TICK);
    again.take_up(&first, TICK);
    assert_eq!(again.living(TICK), first.living(TICK));
    assert_eq!(first.living(TICK), others + own);
    assert_eq!(first.percent_full(TICK).others, 100);
}

#[test]
fn each_half_of_the_table_is_full_by_itself() {
    let table = table(1024);
    assert_eq!(table.percent_full(TICK), PercentFull::default());
    for number in 0..40_000 {
        // What finds no room says so.
        let _ = table.adopt_inbound(&session(number, PORT), TICK);
    }
    let full = table.percent_full(TICK);
    assert!(full.others >= 99, "{full:?}");
    assert_eq!(full.own, 0);
}

//! Packets that the filter reports to those who watch: what an attacker sent, as a line, as fields of the journal, as a
//! number of a summary, and as a block of a file. Two bytes say what it was counted as, the rest is the frame.

use std::time::Duration;

use guard_common::abi::{hit::Hit, reason::Reason, record::Counted, service::Service};
use guard_user::events::{
    drop_log::{Admittance, Dropped},
    packet::Packet,
    pcapng::{Blocks, Captured},
    summary::Summary,
};

/// The most that is captured of a frame.
const SNAP: u32 = 1536;

pub(crate) fn run(input: &[u8]) {
    let Some(([kind, port], frame)) = input.split_first_chunk::<2>() else {
        return;
    };
    let frame = &frame[..frame.len().min(SNAP as usize)];
    let reason = Reason::ALL[usize::from(*kind) % Reason::ALL.len()];
    let counted = Counted {
        reason,
        action: reason.action(),
        is_monitored: false,
        service: Some(Service::tcp(u16::from(*port))),
        hit: Hit::NONE,
    };
    let packet = Packet::read(frame);
    assert_plain(&packet.to_string());
    let dropped = Dropped {
        reason,
        action: counted.action,
        service: counted.service,
        interface: "eth0".to_owned(),
        frame_len: frame.len() as u32,
        packet: packet.clone(),
        rule: Some(usize::from(*port)),
    };
    assert_plain(&dropped.to_string());
    for (name, value) in dropped.fields() {
        assert!(!value.is_empty(), "{name}");
        assert_plain(&value);
    }
    let source = packet.source;
    let mut admittance = Admittance::new(1.0);
    let mut admits = || admittance.admits(Duration::ZERO, source, counted.service, reason);
    assert!(admits(), "the first");
    assert!(!admits(), "the same again");
    let mut summary = Summary::default();
    assert!(summary.note(&counted, source), "the first is a line");
    assert!(!summary.note(&counted, source));
    let more: u64 = summary.end(|_, _| 10).iter().map(|more| more.packets).sum();
    assert_eq!(more, 9, "ten were counted, and one is a line");

    let mut blocks = Blocks::new(SNAP, Duration::ZERO).expect("a section");
    let captured = Captured {
        ifindex: u32::from(*port),
        queue: 0,
        time: Duration::from_nanos(u64::from(*kind)),
        frame_len: frame.len() as u32,
        bytes: frame,
        action: counted.action,
        comment: &packet.to_string(),
    };
    blocks
        .add(&captured, &|_| "eth0".to_owned())
        .expect("a block");
    let bytes = blocks.take();
    assert!(bytes.len() >= frame.len() && bytes.len().is_multiple_of(4));
}

/// One line, and nothing in it that a terminal or a reader of logs would take for something else.
fn assert_plain(text: &str) {
    assert!(
        text.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "{text:?}"
    );
}

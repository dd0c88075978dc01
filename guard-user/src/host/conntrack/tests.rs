//! Answers of a kernel (6.18), recorded, and what becomes of them when they are damaged.

use super::{
    super::dump::{self, Progress},
    *,
};

const UDP_TRANSLATED: &str = "\
    a40000000001020001000000ca500000020000003400018014000180080001000a090001080002000a090002\
    1c000280050001001100000006000200c37800000600030014e900003400028014000180080001000a090002\
    080002000a0900011c00028005000100110000000600020014e90000060003000fa000000800030000000198\
    080008000000000008000c00edeafa7008000b0000000001080007000000001d";
const PING_V6: &str = "\
    e40000000001020001000000ca5000000a000000540001802c00018014000300fd0000000000000000000000\
    0000000114000400fd00000000000000000000000000000224000280050001003a0000000600070000130000\
    05000800800000000500090000000000540002802c00018014000300fd000000000000000000000000000002\
    14000400fd00000000000000000000000000000124000280050001003a000000060007000013000005000800\
    810000000500090000000000080003000000000a080008000000000008000c0076566ad008000b0000000001\
    080007000000001d";
const PING_V4: &str = "\
    b40000000001020001000000ca500000020000003c00018014000180080001000a090001080002000a090002\
    2400028005000100010000000600040000120000050005000800000005000600000000003c00028014000180\
    080001000a090002080002000a09000124000280050001000100000006000400001200000500050000000000\
    0500060000000000080003000000018a080008000000000008000c00d69fe95808000b000000000108000700\
    0000001d";
const TCP_V6: &str = "\
    040100000001020001000000ca5000000a0000004c0001802c00018014000300fd0000000000000000000000\
    0000000114000400fd0000000000000000000000000000021c000280050001000600000006000200985a0000\
    06000300005000004c0002802c00018014000300fd00000000000000000000000000000214000400fd000000\
    0000000000000000000000011c0002800500010006000000060002000050000006000300985a000008000300\
    0000000e080008000000000008000c00cb9a6ce208000b0000000001080007000006977f300004802c000180\
    0500010003000000050002000a000000050003000a00000006000400230000000600050023000000";
const DONE: &str = "1400000003000200010000002b38000000000000";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
        .collect()
}

fn tuple(source: &str, destination: &str) -> Tuple {
    Tuple {
        source: source.parse().expect("an address"),
        destination: destination.parse().expect("an address"),
    }
}

fn read_answer(bytes: &[u8], entries: &mut Vec<Tracked>) -> io::Result<Progress> {
    dump::read(bytes, &mut |message| {
        entries.extend(message::entry(message))
    })
}

fn read(hex: &str) -> Tracked {
    let mut entries = Vec::new();
    let progress = read_answer(&bytes(hex), &mut entries).expect("an answer");
    assert_eq!((progress, entries.len()), (Progress::More, 1));
    entries[0]
}

#[test]
fn a_translated_conversation_has_two_different_tuples() {
    let entry = read(UDP_TRANSLATED);

    assert_eq!(entry.protocol, 17);
    assert_eq!(
        entry.original,
        tuple("10.9.0.1:50040", "10.9.0.2:5353"),
        "as the client sent it"
    );
    assert_eq!(
        entry.reply,
        tuple("10.9.0.2:5353", "10.9.0.1:4000"),
        "to the port that the translation chose"
    );
    assert!(!entry.seen_reply && !entry.assured);
    assert_eq!(entry.tcp, None);
}

#[test]
fn a_connection_tells_its_phase() {
    let entry = read(TCP_V6);

    assert_eq!(entry.protocol, 6);
    assert_eq!(entry.original, tuple("[fd00::1]:39002", "[fd00::2]:80"));
    assert_eq!(entry.reply, tuple("[fd00::2]:80", "[fd00::1]:39002"));
    assert!(entry.seen_reply && entry.assured);
    assert_eq!(entry.tcp, Some(TcpPhase::Established));
}

#[test]
fn each_state_of_the_kernel_has_its_phase() {
    const STATE: &str = "050001000300000005000200";
    for (state, phase) in [
        (0, None),
        (1, Some(TcpPhase::SynSent)),
        (2, Some(TcpPhase::SynReceived)),
        (3, Some(TcpPhase::Established)),
        (4, Some(TcpPhase::Closing)),
        (5, Some(TcpPhase::Closing)),
        (6, Some(TcpPhase::Closing)),
        (7, Some(TcpPhase::Closed)),
        (8, Some(TcpPhase::Closed)),
        (9, Some(TcpPhase::SynSent)),
        (77, None),
    ] {
        assert_eq!(TCP_V6.matches(STATE).count(), 1);
        let changed = STATE.replace("03000000", &format!("{state:02x}000000"));
        assert_eq!(read(&TCP_V6.replace(STATE, &changed)).tcp, phase, "{state}");
    }
}

#[test]
fn a_ping_has_its_identifier_for_ports() {
    assert_eq!(read(PING_V4).original, tuple("10.9.0.1:18", "10.9.0.2:18"));
    assert_eq!(
        read(PING_V6).original,
        tuple("[fd00::1]:19", "[fd00::2]:19")
    );
    assert_eq!(read(PING_V6).protocol, 58);
}

#[test]
fn several_messages_share_a_datagram() {
    let mut entries = Vec::new();
    let all = bytes(&[UDP_TRANSLATED, TCP_V6, PING_V6, DONE, PING_V4].concat());

    let progress = read_answer(&all, &mut entries).expect("answers");

    assert_eq!(progress, Progress::Complete);
    assert_eq!(entries.len(), 3, "nothing behind the end is read");
}

#[test]
fn an_error_is_the_kernels() {
    // NLMSG_ERROR with -EPERM, then the header of the request.
    let refused = "240000000200000001000000000000\
        00ffffffff1400000001010103010000000000000000000000";

    let error = read_answer(&bytes(refused), &mut Vec::new()).expect_err("EPERM");

    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
}

/// Every byte changed to every edge value, and every length cut: an entry or none, no panic.
#[test]
fn damaged_answers_do_no_harm() {
    for hex in [UDP_TRANSLATED, TCP_V6, PING_V4, PING_V6] {
        let whole = bytes(hex);
        for length in 0..whole.len() {
            // An error is as good as no entry.
            drop(read_answer(&whole[..length], &mut Vec::new()));
            let _ = message::entry(&whole[16..16.max(length)]);
        }
        for at in 0..whole.len() {
            for value in [0, 1, 3, 4, 5, 0x7f, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                drop(read_answer(&damaged, &mut Vec::new()));
            }
        }
    }
    let mut unknown = bytes(TCP_V6);
    // The status attribute becomes one that nobody knows.
    let at = unknown
        .windows(4)
        .position(|word| word == [8, 0, 3, 0])
        .expect("the status");
    unknown[at + 2] = 200;
    let mut entries = Vec::new();
    drop(read_answer(&unknown, &mut entries));
    assert_eq!(entries.len(), 1);
    assert!(!entries[0].assured);
}

#[test]
fn the_request_asks_for_both_families() {
    assert_eq!(
        dump::request(GET, &ANY_FAMILY),
        bytes("1400000001010103010000000000000000000000")
    );
}

//! The ceiling of a port in the model alone: what a flood of one network takes, and what it leaves to others.

use guard_common::{
    abi::{
        ceiling::{self, Ceiling},
        image::{FIXED_WORDS, HEADER_CEILING},
        reason::Reason,
        service::Service,
    },
    memory::MemTables,
    packet::TcpFlags,
    policy::{
        Admission, Arrival, Decision, Headroom, Tables as _, evaluate, note_outgoing, under_ceiling,
    },
    testing::packet,
};

const SEED: u64 = 7;
const PORT: u16 = 8080;
/// Jiffies of a second.
const HZ: u64 = 250;
/// SYNs of the flood in each of them: a hundred thousand per second.
const FLOOD: usize = 400;
/// An IPv4 SYN that a listener may answer, untagged.
const ADMISSION: Admission = Admission::from_bits(13);

fn tables() -> MemTables {
    let mut words = vec![0; FIXED_WORDS as usize];
    words[HEADER_CEILING as usize] = Ceiling::DEFAULT.to_word();
    MemTables::with_policy(words).with_seed(SEED)
}

/// Somebody of the /24 of this number.
fn syn(network: u32) -> Vec<u8> {
    let [_, a, b, c] = network.to_be_bytes();
    let from = packet().from(&format!("{a}.{b}.{c}.9"));
    from.tcp(PORT, TcpFlags::SYN).build()
}

fn fits(tables: &MemTables, frame: &[u8]) -> bool {
    under_ceiling(frame, tables, ADMISSION, PORT) == Headroom::Fits
}

/// Meters of a /24.
fn meters(network: u32) -> [u32; 2] {
    ceiling::prefix_meters(1 << 47 | u64::from(network), PORT, SEED)
}

/// Ten seconds of flood from one network, and a connection every four jiffies from another: how many of the
/// flood pass, and how many of the other do not.
fn endure(flood: u32, honest: u32) -> (usize, usize) {
    let mut tables = tables();
    let (of_flood, of_honest) = (syn(flood), syn(honest));
    let (mut passed, mut refused) = (0, 0);
    for jiffy in 0..10 * HZ {
        tables.jiffies += 1;
        passed += (0..FLOOD).filter(|_| fits(&tables, &of_flood)).count();
        if jiffy % 4 == 0 {
            refused += usize::from(!fits(&tables, &of_honest));
        }
    }
    (passed, refused)
}

const FLOODED: u32 = 11 << 16 | 1 << 8 | 1;

/// The least network above the flood's of which this is true.
fn network(is_wanted: impl Fn(u32) -> bool) -> u32 {
    (FLOODED + 1..220 << 16)
        .find(|network| is_wanted(*network))
        .expect("a network")
}

#[test]
fn a_flood_of_one_network_shuts_no_other_out_though_they_share_a_meter() {
    let [first, second] = meters(FLOODED);
    let strangers = [
        network(|other| meters(other)[0] != first && meters(other)[1] != second),
        network(|other| meters(other)[0] == first),
        network(|other| meters(other)[1] == second),
    ];
    for stranger in strangers {
        let (passed, refused) = endure(FLOODED, stranger);
        assert_eq!(refused, 0, "{stranger:#x}");
        // The ceiling for ten seconds and its burst.
        assert!((9_000..=12_100).contains(&passed), "{passed}");
    }
}

#[test]
fn whoever_floods_is_the_one_that_is_refused() {
    let (passed, refused) = endure(FLOODED, FLOODED);
    assert!(refused > 500, "{refused} of 625");
    assert!(passed <= 12_100, "{passed}");
}

/// With one meter for each in a table of the same size it would be 11.5 %.
#[test]
fn few_are_shut_out_by_a_flood_of_two_thousand_networks() {
    const NETWORKS: u32 = 2000;
    let used: Vec<[u32; 2]> = (FLOODED..FLOODED + NETWORKS).map(meters).collect();
    let firsts: std::collections::BTreeSet<u32> = used.iter().map(|pair| pair[0]).collect();
    let seconds: std::collections::BTreeSet<u32> = used.iter().map(|pair| pair[1]).collect();
    let others = 100 << 16..(100 << 16) + 100_000;
    let shut = others
        .filter(|other| {
            let [first, second] = meters(*other);
            firsts.contains(&first) && seconds.contains(&second)
        })
        .count();
    // (1 - (1 - 1/8192)^2000)^2 = 4.7 %
    assert!((4_200..=5_200).contains(&shut), "{shut} of 100000");
}

/// What `stats` tells of SYN floods is of SYNs.
#[test]
fn answers_of_dhcp_above_the_ceiling_are_no_syns_of_a_port() {
    let mut tables = tables();
    tables.jiffies = HZ;
    let arrival = Arrival { ifindex: 1 };
    let frames = (FLOODED..FLOODED + 4000).map(|network| {
        let [_, a, b, c] = network.to_be_bytes();
        let from = packet().from(&format!("{a}.{b}.{c}.9"));
        from.to("255.255.255.255")
            .udp_between(67, 68)
            .payload(300)
            .build()
    });
    let decisions: Vec<Decision> = frames
        .map(|frame| evaluate(frame.as_slice(), &tables, arrival))
        .collect();
    let above = |decision: &&Decision| decision.verdict.reason == Reason::Ceiling;
    assert_eq!(decisions.iter().filter(above).count(), 2000);
    let service = Some(Service::udp(68));
    assert!(decisions.iter().all(|decision| decision.service == service));
    assert_eq!(tables.ceiling(ceiling::refused(68)), 0);
    assert_eq!(tables.ceiling(ceiling::exceeded(68)), 0);
}

/// A SYN or a segment of the service behind this host, on its way out.
fn leaves(tables: &MemTables, to: &str, flags: u8, payload: usize) {
    let out = packet().from("192.0.2.1").to(to);
    let segment = out
        .tcp_between(PORT, 40_000, flags)
        .payload(payload)
        .build();
    note_outgoing(segment.as_slice(), tables, Arrival { ifindex: 1 });
}

/// A flood spends the ceiling of a port that a container has; three clients try meanwhile, one of a prefix that
/// has been served before.
fn tries(prepare: impl Fn(&MemTables)) -> usize {
    let mut tables = tables();
    tables.forwards = true;
    prepare(&tables);
    let client = syn(FLOODED + 5);
    let mut passed = 0;
    for jiffy in 0..10 * HZ {
        tables.jiffies += 1;
        for number in 0..40 {
            let stranger = (100 << 16) + (jiffy as u32 * 40 + number);
            fits(&tables, &syn(stranger));
        }
        if jiffy % 25 == 0 {
            passed += usize::from(fits(&tables, &client));
        }
    }
    passed
}

#[test]
fn prefixes_that_have_completed_a_handshake_have_a_share_of_their_own() {
    const CLIENT: &str = "11.1.6.77";
    assert_eq!(syn(FLOODED + 5)[26..29], [11, 1, 6]);
    let data = TcpFlags::PSH | TcpFlags::ACK;
    let without = tries(|_| {});
    assert!(without < 30, "{without} of 100: the flood does shut out");
    let with = tries(|tables| leaves(tables, CLIENT, data, 100));
    assert_eq!(with, 100);
    for (what, flags, payload) in [
        (
            "a SYN+ACK, which any forged SYN provokes",
            TcpFlags::SYN | TcpFlags::ACK,
            0,
        ),
        (
            "a bare acknowledgement, which a forged segment provokes",
            TcpFlags::ACK,
            0,
        ),
        ("a reset", TcpFlags::RST | TcpFlags::ACK, 0),
    ] {
        let provoked = tries(|tables| leaves(tables, CLIENT, flags, payload));
        assert!(provoked < 30, "{what}: {provoked} of 100");
    }
}

//! The flow stage in the model alone, without root: what passes as an answer and what does not. And the
//! same scene with one thing broken on purpose, which must turn out differently each time.

use guard_common::{
    abi::{
        addr::Addr,
        counters::Event as Counted,
        flow::{
            BUCKETS, Event, FlowState, HAS_SESSIONS, HAS_UDP_FLOWS, OWN_WAYS, Phase, Tag, Tuple,
        },
        image::{ANY_FROM_ANYWHERE, HEADER_CLASSES, HEADER_FLAGS},
        reason::Reason,
        service::protocol::{TCP, UDP},
    },
    evaluate,
    memory::MemTables,
    packet::TcpFlags,
    policy::{
        Arrival, Bucket, Found, RulesAnswer, Searches, SocketState, Tables as _, note_outgoing,
    },
    testing::{Breaks, Broken, PacketBuilder, packet, packet_v6},
};

const LO: Arrival = Arrival { ifindex: 1 };
const SYN_ACK: u8 = TcpFlags::SYN | TcpFlags::ACK;
const OWN_PORT: u16 = 40_001;
const PEER_PORT: u16 = 443;
/// Where the model's clock begins.
const STOPPED_AT: u64 = 1_000_000 << 8;

/// One thing that is wrong with the tables, or with the program on the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Tags do not tell these parts of a tuple apart: keys that are zero.
    DeafTo(&'static [usize]),
    /// Tags do not tell remote ports apart.
    DeafToRemotePort,
    /// Every tuple is a living flow.
    KnowsEverything,
    KnowsNothing,
    /// Flows never grow old.
    StoppedClock,
    /// Packets that arrive change no flow.
    NothingArrives,
    /// Errors keep flows alive.
    QuotesRenew,
    /// An outgoing SYN-ACK is taken for a SYN.
    SynAckBegins,
    /// Every port is known to have sessions.
    AsksAlways,
    /// No port is.
    AsksNever,
    /// No port is known for anything.
    Unmarked,
    /// Every segment has a socket.
    SocketsForAll,
    /// Rules let everything in.
    RulesAllowAll,
    /// Errors about another address of ours are taken for errors about the one they are sent to.
    QuotesDestination,
    /// Kept sessions are evicted.
    KeepsNothing,
}

/// A fault, and what it needs to know.
struct Wrong {
    fault: Fault,
    /// Destination of the error that is evaluated.
    receiver: Addr,
}

impl Breaks for Wrong {
    fn jiffies(&self, right: u64) -> u64 {
        if self.fault == Fault::StoppedClock {
            STOPPED_AT
        } else {
            right
        }
    }

    fn flow_key(&self, index: usize, right: u64) -> u64 {
        const PORTS: [usize; 2] = [3, 14];
        if let Fault::DeafTo(keys) = self.fault
            && keys.contains(&(index % 11))
        {
            0
        } else if self.fault == Fault::DeafToRemotePort && PORTS.contains(&index) {
            // Times the remote port in the upper half, this is a multiple of 2^64.
            1 << 48
        } else {
            right
        }
    }

    fn flow_state(&self, right: u64) -> u64 {
        const KEPT: u64 = 0xff << 56;
        if self.fault == Fault::KeepsNothing {
            right & !KEPT
        } else {
            right
        }
    }

    fn find_flow<T: Searches>(&self, tables: &T, tag: Tag, event: Event) -> Found {
        let event = match (self.fault, event) {
            (Fault::KnowsEverything, _) => return Found::Living,
            (Fault::KnowsNothing, _) => return Found::Nothing,
            (Fault::NothingArrives, Event::Arrives) => Event::Quoted,
            (Fault::QuotesRenew, Event::Quoted) => Event::Arrives,
            (_, event) => event,
        };
        guard_common::policy::find_flow(tables, tag, event)
    }

    fn port_marks(&self, right: u8) -> u8 {
        if self.fault == Fault::AsksAlways {
            right | HAS_SESSIONS
        } else if self.fault == Fault::AsksNever {
            right & !HAS_SESSIONS
        } else if self.fault == Fault::Unmarked {
            0
        } else {
            right
        }
    }

    fn socket(&self, right: SocketState) -> SocketState {
        if self.fault == Fault::SocketsForAll {
            SocketState::Established
        } else {
            right
        }
    }

    fn rules(&self, right: RulesAnswer) -> RulesAnswer {
        if self.fault == Fault::RulesAllowAll {
            // Outcome 2 is "a rule allows it".
            RulesAnswer::from_bits(2 << 24)
        } else {
            right
        }
    }

    fn quoted_sender(&self, right: Addr) -> Addr {
        if self.fault == Fault::QuotesDestination {
            self.receiver
        } else {
            right
        }
    }
}

/// The two ends, as text; the second peer and the second own address differ in one bit.
struct Family {
    base: PacketBuilder,
    own: [&'static str; 2],
    peer: [&'static str; 2],
    icmp: u8,
    too_big: u8,
}

fn families() -> [Family; 2] {
    [
        Family {
            base: packet(),
            own: ["192.0.2.1", "192.0.2.0"],
            peer: ["198.51.100.7", "198.51.100.6"],
            icmp: 1,
            too_big: 3,
        },
        Family {
            base: packet_v6(),
            own: ["2001:db8:2::1", "2001:db8:2::"],
            peer: ["2001:db8:100::7", "2001:db8:100::6"],
            icmp: 58,
            too_big: 2,
        },
    ]
}

fn addr(text: &str) -> Addr {
    Addr::from(text.parse::<std::net::IpAddr>().expect("an address"))
}

/// No rule and a default of deny, in tables that are looked at for every packet.
fn closed() -> MemTables {
    let mut image = vec![0; 1 << 16];
    image[HEADER_FLAGS as usize] = u64::from(ANY_FROM_ANYWHERE);
    // Classes lie where everything is 0: no rule.
    image[HEADER_CLASSES as usize] = 1 << 32 | 60_000;
    MemTables::with_policy(image).with_seed(11)
}

fn broken<'a>(right: &'a MemTables, fault: Fault, receiver: &str) -> Broken<'a, Wrong> {
    let receiver = addr(receiver);
    Broken::new(right, Wrong { fault, receiver })
}

/// What became of every frame of the scene.
struct Scene<'a> {
    tables: Broken<'a, Wrong>,
    seen: Vec<(String, Reason)>,
}

impl Scene<'_> {
    fn arrives(&mut self, case: &str, frame: &PacketBuilder) {
        let reason = evaluate(frame.build().as_slice(), &self.tables, LO)
            .verdict
            .reason;
        self.seen.push((case.to_owned(), reason));
    }

    fn leaves(&mut self, frame: &PacketBuilder) {
        let mut frame = frame.build();
        let flags = frame.len() - 20 + 13;
        if self.tables.fault().fault == Fault::SynAckBegins && frame[flags] == SYN_ACK {
            frame[flags] = TcpFlags::SYN;
        }
        note_outgoing(frame.as_slice(), &self.tables, LO);
    }
}

/// The scene; what became of its frames, and how often the socket table was asked.
fn play(fault: Fault) -> (Vec<(String, Reason)>, u64) {
    let mut all = Vec::new();
    let mut asked = 0;
    for family in families() {
        let mut right = closed();
        let session = Tuple {
            remote: addr(family.peer[0]),
            local: addr(family.own[0]),
            remote_port: 5000,
            local_port: 22,
            protocol: TCP,
        };
        right.sockets.insert(session, SocketState::Established);
        let start = right.ticks();
        let mut seen = Vec::new();
        for (later, acts) in [(0, 0..2), (29, 2..3), (31, 3..4)] {
            right.set_ticks(start + later);
            for act in acts {
                let mut scene = Scene {
                    tables: broken(&right, fault, family.own[0]),
                    seen: Vec::new(),
                };
                play_act(&mut scene, &family, act);
                seen.append(&mut scene.seen);
            }
        }
        all.append(&mut seen);
        asked += right.counted(Counted::SocketAsked);
    }
    (all, asked)
}

fn play_act(scene: &mut Scene<'_>, family: &Family, act: usize) {
    let (own, peer) = (family.own[0], family.peer[0]);
    let out = family.base.clone().from(own).to(peer);
    let back = family.base.clone().from(peer).to(own);
    let udp_in = back.clone().udp_between(PEER_PORT, OWN_PORT);
    let error = |about: &PacketBuilder, receiver: &str| {
        let quoted = about.build().split_off(14);
        let message = [&[family.too_big, 4, 0, 0, 0, 0, 5, 20][..], &quoted].concat();
        family
            .base
            .clone()
            .from(peer)
            .to(receiver)
            .protocol(family.icmp, &message)
    };
    match act {
        0 => {
            let segment = |flags| out.clone().tcp_between(OWN_PORT, PEER_PORT, flags);
            let answer = back.clone().tcp_between(PEER_PORT, OWN_PORT, SYN_ACK);
            scene.arrives("before", &answer);
            scene.leaves(&segment(TcpFlags::SYN));
            scene.arrives("SYN-ACK", &answer);
            scene.arrives(
                "SYN",
                &back.clone().tcp_between(PEER_PORT, OWN_PORT, TcpFlags::SYN),
            );
            scene.arrives("another peer", &answer.clone().from(family.peer[1]));
            scene.arrives("another own address", &answer.clone().to(family.own[1]));
            let between = |from, to| back.clone().tcp_between(from, to, SYN_ACK);
            scene.arrives("another remote port", &between(PEER_PORT + 1, OWN_PORT));
            scene.arrives("another local port", &between(PEER_PORT, OWN_PORT + 1));
            // Another flow marks the port for datagrams.
            scene.leaves(&out.clone().udp_between(OWN_PORT, 9999));
            scene.arrives("another protocol", &udp_in);
            scene.arrives("an error about it", &error(&segment(TcpFlags::ACK), own));
            let other = segment(TcpFlags::ACK).from(family.own[1]);
            scene.arrives("an error about another address", &error(&other, own));
        }
        1 => {
            let service = |flags| out.clone().tcp_between(22, 5001, flags);
            let client = |port| back.clone().tcp_between(port, 22, TcpFlags::ACK);
            scene.arrives("a session of an unmarked port", &client(5000));
            scene.leaves(&service(SYN_ACK));
            scene.arrives("no session", &client(5001));
            scene.arrives("a session", &client(5000));
            scene.leaves(&out.clone().udp_between(OWN_PORT, PEER_PORT));
            scene.leaves(&out.clone().udp_between(OWN_PORT, PEER_PORT + 9));
        }
        2 => {
            scene.arrives("an answer in time", &udp_in);
            let about = out.clone().udp_between(OWN_PORT, PEER_PORT + 9);
            scene.arrives("an error in time", &error(&about, own));
        }
        _ => {
            scene.arrives("an answer after an answer", &udp_in);
            let late = back.clone().udp_between(PEER_PORT + 9, OWN_PORT);
            scene.arrives("an answer after an error", &late);
        }
    }
}

#[test]
fn answers_pass_and_nothing_else_does() {
    use Reason::*;
    let expected = [
        ("before", DefaultDrop),
        ("SYN-ACK", Reply),
        ("SYN", DefaultDrop),
        ("another peer", DefaultDrop),
        ("another own address", DefaultDrop),
        ("another remote port", DefaultDrop),
        ("another local port", DefaultDrop),
        ("another protocol", DefaultDrop),
        ("an error about it", IcmpRelated),
        ("an error about another address", IcmpUnrelated),
        ("a session of an unmarked port", DefaultDrop),
        ("no session", DefaultDrop),
        ("a session", LiveSession),
        ("an answer in time", Reply),
        ("an error in time", IcmpRelated),
        ("an answer after an answer", Reply),
        ("an answer after an error", DefaultDrop),
    ];
    let (seen, asked) = play(Fault::None);
    let expected: Vec<_> = expected
        .iter()
        .chain(&expected)
        .map(|(case, reason)| ((*case).to_owned(), *reason))
        .collect();
    assert_eq!(seen, expected);
    assert_eq!(asked, 4);
}

#[test]
fn every_fault_is_noticed() {
    let whole = play(Fault::None);
    for fault in [
        Fault::DeafTo(&[1, 5, 6, 7]),
        Fault::DeafTo(&[2, 8, 9, 10]),
        Fault::DeafTo(&[3]),
        Fault::DeafTo(&[4]),
        Fault::DeafToRemotePort,
        Fault::KnowsEverything,
        Fault::KnowsNothing,
        Fault::StoppedClock,
        Fault::NothingArrives,
        Fault::QuotesRenew,
        Fault::SynAckBegins,
        Fault::AsksAlways,
        Fault::AsksNever,
        Fault::Unmarked,
        Fault::SocketsForAll,
        Fault::RulesAllowAll,
        Fault::QuotesDestination,
    ] {
        assert!(play(fault) != whole, "not noticed: {fault:?}");
    }
}

/// Datagrams in one bucket, as many as asked for.
fn of_one_bucket(tables: &MemTables, count: usize) -> Vec<Tuple> {
    let tuple = |remote_port, local_port| Tuple {
        remote: addr("198.51.100.7"),
        local: addr("192.0.2.1"),
        remote_port,
        local_port,
        protocol: UDP,
    };
    let bucket = |tuple: &Tuple| {
        tuple
            .tag(|index| tables.flow_key(index))
            .bucket(BUCKETS - 1)
    };
    let wanted = bucket(&tuple(1, 1));
    (1..=u16::MAX)
        .flat_map(|local| (1..=16).map(move |remote| tuple(remote, local)))
        .filter(|tuple| bucket(tuple) == wanted)
        .take(count)
        .collect()
}

/// Flows of a full bucket that are left after one more began.
fn left_over(fault: Fault) -> usize {
    let right = closed();
    let tuples = of_one_bucket(&right, OWN_WAYS + 1);
    let tag = |tuple: &Tuple| tuple.tag(|index| right.flow_key(index));
    for (way, tuple) in tuples[..OWN_WAYS].iter().enumerate() {
        let bucket = right.flow_bucket(tag(tuple));
        let state = FlowState::new(Phase::BothWays, right.ticks(), tuple.local_port).kept();
        bucket.set_state(way, state.to_word());
        bucket.set_tag(way, tag(tuple).bits());
    }
    let tables = broken(&right, fault, "192.0.2.1");
    let new_flow = &tuples[OWN_WAYS];
    tables.begin_flow(tag(new_flow), Event::Datagram, new_flow.local_port);
    tuples[..OWN_WAYS]
        .iter()
        .filter(|tuple| right.find_flow(tag(tuple), Event::Quoted) == Found::Living)
        .count()
}

#[test]
fn kept_sessions_stay_and_their_loss_is_noticed() {
    assert_eq!(left_over(Fault::None), OWN_WAYS);
    assert_eq!(left_over(Fault::KeepsNothing), OWN_WAYS - 1);
}

#[test]
fn a_mark_that_was_lost_returns_with_the_next_packet() {
    let right = closed();
    let out = packet().from("192.0.2.1").to("198.51.100.7");
    let out = out.udp_between(OWN_PORT, PEER_PORT).build();
    let back = packet().from("198.51.100.7").to("192.0.2.1");
    let back = back.udp_between(PEER_PORT, OWN_PORT).build();
    let reason = || evaluate(back.as_slice(), &right, LO).verdict.reason;
    note_outgoing(out.as_slice(), &right, LO);
    assert_eq!(right.port_marks(OWN_PORT), HAS_UDP_FLOWS);
    assert_eq!(reason(), Reason::Reply);
    right.set_marked_ports([].into());
    assert_eq!(reason(), Reason::DefaultDrop);
    note_outgoing(out.as_slice(), &right, LO);
    assert_eq!(reason(), Reason::Reply);
}

#[test]
fn a_mapped_address_in_a_quotation_is_no_conversation_of_the_other_family() {
    let right = closed();
    let v4 = packet()
        .from("192.0.2.1")
        .to("198.51.100.7")
        .udp_between(1, 2);
    note_outgoing(v4.build().as_slice(), &right, LO);
    let own = "2001:db8::c000:201";
    let ours = packet_v6().from(own).to("2001:db8::7").udp_between(1, 2);
    let mut quoted = ours.build().split_off(14);
    quoted[24..40].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, 100, 7]);
    let message = [&[1, 4, 0, 0, 0, 0, 0, 0][..], &quoted].concat();
    let error = packet_v6().to(own).protocol(58, &message).build();
    let reason = evaluate(error.as_slice(), &right, LO).verdict.reason;
    assert_eq!(reason, Reason::IcmpUnrelated);
}

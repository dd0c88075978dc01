//! Segments to open ports in the model alone: what vouches for one, what proves a session, and what a flood of segments
//! that are part of none leaves to others. By the full path and by the fast one.

use guard_common::{
    abi::{
        ceiling::{self, Ceiling},
        ceiling_map::LAST_COOKIE,
        counters,
        flow::{ANSWERS, BUCKETS, LOST_SESSIONS, OWN_WAYS, Tuple},
        image::{DEFAULT_ALLOW, FIXED_WORDS, HEADER_FLAGS, HEADER_OUT_OF_STATE, MONITOR},
        reason::{Action, Reason},
        service::protocol,
    },
    memory::MemTables,
    packet::TcpFlags,
    policy::{
        Arrival, Decision, SocketState, Tables as _, evaluate_fast_first, evaluate_full,
        note_outgoing,
    },
    testing::{
        packet,
        peers::{DATA, Ends, FIN_ACK, SYN_ACK, both_families},
    },
};

const LO: Arrival = Arrival { ifindex: 1 };
const HZ: u64 = 250;
const ACK: u8 = TcpFlags::ACK;
const RST: u8 = TcpFlags::RST;
/// Our number for the SYN, and theirs.
const ISN: u32 = 7000;

/// A way to a verdict.
type Way = fn(&[u8], &MemTables) -> Decision;

const WAYS: [(&str, Way); 2] = [
    ("full", |frame, tables| {
        evaluate_full(frame, tables, LO, |_| ())
    }),
    ("fast", |frame, tables| {
        evaluate_fast_first(frame, tables, LO, |_| ())
    }),
];

/// A host whose every port is open, and that has answered from the port before.
fn open(ceiling: Ceiling, flags: u32, port: u16) -> MemTables {
    let mut words = vec![0; FIXED_WORDS as usize];
    words[HEADER_FLAGS as usize] = u64::from(DEFAULT_ALLOW | flags);
    words[HEADER_OUT_OF_STATE as usize] = ceiling.to_word();
    let tables = MemTables::with_policy(words).with_seed(3);
    tables.mark_port(port, ANSWERS);
    tables
}

/// The same frame with these numbers.
fn numbered(mut frame: Vec<u8>, ends: &Ends, acknowledged: u32) -> Vec<u8> {
    let at = ends.of(14 + 20, 14 + 40) + 8;
    frame[at..at + 4].copy_from_slice(&acknowledged.to_be_bytes());
    frame
}

/// A conversation with every port of ours that somebody else begins.
struct Scene<'t> {
    ends: Ends,
    way: Way,
    tables: &'t MemTables,
}

impl Scene<'_> {
    fn arrives(&self, flags: u8) -> Reason {
        (self.way)(&self.ends.tcp_in(flags), self.tables)
            .verdict
            .reason
    }

    fn leaves(&self, flags: u8, acknowledged: u32) {
        let frame = numbered(self.ends.tcp_out(flags), &self.ends, acknowledged);
        note_outgoing(frame.as_slice(), self.tables, LO);
    }

    fn sends_data(&self) {
        let out = self.ends.out();
        let data = out
            .tcp_between(self.ends.own_port, self.ends.peer_port, DATA)
            .payload(10);
        note_outgoing(data.build().as_slice(), self.tables, LO);
    }

    fn is_in_state(&self) -> bool {
        self.arrives(ACK) == Reason::DefaultAllow
    }
}

/// Every family and both ways, with a ceiling that lets nothing in.
fn each(ceiling: Ceiling, scene: impl Fn(&mut MemTables, Ends, Way)) {
    for ends in both_families() {
        for (name, way) in WAYS {
            println!("{name} {ends:?}");
            scene(&mut open(ceiling, 0, ends.own_port), ends, way);
        }
    }
}

/// Segments of one network that fit at once: half of the burst, and the one that makes it more.
const OF_ONE_NETWORK: usize = 201;

/// Lets none in.
const NOTHING: Ceiling = Ceiling::new(1, 0);

#[test]
fn nothing_but_a_syn_comes_from_a_stranger() {
    each(NOTHING, |tables, ends, way| {
        let scene = Scene { ends, way, tables };
        assert_eq!(scene.arrives(TcpFlags::SYN), Reason::DefaultAllow);
        for flags in [ACK, DATA, FIN_ACK, RST, SYN_ACK, RST | ACK] {
            assert_eq!(scene.arrives(flags), Reason::OutOfState, "{flags:#x}");
        }
        let refused = tables.ceiling(ceiling::out_of_state_refused(ends.own_port));
        assert_eq!(refused, 6);
    });
}

#[test]
fn without_a_ceiling_everything_passes() {
    each(Ceiling::NONE, |tables, ends, way| {
        let scene = Scene { ends, way, tables };
        for flags in [ACK, RST, SYN_ACK] {
            assert_eq!(scene.arrives(flags), Reason::DefaultAllow);
        }
        assert_eq!(tables.counted(counters::Event::SocketAsked), 0);
    });
}

#[test]
fn a_syn_ack_lets_the_end_of_the_handshake_in_and_no_flood() {
    each(NOTHING, |tables, ends, way| {
        let scene = Scene { ends, way, tables };
        scene.leaves(SYN_ACK, ISN);
        // Sent again, it opens nothing anew.
        let let_in = (0..10)
            .filter(|_| {
                scene.leaves(SYN_ACK, ISN);
                scene.is_in_state()
            })
            .count();
        assert_eq!(let_in, 4);
        let stranger = Ends {
            peer_port: ends.peer_port + 1,
            ..ends
        };
        assert!(
            !Scene {
                ends: stranger,
                way,
                tables
            }
            .is_in_state()
        );
    });
}

#[test]
fn data_that_leaves_proves_a_session_and_so_does_its_end() {
    each(NOTHING, |tables, ends, way| {
        let scene = Scene { ends, way, tables };
        scene.sends_data();
        assert!(scene.is_in_state());
        tables.jiffies += 7 * 3600 * HZ;
        let scene = Scene { ends, way, tables };
        for flags in [DATA, FIN_ACK, RST] {
            assert_eq!(scene.arrives(flags), Reason::DefaultAllow);
        }
    });
    each(NOTHING, |tables, ends, way| {
        let scene = Scene { ends, way, tables };
        scene.leaves(FIN_ACK, ISN);
        assert!(scene.is_in_state());
    });
}

#[test]
fn neither_syn_ack_nor_reset_nor_the_answer_to_a_forged_segment_proves_one() {
    each(NOTHING, |tables, ends, way| {
        let scene = Scene { ends, way, tables };
        scene.leaves(SYN_ACK, ISN);
        for _ in 0..3 {
            // A half-open socket answers a forged segment by acknowledging the SYN again.
            scene.leaves(ACK, ISN);
            scene.leaves(RST, 0);
            scene.leaves(RST | ACK, ISN);
        }
        let let_in = (0..10).filter(|_| scene.is_in_state()).count();
        assert_eq!(let_in, 4, "no more than the SYN+ACK lets in");
    });
}

#[test]
fn an_upload_is_proven_by_the_acknowledgement_of_its_data() {
    each(NOTHING, |tables, ends, way| {
        let scene = Scene { ends, way, tables };
        scene.leaves(SYN_ACK, ISN);
        assert!(scene.is_in_state());
        scene.leaves(ACK, ISN + 1460);
        assert!((0..100).all(|_| scene.is_in_state()));
    });
    // Nobody saw its handshake.
    each(NOTHING, |tables, ends, way| {
        let scene = Scene { ends, way, tables };
        scene.leaves(ACK, ISN);
        assert!(
            !Scene {
                ends: Ends {
                    peer_port: 9,
                    ..ends
                },
                ..scene
            }
            .is_in_state()
        );
        let scene = Scene { ends, way, tables };
        scene.leaves(ACK, ISN + 1);
        assert!((0..100).all(|_| scene.is_in_state()));
    });
}

#[test]
fn the_socket_table_vouches_for_sessions_and_begins_their_entries() {
    each(Ceiling::OUT_OF_STATE, |tables, ends, way| {
        let tuple = ends.tuple(protocol::TCP);
        tables.sockets.insert(tuple, SocketState::Established);
        let scene = Scene { ends, way, tables };
        assert!((0..1000).all(|_| scene.is_in_state()));
        assert_eq!(tables.counted(counters::Event::SocketAsked), 1);
        assert_eq!(
            tables.ceiling(ceiling::out_of_state_meter(ends.own_port)),
            0
        );
    });
    // What is left of one is asked about each time; a handshake that was answered proves nothing.
    for (state, passes) in [
        (SocketState::Vouched, 1000),
        (SocketState::Handshake, OF_ONE_NETWORK),
        (SocketState::None, OF_ONE_NETWORK),
    ] {
        each(Ceiling::OUT_OF_STATE, |tables, ends, way| {
            tables.sockets.insert(ends.tuple(protocol::TCP), state);
            let scene = Scene { ends, way, tables };
            let let_in = (0..1000).filter(|_| scene.is_in_state()).count();
            assert_eq!(let_in, passes, "{state:?}");
        });
    }
}

#[test]
fn a_flood_asks_for_no_socket_but_where_an_entry_is_missing() {
    each(Ceiling::OUT_OF_STATE, |tables, ends, way| {
        let asked = |tables: &MemTables| tables.counted(counters::Event::SocketAsked);
        let scene = Scene { ends, way, tables };
        for _ in 0..1000 {
            scene.arrives(ACK);
        }
        assert_eq!(asked(tables), OF_ONE_NETWORK as u64);
        tables.mark_port(ends.own_port, LOST_SESSIONS);
        let scene = Scene { ends, way, tables };
        scene.arrives(ACK);
        assert_eq!(asked(tables), OF_ONE_NETWORK as u64 + 1);
        tables
            .sockets
            .insert(ends.tuple(protocol::TCP), SocketState::Established);
        assert!(Scene { ends, way, tables }.is_in_state());
    });
}

#[test]
fn where_no_stray_segment_passes_the_socket_table_vouches_all_the_same() {
    for (state, passes) in [
        (SocketState::Established, 1000),
        (SocketState::None, 0),
        (SocketState::Handshake, 0),
    ] {
        each(NOTHING, |tables, ends, way| {
            tables.sockets.insert(ends.tuple(protocol::TCP), state);
            let scene = Scene { ends, way, tables };
            let let_in = (0..1000).filter(|_| scene.is_in_state()).count();
            assert_eq!(let_in, passes, "{state:?}");
            // No more than where some pass: a flood does not buy look-ups.
            let asked = tables.counted(counters::Event::SocketAsked);
            assert!(asked <= OF_ONE_NETWORK as u64, "{asked}");
        });
    }
}

#[test]
fn ends_that_had_a_session_are_looked_for_in_a_flood() {
    for ceiling in [NOTHING, Ceiling::OUT_OF_STATE] {
        each(ceiling, |tables, ends, way| {
            let tuple = ends.tuple(protocol::TCP);
            Scene { ends, way, tables }.sends_data();
            tables.jiffies += 9 * 3600 * HZ;
            let mut stranger = ends;
            stranger.peer_port ^= 1;
            let flood = Scene {
                ends: stranger,
                way,
                tables,
            };
            for _ in 0..1000 {
                flood.arrives(ACK);
            }
            assert_eq!(flood.arrives(ACK), Reason::OutOfState);
            let forgotten = Scene { ends, way, tables };
            assert_eq!(forgotten.arrives(ACK), Reason::OutOfState, "it is over");
            tables.sockets.insert(tuple, SocketState::Established);
            let remembered = Scene { ends, way, tables };
            assert!(remembered.is_in_state());
        });
    }
}

#[test]
fn the_ceiling_is_shared_by_networks_and_a_client_of_before_a_reboot_gets_his_reset() {
    const FLOOD: usize = 100;
    for (name, way) in WAYS {
        let mut tables = open(Ceiling::OUT_OF_STATE, 0, 443);
        let of_flood = |number: u32| {
            let from = format!("11.7.0.{number}");
            packet().from(&from).tcp(443, ACK).build()
        };
        let honest = packet()
            .from("198.51.100.7")
            .tcp(443, DATA)
            .payload(9)
            .build();
        let (mut passed, mut refused) = (0, 0);
        for second in 0..10 * HZ {
            tables.jiffies += 1;
            for number in 0..FLOOD as u32 {
                let reason = way(&of_flood(number), &tables).verdict.reason;
                passed += usize::from(reason == Reason::DefaultAllow);
            }
            if second % HZ == 0 && second > HZ {
                let reason = way(&honest, &tables).verdict.reason;
                refused += usize::from(reason != Reason::DefaultAllow);
            }
        }
        assert!(passed < 2600, "{name}: {passed} of a flood of one network");
        assert_eq!(refused, 0, "{name}: another network is not shut out");
    }
}

#[test]
fn resets_and_syn_acks_pass_no_ceiling() {
    each(Ceiling::OUT_OF_STATE, |tables, ends, way| {
        let scene = Scene { ends, way, tables };
        for flags in [RST, RST | ACK, SYN_ACK] {
            assert_eq!(scene.arrives(flags), Reason::OutOfState);
        }
        assert!(scene.is_in_state());
        for _ in 0..1000 {
            assert_eq!(scene.arrives(RST), Reason::OutOfState);
        }
        let asked = tables.counted(counters::Event::SocketAsked);
        assert_eq!(asked, OF_ONE_NETWORK as u64, "a flood of resets");
    });
}

#[test]
fn nothing_is_out_of_state_where_answers_leave_by_another_way() {
    each(NOTHING, |tables, ends, way| {
        tables.set_marked_ports([].into());
        let scene = Scene { ends, way, tables };
        for flags in [ACK, DATA, RST] {
            assert_eq!(scene.arrives(flags), Reason::DefaultAllow);
        }
        // The first answer that is seen changes that.
        scene.leaves(RST, 0);
        assert_eq!(scene.arrives(ACK), Reason::OutOfState);
    });
}

#[test]
fn monitor_mode_lets_go_and_counts() {
    for ends in both_families() {
        for (_, way) in WAYS {
            let tables = open(NOTHING, MONITOR, ends.own_port);
            let verdict = way(&ends.tcp_in(ACK), &tables).verdict;
            assert_eq!(
                (verdict.reason, verdict.action),
                (Reason::OutOfState, Action::Pass)
            );
        }
    }
}

/// Tuples of one bucket.
fn of_one_bucket(tables: &MemTables, ends: Ends, count: usize) -> Vec<Ends> {
    let bucket = |ends: &Ends| {
        let tuple: Tuple = ends.tuple(protocol::TCP);
        tuple
            .tag(|index| tables.flow_key(index))
            .bucket(BUCKETS - 1)
    };
    let wanted = bucket(&ends);
    (0..65_535_u16)
        .flat_map(|port| (0..64).map(move |own| (port, own)))
        .map(|(peer_port, own)| Ends {
            peer_port,
            own_port: ends.own_port + own,
            ..ends
        })
        .filter(|ends| bucket(ends) == wanted)
        .take(count)
        .collect()
}

#[test]
fn sessions_of_others_take_no_place_of_what_this_host_began() {
    let ends = both_families()[0];
    let (_, way) = WAYS[0];
    let tables = open(NOTHING, 0, ends.own_port);
    let all = of_one_bucket(&tables, ends, 3 * OWN_WAYS);
    let (own, inbound) = all.split_at(OWN_WAYS);
    let scene = |ends: &Ends| Scene {
        ends: *ends,
        way,
        tables: &tables,
    };
    for ends in &all {
        tables.mark_port(ends.own_port, ANSWERS);
    }
    for ends in own {
        scene(ends).leaves(TcpFlags::SYN, 0);
        scene(ends).leaves(ACK, ISN);
    }
    for ends in inbound {
        scene(ends).sends_data();
    }
    assert!(own.iter().all(|ends| scene(ends).is_in_state()));
    let left = inbound.iter().filter(|ends| scene(ends).is_in_state());
    assert_eq!(left.count(), OWN_WAYS);
    // Whoever lost his entry is asked for in the socket table.
    let lost = inbound.iter().filter(|ends| !scene(ends).is_in_state());
    for ends in lost {
        assert_ne!(tables.port_marks(ends.own_port) & LOST_SESSIONS, 0);
    }
}

#[test]
fn a_cookie_is_looked_for_while_one_may_come_back() {
    let tick = 1000;
    assert!(!ceiling::may_bring_cookie(0, tick));
    assert!(ceiling::may_bring_cookie(u64::from(tick), tick));
    assert!(ceiling::may_bring_cookie(u64::from(tick), tick + 8));
    assert!(!ceiling::may_bring_cookie(u64::from(tick), tick + 9));
    let tables = open(NOTHING, 0, 1);
    assert_eq!(tables.ceiling(LAST_COOKIE), 0);
}

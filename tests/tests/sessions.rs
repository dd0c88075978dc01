//! TCP sessions that the flow table does not know: the kernel's socket table vouches for them, and is
//! asked only about ports that are known to have sessions.

use std::io::{Read as _, Write as _};

use guard_common::{
    abi::{
        counters::Event,
        flow::{Phase, Tuple},
        reason::Reason::*,
        service::protocol::TCP,
    },
    packet::TcpFlags,
};
use guard_tests::{
    harness::Harness,
    local_net::{LocalNet, Session, in_local_net},
    peers::{DATA, Ends, FIN_ACK, SYN_ACK},
    require,
};
use guard_user::ruleset::{
    model::Policy,
    sample::{allow, deny, policy},
};

/// A guard that closes everything, in a namespace of its own.
fn scene(play: impl FnOnce(&LocalNet, &mut Harness) + Send) {
    if !require::root() {
        return;
    }
    in_local_net(|net| play(net, &mut Harness::new(&Policy::default())));
}

/// Sessions of both families, begun by either end.
fn sessions(net: &LocalNet) -> Vec<Session> {
    let mut sessions = Vec::new();
    for (own, peer) in net.families() {
        sessions.push(net.begun_by_host(own, peer));
        sessions.push(net.begun_by_peer(&net.listen(own), peer));
    }
    sessions
}

fn knows_socket(guard: &mut Harness, session: &Session, is_there: bool) {
    guard.model_socket(session.ends.tuple(TCP), is_there);
}

/// The frame costs this many questions to the socket table.
fn asking(guard: &mut Harness, questions: u64, frame: impl FnOnce(&mut Harness)) {
    let asked = guard.happened(Event::SocketAsked);
    frame(guard);
    assert_eq!(guard.happened(Event::SocketAsked) - asked, questions);
}

/// The same ends but for one thing.
fn strangers(ends: &Ends) -> [Ends; 3] {
    [
        Ends {
            peer_port: ends.peer_port ^ 1,
            ..*ends
        },
        Ends {
            peer: ends.router(),
            ..*ends
        },
        Ends {
            own: ends.other_own(),
            ..*ends
        },
    ]
}

#[test]
fn a_session_from_before_passes_once_its_port_is_marked() {
    scene(|net, guard| {
        for session in sessions(net) {
            let ends = session.ends;
            knows_socket(guard, &session, true);
            asking(guard, 0, |guard| {
                guard.expect("unmarked", &ends.tcp_in(DATA), DefaultDrop);
            });
            guard.mark_sessions(ends.own_port);
            for flags in [TcpFlags::ACK, DATA, FIN_ACK, TcpFlags::RST, SYN_ACK] {
                asking(guard, 1, |guard| {
                    guard.expect("marked", &ends.tcp_in(flags), LiveSession);
                });
            }
            asking(guard, 0, |guard| {
                guard.expect("a SYN", &ends.tcp_in(TcpFlags::SYN), DefaultDrop);
                guard.expect("no TCP", &ends.udp_in(), DefaultDrop);
                guard.expect("no flags", &ends.tcp_in(0), TcpNull);
            });
            for stranger in strangers(&ends) {
                asking(guard, 1, |guard| {
                    guard.expect("a stranger", &stranger.tcp_in(DATA), DefaultDrop);
                });
            }
        }
        assert_eq!(guard.living(), 0, "a session makes no flow");
    });
}

#[test]
fn our_own_syn_ack_marks_the_port_of_a_service() {
    scene(|net, guard| {
        for (own, peer) in net.families() {
            let session = net.begun_by_peer(&net.listen(own), peer);
            let ends = session.ends;
            knows_socket(guard, &session, true);
            guard.expect("before", &ends.tcp_in(DATA), DefaultDrop);
            guard.sends(&ends.tcp_out(SYN_ACK));
            guard.expect("after", &ends.tcp_in(DATA), LiveSession);
        }
        assert_eq!(guard.living(), 0);
    });
}

#[test]
fn a_connection_out_of_an_open_port_lives_on_when_the_rule_goes() {
    if !require::root() {
        return;
    }
    in_local_net(|net| {
        for (own, peer) in net.families() {
            let session = net.begun_by_host(own, peer);
            let ends = session.ends;
            let mut guard = Harness::new(&policy([allow().tcp(ends.own_port)]));
            guard.model_socket(ends.tuple(TCP), true);
            guard.sends(&ends.tcp_out(TcpFlags::SYN));
            guard.sends(&ends.tcp_out(TcpFlags::ACK));
            guard.expect("by the rule", &ends.tcp_in(DATA), RuleAllow);
            guard.apply(&policy([deny().tcp(ends.own_port)]));
            guard.expect("by its flow", &ends.tcp_in(DATA), Reply);
            let [stranger, ..] = strangers(&ends);
            guard.expect("a stranger", &stranger.tcp_in(DATA), RuleDeny);
        }
    });
}

#[test]
fn a_listener_is_no_session() {
    scene(|net, guard| {
        for (own, peer) in net.families() {
            let listener = net.listen(own);
            let port = listener.local_addr().expect("an address").port();
            guard.mark_sessions(port);
            // What `nmap -sA` sends.
            let scan = Ends {
                own,
                peer,
                own_port: port,
                peer_port: 50_000,
            };
            for flags in [TcpFlags::ACK, TcpFlags::RST, FIN_ACK, SYN_ACK] {
                asking(guard, 1, |guard| {
                    guard.expect("a scan", &scan.tcp_in(flags), DefaultDrop);
                });
            }
            let session = net.begun_by_peer(&listener, peer);
            knows_socket(guard, &session, true);
            guard.expect("its client", &session.ends.tcp_in(DATA), LiveSession);
            guard.expect("the scan", &scan.tcp_in(TcpFlags::ACK), DefaultDrop);
        }
    });
}

#[test]
fn a_session_that_ended_is_answered_until_the_kernel_forgets_it() {
    scene(|net, guard| {
        for mut session in sessions(net) {
            let ends = session.ends;
            guard.mark_sessions(ends.own_port);
            knows_socket(guard, &session, true);
            session.own.write_all(b"last words").expect("sends");
            drop(session.own);
            let mut words = Vec::new();
            session.peer.read_to_end(&mut words).expect("reads");
            guard.expect("half closed", &ends.tcp_in(TcpFlags::ACK), LiveSession);
            drop(session.peer);
            // This end closed first, and waits in TIME_WAIT.
            guard.expect("the last FIN again", &ends.tcp_in(FIN_ACK), LiveSession);
        }
    });
}

#[test]
fn a_session_that_the_kernel_has_no_more_passes_no_more() {
    scene(|net, guard| {
        for session in sessions(net) {
            let ends = session.ends;
            guard.mark_sessions(ends.own_port);
            knows_socket(guard, &session, true);
            guard.expect("it lives", &ends.tcp_in(DATA), LiveSession);
            // Without lingering it ends with a reset, and nothing waits.
            reset(&session);
            drop(session.own);
            guard.model_socket(ends.tuple(TCP), false);
            asking(guard, 1, |guard| {
                guard.expect("it is gone", &ends.tcp_in(DATA), DefaultDrop);
            });
        }
    });
}

fn reset(session: &Session) {
    socket2::SockRef::from(&session.own)
        .set_linger(Some(std::time::Duration::ZERO))
        .expect("no lingering");
}

#[test]
fn a_flow_that_was_silent_for_too_long_is_asked_about_without_a_mark() {
    scene(|net, guard| {
        for (own, peer) in net.families() {
            let session = net.begun_by_host(own, peer);
            let ends = session.ends;
            let tuple: Tuple = ends.tuple(TCP);
            knows_socket(guard, &session, true);
            guard.sends(&ends.tcp_out(TcpFlags::SYN));
            guard.sends(&ends.tcp_out(TcpFlags::ACK));
            asking(guard, 0, |guard| {
                guard.expect("it lives", &ends.tcp_in(DATA), Reply);
            });
            guard.was_silent(&tuple, Phase::Open, 9 * 3600);
            asking(guard, 1, |guard| {
                guard.expect("it is idle", &ends.tcp_in(DATA), LiveSession);
            });
            assert!(!guard.session_ports().contains(&ends.own_port));
        }
    });
}

#[test]
fn a_flood_of_segments_to_other_ports_asks_nothing() {
    scene(|net, guard| {
        for session in sessions(net) {
            guard.mark_sessions(session.ends.own_port);
            asking(guard, 0, |guard| {
                for step in 1..200 {
                    let flood = Ends {
                        own_port: session.ends.own_port.wrapping_add(step * 17),
                        ..session.ends
                    };
                    if guard.session_ports().contains(&flood.own_port) {
                        continue;
                    }
                    guard.expect("a flood", &flood.tcp_in(TcpFlags::ACK), DefaultDrop);
                }
            });
        }
    });
}

#[test]
fn an_error_about_a_session_passes_if_its_socket_vouches_for_it() {
    scene(|net, guard| {
        for session in sessions(net) {
            let ends = session.ends;
            knows_socket(guard, &session, true);
            let too_big = ends.of((3, 4), (2, 0));
            let error = |ends: &Ends| ends.error(too_big, &ends.tcp_out(DATA), 60).build();
            asking(guard, 0, |guard| {
                guard.expect("unmarked", &error(&ends), IcmpUnrelated);
            });
            guard.mark_sessions(ends.own_port);
            asking(guard, 1, |guard| {
                guard.expect("marked", &error(&ends), IcmpRelated);
            });
            for stranger in strangers(&ends) {
                guard.expect("about no session", &error(&stranger), IcmpUnrelated);
            }
        }
    });
}

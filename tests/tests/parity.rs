//! The kernel and the model run the same function, compiled twice: for random traffic under random
//! policies they must agree on every action, on every counter, and on what they remember (acceptance
//! A25).

use std::{collections::BTreeMap, net::TcpListener};

use guard_common::{
    abi::{
        counters::{Counter, Event, dropped_row, event_row, passed_row, reason_row},
        hit::Hit,
        reason::{Action, Reason},
        service::protocol::TCP,
    },
    packet::TcpFlags,
    policy::{Decision, ListenerState},
    testing::{packet, random::Random},
};
use guard_tests::{
    frames::{SOURCES_V4, SOURCES_V6, random_frame},
    harness::{Harness, OWN},
    local_net::{LocalNet, Session, in_local_net},
    peers::{Ends, address},
    require,
    traffic::{Step, random_step},
};
use guard_user::bans::Prefix;
use guard_user::ruleset::{
    ceiling::Ceiling,
    limit::{Block, Counts, Limit, Rate},
    model::{DefaultAction, Policy, PortRange, RuleAction, Traffic},
    sample::{NESTED, Shape, random_policy},
    strangers::Strangers,
    until::Until,
};

/// Frames in all: a million, as acceptance asks, or what `GUARD_PARITY_FRAMES` says (a machine that
/// is emulated takes a hundred times as long).
fn frames_in_all() -> usize {
    const LEAST: usize = 100_000;
    let wanted = std::env::var("GUARD_PARITY_FRAMES").ok();
    let frames = wanted.map_or(1_000_000, |text| text.parse().expect("a number of frames"));
    assert!(frames >= LEAST, "fewer than {LEAST} frames prove nothing");
    frames
}

/// Rules of the policies that the frames meet.
const RULES: [usize; 10] = [1, 2, 4, 8, 12, 20, 40, 80, 140, 200];
/// Frames after which counters and tables are compared, and time goes on.
const BATCH: usize = 2_500;
/// Every reason must have been met by one frame in so many.
const RAREST: usize = 2000;
/// Every event must have happened this often.
const EVENT_FLOOR: u64 = 300;

#[test]
fn kernel_and_model_agree_on_random_traffic() {
    if require::root() {
        in_local_net(agree);
    }
}

fn agree(net: &LocalNet) {
    let sessions: Vec<Session> = net
        .families()
        .into_iter()
        .flat_map(|(own, peer)| {
            let service = net.listen(own);
            [
                net.begun_by_host(own, peer),
                net.begun_by_peer(&service, peer),
                net.begun_by_host(own, peer),
            ]
        })
        .collect();
    // Every SYN to these is answered.
    net.always_cookies();
    let listeners: Vec<TcpListener> = net
        .families()
        .into_iter()
        .flat_map(|(own, _)| NESTED.ports.iter().step_by(2).map(move |port| (own, *port)))
        .map(|at| net.listen_at(at.into()))
        .collect();
    let ends: Vec<Ends> = sessions.iter().map(|session| session.ends).collect();
    let mut answers = false;
    let mut met = BTreeMap::<Reason, u64>::new();
    let mut happened = Event::ALL.map(|event| (event, 0));
    for (round, rules) in RULES.into_iter().enumerate() {
        let mut random = Random::new(round as u64 + 1);
        let mut guard = Harness::new(&policy_of(&mut random, round, rules));
        for session in &ends {
            guard.model_socket(session.tuple(TCP), true);
            // Of the other ports, an answer of ours tells.
            if random.once_in(2) {
                guard.mark_sessions(session.own_port);
            }
        }
        for listener in &listeners {
            let at = listener.local_addr().expect("an address");
            guard.model_listener(at, ListenerState::Full);
        }
        answers = guard.answers();
        for source in SOURCES_V4.iter().chain(&SOURCES_V6).step_by(3) {
            guard.exempts(source, random.pick(NESTED.ports));
        }
        let steps = steps_of(&mut random, &ends);
        for steps in steps.chunks(BATCH) {
            if random.once_in(2) {
                ban_somebody(&mut guard, &mut random);
            }
            agree_on(&mut guard, steps, &mut met);
            guard.wait_ticks(random.below(3) as u32);
        }
        for (event, times) in &mut happened {
            *times += guard.happened(*event);
        }
    }
    for reason in Reason::ALL {
        let hits = met.get(reason).copied().unwrap_or(0);
        println!("{:20} {hits}", reason.label());
    }
    println!("{happened:?}");
    for reason in Reason::ALL {
        // Floods of their own: `related` and `fragments` have them.
        let is_flood = matches!(reason, Reason::IcmpCeiling | Reason::FragmentCeiling);
        if *reason == Reason::SynCookie && !answers || is_flood {
            continue;
        }
        let hits = met.get(reason).copied().unwrap_or(0);
        let floor = (frames_in_all() / RAREST) as u64;
        assert!(hits >= floor, "only {hits} frames met {}", reason.label());
    }
    // Few conversations never fill a bucket; `lifetimes` fills one.
    for (event, times) in happened {
        let is_rare = matches!(event, Event::FlowEvicted | Event::FlowRefused);
        assert!(is_rare || times >= EVENT_FLOOR, "{event:?}: {times}");
    }
}

/// One source of the frames, or its neighbourhood, at any level.
fn ban_somebody(guard: &mut Harness, random: &mut Random) {
    let (source, lengths) = if random.once_in(2) {
        (random.pick(&SOURCES_V4), [112, 115, 120, 122, 125, 128])
    } else {
        (random.pick(&SOURCES_V6), [24, 36, 48, 64, 77, 128])
    };
    let bits = Prefix::single(address(source)).bits();
    let eighths = random.below(80) as u32;
    guard.bans(&[Prefix::new(bits, random.pick(&lengths))], eighths);
}

/// Frames of every kind, and on top of them conversations.
fn steps_of(random: &mut Random, sessions: &[Ends]) -> Vec<Step> {
    const CONVERSATION_IN: usize = 3;
    const SYN_EVERY: usize = 4;
    let mut steps = Vec::new();
    for _ in 0..frames_in_all() / RULES.len() {
        steps.push(Step::Arrives(random_frame(random, &NESTED)));
        if random.once_in(CONVERSATION_IN) {
            steps.push(random_step(random, &NESTED, sessions));
        }
        if random.once_in(SYN_EVERY) {
            steps.push(Step::Arrives(new_connection(random)));
        }
    }
    steps
}

/// A plain SYN to a port where somebody may listen.
fn new_connection(random: &mut Random) -> Vec<u8> {
    let (sources, own) = random.pick(&[(SOURCES_V4, OWN[0]), (SOURCES_V6, OWN[1])]);
    packet()
        .from_ip(address(random.pick(&sources)))
        .to_ip(address(own))
        .tcp(random.pick(NESTED.ports), TcpFlags::SYN)
        .build()
}

fn policy_of(random: &mut Random, round: usize, rules: usize) -> Policy {
    let shape = Shape {
        rules,
        destination_in: 6,
        interface_in: 6,
        any_in: 6,
        any_source_in: 3,
    };
    let mut policy = random_policy(random, &NESTED, shape);
    policy.ceiling = match round % 4 {
        0 => Ceiling::Off,
        1 => Ceiling::default(),
        _ => Ceiling::per_second(round as u32),
    };
    policy.out_of_state = match round % 4 {
        0 => Strangers::Off,
        1 => Strangers::OUT_OF_STATE,
        2 => Strangers::Nothing,
        _ => strangers_per_second(round),
    };
    policy.udp = match round % 3 {
        0 => Strangers::UDP,
        1 => Strangers::Nothing,
        _ => strangers_per_second(round),
    };
    for rule in &mut policy.rules {
        // Long ago, or not while this runs; the clock of boot is the model's too.
        if round.is_multiple_of(3) && random.once_in(3) {
            let ends = [1, 2, 1 << 31, 1 << 32].map(Until::from_seconds);
            rule.until = Some(random.pick(&ends));
        }
        let has_connections = matches!(rule.traffic, Traffic::Ports(..));
        if has_connections && round % 3 == 1 && random.once_in(3) {
            let ports = [(1, 1023), (40_000, 40_000), (1024, u16::MAX)];
            let (first, last) = random.pick(&ports);
            rule.source_ports = vec![PortRange { first, last }];
        }
        if rule.action == RuleAction::Allow && has_connections && random.once_in(2) {
            let rate = Rate {
                count: 1 + random.below(20) as u32,
                seconds: 1 + random.below(10) as u32,
            };
            let burst = 1 + random.below(8) as u32;
            let counts = random.pick(&[Counts::Connections, Counts::Packets]);
            let may_block = counts == Counts::Packets && random.below(2) == 0;
            let block = may_block.then(|| Block::parse("2s").expect("a time"));
            rule.action = RuleAction::Limit(Limit {
                counts,
                rate,
                burst,
                block,
                on_excess: None,
            });
        }
    }
    policy.default = match round % 3 {
        0 => DefaultAction::Allow,
        _ => DefaultAction::Deny,
    };
    policy
}

fn strangers_per_second(count: usize) -> Strangers {
    Strangers::At(Rate {
        count: count.max(1) as u32,
        seconds: 1,
    })
}

/// Plays the steps in the kernel, then in the model, which must do the same.
fn agree_on(guard: &mut Harness, steps: &[Step], met: &mut BTreeMap<Reason, u64>) {
    let before = guard.snapshot();
    guard.follow_clock();
    let actions: Vec<Action> = steps.iter().map(|step| in_kernel(guard, step)).collect();
    let hits = guard.drain_hits();
    let counted: BTreeMap<_, _> = guard.drain().into_iter().collect();
    let events = guard.model_events();
    let (mut expected, mut expected_hits) = (BTreeMap::new(), BTreeMap::new());
    for (step, action) in steps.iter().zip(actions) {
        match step {
            Step::Leaves(frame) => guard.model_sends(frame),
            Step::Arrives(frame) => {
                let decision = guard.model(frame);
                assert_eq!(action, decision.verdict.action, "{decision:?} {frame:02x?}");
                *met.entry(decision.verdict.reason).or_default() += 1;
                count(&mut expected, &decision, frame.len());
                count_hit(&mut expected_hits, decision.hit, frame.len());
            }
        }
    }
    for (event, packets) in guard.model_events_since(&events) {
        expected.insert(event_row(event), Counter { packets, bytes: 0 });
    }
    if counted != expected {
        guard.restore(&before);
        name_the_frame(guard, steps);
        panic!("the counters disagree: {counted:?} {expected:?}");
    }
    assert_eq!(hits, expected_hits, "packets counted for rules");
    guard.assert_identical();
}

fn in_kernel(guard: &mut Harness, step: &Step) -> Action {
    match step {
        Step::Arrives(frame) => guard.verdict(frame, None).expect("runs"),
        Step::Leaves(frame) => {
            guard.kernel_sends(frame).expect("goes out");
            Action::Pass
        }
    }
}

fn count_hit(hits: &mut BTreeMap<u32, Counter>, hit: Hit, len: usize) {
    if hit.is_none() {
        return;
    }
    let counter = hits.entry(hit.number()).or_default();
    counter.packets += 1;
    counter.bytes += len as u64;
}

fn count(rows: &mut BTreeMap<u32, Counter>, decision: &Decision, len: usize) {
    let service = decision
        .service
        .map(|service| match decision.verdict.action {
            Action::Pass => passed_row(service),
            Action::Drop => dropped_row(service),
            Action::Answer => panic!("{decision:?}"),
        });
    for row in [Some(reason_row(decision.verdict.reason)), service]
        .into_iter()
        .flatten()
    {
        let counter = rows.entry(row).or_default();
        counter.packets += 1;
        counter.bytes += len as u64;
    }
}

/// Plays the steps one by one, which fails at the one that is counted otherwise.
fn name_the_frame(guard: &mut Harness, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Leaves(frame) => guard.sends(frame),
            Step::Arrives(frame) => {
                let before = guard.snapshot();
                let reason = guard.model(frame).verdict.reason;
                guard.restore(&before);
                guard.expect("parity", frame, reason);
            }
        }
    }
}

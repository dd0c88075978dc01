//! The kernel and the model run the same function, compiled twice: for random frames under random
//! policies they must agree on every action, and on every counter (acceptance A25).

use std::collections::BTreeMap;

use guard_common::{
    abi::{
        counters::{Counter, dropped_row, passed_row, reason_row},
        reason::{Action, Reason},
    },
    policy::Judgement,
    testing::random::Random,
};
use guard_tests::{frames::random_frame, harness::Harness, require};
use guard_user::ruleset::{
    model::DefaultAction,
    sample::{NESTED, Shape, random_policy},
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
/// Frames after which counters are compared.
const BATCH: usize = 2_500;
/// Every reason must have been met this often.
const FLOOR: u64 = 500;

#[test]
fn kernel_and_model_agree_on_random_frames() {
    if !require::root() {
        return;
    }
    let mut met = BTreeMap::<Reason, u64>::new();
    for (round, rules) in RULES.into_iter().enumerate() {
        let mut random = Random::new(round as u64 + 1);
        let shape = Shape {
            rules,
            destination_in: 6,
            interface_in: 6,
            any_in: 6,
            any_source_in: 3,
        };
        let mut policy = random_policy(&mut random, &NESTED, shape);
        policy.default = match round % 3 {
            0 => DefaultAction::Allow,
            _ => DefaultAction::Deny,
        };
        let mut guard = Harness::new(&policy);
        for _ in 0..frames_in_all() / RULES.len() / BATCH {
            let frames: Vec<_> = (0..BATCH)
                .map(|_| random_frame(&mut random, &NESTED))
                .collect();
            let mut expected = BTreeMap::new();
            for frame in &frames {
                let judgement = guard.model(frame);
                let action = guard.verdict(frame, None).expect("runs");
                assert_eq!(
                    action, judgement.verdict.action,
                    "{judgement:?} {rules} {frame:02x?}"
                );
                *met.entry(judgement.verdict.reason).or_default() += 1;
                count(&mut expected, &judgement, frame.len());
            }
            let counted: BTreeMap<_, _> = guard.drain().into_iter().collect();
            if counted != expected {
                name_the_frame(&mut guard, &frames);
                panic!("the counters disagree: {counted:?} {expected:?}");
            }
        }
    }
    for reason in Reason::ALL {
        let hits = met.get(reason).copied().unwrap_or(0);
        println!("{:20} {hits}", reason.label());
    }
    for reason in Reason::ALL {
        let hits = met.get(reason).copied().unwrap_or(0);
        assert!(hits >= FLOOR, "only {hits} frames met {}", reason.label());
    }
}

fn count(rows: &mut BTreeMap<u32, Counter>, judgement: &Judgement, len: usize) {
    let service = judgement
        .service
        .map(|service| match judgement.verdict.action {
            Action::Pass => passed_row(service),
            Action::Drop => dropped_row(service),
        });
    for row in [Some(reason_row(judgement.verdict.reason)), service]
        .into_iter()
        .flatten()
    {
        let counter = rows.entry(row).or_default();
        counter.packets += 1;
        counter.bytes += len as u64;
    }
}

/// Runs the frames one by one, which fails at the one that is counted otherwise.
fn name_the_frame(guard: &mut Harness, frames: &[Vec<u8>]) {
    for frame in frames {
        let reason = guard.model(frame).verdict.reason;
        guard.expect("parity", frame, reason);
    }
}

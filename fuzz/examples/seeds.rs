//! Writes inputs to begin with: random policies, and the frames that parity compares kernel and model by.
//! `cargo run -p guard-fuzz --example seeds -- FOLDER`, when the form of the inputs of `verdicts` has changed.

use std::{error::Error, fs, path::PathBuf};

use guard_common::testing::{peers::both_families, random::Random};
use guard_user::ruleset::sample::{
    NESTED,
    frames::random_frame,
    traffic::{Step, random_step},
};

/// Bytes of a policy (`verdicts/policy.rs`).
const HEADER_BYTES: usize = 96;
const SEEDS: u64 = 400;
const STEPS: usize = 16;
/// Few, for the fuzzer keeps those that it compiled.
const POLICIES: u64 = 24;
/// What a step is (`verdicts/scene.rs`).
const ARRIVES: u8 = 0;
const LEAVES: u8 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("name a folder")?;
    let folder = PathBuf::from(folder);
    fs::create_dir_all(&folder)?;
    for seed in 0..SEEDS {
        fs::write(folder.join(format!("seed-{seed}")), input(seed))?;
    }
    Ok(())
}

fn input(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = Random::new(seed % POLICIES)
        .bytes::<HEADER_BYTES>()
        .to_vec();
    for _ in 0..1 + random.below(STEPS) {
        let step = match random.once_in(2) {
            true => random_step(&mut random, &NESTED, &both_families()),
            false => Step::Arrives(random_frame(&mut random, &NESTED)),
        };
        let (kind, frame) = match step {
            Step::Arrives(frame) => (ARRIVES, frame),
            Step::Leaves(frame) => (LEAVES, frame),
        };
        let frame = &frame[..frame.len().min(256)];
        bytes.extend([kind, random.below(4) as u8]);
        bytes.extend((frame.len() as u16).to_be_bytes());
        bytes.extend(frame);
    }
    bytes
}

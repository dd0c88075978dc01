//! Any bytes under any policy image: one verdict, the same twice, and never a panic.
#![no_main]

use guard_common::{memory::MemTables, policy::Arrival};
use libfuzzer_sys::fuzz_target;

// The first two bytes say how much of the input is the frame; the rest is the image.
fuzz_target!(|input: &[u8]| {
    let Some((split, rest)) = input.split_first_chunk::<2>() else {
        return;
    };
    let split = usize::from(u16::from_le_bytes(*split)).min(rest.len());
    let (frame, image) = rest.split_at(split);
    let words = image
        .chunks_exact(8)
        .map(|chunk| chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)))
        .collect();
    let tables = MemTables::with_policy(words);
    let arrival = Arrival { ifindex: 1 };
    let first = guard_common::judge(frame, &tables, arrival);
    assert_eq!(first.verdict.action, first.verdict.reason.action());
    assert_eq!(first, guard_common::judge(frame, &tables, arrival));
    guard_common::policy::judge_at_once(frame, &tables);
});

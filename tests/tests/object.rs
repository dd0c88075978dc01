//! The object itself: names and sizes are those of the boundary, the kernel accepts it, and it
//! stays within its budgets.

mod instructions;

use std::fs;

use aya::{maps::MapInfo, programs::Xdp};
use guard_common::abi::{
    ban, ceiling_map,
    counters::{Counter, SHARD_ROWS},
    flow,
    fragment::CELLS,
    meter, names,
    switch::SLOTS,
};
use guard_tests::require;
use guard_user::dataplane::{
    object::{
        Object,
        parameters::{Parameters, Purpose},
    },
    watch,
};

use instructions::{deepest_chain, functions, translated};

/// Instructions that the verifier walks. The kernel's limit is a million; older verifiers walk more
/// of the same program, so this is where to think again. It was 119 791 without what stops floods of open ports, and
/// 149 986 with it.
const VERIFIED_BUDGET: u32 = 150_000;
/// The same before Linux 6.12: on 6.1 it was 157 898 without that, and
/// 176 948 with it.
const OLD_VERIFIED_BUDGET: u32 = 190_000;
/// The same of the program that answers.
const ANSWER_BUDGET: u32 = 220_000;
/// The same of the program of other forms, which has no full path.
const OTHERS_BUDGET: u32 = 120_000;
/// Bytes that all frames of a call chain may use of the 512 that the kernel gives. Each frame counts as a multiple
/// of 32.
const STACK_BUDGET: u32 = 416;
/// The same of the program of other forms, which has flows and sessions in its entry point: three calls less.
const OTHERS_STACK_BUDGET: u32 = 448;
/// The same of the program that answers, which works on copies of headers.
const ANSWER_STACK_BUDGET: u32 = 480;
/// Bytes of the object, with the BTF that the verifier quotes the source from: 640 KiB before frames of other forms had
/// a program of their own. The path of the checkout is in it some twenty times.
const SIZE_BUDGET: usize = 672 * 1024;

const PARAMETERS: Parameters = Parameters {
    slot_words: 65_536,
    // With a fingerprint filter of addresses: the most that there is for a verifier to see.
    bans: ban::Sizes {
        addresses: 1 << 16,
        ..ban::Sizes::SMALLEST
    },
    shards: 4,
    own_shard: true,
    seed: 1,
    purpose: Purpose::Filter,
    fixed_clock: false,
    flow_buckets: flow::BUCKETS,
};

fn object() -> Option<Object> {
    require::root().then(|| Object::load(PARAMETERS, None).expect("the kernel accepts it"))
}

fn program(object: &mut Object) -> &mut Xdp {
    object.ingress().expect("the program")
}

#[test]
fn the_program_has_its_name_and_its_licence() {
    let Some(mut object) = object() else { return };
    let info = program(&mut object).info().expect("program info");
    assert_eq!(info.name_as_str(), Some(names::INGRESS));
    assert_eq!(info.gpl_compatible(), Some(true));
    assert_eq!(licence(Object::bytes()), Some("Dual MIT/GPL"));
}

#[test]
fn every_map_has_its_name_its_kind_and_its_size() {
    let Some(object) = object() else { return };
    let expected = [
        (names::POLICY, SLOTS * PARAMETERS.slot_words, 8),
        (names::SWITCH, guard_common::abi::switch::WORDS, 8),
        (
            names::COUNTERS,
            PARAMETERS.shards * SHARD_ROWS,
            size_of::<Counter>(),
        ),
        (names::FRAGMENTS, CELLS, 8),
        (names::FLOWS, flow::BUCKETS, size_of::<flow::BucketWords>()),
        (names::PORTS, flow::PORT_ROWS, flow::PORTS_PER_ROW),
        (names::BAN_FILTER, ban::FILTER_LEN, 8),
        (names::BAN_TOPS, ban::TOPS, 8),
        (
            names::BAN_CHUNKS,
            PARAMETERS.bans.chunks * ban::CHUNK_WORDS,
            8,
        ),
        (
            names::BAN_SET,
            PARAMETERS.bans.buckets,
            size_of::<ban::BucketWords>(),
        ),
        (
            names::BAN_ADDRESSES,
            PARAMETERS.bans.addresses,
            size_of::<ban::AddressWords>(),
        ),
        (
            names::BAN_FINGERPRINTS,
            PARAMETERS.bans.fingerprints(),
            size_of::<ban::FingerprintWords>(),
        ),
        (
            names::METERS,
            meter::BUCKETS,
            size_of::<meter::BucketWords>(),
        ),
        (names::CEILINGS, ceiling_map::WORDS, 8),
    ];
    assert_eq!(expected.map(|(name, ..)| name), names::MAPS);
    for (name, entries, value) in expected {
        let info: MapInfo = object.map(name).expect(name).info().expect("map info");
        assert_eq!(info.name_as_str(), Some(name));
        assert!(name.len() <= 15, "the kernel keeps 15 characters of {name}");
        assert_eq!(info.max_entries(), entries, "{name}");
        assert_eq!(info.key_size(), 4, "{name}");
        assert_eq!(info.value_size() as usize, value, "{name}");
    }
}

fn verified_budget() -> u32 {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse::<u32>().ok());
    let version = (numbers.next(), numbers.next());
    if version < (Some(6), Some(12)) {
        OLD_VERIFIED_BUDGET
    } else {
        VERIFIED_BUDGET
    }
}

#[test]
fn the_program_stays_within_its_budgets() {
    let Some(mut object) = object() else { return };
    println!("object: {} bytes (budget {SIZE_BUDGET})", Object::size());
    assert!(Object::size() <= SIZE_BUDGET);

    let program = program(&mut object);
    let info = program.info().expect("program info");
    match info.verified_instruction_count() {
        Some(count) => {
            let budget = verified_budget();
            println!(
                "{}: {count} verified instructions (budget {budget})",
                names::INGRESS
            );
            assert!(count <= budget, "{count} verified instructions");
            assert!(
                count > 1_000,
                "{count} verified instructions are no firewall"
            );
        }
        None => println!(
            "{}: verified instructions are not reported by this kernel",
            names::INGRESS
        ),
    }

    let instructions = translated(program).expect("instructions of the loaded program");
    let functions = functions(&instructions);
    let frames: Vec<u32> = functions.iter().map(|function| function.frame).collect();
    let deepest = deepest_chain(&functions, 0);
    println!(
        "{}: {deepest} bytes of stack, {frames:?} by function (budget {STACK_BUDGET})",
        names::INGRESS
    );
    assert!(
        deepest > 0 && deepest <= STACK_BUDGET,
        "{deepest} bytes of stack"
    );
}

#[test]
fn the_program_that_answers_loads_and_stays_within_its_budgets() {
    let Some(mut object) = object() else { return };
    object.answering().expect("the kernel accepts it");
    let program = object.answer().expect("the program");
    let info = program.info().expect("program info");
    if let Some(count) = info.verified_instruction_count() {
        println!("{}: {count} verified instructions", names::ANSWER);
        assert!((1_000..ANSWER_BUDGET).contains(&count), "{count}");
    }
    let instructions = translated(program).expect("instructions of the loaded program");
    let functions = functions(&instructions);
    let frames: Vec<u32> = functions.iter().map(|function| function.frame).collect();
    let deepest = deepest_chain(&functions, 0);
    println!("{}: {deepest} bytes of stack, {frames:?}", names::ANSWER);
    assert!(
        (1..=ANSWER_STACK_BUDGET).contains(&deepest),
        "{deepest} bytes of stack"
    );
}

#[test]
fn the_program_of_other_forms_loads_and_stays_within_its_budgets() {
    let Some(mut object) = object() else { return };
    object.others().expect("the kernel accepts it");
    let program = object.others_program().expect("the program");
    let info = program.info().expect("program info");
    if let Some(count) = info.verified_instruction_count() {
        println!(
            "{}: {count} verified instructions (budget {OTHERS_BUDGET})",
            names::OTHERS
        );
        assert!((1_000..OTHERS_BUDGET).contains(&count), "{count}");
    }
    let instructions = translated(program).expect("instructions of the loaded program");
    let functions = functions(&instructions);
    let frames: Vec<u32> = functions.iter().map(|function| function.frame).collect();
    let deepest = deepest_chain(&functions, 0);
    println!(
        "{}: {deepest} bytes of stack, {frames:?} by function (budget {OTHERS_STACK_BUDGET})",
        names::OTHERS
    );
    assert!(
        (1..=OTHERS_STACK_BUDGET).contains(&deepest),
        "{deepest} bytes of stack"
    );
}

#[test]
fn the_programs_that_report_load_with_any_length_of_a_frame() {
    if !require::root() {
        return;
    }
    for snap in [64, 256, 1536] {
        watch::try_to_load(snap).unwrap_or_else(|error| panic!("{snap} bytes: {error}"));
    }
}

/// The text of the ELF section "license".
fn licence(elf: &[u8]) -> Option<&str> {
    let at = elf.windows(12).position(|bytes| bytes == b"Dual MIT/GPL")?;
    assert_eq!(elf.get(at + 12), Some(&0), "ends there");
    std::str::from_utf8(&elf[at..at + 12]).ok()
}

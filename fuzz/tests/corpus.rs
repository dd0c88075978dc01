//! Every kept input through its target once: what the fuzzer found and what was mended stays so.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use guard_fuzz::{TARGETS, Target};

/// Inputs of all targets together.
const MOST_BYTES: u64 = 300 << 10;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn inputs(target: &Target) -> Vec<PathBuf> {
    let folder = corpus().join(target.name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut inputs: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    inputs.sort();
    inputs
}

#[test]
fn every_kept_input_keeps_every_promise() {
    for target in TARGETS {
        let inputs = inputs(target);
        assert!(!inputs.is_empty(), "{} has no corpus", target.name);
        for input in inputs {
            // Named before it runs: what it breaks may end the process.
            println!("{}", input.display());
            (target.run)(&fs::read(&input).expect("an input"));
        }
    }
}

#[test]
fn a_folder_of_the_corpus_is_a_target_and_every_target_has_one() {
    let folders = fs::read_dir(corpus()).expect("the corpus");
    let folders: BTreeSet<String> = folders
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let targets: BTreeSet<String> = TARGETS
        .iter()
        .map(|target| target.name.to_owned())
        .collect();
    assert_eq!(folders, targets);
}

#[test]
fn the_corpus_stays_small() {
    let sizes = TARGETS.iter().flat_map(inputs);
    let bytes: u64 = sizes
        .map(|input| fs::metadata(input).expect("an input").len())
        .sum();
    assert!(bytes < MOST_BYTES, "{bytes} bytes; keep less");
}

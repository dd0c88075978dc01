//! What each fuzz target does with an input: a function of bytes that panics when something is wrong.
//! libFuzzer (`main.rs`) and the ordinary tests (`tests/corpus.rs`) call the same functions.

mod ban_list;
mod verdicts;

/// Something that takes whatever a stranger writes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder below `fuzz/corpus`.
    pub name: &'static str,
    /// Runs one input; panics when a promise is broken.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "verdicts",
        run: verdicts::run,
    },
    Target {
        name: "ban-list",
        run: ban_list::run,
    },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}

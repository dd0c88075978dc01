//! What each fuzz target does with an input: a function of bytes that panics when something is wrong.
//! libFuzzer (`main.rs`) and the ordinary tests (`tests/corpus.rs`) call the same functions.

mod ban_list;
mod control_frame;
mod docker_log;
mod filter_file;
mod import;
mod jail_import;
mod journal_export;
mod log_line;
mod mmdb;
mod policy_source;
mod quick_pattern;
mod reported_packet;
mod scratch;
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
        name: "log-line",
        run: log_line::run,
    },
    Target {
        name: "journal-export",
        run: journal_export::run,
    },
    Target {
        name: "docker-log",
        run: docker_log::run,
    },
    Target {
        name: "quick-pattern",
        run: quick_pattern::run,
    },
    Target {
        name: "control-frame",
        run: control_frame::run,
    },
    Target {
        name: "policy-source",
        run: policy_source::run,
    },
    Target {
        name: "ban-list",
        run: ban_list::run,
    },
    Target {
        name: "mmdb",
        run: mmdb::run,
    },
    Target {
        name: "jail-import",
        run: jail_import::run,
    },
    Target {
        name: "import",
        run: import::run,
    },
    Target {
        name: "reported-packet",
        run: reported_packet::run,
    },
    Target {
        name: "filter-file",
        run: filter_file::run,
    },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}

//! A host with one network card, and guard for it.

use std::{
    fs,
    path::Path,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use guard_tests::{
    lab::{Instance, Namespace, Ran},
    require,
};
use serde_json::Value;

/// The card.
pub(crate) const CARD: &str = "eth0";

/// A host; `guard` goes before the namespace that it is in.
pub(crate) struct Host {
    pub(crate) guard: Instance,
    _namespace: Namespace,
}

impl Host {
    /// Without a policy, guard off. `None` skips the test.
    pub(crate) fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !(require::root() && require::programs(&["ip", "nsenter"])) {
            return None;
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = Namespace::new(format!("guard-cli-{}-{count}", process::id()));
        namespace.ip_batch(&format!(
            "link add {CARD} type veth peer name far\n\
             addr add 192.0.2.10/24 dev {CARD}\n\
             link set far up\n\
             link set {CARD} up\n\
             route add default via 192.0.2.1 dev {CARD}\n"
        ));
        Some(Self {
            guard: Instance::new(&namespace),
            _namespace: namespace,
        })
    }

    /// With guard on.
    pub(crate) fn active(policy: &str) -> Option<Self> {
        let host = Self::new()?;
        host.guard.write_policy(policy);
        let _enabled = host.guard.guardctl(&["enable"]).ok();
        Some(host)
    }

    /// guardctl with words parted by spaces; a part in single quotes is one word.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> Ran {
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.guard.guardctl(&words)
    }

    /// The same with --json, parsed.
    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Value {
        self.run(&format!("--json {line}")).json()
    }

    /// The words of the rules in force.
    #[track_caller]
    pub(crate) fn rules(&self) -> Vec<String> {
        let status = self.json("status");
        let rules = status["rules"].as_array().expect("a list");
        let words = rules.iter().map(|rule| rule["rule"].as_str());
        words
            .map(|words| words.expect("words").to_owned())
            .collect()
    }

    /// The generation in force, 0 when guard is off.
    #[track_caller]
    pub(crate) fn generation(&self) -> u64 {
        let status = self.json("status");
        status["generation"].as_u64().expect("a number")
    }

    /// Names of everything in a folder of guard.
    pub(crate) fn entries(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        names
    }
}

/// The words of a line as a shell takes them, as far as tests need it.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

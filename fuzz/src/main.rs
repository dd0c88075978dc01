//! libFuzzer around one target, which `GUARD_FUZZ_TARGET` names. `cargo xtask fuzz` builds and runs it.
#![no_main]

use std::sync::OnceLock;

use guard_fuzz::Target;

static TARGET: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("GUARD_FUZZ_TARGET").unwrap_or_default();
        let Some(target) = guard_fuzz::target(&name) else {
            let known: Vec<_> = guard_fuzz::TARGETS.iter().map(|target| target.name).collect();
            eprintln!("GUARD_FUZZ_TARGET={name}: there are {}", known.join(", "));
            std::process::exit(2);
        };
        TARGET.get_or_init(|| target);
    },
    |input: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(input);
        }
    }
);

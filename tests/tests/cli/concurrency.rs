//! Many commands at once: each takes effect, none undoes another.

use std::{collections::BTreeSet, thread};

use crate::host::Host;

const WORKERS: u16 = 20;

#[test]
fn parallel_edits_lose_no_update() {
    let mut policy = String::from("# kept\n");
    for port in 0..WORKERS {
        policy += &format!("[[rule]]\naction = \"allow\"\nport = {}\n\n", 2000 + port);
    }
    let Some(host) = Host::active(&policy) else {
        return;
    };
    let mut model: BTreeSet<String> = host.rules().into_iter().collect();
    assert_eq!(model.len(), usize::from(WORKERS));

    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let host = &host;
            scope.spawn(move || {
                let _added = host.run(&format!("allow {}/tcp", 1000 + worker)).ok();
                let _deleted = host.run(&format!("delete allow {}", 2000 + worker)).ok();
                let _again = host.run(&format!("allow {}/tcp", 1000 + worker)).ok();
            });
        }
        // Readers see whole policies only.
        for _ in 0..20 {
            let status = host.json("status");
            let count = status["rules"].as_array().map_or(0, Vec::len);
            assert!(count >= 1, "{status}");
        }
    });
    for worker in 0..WORKERS {
        model.insert(format!("allow {}/tcp", 1000 + worker));
        model.remove(&format!("allow {}", 2000 + worker));
    }

    assert_eq!(host.rules().into_iter().collect::<BTreeSet<_>>(), model);
    // One generation for each change that changed something, and for `enable`.
    assert_eq!(host.generation(), 1 + 2 * u64::from(WORKERS));
    let _nothing_left = host
        .run("reload")
        .ok()
        .says("0 added, 0 removed, 20 unchanged");
    assert!(host.guard.policy().starts_with("# kept\n"));
    assert_eq!(Host::entries(&host.guard.etc()), ["guard.toml"]);
    assert_eq!(
        Host::entries(&host.guard.state()),
        ["applied.json", "history"]
    );
}

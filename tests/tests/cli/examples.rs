//! The policies in `examples/`: each loads, goes into force, and does what its comments say.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use guard_common::abi::reason::Action;
use guard_user::ruleset::{
    compile::{Host as Facts, Stamp, compile},
    probe::Model,
    source,
};

use super::host::Host;

const IN: Action = Action::Pass;
const OUT: Action = Action::Drop;

/// Where a packet comes from, the port it is for, and what happens to it.
type Tried = (&'static str, u16, Action);

/// What an example does with TCP from an address to a port of 192.0.2.10 or 2001:db8::10.
const EXPECTED: &[(&str, &[Tried])] = &[
    (
        "web-server",
        &[
            ("203.0.113.5", 80, IN),
            ("2001:db8:9::5", 443, IN),
            ("203.0.113.5", 22, IN),
            ("203.0.113.5", 3306, OUT),
            ("2001:db8:9::5", 8080, OUT),
        ],
    ),
    (
        "ssh-from-one-address",
        &[
            ("198.51.100.10", 22, IN),
            ("198.51.100.11", 22, OUT),
            ("198.51.100.10", 80, OUT),
            ("2001:db8:9::5", 22, OUT),
        ],
    ),
    (
        "tunnel",
        &[
            ("203.0.113.5", 22, OUT),
            ("203.0.113.5", 443, OUT),
            ("2001:db8:9::5", 443, OUT),
        ],
    ),
    (
        "database",
        &[
            ("192.0.2.65", 5432, IN),
            ("192.0.2.66", 5432, OUT),
            ("203.0.113.80", 5432, IN),
            ("203.0.113.81", 5432, OUT),
            ("2001:db8:5::1", 5432, IN),
            ("198.51.100.10", 22, IN),
            ("198.51.100.10", 5432, OUT),
            ("192.0.2.65", 22, OUT),
        ],
    ),
    (
        "docker-host",
        &[
            ("198.51.100.10", 80, IN),
            ("198.51.100.10", 5432, OUT),
            ("203.0.113.5", 5432, IN),
            ("203.0.113.5", 8005, IN),
            ("198.51.100.10", 8005, OUT),
            ("2001:db8:2::1", 22, IN),
            ("2001:db8:2::1", 8005, OUT),
        ],
    ),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

#[test]
fn every_example_is_in_the_table() {
    let names = Host::entries(&folder());
    let policies = names.iter().filter_map(|name| name.strip_suffix(".toml"));
    let mut expected: Vec<&str> = EXPECTED.iter().map(|(name, _)| *name).collect();
    expected.sort_unstable();

    assert_eq!(policies.collect::<Vec<_>>(), expected);
}

#[test]
fn an_example_does_what_its_comments_say() {
    for (name, packets) in EXPECTED {
        let loaded = source::check(&folder().join(format!("{name}.toml")))
            .unwrap_or_else(|problems| panic!("{name}: {problems}"));
        assert!(loaded.warnings.is_empty(), "{name}: {}", loaded.warnings);
        let image = compile(&loaded.policy, &Facts::default(), Stamp::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let model = Model::at(&image, 0);
        for (source, port, action) in *packets {
            let source: IpAddr = source.parse().expect("an address");
            let own: IpAddr = match source {
                IpAddr::V4(_) => [192, 0, 2, 10].into(),
                IpAddr::V6(_) => "2001:db8::10".parse().expect("an address"),
            };
            let remote = SocketAddr::new(source, 40_000);
            let verdict = model.new_connection(1, remote, SocketAddr::new(own, *port));
            assert_eq!(verdict.action, *action, "{name}: {source} -> {port}");
        }
    }
}

#[test]
fn an_example_goes_into_force() {
    let Some(host) = Host::active("") else { return };
    for entry in fs::read_dir(folder()).expect("the examples").flatten() {
        fs::copy(entry.path(), host.guard.etc().join(entry.file_name())).expect("a copy");
    }

    for (name, _) in EXPECTED {
        let text = fs::read_to_string(folder().join(format!("{name}.toml"))).expect("the example");
        host.guard.write_policy(&text);
        let printed = host.run("reload").ok();
        assert_eq!(printed.stderr, "", "{name}");
        // Still editable by command, comments and all.
        let _printed = host.run("allow 4711/udp").ok().says("added rule");
        let _printed = host.run("delete allow 4711/udp").ok();
        assert_eq!(host.guard.policy().trim_end(), text.trim_end(), "{name}");
    }
}

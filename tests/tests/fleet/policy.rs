//! A policy for a group: in waves, confirmed by each host before the next is given it, and stopped by the first that
//! cannot take it.

use std::{fs, time::Duration};

use guard_tests::{
    lab::{Answer, FleetHost, NatsServer, finish, guard_fleet, until, within},
    require,
};
use guard_user::fleet::bundle::{Bundle, MOST_BUNDLE};
use nkeys::KeyPair;

const NEW: u16 = 7001;

fn is_open(host: &FleetHost, port: u16) -> bool {
    // Nothing listens there: the host refuses at an open port, and a closed one is silent.
    host.lab.attacker.ask_tcp(host.lab.srv.v4, port) == Answer::Refused
}

fn letting_in(port: u16) -> String {
    format!(
        "{}\n[[rule]]\naction = \"allow\"\nport = {port}\n",
        FleetHost::POLICY
    )
}

/// The longest policy that is signed, which lets this port in.
fn longest(port: u16) -> String {
    let key = KeyPair::new_account();
    let padded = |bytes: usize| format!("{}\n# {}\n", letting_in(port), "x".repeat(bytes));
    let fits = |bytes: usize| {
        let bundle = Bundle {
            group: "web".to_owned(),
            generation: 9,
            released: u64::MAX,
            confirm_s: 10,
            policy: padded(bytes),
        };
        bundle.seal(&key).is_ok()
    };
    let (mut short, mut long) = (0, MOST_BUNDLE);
    while short + 1 < long {
        let middle = usize::midpoint(short, long);
        if fits(middle) {
            short = middle;
        } else {
            long = middle;
        }
    }
    padded(short)
}

#[test]
fn a_policy_comes_in_waves_and_goes_no_further_than_the_first_host_that_fails() {
    if !require::root() {
        return;
    }
    let Some(nats) = NatsServer::start(&["web/a", "web/b", "web/c", "db/a"]) else {
        return;
    };
    let hosts = ["a", "b"].map(|name| FleetHost::join(&nats, "web", name));
    let other = FleetHost::join(&nats, "db", "a");
    let options = ["--first", "1", "--then", "1", "--within", "10"];
    // Nobody takes policies unless he is told to.
    let none = nats.publish(&hosts[0].guard, &letting_in(NEW), "web", &options);
    drop(none.exit(6).says("takes policies"));
    let signer = nats.signer();
    for host in hosts.iter().chain([&other]) {
        drop(
            host.guard
                .guardctl(&["fleet", "policy", "accept", &signer])
                .ok(),
        );
    }
    let listed = || {
        // Where the server is reached, with what this host has joined.
        let mut command = guard_fleet();
        command.arg("hosts").envs(hosts[0].guard.environment());
        finish(&mut command, Duration::from_secs(10)).ok().stdout
    };
    until("both to say that they take policies", || {
        listed().matches("none yet").count() == 3
    });
    // What is no policy is sent to nobody.
    let broken = nats.publish(&hosts[0].guard, "rule = 7\n", "web", &options);
    assert_eq!(broken.code, Some(5), "{broken}");

    let ran = nats
        .publish(&hosts[0].guard, &letting_in(NEW), "web", &options)
        .ok();
    let ran = ran.says("wave 1 of 2").says("wave 2 of 2");
    drop(ran.says("policy 1 is in force on 2 hosts"));
    for host in &hosts {
        assert!(is_open(host, NEW));
        let status = host.guard.guardctl(&["fleet", "status"]).ok();
        drop(status.says("policy: 1 confirmed"));
    }
    assert_eq!(listed().matches("1 confirmed").count(), 2, "{}", listed());
    assert!(!is_open(&other, NEW), "the policy of another group");

    // A host whose files somebody has edited by hand does not lose that, and stops the release.
    let main = hosts[0].guard.etc().join("guard.toml");
    let edited = fs::read_to_string(&main).expect("a policy") + "# by hand\n";
    for host in &hosts {
        fs::write(host.guard.etc().join("guard.toml"), &edited).expect("written");
    }
    let ran = nats
        .publish(&hosts[0].guard, &letting_in(7002), "web", &options)
        .exit(8);
    drop(
        ran.says("released to 1 of 2 hosts")
            .says("were changed since they were applied"),
    );
    let open = hosts.iter().filter(|host| is_open(host, 7002)).count();
    assert_eq!(open, 0);
    for host in &hosts {
        drop(host.guard.guardctl(&["reload", "--no-confirm"]).ok());
    }

    // Whoever comes later gets the policy of his group once it is released to all, also one that is as long as it may be.
    let large = longest(7004);
    let ran = nats.publish(
        &hosts[0].guard,
        &large,
        "web",
        &["--first", "100%", "--within", "10"],
    );
    drop(ran.ok().says("wave 1 of 1"));
    let late = FleetHost::join(&nats, "web", "c");
    drop(
        late.guard
            .guardctl(&["fleet", "policy", "accept", &signer])
            .ok(),
    );
    let opened = within(Duration::from_secs(30), || {
        is_open(&late, 7004).then_some(())
    });
    assert!(
        opened.is_some(),
        "{}",
        late.guard.guardctl(&["fleet", "status"])
    );
}

//! Kinds of policy that `enable` and `default` know: monitor mode, and a host without an open port.

use super::host::Host;

#[test]
fn monitor_mode_is_saved_and_said_loudly() {
    let Some(host) = Host::new() else { return };
    let _printed = host.run("allow 22/tcp").ok();
    let printed = host.run("enable --monitor --iface eth0").ok();
    let _printed = printed.says("default monitor");
    let policy = host.guard.policy();
    assert!(policy.contains("default = \"monitor\""), "{policy}");
    assert!(policy.contains("interfaces = [\"eth0\"]"), "{policy}");

    let printed = host.run("status").ok();
    let _printed = printed.says("MONITOR MODE: NOTHING IS DROPPED, only counted");
    let status = host.json("status");
    assert_eq!(
        (&status["mode"], &status["default"]),
        (&"monitor".into(), &"monitor".into())
    );

    let _printed = host.run("default deny").ok().says("default is deny");
    let printed = host.run("status").ok();
    assert!(!printed.stdout.contains("MONITOR"), "{printed}");
    assert_eq!(host.json("status")["mode"], "enforce");
    let _printed = host.run("default monitor").ok().says("default is monitor");
    let _printed = host
        .run("default monitor")
        .ok()
        .says("default is monitor already");
    assert_eq!(host.json("status")["mode"], "monitor");
    // Turned off, it monitors nothing.
    let _printed = host.run("disable").ok();
    let printed = host.run("status").exit(3);
    assert!(!printed.stdout.contains("MONITOR"), "{printed}");
}

#[test]
fn a_policy_that_lets_nobody_in_is_warned_of_unless_it_is_meant() {
    let Some(host) = Host::new() else { return };
    let _printed = host.run("deny 25").ok();
    let _printed = host.run("enable").ok().says("NOBODY CAN LOG IN");
    let _printed = host.run("disable").ok();

    let printed = host.run("enable --no-ingress").ok();
    assert!(!printed.stderr.contains("NOBODY"), "{printed}");
    let _printed = host.run("allow 22/tcp").ok();
    let printed = host.run("enable").ok();
    assert!(!printed.stderr.contains("NOBODY"), "{printed}");
}

#[test]
fn no_ingress_means_it() {
    let Some(host) = Host::new() else { return };
    let _printed = host.run("deny 25").ok();
    let _printed = host.run("allow 22/tcp").ok();
    let printed = host.run("enable --no-ingress").exit(5);
    let _printed = printed
        .says("--no-ingress means no open port at all, and the policy opens some: rule 2 (allow 22/tcp)")
        .says("`guardctl delete NUMBER` first");
    let _printed = host.run("delete 2").ok();
    for default in ["allow", "monitor"] {
        let _printed = host.run(&format!("default {default}")).ok();
        let printed = host.run("enable --no-ingress").exit(5);
        let _printed = printed.says(&format!("the default is {default}"));
    }
    let _printed = host.run("enable --no-ingress --monitor").exit(2);
    let _printed = host.run("status").exit(3);
}

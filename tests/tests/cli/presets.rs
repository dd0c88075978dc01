//! Kinds of policy that `enable` and `default` know: monitor mode, and a host without an open port.

use crate::host::Host;

#[test]
fn monitor_mode_is_saved_and_said_loudly() {
    let Some(host) = Host::new() else { return };
    let _told = host.run("allow 22/tcp").ok();
    let told = host.run("enable --monitor --iface eth0").ok();
    let _told = told.says("default monitor");
    let policy = host.guard.policy();
    assert!(policy.contains("default = \"monitor\""), "{policy}");
    assert!(policy.contains("interfaces = [\"eth0\"]"), "{policy}");

    let told = host.run("status").ok();
    let _told = told.says("MONITOR MODE: NOTHING IS DROPPED, only counted");
    let status = host.json("status");
    assert_eq!(
        (&status["mode"], &status["default"]),
        (&"monitor".into(), &"monitor".into())
    );

    let _told = host.run("default deny").ok().says("default is deny");
    let told = host.run("status").ok();
    assert!(!told.stdout.contains("MONITOR"), "{told}");
    assert_eq!(host.json("status")["mode"], "enforce");
    let _told = host.run("default monitor").ok().says("default is monitor");
    let _told = host
        .run("default monitor")
        .ok()
        .says("default is monitor already");
    assert_eq!(host.json("status")["mode"], "monitor");
    // Turned off, it monitors nothing.
    let _told = host.run("disable").ok();
    let told = host.run("status").exit(3);
    assert!(!told.stdout.contains("MONITOR"), "{told}");
}

#[test]
fn a_policy_that_lets_nobody_in_is_warned_of_unless_it_is_meant() {
    let Some(host) = Host::new() else { return };
    let _told = host.run("deny 25").ok();
    let _told = host.run("enable").ok().says("NOBODY CAN LOG IN");
    let _told = host.run("disable").ok();

    let told = host.run("enable --no-ingress").ok();
    assert!(!told.stderr.contains("NOBODY"), "{told}");
    let _told = host.run("allow 22/tcp").ok();
    let told = host.run("enable").ok();
    assert!(!told.stderr.contains("NOBODY"), "{told}");
}

#[test]
fn no_ingress_means_it() {
    let Some(host) = Host::new() else { return };
    let _told = host.run("deny 25").ok();
    let _told = host.run("allow 22/tcp").ok();
    let told = host.run("enable --no-ingress").exit(5);
    let _told = told
        .says("--no-ingress means no open port at all, and the policy opens some: rule 2 (allow 22/tcp)")
        .says("`guardctl delete NUMBER` first");
    let _told = host.run("delete 2").ok();
    for default in ["allow", "monitor"] {
        let _told = host.run(&format!("default {default}")).ok();
        let told = host.run("enable --no-ingress").exit(5);
        let _told = told.says(&format!("the default is {default}"));
    }
    let _told = host.run("enable --no-ingress --monitor").exit(2);
    let _told = host.run("status").exit(3);
}

//! Leases of a real DHCP server, taken and renewed by real clients.

use std::time::Duration;

use guard_tests::lab::{Background, Dnsmasq, Folder, finish, until};

use super::scene::Scene;

/// What both clients call: it configures the address as a distribution's script would, and touches
/// nothing else of the machine.
const SCRIPT: &str = r#"#!/bin/sh
case "${1:-$reason}" in
    bound|renew) ip addr replace "$ip/24" dev "$interface" ;;
    BOUND6|RENEW6|REBIND6) ip addr replace "$new_ip6_address/128" dev "$interface" nodad ;;
esac
"#;

fn script(folder: &Folder) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.write("script", SCRIPT);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("our own file");
    path.display().to_string()
}

#[test]
fn an_ipv4_lease_is_acquired_and_renewed() {
    let Some(scene) = Scene::new(&["dnsmasq", "busybox"]) else {
        return;
    };
    let server = Dnsmasq::leases(
        &scene.router,
        "lan",
        &["--dhcp-range=192.0.2.50,192.0.2.50,2m"],
    );
    let folder = Folder::new();
    let mut udhcpc = scene.srv.command("busybox");
    udhcpc.args(["udhcpc", "-f", "-i", "eth0", "-t", "20", "-T", "1"]);
    udhcpc.args(["-s", &script(&folder)]);

    let client = Background::start(&mut udhcpc, folder.join("log"));

    scene.expect("inet 192.0.2.50/24");
    server.expect("DHCPACK", 1);
    // From here on to the client's own address: "renew now", and "let go", and "start again".
    signal(&client, libc::SIGUSR1);
    server.expect("DHCPACK", 2);
    until("the renewed lease", || {
        client.said().matches("obtained").count() == 2
    });
    signal(&client, libc::SIGUSR2);
    server.expect("DHCPRELEASE", 1);
    signal(&client, libc::SIGUSR1);
    server.expect("DHCPACK", 3);
    until("the third lease", || {
        client.said().matches("obtained").count() == 3
    });
    scene.expect_reason("dhcpv4");
}

#[test]
fn an_ipv6_lease_is_acquired_renewed_and_released() {
    let Some(scene) = Scene::new(&["dnsmasq", "dhclient"]) else {
        return;
    };
    let range = "--dhcp-range=2001:db8:2::50,2001:db8:2::50,64,2m";
    let server = Dnsmasq::leases(&scene.router, "lan", &[range, "--enable-ra"]);
    let folder = Folder::new();
    let script = script(&folder);
    scene.expect("fe80::");
    let run = |words: &[&str]| {
        let mut dhclient = scene.srv.command("dhclient");
        dhclient.args(["-6", "-v", "-cf", "/dev/null", "-sf", &script]);
        dhclient.arg("-pf").arg(folder.join("pid"));
        dhclient.arg("-lf").arg(folder.join("leases"));
        drop(finish(dhclient.args(words).arg("eth0"), Duration::from_secs(60)).ok());
    };

    // Each run leaves a process behind in the namespace; the next one with its file replaces it.
    run(&["-1"]);
    scene.expect("inet6 2001:db8:2::50/128");
    server.expect("DHCPREPLY", 1);
    run(&["-x"]);
    run(&["-1"]);
    server.expect("DHCPREPLY", 2);
    run(&["-r"]);
    server.expect("DHCPRELEASE", 1);
    scene.expect_reason("dhcpv6");
}

fn signal(client: &Background, number: libc::c_int) {
    // SAFETY: the call takes integers; the process is a child of ours that has not been waited for.
    let result = unsafe { libc::kill(client.id().cast_signed(), number) };
    assert_eq!(result, 0, "{}", client.said());
}

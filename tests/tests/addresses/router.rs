//! Addresses and routes that live for ten seconds, and go on living.

use std::{
    env, thread,
    time::{Duration, Instant},
};

use guard_tests::lab::{Background, Folder, within};

use super::scene::Scene;

/// Half a minute; a whole one with `GUARD_LONG=1`.
fn watched() -> Duration {
    let is_long = env::var_os("GUARD_LONG").is_some_and(|value| value == "1");
    Duration::from_secs(if is_long { 60 } else { 30 })
}

const CONFIGURATION: &str = "interface lan {
  AdvSendAdvert on;
  MinRtrAdvInterval 3;
  MaxRtrAdvInterval 4;
  AdvDefaultLifetime 10;
  prefix 2001:db8:2::/64 { AdvValidLifetime 10; AdvPreferredLifetime 10; };
};
";

#[test]
fn an_address_and_a_route_of_ten_seconds_last() {
    let Some(scene) = Scene::new(&["radvd"]) else {
        return;
    };
    let folder = Folder::new();
    let mut radvd = scene.router.command("radvd");
    radvd.args(["--nodaemon", "--logmethod", "stderr", "--config"]);
    radvd.arg(folder.write("radvd.conf", CONFIGURATION));
    radvd.arg("--pidfile").arg(folder.join("pid"));
    let mut router = Background::start(&mut radvd, folder.join("log"));
    scene.expect("inet6 2001:db8:2:");
    scene.expect("default via fe80::");
    let begin = Instant::now();

    // That they never vanish is what the test shows; a look five times a second.
    while begin.elapsed() < watched() {
        let now = scene.configuration();
        assert!(
            now.contains("inet6 2001:db8:2:") && now.contains("default via fe80::"),
            "lost after {:?}:\n{now}\n{}",
            begin.elapsed(),
            router.said()
        );
        thread::sleep(Duration::from_millis(200));
    }

    router.assert_alive();
    let gateway = "2001:db8:2::fe".parse().unwrap();
    assert!(scene.srv.can_ping(gateway), "{}", scene.configuration());
    scene.expect_reason("ndp");
    // And it is the router's word that keeps the address: without it, it ends.
    drop(router);
    let is_gone = || (!scene.configuration().contains("inet6 2001:db8:2:")).then_some(());
    let gone = within(Duration::from_secs(15), is_gone);
    assert!(gone.is_some(), "{}", scene.configuration());
}

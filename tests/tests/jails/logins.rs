//! Real logins at a real sshd.

use std::{fs, process::Command};

use guard_tests::{
    lab::{
        Answer, GuardDaemon, Instance, LogDaemon as _, Sshd, Syslog, Topology, mount_bpffs, until,
    },
    require,
};

const PROGRAMS: [&str; 6] = ["ip", "nsenter", "unshare", "sshd", "ssh", "rsyslogd"];
const POLICY: &str = "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 22\n";

struct Server {
    daemon: Option<GuardDaemon>,
    guard: Instance,
    sshd: Sshd,
    syslog: Syslog,
    lab: Topology,
}

impl Server {
    fn start() -> Option<Self> {
        if !(require::root() && require::programs(&PROGRAMS)) {
            return None;
        }
        let lab = Topology::new();
        let syslog = Syslog::start();
        let sshd = Sshd::logging(&lab.srv, &syslog);
        let guard = Instance::new(&lab.srv);
        guard.write_policy(POLICY);
        // What is not said is as it is on every host with sshd: five failures in ten minutes.
        guard.write_jails(&format!(
            "[jail.sshd]\nlogpath = [\"{}\"]\n",
            syslog.log().display()
        ));
        drop(guard.guardctl(&["enable"]).ok());
        Some(Self {
            daemon: Some(GuardDaemon::start(&guard)),
            guard,
            sshd,
            syslog,
            lab,
        })
    }

    fn banned(&self) -> Vec<(String, f64)> {
        let bans = self.guard.guardctl(&["bans", "list", "--json"]).ok().json();
        let bans = bans["bans"].as_array().expect("bans");
        let one = |ban: &serde_json::Value| {
            let source = ban["source"].as_str().expect("a source").to_owned();
            (source, ban["seconds_left"].as_f64().expect("a time"))
        };
        bans.iter().map(one).collect()
    }

    fn sources(&self) -> Vec<String> {
        self.banned()
            .into_iter()
            .map(|(source, _)| source)
            .collect()
    }

    /// The attacker's SYNs come to nothing, and are counted as those of a banned source.
    #[track_caller]
    fn assert_dropped_in_xdp(&self) {
        for to in [self.lab.srv.v4, self.lab.srv.v6] {
            let before = self.guard.counted().reason("banned");
            assert_eq!(self.lab.attacker.ask_tcp(to, 22), Answer::Silence, "{to}");
            assert!(self.guard.counted().reason("banned") > before, "{to}");
        }
    }

    #[track_caller]
    fn assert_friend_logs_in(&self) {
        for to in [self.lab.srv.v4, self.lab.srv.v6] {
            assert!(self.sshd.session(&self.lab.friend, to).answers(), "{to}");
        }
    }
}

#[test]
fn five_failed_logins_are_a_ban_that_outlives_the_daemon_and_a_reboot() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let (v4, v6) = (server.lab.srv.v4, server.lab.srv.v6);
    let mut friends = [v4, v6].map(|to| server.sshd.session(&server.lab.friend, to));

    for to in [v4, v6] {
        for failure in 0..5 {
            let known = if to.is_ipv4() { 0 } else { 1 };
            assert_eq!(
                server.banned().len(),
                known,
                "{failure}: {}",
                server.syslog.said()
            );
            server.sshd.fails(&server.lab.attacker, to, "root");
        }
        until("the ban", || {
            server.banned().len() > usize::from(to.is_ipv6())
        });
    }
    let expected = ["203.0.113.66", "2001:db8:66::/64"];
    assert_eq!(server.sources(), expected);
    for (source, left) in server.banned() {
        assert!((590.0..=600.0).contains(&left), "{source}: {left} s");
    }
    server.assert_dropped_in_xdp();
    assert!(friends.iter_mut().all(|friend| friend.answers()));
    server.assert_friend_logs_in();

    // The daemon is killed.
    let daemon = server.daemon.take().expect("a daemon");
    daemon.signal(libc::SIGKILL);
    drop(daemon);
    server.assert_dropped_in_xdp();
    assert!(friends.iter_mut().all(|friend| friend.answers()));
    let before = server.banned();
    server.daemon = Some(GuardDaemon::start(&server.guard));
    let status = server.guard.guardctl(&["jail", "status", "sshd"]).ok();
    let status = status.says("203.0.113.66").says("2001:db8:66::/64");
    // The log is read again, and leads to no second ban.
    assert!(status.says("0, 2 of them hold now").code == Some(0));
    assert_eq!(server.sources(), expected);

    // The host is restarted: the kernel has forgotten everything, and counts its time anew.
    drop(server.daemon.take());
    let folder = server.guard.bpffs();
    let unmounted = Command::new("umount").arg(&folder).status();
    assert!(unmounted.expect("umount").success());
    mount_bpffs(&folder);
    fs::remove_dir_all(server.guard.run()).expect("/run");
    until("the program to be gone", || {
        let link = server.lab.srv.ip("-d link show dev eth0");
        !link.contains("prog/xdp")
    });
    drop(server.guard.guardctl(&["load"]).ok());
    server.daemon = Some(GuardDaemon::start(&server.guard));
    server.assert_dropped_in_xdp();
    for ((source, left), (_, earlier)) in server.banned().into_iter().zip(before) {
        assert!(
            left <= earlier && left > earlier - 60.0,
            "{source}: {left} s of {earlier}"
        );
    }
    server.assert_friend_logs_in();
}

/// A11, live: whatever a user calls himself, the one who is banned is the one who connected.
#[test]
fn a_name_with_an_address_in_it_bans_nobody_else() {
    let Some(server) = Server::start() else {
        return;
    };
    let bystander = server.lab.friend.v4;
    let names = [
        format!("root from {bystander}"),
        format!("root from {bystander} port 22 ssh2"),
        format!("{bystander}"),
        format!("from {bystander} port 22: 3: x [preauth]"),
        format!("invalid user root from {bystander} port 22 ssh2"),
    ];
    for (number, name) in names.iter().enumerate() {
        // Each from an address of his own, so that each is banned or not by itself.
        let own = format!("203.0.113.{}", 100 + number);
        server
            .lab
            .attacker
            .ip(&format!("addr replace {own}/24 dev eth0"));
        let to = server.lab.srv.v4;
        server.lab.attacker.ip(&format!(
            "route replace default via 203.0.113.254 src {own}"
        ));
        for _ in 0..5 {
            server.sshd.fails(&server.lab.attacker, to, name);
        }
        until(
            &format!("{own} ({name:?}) to be banned:\n{}", server.syslog.said()),
            || server.sources().contains(&own),
        );
    }
    let expected: Vec<String> = (0..names.len())
        .map(|n| format!("203.0.113.{}", 100 + n))
        .collect();
    assert_eq!(server.sources(), expected);
    server.assert_friend_logs_in();
}

//! A server that can be rebooted: what the kernel held is gone, what the disk held is there.

use std::{fs, process::Command, time::Duration};

use guard_tests::lab::{Answer, Instance, Topology, UdpEcho, ask_all, mount_bpffs, until, within};

pub(crate) const OPEN: u16 = 1000;
pub(crate) const CLOSED: u16 = 3000;
pub(crate) const POLICY: &str = "interfaces = [\"eth0\"]\n\n[sets]\n\
    friends = { file = \"friends.txt\" }\n\n[[rule]]\naction = \"allow\"\nport = 1000\n\
    from = \"@friends\"\n";
const FRIENDS: &str = "198.51.100.0/24\n2001:db8:100::/64\n";

pub(crate) struct Machine {
    pub(crate) guard: Instance,
    _echoes: [UdpEcho; 2],
    pub(crate) lab: Topology,
}

impl Machine {
    pub(crate) fn with(policy: &str) -> Self {
        let lab = Topology::new();
        let machine = Self {
            guard: Instance::new(&lab.srv),
            _echoes: [OPEN, CLOSED].map(|port| UdpEcho::start(&lab.srv, port)),
            lab,
        };
        machine.write_files(policy);
        machine
    }

    pub(crate) fn write_files(&self, policy: &str) {
        fs::create_dir_all(self.guard.etc()).expect("a folder");
        self.guard.write_policy(policy);
        fs::write(self.guard.etc().join("friends.txt"), FRIENDS).expect("a set");
    }

    /// The pins go with their file system, and /run is empty.
    pub(crate) fn reboot(&self) {
        let folder = self.guard.bpffs();
        let unmounted = Command::new("umount").arg(&folder).status();
        assert!(unmounted.expect("umount").success());
        mount_bpffs(&folder);
        fs::remove_dir_all(self.guard.run()).expect("/run");
        // The kernel frees links when it comes to it; a busy one takes its time.
        let gone = within(Duration::from_secs(60), || {
            let link = self.lab.srv.ip("-d link show dev eth0");
            (!link.contains("prog/xdp")).then_some(())
        });
        gone.expect("the program is gone");
    }

    /// What a network manager does.
    pub(crate) fn network_up(&self) {
        self.lab.srv.ip_batch(
            "addr replace 192.0.2.1/24 dev eth0\naddr replace 2001:db8:2::1/64 dev eth0 nodad\n\
             link set eth0 up\nroute replace default via 192.0.2.254\n\
             route replace default via 2001:db8:2::fe\n",
        );
        // A router that waits for the answer to its question for the address sends nothing.
        for to in [self.lab.srv.v4, self.lab.srv.v6] {
            until("the network to be up", || {
                self.lab.friend.ask_udp(to, OPEN) == Answer::Echo
            });
        }
    }

    pub(crate) fn ask(&self, port: u16) -> Answer {
        self.lab.friend.ask_udp(self.lab.srv.v4, port)
    }

    #[track_caller]
    pub(crate) fn assert_filters(&self) {
        let (friend, attacker) = (&*self.lab.friend, &*self.lab.attacker);
        for to in [self.lab.srv.v4, self.lab.srv.v6] {
            let answers = ask_all([
                (friend, to, OPEN),
                (friend, to, CLOSED),
                (attacker, to, OPEN),
            ]);
            assert_eq!(
                answers,
                [Answer::Echo, Answer::Silence, Answer::Silence],
                "{to}"
            );
        }
    }
}

//! A server that can be rebooted: what the kernel held is gone, what the disk held is there.

use std::{fs, process::Command};

use guard_tests::lab::{Answer, Instance, Topology, UdpEcho, mount_bpffs};

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
        let link = self.lab.srv.ip("-d link show dev eth0");
        assert!(!link.contains("prog/xdp"), "{link}");
    }

    /// What a network manager does.
    pub(crate) fn network_up(&self) {
        self.lab.srv.ip_batch(
            "addr replace 192.0.2.1/24 dev eth0\naddr replace 2001:db8:2::1/64 dev eth0 nodad\n\
             link set eth0 up\nroute replace default via 192.0.2.254\n\
             route replace default via 2001:db8:2::fe\n",
        );
    }

    pub(crate) fn ask(&self, port: u16) -> Answer {
        self.lab.friend.ask_udp(self.lab.srv.v4, port)
    }

    #[track_caller]
    pub(crate) fn assert_filters(&self) {
        for to in [self.lab.srv.v4, self.lab.srv.v6] {
            assert_eq!(self.lab.friend.ask_udp(to, OPEN), Answer::Echo, "{to}");
            assert_eq!(self.lab.friend.ask_udp(to, CLOSED), Answer::Silence, "{to}");
            assert_eq!(self.lab.attacker.ask_udp(to, OPEN), Answer::Silence, "{to}");
        }
    }
}

//! A server with guard, its daemon and a fleet that it has joined; the test is guard-fleet.

use guard_tests::{
    lab::{Answer, GuardDaemon, Host, Instance, Topology, UdpEcho},
    require,
};
use guard_user::{
    control::{
        Request, Response, client,
        fleet::{FleetRecord, FleetTaken, FleetView, OwnBans, OwnMark},
    },
    layout::Layout,
};

const PORT: u16 = 7000;
pub(crate) const POLICY: &str = "interfaces = [\"eth0\"]\nnever = [\"20.30.40.0/24\"]\n\n\
     [[rule]]\naction = \"allow\"\nport = 7000\n";
/// What this host has joined: two groups that it believes more and less.
pub(crate) const JOINED: &str = "[nats]\nservers = [\"nats://127.0.0.1:4222\"]\nhost = \"srv\"\n\
     group = \"web\"\nkey = \"/nowhere\"\n\n[nats.trust]\nweb = \"full\"\ndb = \"quorum 2\"\n";
pub(crate) const ID: u64 = 7;

pub(crate) struct Scene {
    pub(crate) daemon: GuardDaemon,
    pub(crate) guard: Instance,
    layout: Layout,
    _echo: UdpEcho,
    pub(crate) lab: Topology,
}

impl Scene {
    /// `None` skips the test.
    pub(crate) fn joined() -> Option<Self> {
        if !(require::root() && require::programs(&["ip", "nsenter"])) {
            return None;
        }
        let lab = Topology::new();
        let guard = Instance::new(&lab.srv);
        guard.write_policy(POLICY);
        std::fs::write(guard.etc().join("fleet.toml"), JOINED).expect("written");
        drop(guard.guardctl(&["enable"]).ok());
        let layout = Layout {
            etc: guard.etc(),
            state: guard.state(),
            run: guard.run(),
            bpffs: guard.bpffs(),
            ..Layout::from_environment()
        };
        Some(Self {
            daemon: GuardDaemon::start(&guard),
            guard,
            layout,
            _echo: UdpEcho::start(&lab.srv, PORT),
            lab,
        })
    }

    pub(crate) fn ask(&self, request: Request) -> Response {
        client::ask(&self.layout, request).expect("an answer")
    }

    #[track_caller]
    pub(crate) fn hand_over(&self, records: Vec<FleetRecord>) -> FleetTaken {
        let answer = self.ask(Request::FleetRecords { records });
        let Response::FleetTaken(taken) = answer else {
            panic!("{answer:?}");
        };
        taken
    }

    pub(crate) fn own(&self, since: Option<OwnMark>) -> OwnBans {
        let answer = self.ask(Request::FleetOwn { since, from: None });
        let Response::FleetOwn(own) = answer else {
            panic!("{answer:?}");
        };
        own
    }

    pub(crate) fn view(&self) -> FleetView {
        let answer = self.ask(Request::Fleet);
        let Response::Fleet(view) = answer else {
            panic!("{answer:?}");
        };
        view
    }

    /// Does the host reach the open port?
    #[track_caller]
    pub(crate) fn assert_reaches(&self, host: &Host, reaches: bool) {
        let wanted = if reaches {
            Answer::Echo
        } else {
            Answer::Silence
        };
        for to in [self.lab.srv.v4, self.lab.srv.v6] {
            assert_eq!(host.ask_udp(to, PORT), wanted, "{to}");
        }
    }

    pub(crate) fn restart(&mut self) {
        drop(self.guard.guardctl(&["daemon", "--stop"]).ok());
        self.daemon.wait();
        self.daemon = GuardDaemon::start(&self.guard);
    }
}

/// What a member says.
pub(crate) fn record(by: &str, prefix: impl ToString, left: u32) -> FleetRecord {
    FleetRecord {
        by: by.to_owned(),
        prefix: prefix.to_string(),
        id: ID,
        left,
        reason: "jail sshd: 5 failures".to_owned(),
    }
}

/// Both addresses of a host, as a member says them.
pub(crate) fn both(by: &str, host: &Host, left: u32) -> Vec<FleetRecord> {
    vec![record(by, host.v4, left), record(by, host.v6, left)]
}

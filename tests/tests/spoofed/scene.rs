//! What lives while a flood lasts, who comes in meanwhile, and what must have stayed as it was.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use guard_tests::{
    lab::{Conversation, Counted, Instance, SshSession, Sshd, TcpEcho, Topology, UdpEcho, finish},
    require,
};

use super::memory;

/// Open to everybody, over TCP and UDP, and an echo server behind it.
pub(crate) const OPEN: u16 = 9000;
/// Open to the friend, and sshd behind it.
pub(crate) const SSH: u16 = 22;
/// Living flows, half of them TCP, half of them IPv6.
const FLOWS: usize = 50;
/// Between two questions of a flow.
const PAUSE: Duration = Duration::from_millis(200);

/// A server with idle logins and living flows. The friend has a cable of his own.
pub(crate) struct Scene {
    pub(crate) guard: Instance,
    idle: [SshSession; 2],
    flows: Vec<Conversation>,
    /// Protocol and local port of each flow.
    ports: Vec<(&'static str, u16)>,
    before: Counted,
    memory: u64,
    sshd: Sshd,
    _servers: [(TcpEcho, UdpEcho); 2],
    pub(crate) lab: Topology,
    // Given back last.
    _alone: MutexGuard<'static, ()>,
}

/// One flood at a time: who logs in meanwhile needs what CPUs there are.
static ALONE: Mutex<()> = Mutex::new(());

impl Scene {
    /// `None` when this machine lacks something, a program of `programs` for instance.
    pub(crate) fn new(programs: &[&str]) -> Option<Self> {
        if !require::root() || !require::programs(&[&["sshd", "ssh"], programs].concat()) {
            return None;
        }
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let lab = Topology::new();
        lab.lay_second_cable();
        // Answers to forged sources end at the router.
        lab.wan.ip("route add blackhole default");
        lab.wan.ip("-6 route add blackhole default");
        let guard = Instance::new(&lab.srv);
        let sshd = Sshd::start(&lab.srv);
        let servers = [&lab.srv, &lab.friend]
            .map(|host| (TcpEcho::start(host, OPEN), UdpEcho::start(host, OPEN)));
        let idle = [lab.srv.v4, lab.srv.v6].map(|to| sshd.session(&lab.attacker, to));
        for line in [
            "allow 9000",
            "allow 198.51.100.10 22/tcp",
            "allow from 2001:db8:100::/64 to any port 22 proto tcp",
            "enable --iface eth0 --iface eth1 --force",
        ] {
            drop(guard.guardctl(&line.split(' ').collect::<Vec<_>>()).ok());
        }
        let (mut flows, ports): (Vec<_>, Vec<_>) =
            (0..FLOWS).map(|number| flow(&lab, number)).unzip();
        Conversation::assert_go_on(&mut flows);
        Some(Self {
            before: guard.counted(),
            memory: memory::of_tables(&guard),
            guard,
            idle,
            flows,
            ports,
            sshd,
            _servers: servers,
            lab,
            _alone: alone,
        })
    }

    /// How long a new login of the friend's takes, if it succeeds.
    pub(crate) fn login(&self, number: usize) -> Option<Duration> {
        let to = [self.lab.srv.v4, self.lab.srv.v6][number % 2];
        let mut ssh = self.sshd.client(&self.lab.friend, to);
        let ran = finish(ssh.arg("true"), Duration::from_secs(20));
        (ran.code == Some(0)).then_some(ran.took)
    }

    /// How long a login may take: a second, or on a busy machine a few times what it takes there anyway.
    pub(crate) fn patience(&self) -> Duration {
        let calm = self.login(0).expect("a login before the flood");
        println!("login before: {calm:?}");
        Duration::from_secs(1).max(6 * calm)
    }

    /// SYNs of the friend's that were not answered in time and sent again: what a busy CPU does to a login,
    /// this does not count.
    pub(crate) fn syns_sent_again(&self) -> u64 {
        let path = "/proc/thread-self/net/netstat";
        let text = self.lab.friend.run(|| fs::read_to_string(path));
        let text = text.expect("counters of TCP");
        let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
        let (names, values) = (lines.next(), lines.next());
        let mut both = names
            .into_iter()
            .flat_map(|names| names.split(' '))
            .zip(values.into_iter().flat_map(|values| values.split(' ')));
        let found = both.find(|(name, _)| *name == "TCPSynRetrans");
        found
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or_else(|| panic!("no TCPSynRetrans in {path}"))
    }

    /// Flows and idle logins go on.
    #[track_caller]
    pub(crate) fn assert_lives(&mut self) {
        Conversation::assert_go_on(&mut self.flows);
        for session in &mut self.idle {
            assert!(session.answers(), "an idle session was lost");
        }
    }

    /// Frames of whatever reason since the beginning.
    pub(crate) fn evaluated(&self) -> u64 {
        let now = self.guard.counted();
        ["pass", "drop", "answer"]
            .map(|action| now.all(action) - self.before.all(action))
            .iter()
            .sum()
    }

    /// No flow was lost, none begun, none evicted; tables are as large as before.
    #[track_caller]
    pub(crate) fn assert_unharmed(self) {
        let after = self.guard.counted();
        println!("{:?}", after.table());
        for flow in self.flows {
            let report = flow.stop();
            assert!(report.failure.is_none(), "{report:?}");
        }
        for (protocol, port) in &self.ports {
            let dropped = after.dropped(protocol, *port) - self.before.dropped(protocol, *port);
            assert_eq!(
                dropped, 0,
                "dropped of the flow from {protocol} port {port}"
            );
        }
        for name in ["created", "evicted"] {
            assert_eq!(
                after.flows(name),
                self.before.flows(name),
                "flows {name} by the flood"
            );
        }
        assert!(
            after.flows("live") >= FLOWS as u64,
            "{} live",
            after.flows("live")
        );
        let memory = memory::of_tables(&self.guard);
        assert_eq!(memory, self.memory, "bytes of tables");
    }
}

/// All must have succeeded, and this share of a hundred in less than `limit`.
#[track_caller]
pub(crate) fn assert_in_time(logins: &[Option<Duration>], limit: Duration, percent: usize) {
    assert!(
        logins.iter().all(Option::is_some),
        "a login was lost: {logins:?}"
    );
    let is_in_time = |took: &&Option<Duration>| took.is_some_and(|took| took < limit);
    let in_time = logins.iter().filter(is_in_time).count();
    assert!(
        in_time * 100 >= logins.len() * percent,
        "{in_time} of {} logins within {limit:?}: {logins:?}",
        logins.len()
    );
}

/// A flow of the server's own with an echo server of the friend's; its protocol and local port.
fn flow(lab: &Topology, number: usize) -> (Conversation, (&'static str, u16)) {
    let is_v4 = number % 4 < 2;
    let friend = SocketAddr::new(if is_v4 { lab.friend.v4 } else { lab.friend.v6 }, OPEN);
    let name = format!("flow {number} with {friend}");
    if number.is_multiple_of(2) {
        let stream = lab
            .srv
            .run(|| TcpStream::connect(friend))
            .expect("a connection");
        let port = stream.local_addr().expect("an address").port();
        let flow = Conversation::tcp_every(PAUSE, name, stream, 64);
        (flow, ("tcp", port))
    } else {
        let any: IpAddr = if is_v4 {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = lab.srv.run(|| UdpSocket::bind((any, 0))).expect("a port");
        socket.connect(friend).expect("a route");
        let port = socket.local_addr().expect("an address").port();
        let flow = Conversation::udp_every(PAUSE, name, socket, None);
        (flow, ("udp", port))
    }
}

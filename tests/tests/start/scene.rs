//! A server with every kind of session before guard is there.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use guard_tests::{
    lab::{
        Container, Conversation, DOCKER_PROGRAMS, Dockerd, Host, Instance, Namespace, SshSession,
        Sshd, TcpEcho, Topology, UdpEcho,
    },
    require,
};

/// Published, and an echo server in the container behind it.
const PUBLISHED: u16 = 8080;
/// An echo server of the friend's.
const ECHO: u16 = 7844;
/// Bytes of a question that stands for a copy or a download.
const BLOCK: usize = 16 << 10;
/// Longest that an answer may take.
const STALL: Duration = Duration::from_secs(1);

pub(crate) struct Scene {
    pub(crate) guard: Instance,
    pub(crate) sshd: Sshd,
    container: Container,
    // In the order in which they end: a server in the container's network holds a socket there.
    _echoes: (TcpEcho, TcpEcho, UdpEcho),
    _docker: Dockerd,
    pub(crate) lab: Topology,
}

impl Scene {
    /// `None` when something is missing on this machine.
    pub(crate) fn new() -> Option<Self> {
        if !require::root()
            || !require::programs(&[&DOCKER_PROGRAMS[..], &["sshd", "ssh"]].concat())
        {
            return None;
        }
        let lab = Topology::new();
        let docker = Dockerd::start(&lab.srv);
        let container = docker.container("box", &["--publish", "8080:80"], &["sleep", "900"]);
        Some(Self {
            guard: Instance::new(&lab.srv),
            sshd: Sshd::start(&lab.srv),
            _echoes: (
                TcpEcho::start(&container, 80),
                TcpEcho::start(&lab.friend, ECHO),
                UdpEcho::start(&lab.friend, ECHO),
            ),
            container,
            _docker: docker,
            lab,
        })
    }

    /// Segments with RST that any host of the scene has sent so far.
    pub(crate) fn resets(&self) -> u64 {
        let hosts: [&Namespace; 4] = [
            &self.lab.srv,
            &self.lab.friend,
            &self.lab.attacker,
            &self.container,
        ];
        hosts.into_iter().map(resets).sum()
    }

    /// So many connections of the server with its own container.
    pub(crate) fn talk_with_own_container(&self, count: usize) -> Vec<TcpStream> {
        let listed = self.container.ip("-4 -o addr show dev eth0");
        let words: Vec<&str> = listed.split_whitespace().collect();
        let at = words
            .iter()
            .position(|word| *word == "inet")
            .expect("an address");
        let address = words[at + 1].split('/').next().expect("an address");
        let to = SocketAddr::new(address.parse().expect("an address"), 80);
        let connect = || TcpStream::connect_timeout(&to, STALL).expect("the container");
        (0..count).map(|_| self.lab.srv.run(connect)).collect()
    }

    /// One session of each kind, over one family.
    pub(crate) fn sessions(&self, is_v4: bool) -> Sessions {
        let address = |host: &Host| if is_v4 { host.v4 } else { host.v6 };
        let (srv, friend) = (address(&self.lab.srv), address(&self.lab.friend));
        let stranger = &self.lab.attacker;
        let connect = |from: &Namespace, to, port| {
            let stream = from.run(|| TcpStream::connect_timeout(&SocketAddr::new(to, port), STALL));
            stream.unwrap_or_else(|error| panic!("{to} port {port}: {error}"))
        };
        let datagrams = |from: &Namespace| {
            let any = if is_v4 {
                IpAddr::V4(Ipv4Addr::UNSPECIFIED)
            } else {
                IpAddr::V6(Ipv6Addr::UNSPECIFIED)
            };
            from.run(|| UdpSocket::bind((any, 0)).expect("a port"))
        };
        let connected = datagrams(&self.lab.srv);
        connected.connect((friend, ECHO)).expect("a route");
        let box_ = &self.container;
        Sessions {
            idle_ssh: self.sshd.session(stranger, srv),
            idle: [
                ("outbound", connect(&self.lab.srv, friend, ECHO)),
                ("container's", connect(box_, friend, ECHO)),
                ("published", connect(stranger, srv, PUBLISHED)),
            ],
            busy: vec![
                Conversation::ssh("ssh copy", self.sshd.session(stranger, srv)),
                Conversation::tcp("container's download", connect(box_, friend, ECHO), BLOCK),
                Conversation::tcp(
                    "published session",
                    connect(stranger, srv, PUBLISHED),
                    BLOCK,
                ),
                Conversation::udp("connected socket", connected, None),
                Conversation::udp(
                    "container's datagrams",
                    datagrams(box_),
                    Some(SocketAddr::new(friend, ECHO)),
                ),
                Conversation::udp(
                    "unconnected socket",
                    datagrams(&self.lab.srv),
                    Some(SocketAddr::new(friend, ECHO)),
                ),
            ],
        }
    }
}

/// What must outlast every change.
pub(crate) struct Sessions {
    idle_ssh: SshSession,
    idle: [(&'static str, TcpStream); 3],
    busy: Vec<Conversation>,
}

impl Sessions {
    #[track_caller]
    pub(crate) fn assert_go_on(&mut self) {
        Conversation::assert_go_on(&mut self.busy);
    }

    /// Ends the busy ones, which must never have stood still, and wakes the idle ones.
    #[track_caller]
    pub(crate) fn assert_lasted(mut self) {
        for conversation in self.busy {
            let report = conversation.stop();
            println!("{report:?}");
            report.assert_steady(STALL);
        }
        assert!(self.idle_ssh.answers(), "the idle ssh session is dead");
        for (name, stream) in self.idle {
            let mut woken = [Conversation::tcp(
                format!("idle {name} session"),
                stream,
                64,
            )];
            Conversation::assert_go_on(&mut woken);
            let [woken] = woken;
            woken.stop().assert_steady(STALL);
        }
    }
}

/// Of /proc/net/snmp: a line of names and a line of numbers.
fn resets(host: &Namespace) -> u64 {
    // `thread-self`: the network of this thread, not of the process.
    let text = host.run(|| fs::read_to_string("/proc/thread-self/net/snmp"));
    let text = text.expect("/proc");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        panic!("no TCP in {text}");
    };
    let mut fields = names.split(' ').zip(values.split(' '));
    let sent = fields.find(|(name, _)| *name == "OutRsts");
    sent.and_then(|(_, value)| value.parse().ok())
        .unwrap_or_else(|| panic!("no OutRsts in {text}"))
}

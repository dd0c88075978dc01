//! Real sockets between real hosts: what the policy allows connects, everything else is silence
//! (acceptance A3), in both families, with the program attached to the server's interface.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::Duration,
};

use aya::programs::XdpMode;
use guard_common::abi::{reason::Reason, switch::SwitchWord};
use guard_tests::{
    netns::{BpfFs, Namespace, Topology},
    require,
};
use guard_user::{
    dataplane::{Counters, Object, Parameters},
    ruleset::{
        compile::{Host, Stamp, compile},
        model::Policy,
        sample::{allow, policy},
    },
};

/// Long enough for two hops on a busy machine, short enough to wait for silence.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A topology whose server is guarded.
struct Guarded {
    // Dropped before the hosts: a link lives as long as its object.
    _object: Object,
    counters: Counters,
    hosts: Topology,
}

impl Guarded {
    fn new(policy: &Policy, mode: XdpMode) -> Self {
        let hosts = Topology::new().expect("namespaces");
        let own = Topology::SERVER.map(|ip| ip.parse().expect("an address"));
        let host = Host {
            interfaces: Vec::new(),
            own: own.to_vec(),
        };
        let image = compile(policy, &host, Stamp::default())
            .expect("compiles")
            .words;
        let parameters = Parameters {
            slot_words: image.len() as u32,
            shards: 1,
            own_shard: false,
            seed: 7,
        };
        let mut object = Object::load(parameters, None).expect("loads");
        let slots = object.slots().expect("slots");
        let staged = slots.stage(&image);
        slots.switch_to(SwitchWord::settled(staged, staged));
        let counters = object.counters().expect("counters");
        let attach = || {
            object
                .ingress()
                .expect("program")
                .attach("eth0", mode)
                .map(|_| ())
        };
        hosts.srv.within(attach).expect("enters").expect("attaches");
        Self {
            _object: object,
            counters,
            hosts,
        }
    }

    fn packets(&self, reason: Reason) -> u64 {
        let counters = self.counters.reasons();
        let found = counters.iter().find(|(counted, _)| *counted == reason);
        found.map_or(0, |(_, counter)| counter.packets)
    }

    /// Answers every connection to these TCP ports, on both families, with one byte.
    fn listen(&self, ports: &[u16]) {
        for port in ports {
            for any in ["0.0.0.0", "::"] {
                let address = SocketAddr::new(any.parse().expect("an address"), *port);
                let bind = || listener(address);
                let listener = self.hosts.srv.within(bind).expect("enters").expect("binds");
                thread::spawn(move || {
                    for stream in listener.incoming() {
                        let _ = stream.and_then(|mut stream| stream.write_all(b"!"));
                    }
                });
            }
        }
    }
}

/// A listener for one family only.
fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    if address.is_ipv4() {
        return TcpListener::bind(address);
    }
    leave_ipv4_alone()?;
    TcpListener::bind(address)
}

/// Lets `::` leave the IPv4 port to others, in this namespace.
fn leave_ipv4_alone() -> io::Result<()> {
    std::fs::write("/proc/sys/net/ipv6/bindv6only", "1")
}

/// Connects and reads the byte.
fn connects(from: &Namespace, to: &str, port: u16) -> bool {
    let address = SocketAddr::new(to.parse::<IpAddr>().expect("an address"), port);
    let talk = || -> io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.read_exact(&mut [0])
    };
    from.within(talk).expect("enters").is_ok()
}

fn ready() -> bool {
    require::root() && require::program("ip")
}

fn rules() -> Policy {
    policy([
        allow().tcp(80),
        allow()
            .tcp(22)
            .from("198.51.100.10/32")
            .from("2001:db8:100::/64"),
        allow().udp(53),
    ])
}

#[test]
fn sockets_connect_where_the_policy_allows_and_nowhere_else() {
    if !ready() {
        return;
    }
    for mode in [XdpMode::Driver, XdpMode::Skb] {
        let guarded = Guarded::new(&rules(), mode);
        guarded.listen(&[22, 80, 8080]);
        let Topology { friend, bad, .. } = &guarded.hosts;
        for server in Topology::SERVER {
            assert!(
                connects(friend, server, 80),
                "the open port of {server}, {mode:?}"
            );
            assert!(
                connects(bad, server, 80),
                "the open port of {server} for anybody, {mode:?}"
            );
            assert!(
                connects(friend, server, 22),
                "the friend's port of {server}, {mode:?}"
            );
            let before = guarded.packets(Reason::DefaultDrop);
            assert!(
                !connects(bad, server, 22),
                "the friend's port of {server}, {mode:?}"
            );
            assert!(
                !connects(bad, server, 8080),
                "a listener without a rule, {mode:?}"
            );
            assert!(
                !connects(friend, server, 8080),
                "a listener without a rule, {mode:?}"
            );
            let dropped = guarded.packets(Reason::DefaultDrop) - before;
            assert!(
                dropped >= 3,
                "{dropped} drops for three refused connections"
            );
        }
        assert!(guarded.packets(Reason::Arp) > 0, "ARP was needed");
        assert!(
            guarded.packets(Reason::Ndp) > 0,
            "neighbour discovery was needed"
        );
    }
}

#[test]
fn a_fragmented_datagram_arrives_whole_on_an_open_port_only() {
    if !ready() {
        return;
    }
    let guarded = Guarded::new(&rules(), XdpMode::Driver);
    let Topology { srv, bad, .. } = &guarded.hosts;
    for (server, any) in Topology::SERVER.into_iter().zip(["0.0.0.0:0", "[::]:0"]) {
        for (port, arrives) in [(53, true), (54, false)] {
            let address = SocketAddr::new(server.parse().expect("an address"), port);
            let socket = srv
                .within(|| UdpSocket::bind(address))
                .expect("enters")
                .expect("binds");
            socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let send = || UdpSocket::bind(any)?.send_to(&[7; 4000], address);
            assert_eq!(bad.within(send).expect("enters").expect("sends"), 4000);
            let received = socket.recv(&mut [0; 5000]).ok();
            assert_eq!(received, arrives.then_some(4000), "{address}");
        }
    }
    assert!(guarded.packets(Reason::FragmentRest) >= 4);
    assert!(guarded.packets(Reason::Fragment) >= 4);
}

#[test]
fn a_private_bpf_file_system_comes_and_goes() {
    if !require::root() {
        return;
    }
    let mounted = BpfFs::new().expect("mounts");
    let path = mounted.path().to_owned();
    let mounts = || std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    let line = format!("{} bpf ", path.display());
    assert!(mounts().contains(&line));
    drop(mounted);
    assert!(!mounts().contains(&line) && !path.exists());
}

#[test]
fn hosts_and_their_programs_are_gone_after_a_panic() {
    if !ready() {
        return;
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    let panicked = thread::spawn(move || {
        let host = Namespace::new("panic").expect("a namespace");
        let mut sleeper = host.spawn("sleep", &["600"]).expect("starts");
        let seen = (host.name().to_owned(), sleeper.child().id());
        sender.send(seen).expect("somebody listens");
        panic!("on purpose");
    })
    .join();
    assert!(panicked.is_err());
    let (name, pid) = receiver.recv().expect("it got that far");
    assert!(!std::path::Path::new("/var/run/netns").join(name).exists());
    assert!(!std::path::Path::new("/proc").join(pid.to_string()).exists());
}

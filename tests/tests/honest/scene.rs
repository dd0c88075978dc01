//! A server with one open port, of its own or of a network behind it, at which nothing passes that is part of no
//! session.

use std::{
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::{Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use guard_common::{packet::TcpFlags, testing::packet};
use guard_tests::{
    lab::{Flood, Instance, Namespace, Rate, Sources, Topology, Wire, within},
    require,
};

/// Open to everybody.
pub(crate) const OPEN: u16 = 9000;
/// What a network behind the server listens on.
const INSIDE: u16 = 80;
/// Most that an honest client waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// No segment that nothing vouches for passes.
pub(crate) const NONE: &str = "0";
/// As many as do when nobody says otherwise.
pub(crate) const USUAL: &str = "200/s";

/// Where the service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the server.
    Here,
    /// Behind it, where netfilter leads its port.
    Behind,
}

/// Plays a scene in both places at once, for it mostly waits.
pub(crate) fn in_both_places(play: impl Fn(Place, &Scene) + Sync) {
    thread::scope(|scope| {
        for place in [Place::Here, Place::Behind] {
            let play = &play;
            scope.spawn(move || Scene::new(place).inspect(|scene| play(place, scene)));
        }
    });
}

pub(crate) struct Scene {
    pub(crate) guard: Instance,
    inside: Option<Namespace>,
    pub(crate) lab: Topology,
}

impl Scene {
    /// Without guard; `None` when something is missing on this machine.
    pub(crate) fn new(place: Place) -> Option<Self> {
        if !require::root() || !require::programs(&["iptables", "ip6tables"]) {
            return None;
        }
        let lab = Topology::for_floods();
        let inside = (place == Place::Behind).then(|| lab.lead_elsewhere(OPEN));
        Some(Self {
            guard: Instance::new(&lab.srv),
            inside,
            lab,
        })
    }

    /// The network that serves.
    pub(crate) fn server(&self) -> &Namespace {
        self.inside.as_ref().unwrap_or(&self.lab.srv)
    }

    /// Both addresses of the open port.
    pub(crate) fn addresses(&self) -> [SocketAddr; 2] {
        [self.lab.srv.v4, self.lab.srv.v6].map(|to: IpAddr| SocketAddr::new(to, OPEN))
    }

    /// Opens the port and protects both interfaces.
    pub(crate) fn enable(&self, out_of_state: &str) {
        self.enable_on(out_of_state, &["eth0", "eth1"]);
    }

    pub(crate) fn enable_on(&self, out_of_state: &str, interfaces: &[&str]) {
        let policy = format!("[limits]\nout-of-state = \"{out_of_state}\"\n");
        self.guard.write_policy(&policy);
        drop(self.guard.guardctl(&["allow", &OPEN.to_string()]).ok());
        let mut words = vec!["enable", "--force"];
        for interface in interfaces {
            words.extend(["--iface", interface]);
        }
        drop(self.guard.guardctl(&words).ok());
    }

    /// A listener of the service.
    pub(crate) fn listen(&self) -> TcpListener {
        let port = if self.inside.is_some() { INSIDE } else { OPEN };
        let listener = self.server().run(|| TcpListener::bind(("::", port)));
        listener.expect("a listener")
    }

    /// Serves so many connections, each on a thread of its own; returns what was made of each.
    pub(crate) fn serve<T: Send + 'static>(
        &self,
        connections: usize,
        serve: impl Fn(TcpStream) -> T + Clone + Send + 'static,
    ) -> JoinHandle<Vec<T>> {
        let listener = self.listen();
        thread::spawn(move || {
            let serving: Vec<JoinHandle<T>> = (0..connections)
                .map(|_| {
                    let (stream, _) = listener.accept().expect("a client");
                    set_patience(&stream);
                    let serve = serve.clone();
                    thread::spawn(move || serve(stream))
                })
                .collect();
            let end = |thread: JoinHandle<T>| thread.join().expect("a server");
            serving.into_iter().map(end).collect()
        })
    }

    /// A connection from the friend.
    #[track_caller]
    pub(crate) fn connect(&self, to: SocketAddr) -> TcpStream {
        let connect = || TcpStream::connect_timeout(&to, PATIENCE);
        let stream = self.lab.friend.run(connect).expect("a connection");
        set_patience(&stream);
        stream
    }

    /// Nothing honest was dropped, and a segment of no session is: else the test would say nothing.
    #[track_caller]
    pub(crate) fn assert_unharmed(&self) {
        let dropped = || self.guard.counted().reason("out-of-state");
        assert_eq!(dropped(), 0, "{:?}", self.guard.counted().table());
        let stray = packet()
            .from("11.1.2.3")
            .to_ip(self.lab.srv.v4)
            .macs(self.lab.srv.mac("eth0"), self.lab.wan.mac("srv"))
            .tcp_between(5000, OPEN, TcpFlags::ACK)
            .build();
        assert_eq!(Wire::open(&self.lab.wan, "srv").send(&[stray]), 1);
        let is_dropped = within(PATIENCE, || (dropped() == 1).then_some(()));
        assert!(is_dropped.is_some(), "a stray segment passes");
    }
}

pub(crate) fn set_patience(stream: &TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
}

/// ACKs from everywhere to the open port, of which most are dropped.
pub(crate) fn acks(lab: &Topology, guard: &Instance) -> Flood {
    let frames = lab.forged_segments(OPEN, Sources::Everywhere, TcpFlags::ACK, 0);
    let flood = Flood::start(Wire::open(&lab.wan, "srv"), frames, Rate::Unlimited);
    let dropped = || guard.counted().reason("out-of-state");
    let acts = within(PATIENCE, || (dropped() > 20_000).then_some(()));
    assert!(acts.is_some(), "{:?}", guard.counted().table());
    flood
}

/// Whoever floods is alone with his honest clients.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

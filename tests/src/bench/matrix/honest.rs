//! What honest clients of a port notice while it is flooded from random sources: sessions that go on, a download, an
//! idle session, new connections, a client over UDP, and a page over HTTP/3.
//!
//! They come by a cable of their own, as by another queue of a NIC, and share the CPUs with the flood.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{
    host::{FloodedHost, Subject},
    kind::{Family, Kind, Origin},
    target::{HTTP3, OPEN, Target},
};
use crate::{
    bench::cpus,
    lab::{self, Conversation, Downloaded, Http3, Rate, Topology, within},
    require,
};

/// Frames of a flood per second: few enough that neither CPU has too much to do, so that what clients notice is what a
/// filter makes of the flood.
const RATE: Rate = Rate::PerSecond(200_000);
/// Frames of a flood before the download begins: a second of it, by when tables of a filter have what they will have.
const UNDER_WAY: u64 = 200_000;
/// New connections are tried by so many clients at once.
const CLIENTS: usize = 4;
/// How many of them there are in all.
pub const CONNECTIONS: usize = 200;
/// What counts as served.
pub const AT_ONCE: Duration = Duration::from_secs(1);
/// A game's client sends sixty datagrams in a second.
const FRAME: Duration = Duration::from_micros(16_667);
/// Messages of a session, as of a WebSocket.
const MESSAGE: Duration = Duration::from_millis(20);
/// How long a download may take: as long as it, its flood lasts, and a flood of the lab ends after a minute.
pub const DOWNLOAD_MOST: Duration = Duration::from_secs(40);
/// For an answer after which a session is taken for dead.
const PATIENCE: Duration = Duration::from_secs(5);
/// After so long, a client over UDP that was answered again and again is no stranger.
const ACQUAINTED: Duration = Duration::from_secs(7);

/// What honest clients do in each flood.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// How long they work at least.
    pub length: Duration,
    /// Bytes of their download.
    pub download: u64,
}

/// What honest clients noticed.
#[derive(Clone, Debug)]
pub struct Noticed {
    /// The longest time that a session with fifty messages per second waited for an answer; `None`: it broke off.
    pub longest: Option<Duration>,
    /// Was a session that was idle in the flood answered after it?
    pub idle: bool,
    /// A download that was asked for in the flood, over a connection from before it.
    pub download: Downloaded,
    /// New connections that were served within [`AT_ONCE`], of [`CONNECTIONS`].
    pub served: usize,
    /// Datagrams of a client that sends sixty in a second: sent and answered.
    pub datagrams: (u32, u32),
    /// Came a page over HTTP/3? `None`: nobody serves one there.
    pub page: Option<bool>,
}

/// A flood, and what honest clients noticed of it in front of everything that is compared.
#[derive(Clone, Debug)]
pub struct Row {
    /// The address family.
    pub family: Family,
    /// What is flooded.
    pub target: Target,
    /// The kind of flood; `None`: there was none.
    pub kind: Option<Kind>,
    /// What came of it, by what stood in the way.
    pub cells: Vec<(Subject, Noticed)>,
}

/// Runs the floods of these kinds, and none, against each of these.
///
/// # Errors
/// When a tool or the kernel refuses a filter, or honest clients are not served without a flood.
///
/// # Panics
/// When the kernel refuses a part of the lab.
pub fn measure(
    family: Family,
    target: Target,
    kinds: &[Kind],
    subjects: &[Subject],
    work: Work,
) -> Result<Vec<Row>> {
    let kinds = kinds.iter().copied().filter(|kind| kind.meets(target));
    let kinds: Vec<Option<Kind>> = std::iter::once(None).chain(kinds.map(Some)).collect();
    let mut rows: Vec<Row> = kinds
        .iter()
        .map(|kind| Row {
            family,
            target,
            kind: *kind,
            cells: Vec::new(),
        })
        .collect();
    for subject in subjects {
        let host = FloodedHost::with_second_cable(target, *subject)?;
        let page = (target == Target::Host && require::programs(&Http3::PROGRAMS))
            .then(|| Http3::start(&host.lab().srv, HTTP3));
        let clients = Clients {
            lab: host.lab(),
            to: match family {
                Family::V4 => host.lab().srv.v4,
                Family::V6 => host.lab().srv.v6,
            },
            page,
        };
        let game = clients.udp()?;
        // From here on he is known.
        clients.play(&game, ACQUAINTED, &AtomicBool::new(true));
        for row in &mut rows {
            let of = row.kind.map(|kind| (family, kind, Origin::Random));
            let noticed = clients.during(&host, of, &game, work)?;
            row.cells.push((*subject, noticed));
        }
    }
    Ok(rows)
}

/// Honest clients, and whom they ask.
struct Clients<'a> {
    lab: &'a Topology,
    to: IpAddr,
    page: Option<Http3>,
}

impl Clients<'_> {
    /// What they notice of a flood, or of none.
    fn during(
        &self,
        host: &FloodedHost,
        flood: Option<(Family, Kind, Origin)>,
        game: &UdpSocket,
        work: Work,
    ) -> Result<Noticed> {
        let mut idle = self.connect()?;
        let live = Conversation::tcp_every(MESSAGE, "a session", self.connect()?, 64);
        let mut bulk = self.connect()?;
        let flood = flood.map(|of| host.begin(of, RATE));
        let is_done = AtomicBool::new(false);
        let (download, datagrams, served, page) = thread::scope(|scope| {
            let game = scope.spawn(|| self.play(game, work.length, &is_done));
            let download = scope.spawn(|| {
                let is_under_way = || flood.as_ref().is_none_or(|flood| flood.sent() > UNDER_WAY);
                // A slower flood is none to wait for: whoever waits for the download must not wait for ever.
                let _under_way = within(PATIENCE, || is_under_way().then_some(()));
                let download = lab::download(&mut bulk, work.download, DOWNLOAD_MOST);
                is_done.store(true, Ordering::Relaxed);
                download
            });
            let new: Vec<_> = (0..CLIENTS)
                .map(|_| scope.spawn(|| self.ask_anew(CONNECTIONS / CLIENTS)))
                .collect();
            let page = self.page.as_ref().map(|page| page.asks(self.lab, self.to));
            let served = new
                .into_iter()
                .map(|client| client.join().expect("a client"));
            let served: usize = served.sum();
            let download = download.join().expect("a client");
            (download, game.join().expect("a client"), served, page)
        });
        let live = live.stop();
        drop(flood);
        Ok(Noticed {
            longest: live.failure.is_none().then_some(live.longest),
            idle: exchange(&mut idle),
            download,
            served,
            datagrams,
            page,
        })
    }

    fn connect(&self) -> Result<TcpStream> {
        let to = SocketAddr::new(self.to, OPEN);
        let connect = || TcpStream::connect_timeout(&to, PATIENCE);
        let connected = self.lab.friend.run(connect);
        let mut stream =
            connected.with_context(|| format!("{to}: no connection before a flood"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        anyhow::ensure!(exchange(&mut stream), "{to}: no answer before a flood");
        Ok(stream)
    }

    /// How many of so many new connections, one after the other, are served at once.
    fn ask_anew(&self, connections: usize) -> usize {
        cpus::pin(cpus::sender());
        let is_served = || {
            let took = self.lab.friend.time_tcp(self.to, OPEN);
            took.is_some_and(|took| took < AT_ONCE)
        };
        (0..connections).filter(|_| is_served()).count()
    }

    fn udp(&self) -> Result<UdpSocket> {
        let any: IpAddr = if self.to.is_ipv4() {
            [0; 4].into()
        } else {
            [0u16; 8].into()
        };
        let socket = self.lab.friend.run(|| UdpSocket::bind((any, 0)))?;
        socket.set_read_timeout(Some(FRAME))?;
        Ok(socket)
    }

    /// Sends and receives as a game's client does, for so long and until the others are done; how many datagrams were
    /// sent, and how many answered.
    fn play(&self, socket: &UdpSocket, length: Duration, is_done: &AtomicBool) -> (u32, u32) {
        let begun = Instant::now();
        let (mut sent, mut answered) = (0, 0);
        let mut buffer = [0; 16];
        while begun.elapsed() < length || !is_done.load(Ordering::Relaxed) {
            // A full queue of his own is a loss as any other. He is not connected, for a server that listens on all
            // addresses answers from that of the second cable.
            socket.send_to(&[0; 16], (self.to, OPEN)).ok();
            sent += 1;
            let due = FRAME * sent;
            while begun.elapsed() < due {
                answered += u32::from(socket.recv(&mut buffer).is_ok());
            }
        }
        // What is still under way.
        while answered < sent && socket.recv(&mut buffer).is_ok() {
            answered += 1;
        }
        (sent, answered)
    }
}

fn exchange(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 5];
    let answered = stream
        .write_all(b"hello")
        .and_then(|()| stream.read_exact(&mut answer));
    answered.is_ok() && &answer == b"hello"
}

//! Programs over UDP: names, HTTP/3, a tunnel, and a client that sends as games do, each of them known to the server
//! or new to it, while datagrams from everywhere arrive at their ports.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{
        Background, Dnsmasq, Flood, Folder, Http3, Instance, Namespace, Rate, Sources, Topology,
        UdpEcho, Wire, finish, own_mounts, until, within,
    },
    require,
};

use super::scene::{PATIENCE, alone};

const NAMES: u16 = 53;
const HTTP3: u16 = 443;
const TUNNEL: u16 = 51_820;
const GAME: u16 = 27_015;
const PROGRAMS: [&str; 7] = [
    "dig",
    "dnsmasq",
    "gtlsclient",
    "gtlsserver",
    "openssl",
    "wg",
    "wireguard-go",
];

/// Those who are new: of each an address of the friend's, and one of the server's that is asked from there, every
/// other one over IPv6.
const FIRST: u8 = 100;
/// How many of them ask for names, for pages and for a game.
const EACH: u8 = 8;
/// And those who open a tunnel.
const TUNNELS: u8 = 2;

fn server_address(number: u8) -> IpAddr {
    let host = FIRST + number;
    if number.is_multiple_of(2) {
        Ipv4Addr::new(192, 0, 2, host).into()
    } else {
        Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, host.into()).into()
    }
}

/// A socket of any address of this family.
fn any(to: IpAddr) -> &'static str {
    if to.is_ipv4() { "0.0.0.0" } else { "::" }
}

/// Frames of the flood in a second. In one of a million nobody is recognised who waits five seconds, as a tunnel does.
const RATE: Rate = Rate::PerSecond(150_000);

/// Gives those who are new their addresses.
fn introduce(lab: &Topology) {
    for number in 0..3 * EACH + TUNNELS {
        let host = FIRST + number;
        let to = server_address(number);
        let (own, bits, router, server, away) = if to.is_ipv4() {
            let own = format!("198.51.100.{host}");
            (own, "24", "192.0.3.254", "192.0.3.1", "198.51.100.254")
        } else {
            let own = format!("2001:db8:100::{host:x}");
            (
                own,
                "64",
                "2001:db8:3::fe",
                "2001:db8:3::1",
                "2001:db8:100::fe",
            )
        };
        let nodad = if to.is_ipv4() { "" } else { " nodad" };
        lab.srv.ip_batch(&format!(
            "addr add {to}/{bits} dev eth0{nodad}\nroute add {own} via {router}\n"
        ));
        lab.wan
            .ip(&format!("route add {to} via {server} table 100"));
        lab.friend.ip_batch(&format!(
            "addr add {own}/{bits} dev eth0{nodad}\nroute add {to} via {away} src {own}\n"
        ));
    }
}

/// `dig`, which tries three times.
fn asks_name(lab: &Topology, server: IpAddr, tries: u32) -> bool {
    let mut dig = lab.friend.command("dig");
    dig.args(["+short", "+time=1", &format!("+tries={tries}")])
        .args([&format!("@{server}"), Dnsmasq::NAME, "A"]);
    // Of a try without an answer it says so first.
    let said = finish(&mut dig, PATIENCE).stdout;
    said.lines().any(|line| line == "192.0.2.80")
}

/// Starts wireguard-go with a name, tells it what `wg set` takes, and gives it an address. Its socket of control is
/// where nobody else sees it.
const START: &str = r#"set -e
mount -t tmpfs tmpfs /run
name=$1 address=$2 key=$3
shift 3
WG_PROCESS_FOREGROUND=1 LOG_LEVEL=error wireguard-go "$name" &
until [ -S "/run/wireguard/$name.sock" ]; do sleep 0.05; done
printf '%s' "$key" >/run/key
wg set "$name" private-key /run/key "$@"
ip addr add "$address" dev "$name"
ip link set "$name" up
echo ready
wait
"#;

/// The ends of tunnels, in the order of their peers: private and public keys.
fn keys(count: usize) -> Vec<(String, String)> {
    let make = |_| {
        let mut wg = Command::new("sh");
        wg.args([
            "-c",
            "key=$(wg genkey); echo \"$key\"; echo \"$key\" | wg pubkey",
        ]);
        let made = finish(&mut wg, PATIENCE).ok().stdout;
        let (private, public) = made.trim().split_once('\n').expect("two keys");
        (private.to_owned(), public.to_owned())
    };
    (0..count).map(make).collect()
}

fn tunnel(
    host: &Namespace,
    folder: &Folder,
    name: &str,
    address: &str,
    words: &[String],
) -> Background {
    let [launcher, rest @ ..] = own_mounts(START);
    let mut command = host.command(launcher);
    command.args(rest).args([name, address]).args(words);
    let tunnel = Background::start(&mut command, folder.join(name));
    until("a tunnel", || tunnel.said().contains("ready"));
    tunnel
}

/// One end on the server, and the other ends on the friend: the first is known, the others are new.
struct Tunnels {
    keys: Vec<(String, String)>,
    folder: Folder,
    _server: Background,
}

impl Tunnels {
    fn start(host: &Namespace) -> Self {
        let keys = keys(2 + usize::from(TUNNELS));
        let folder = Folder::new();
        let mut words = vec![
            keys[0].0.clone(),
            "listen-port".to_owned(),
            TUNNEL.to_string(),
        ];
        for (number, (_, public)) in keys.iter().enumerate().skip(1) {
            let allowed = format!("10.99.0.{}/32", 1 + number);
            words.extend(["peer", public, "allowed-ips", &allowed].map(str::to_owned));
        }
        let server = tunnel(host, &folder, "wg0", "10.99.0.1/24", &words);
        Self {
            keys,
            folder,
            _server: server,
        }
    }

    /// Begins a tunnel to an address of the server.
    fn open(&self, from: &Namespace, number: usize, to: IpAddr) -> Background {
        let words = [
            &self.keys[number].0,
            "peer",
            &self.keys[0].1,
            "endpoint",
            &SocketAddr::new(to, TUNNEL).to_string(),
            "allowed-ips",
            "10.99.0.1/32",
        ];
        let address = format!("10.99.0.{}/32", 1 + number);
        let words = words.map(str::to_owned);
        let name = format!("wg{number}");
        let tunnel = tunnel(from, &self.folder, &name, &address, &words);
        // Each has a table of routes of its own, chosen by its address.
        from.ip_batch(&format!(
            "route add 10.99.0.1 dev {name} table {number}\nrule add from {address} lookup {number}\n"
        ));
        tunnel
    }
}

/// Sixty questions a second to an echo server; how many of so many were answered.
fn plays(from: &Namespace, own: &str, to: SocketAddr, questions: u32) -> u32 {
    let socket = from.run(|| UdpSocket::bind((own, 0))).expect("a socket");
    socket.set_nonblocking(true).expect("a socket");
    let mut answers = 0;
    let mut take = || {
        while socket.recv(&mut [0; 64]).is_ok() {
            answers += 1;
        }
    };
    let begun = Instant::now();
    for number in 0..questions {
        socket.send_to(&number.to_be_bytes(), to).ok();
        let due = Duration::from_secs(1) * (number + 1) / 60;
        thread::sleep(due.saturating_sub(begun.elapsed()));
        take();
    }
    thread::sleep(Duration::from_millis(300));
    take();
    answers
}

/// Asks an echo server three times at most, so long each time.
fn joins(from: &Namespace, own: &str, to: SocketAddr, patience: Duration) -> bool {
    let socket = from.run(|| UdpSocket::bind((own, 0))).expect("a socket");
    socket.set_read_timeout(Some(patience)).expect("a socket");
    (0..3).any(|_| {
        socket.send_to(b"hello", to).ok();
        socket.recv(&mut [0; 64]).is_ok()
    })
}

#[test]
fn programs_over_udp_notice_no_flood() {
    const WARM_UP: Duration = Duration::from_secs(4);
    const QUESTIONS: u32 = 300;
    if !require::root() || !require::programs(&PROGRAMS) {
        return;
    }
    let _alone = alone();
    let lab = &Topology::for_floods();
    introduce(lab);
    let _names = Dnsmasq::names(&lab.srv);
    let http = &Http3::start(&lab.srv, HTTP3);
    let tunnels = &Tunnels::start(&lab.srv);
    let _game = UdpEcho::start(&lab.srv, GAME);
    let guard = Instance::new(&lab.srv);
    for port in [NAMES, HTTP3, TUNNEL, GAME] {
        drop(guard.guardctl(&["allow", &format!("{port}/udp")]).ok());
    }
    let enable = ["enable", "--iface", "eth0", "--iface", "eth1", "--force"];
    drop(guard.guardctl(&enable).ok());
    let games = [lab.srv.v4, lab.srv.v6].map(|to| SocketAddr::new(to, GAME));
    let game_inside = SocketAddr::new("10.99.0.1".parse().expect("an address"), GAME);
    let _known = tunnels.open(&lab.friend, 1, lab.srv.v4);
    let known = "10.99.0.2";
    // Some seconds make a conversation.
    let begun = Instant::now();
    while begun.elapsed() < WARM_UP {
        for game in games {
            assert!(asks_name(lab, game.ip(), 3) && http.asks(lab, game.ip()));
            assert!(joins(&lab.friend, any(game.ip()), game, PATIENCE));
        }
        assert!(joins(&lab.friend, known, game_inside, PATIENCE));
        thread::sleep(Duration::from_millis(200));
    }

    let floods = [NAMES, HTTP3, TUNNEL, GAME].map(|port| {
        lab.forged_datagrams(port, Sources::Everywhere, 22)
            .into_iter()
    });
    let [a, b, c, d] = floods;
    let frames = a
        .zip(b)
        .zip(c.zip(d))
        .flat_map(|((a, b), (c, d))| [a, b, c, d]);
    let wire = Wire::open(&lab.wan, "srv");
    let flood = Flood::start_fresh(wire, frames.collect(), RATE);
    let dropped = || guard.counted().reason("udp-ceiling");
    let acts = within(PATIENCE, || (dropped() > 100_000).then_some(()));
    assert!(acts.is_some(), "{:?}", guard.counted().table());
    thread::scope(|scope| {
        // Who is known loses one of a hundred at most.
        let plain = games
            .map(|game| scope.spawn(move || plays(&lab.friend, any(game.ip()), game, QUESTIONS)));
        let inside = scope.spawn(|| plays(&lab.friend, known, game_inside, QUESTIONS));
        let server = |number: usize| games[number % 2].ip();
        let names =
            scope.spawn(move || (0..100).filter(|it| asks_name(lab, server(*it), 1)).count());
        let pages = scope.spawn(move || (0..10).filter(|it| http.asks(lab, server(*it))).count());
        // Who is new comes in with his third try.
        let mut new = Vec::new();
        for kind in 0..3 {
            let ask = move |number| match kind {
                0 => asks_name(lab, server_address(number), 3),
                1 => http.asks(lab, server_address(number)),
                _ => {
                    let to = SocketAddr::new(server_address(number), GAME);
                    joins(&lab.friend, any(to.ip()), to, Duration::from_secs(1))
                }
            };
            let ask = move || {
                (kind * EACH..(kind + 1) * EACH)
                    .map(ask)
                    .collect::<Vec<bool>>()
            };
            new.push(scope.spawn(ask));
        }
        for number in 0..TUNNELS {
            new.push(scope.spawn(move || {
                let to = server_address(3 * EACH + number);
                let _tunnel = tunnels.open(&lab.friend, 2 + usize::from(number), to);
                // It tries every five seconds.
                let own = format!("10.99.0.{}", 3 + number);
                vec![joins(
                    &lab.friend,
                    &own,
                    game_inside,
                    Duration::from_secs(4),
                )]
            }));
        }
        let [v4, v6] = plain;
        let known = [v4, v6, inside].map(|it| it.join().expect("a client"));
        let asked = [names, pages].map(|it| it.join().expect("a client"));
        let new: Vec<Vec<bool>> = new
            .into_iter()
            .map(|it| it.join().expect("clients"))
            .collect();
        println!(
            "{known:?} of {QUESTIONS}, {asked:?} of 100 and 10, new {new:?}, {} sent",
            flood.sent()
        );
        assert!(
            known.iter().all(|it| *it * 100 >= QUESTIONS * 99),
            "{known:?}"
        );
        assert!(asked[0] >= 99 && asked[1] == 10, "{asked:?}");
        let came_in = new.iter().flatten().filter(|it| **it).count();
        assert!(
            came_in * 100 >= new.iter().flatten().count() * 95,
            "{new:?}"
        );
    });
    drop(flood);
    println!("{:?}", guard.counted().table());
}

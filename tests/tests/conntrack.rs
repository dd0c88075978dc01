//! The kernel's connection table as guard reads it: real conversations through a router that
//! translates addresses, and a table of a hundred thousand entries.

use std::{
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use guard_common::testing::packet;
use guard_tests::{
    lab::{Namespace, TcpEcho, Topology, Wire, finish, until},
    require,
};
use guard_user::host::conntrack::{TcpPhase, Tracked, tracked};

const PORT: u16 = 7000;

fn nft(host: &Namespace, line: &str) {
    let mut nft = host.command("nft");
    nft.arg(line);
    drop(finish(&mut nft, Duration::from_secs(10)).ok());
}

/// A rule that looks at connection states is what makes the kernel track them.
fn track(host: &Namespace) {
    nft(host, "add table inet t");
    nft(
        host,
        "add chain inet t c { type filter hook input priority 0; }",
    );
    nft(host, "add rule inet t c ct state new counter");
}

fn table(host: &Namespace) -> Vec<Tracked> {
    host.run(tracked).expect("the connection table")
}

/// An address of this family from a prefix.
fn at(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip, port)
}

#[test]
fn a_host_that_tracks_nothing_has_no_connections() {
    if !require::root() {
        return;
    }
    let lab = Topology::new();
    let _echo = TcpEcho::start(&lab.srv, PORT);
    let _client = lab.friend.run(|| TcpStream::connect(at(lab.srv.v4, PORT)));

    assert_eq!(table(&lab.srv), []);
}

#[test]
fn a_router_that_translates_knows_both_sides_of_a_session() {
    if !require::root() || !require::program("nft") {
        return;
    }
    let lab = Topology::new();
    // As Docker does it: what leaves is masqueraded, what arrives at a port is sent on.
    for line in [
        "add table inet n",
        "add chain inet n post { type nat hook postrouting priority 100; }",
        "add chain inet n pre { type nat hook prerouting priority -100; }",
        "add rule inet n post oifname srv masquerade",
        "add rule inet n pre iifname friend tcp dport 8080 redirect to :9090",
    ] {
        nft(&lab.wan, line);
    }
    let _servers = [&lab.srv.namespace, &lab.wan].map(|host| {
        let port = if host.name() == lab.wan.name() {
            9090
        } else {
            PORT
        };
        TcpEcho::start(host, port)
    });

    for (client, server) in [(lab.friend.v4, lab.srv.v4), (lab.friend.v6, lab.srv.v6)] {
        let stream = lab
            .friend
            .run(|| TcpStream::connect(at(server, PORT)))
            .expect("through the router");
        let local = stream.local_addr().expect("its address");

        let entries = table(&lab.wan);

        let entry = entries
            .iter()
            .find(|entry| entry.original.source == local)
            .unwrap_or_else(|| panic!("{local} is not in {entries:?}"));
        assert_eq!(entry.protocol, 6);
        assert_eq!(entry.original.destination, at(server, PORT));
        assert_eq!(entry.reply.source, at(server, PORT));
        assert_ne!(entry.reply.destination.ip(), client, "masqueraded");
        assert!(entry.assured && entry.seen_reply, "{entry:?}");
        assert_eq!(entry.tcp, Some(TcpPhase::Established));

        drop(stream);
        until("the end of the session", || {
            table(&lab.wan).iter().all(|entry| {
                entry.original.source != local || entry.tcp != Some(TcpPhase::Established)
            })
        });
    }

    let router = SocketAddr::from(([198, 51, 100, 254], 8080));
    let stream = lab
        .friend
        .run(|| TcpStream::connect(router))
        .expect("the redirected port");
    let local = stream.local_addr().expect("its address");
    let entries = table(&lab.wan);
    let entry = entries
        .iter()
        .find(|entry| entry.original.source == local)
        .unwrap_or_else(|| panic!("{local} is not in {entries:?}"));
    assert_eq!(entry.original.destination, router);
    assert_eq!(entry.reply.source.port(), 9090, "where it was sent on to");
}

#[test]
fn a_datagram_without_an_answer_is_tracked_but_not_assured() {
    if !require::root() || !require::program("nft") {
        return;
    }
    let lab = Topology::new();
    track(&lab.srv);
    let any: [IpAddr; 2] = ["0.0.0.0", "::"].map(|ip| ip.parse().expect("an address"));
    for (any, server) in any.into_iter().zip([lab.srv.v4, lab.srv.v6]) {
        let socket = lab
            .friend
            .run(|| UdpSocket::bind((any, 0)))
            .expect("a socket");
        socket.connect(at(server, PORT)).expect("a partner");
        socket.send(b"x").expect("sent");
        let local = socket.local_addr().expect("its address");

        until(&format!("{local} to be tracked"), || {
            table(&lab.srv).iter().any(|entry| {
                (entry.protocol, entry.original.source) == (17, local)
                    && entry.original.destination == at(server, PORT)
                    && !entry.assured
                    && entry.tcp.is_none()
            })
        });
    }
}

#[test]
fn a_hundred_thousand_connections_are_read_in_well_under_a_second() {
    if !require::root() || !require::program("nft") {
        return;
    }
    const ENTRIES: usize = 100_000;
    let lab = Topology::new();
    track(&lab.srv);
    // A listener that reads nothing: no ICMP error for each of them.
    let _silent = lab.srv.run(|| UdpSocket::bind(at(lab.srv.v4, PORT)));
    let _listener = lab.srv.run(|| TcpListener::bind(at(lab.srv.v6, PORT)));
    let macs = (lab.srv.mac("eth0"), lab.wan.mac("srv"));
    let frames: Vec<Vec<u8>> = (0..ENTRIES as u32)
        .map(|number| {
            let [_, high, middle, low] = number.to_be_bytes();
            packet()
                .macs(macs.0, macs.1)
                .from_ip(IpAddr::from([10, high, middle, low]))
                .to_ip(lab.srv.v4)
                .udp(PORT)
                .build()
        })
        .collect();
    let wire = Wire::open(&lab.wan, "srv");
    let count = || {
        lab.srv.run(|| {
            let text = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count");
            text.expect("the count").trim().parse::<usize>().unwrap()
        })
    };
    // What finds a queue full is lost: sent again, it is the same connection.
    for _ in 0..20 {
        for some in frames.chunks(128) {
            wire.send(some);
        }
        if count() >= ENTRIES {
            break;
        }
    }
    let made = count();
    assert!(made > ENTRIES * 9 / 10, "{made} connections tracked");

    let started = Instant::now();
    let entries = table(&lab.srv);
    let took = started.elapsed();

    println!("{} of {made} connections in {took:?}", entries.len());
    assert!(entries.len() > made * 9 / 10, "{} of {made}", entries.len());
    assert!(took < Duration::from_millis(700), "{took:?}");
}

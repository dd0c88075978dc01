//! What the packets of the search meet: the real program with a small or a large policy, flows and sessions of this
//! host, bans; and a program that only drops, to compare with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, EbpfLoader,
    programs::{TestRun as _, TestRunOptions, Xdp},
};
use guard_common::{
    abi::{ban, counters::SHARD_ROWS, names, reason::Reason, switch::SLOTS},
    packet::TcpFlags,
    testing::random::Random,
};
use guard_user::{
    bans::Prefix,
    dataplane::object::BENCH_OBJECT,
    ruleset::{
        model::{Policy, Transport},
        sample::{allow, deny, limit, policy},
    },
};

use super::shape::Palette;
use crate::{
    harness::{Harness, OWN, TEST_INTERFACE},
    local_net::{LocalNet, Session},
    peers::{DATA, Ends, address},
};

/// How much there is to look through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Seven rules.
    Small,
    /// Sets of 3 000 prefixes, rules about interfaces and destinations, 70 000 bans.
    Large,
}

impl Size {
    /// For tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }
}

/// Ports that the policies open, restrict or limit, one that nothing opens, and those of answers.
const PORTS: [u16; 14] = [
    22, 53, 67, 68, 80, 443, 546, 547, 1900, 5353, 8080, 9000, 40_000, 40_001,
];
/// A port with sessions that no rule opens.
const SESSIONS: u16 = 2222;
const BANS: u32 = 70_000;
const ROOM: ban::Sizes = ban::Sizes {
    chunks: 64,
    buckets: 1 << 14,
    addresses: 1 << 16,
};
const PREFIXES: u32 = 3000;
/// An eternity in eighths of a tick.
const FOR_GOOD: u32 = 8 * 86_400;

/// The place.
pub struct Scene {
    guard: Harness,
    bare: Ebpf,
    /// What shapes are made of.
    pub palette: Palette,
    _sessions: Vec<(TcpListener, Session)>,
}

impl Scene {
    /// Makes it, for the namespace of this thread.
    ///
    /// # Errors
    /// When the kernel refuses a program.
    ///
    /// # Panics
    /// When the policy does not compile.
    pub fn new(net: &LocalNet, size: Size) -> Result<Self> {
        let mut guard = Harness::with_room_for_bans(&of_size(size), ROOM);
        if size == Size::Large {
            guard.bans(&banned(), FOR_GOOD);
        }
        let mut palette = Palette {
            ports: PORTS.to_vec(),
            ..Palette::default()
        };
        for own in OWN.map(address) {
            palette.destinations[usize::from(own.is_ipv6())].push(own);
        }
        palette.destinations[0].push(Ipv4Addr::BROADCAST.into());
        palette.destinations[1].push(address("ff02::1"));
        let strangers = ["203.0.113.7", "198.51.100.7", "0.0.0.0", "10.1.2.3"];
        let strangers_v6 = ["2001:db8:100::7", "2001:db8:9::9", "fe80::7", "::"];
        palette.sources = [strangers, strangers_v6].map(|list| list.map(address).to_vec());
        palette.sources[0].push(member(7).0);
        palette.sources[1].push(member(7).1);

        let mut sessions = Vec::new();
        for (own, peer) in net.families() {
            let listener = net.listen_at(SocketAddr::new(own, SESSIONS));
            let session = net.begun_by_peer(&listener, peer);
            guard.mark_sessions(session.ends.own_port);
            palette.ports.push(SESSIONS);
            palette.sources[usize::from(own.is_ipv6())].push(peer);
            sessions.push((listener, session));
            // And flows that this host has begun.
            let ends = Ends {
                own,
                peer,
                own_port: 40_001,
                peer_port: 443,
            };
            for frame in [
                ends.tcp_out(TcpFlags::SYN),
                ends.tcp_out(DATA),
                ends.udp_out(),
                ends.echo_out(),
            ] {
                guard.sends(&frame);
            }
        }
        Ok(Self {
            guard,
            bare: bare_drop()?,
            palette,
            _sessions: sessions,
        })
    }

    /// ns per packet when so many of them come.
    ///
    /// # Errors
    /// When the kernel refuses the run.
    pub fn cost(&mut self, frame: &[u8], packets: u32) -> Result<f64> {
        let run = self.guard.object().ingress()?.test_run(TestRunOptions {
            data_in: Some(frame),
            repeat: packets,
            ..TestRunOptions::default()
        })?;
        Ok(run.duration.as_nanos() as f64)
    }

    /// The same of the program that only drops.
    ///
    /// # Errors
    /// As [`Scene::cost`].
    pub fn bare_cost(&mut self, frame: &[u8], packets: u32) -> Result<f64> {
        let program: &mut Xdp = self
            .bare
            .program_mut(BARE)
            .context("no yardstick")?
            .try_into()?;
        let run = program.test_run(TestRunOptions {
            data_in: Some(frame),
            repeat: packets,
            ..TestRunOptions::default()
        })?;
        Ok(run.duration.as_nanos() as f64)
    }

    /// What becomes of it.
    ///
    /// # Errors
    /// As [`Scene::cost`].
    pub fn reason(&mut self, frame: &[u8]) -> Result<Reason> {
        let before = self.guard.packets_by_reason();
        self.guard.verdict(frame, None)?;
        let after = self.guard.packets_by_reason();
        let moved = (0..before.len()).find(|index| before[*index] != after[*index]);
        moved
            .map(|index| Reason::ALL[index])
            .context("a packet that nothing counted")
    }
}

const BARE: &str = "bench_drop";

fn bare_drop() -> Result<Ebpf> {
    let mut object = EbpfLoader::new()
        .map_max_entries(names::POLICY, SLOTS)
        .map_max_entries(names::COUNTERS, SHARD_ROWS)
        .load(BENCH_OBJECT)?;
    let program: &mut Xdp = object
        .program_mut(BARE)
        .context("no yardstick")?
        .try_into()?;
    program.load()?;
    Ok(object)
}

fn of_size(size: Size) -> Policy {
    let mut rules = vec![
        allow().tcp(22),
        allow().tcp(80),
        allow().tcp(443),
        allow().tcp(9000).from("198.51.100.7"),
        limit("20/s", 40).tcp(8080),
        allow().udp(53),
        deny().from("203.0.113.64/26"),
    ];
    if size == Size::Large {
        let prefixes: Vec<String> = (0..PREFIXES)
            .flat_map(|number| {
                [
                    format!("{}/26", member(number).0),
                    format!("{}/52", member(number).1),
                ]
            })
            .collect();
        let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
        rules.extend([
            allow().tcp(9000).from_set("offices", &prefixes),
            deny()
                .tcp(443)
                .from_set("offices", &prefixes)
                .on(TEST_INTERFACE),
            allow()
                .ports(Transport::Udp, &[(40_000, 40_100)])
                .from_set("offices", &prefixes),
            allow().tcp(80).to("192.0.2.1"),
            allow().udp(5353).to("2001:db8:2::1").on(TEST_INTERFACE),
            allow().tcp(40_000).to("192.0.2.2").on("eth0"),
            deny().tcp(22).from("198.51.100.0/24").to("192.0.2.1"),
            allow().ping().from_set("offices", &prefixes),
        ]);
    }
    policy(rules)
}

/// An address in the n-th prefix of the large set.
fn member(number: u32) -> (IpAddr, IpAddr) {
    const FIRST: u32 = u32::from_be_bytes([45, 0, 0, 0]);
    let v4 = Ipv4Addr::from(FIRST + (number << 7));
    let v6 = 0x2a00_u128 << 112 | u128::from(number) << 77;
    (v4.into(), Ipv6Addr::from(v6).into())
}

/// Banned addresses and networks, of both families; none of the palette.
fn banned() -> Vec<Prefix> {
    let mut random = Random::new(11);
    (0..BANS)
        .map(|number| {
            let noise = random.number();
            if number % 8 == 0 {
                let v6 = 0x2400_u128 << 112 | u128::from(noise >> 16) << 64;
                Prefix::v6(v6.into(), 64)
            } else {
                let v4 = 0x5000_0000 | noise as u32 & 0x0fff_ffff;
                Prefix::v4(v4.into(), 32)
            }
        })
        .collect()
}

//! One flood, with or without guard, and what came of it.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    thread,
    time::{Duration, Instant},
};

use guard_common::{packet::TcpFlags, testing::packet};

use super::{
    friend::{Friend, Work},
    machine::{Accounts, RoundCost},
    screen::number,
    stage::{APPLICATION, Stage},
};
use crate::lab::{Counted, Flood, Rate, Wire};

/// Different frames in the flood, each from another forged source.
const FRAMES: u32 = 8192;
/// The ports that it is for: what an attacker tries first, those that only the friend may use, and one that is open to
/// all.
pub const TARGETS: [(&str, u16); 8] = [
    ("tcp", 22),
    ("tcp", APPLICATION),
    ("tcp", OPEN),
    ("tcp", 3306),
    ("tcp", 6379),
    ("udp", 53),
    ("udp", 1900),
    ("udp", 11211),
];

/// The web server's port, which gets segments of sessions that do not exist: a SYN would be let in.
const OPEN: u16 = 80;

/// What the flood is, for the audience.
pub const DESCRIPTION: &str = "SYNs and datagrams from 8192 forged sources, IPv4 and IPv6, to \
     ports that are closed to them, and ACKs\nto port 80, which is open to all; sent as fast as one \
     thread can, out of the router's port to the server,\nwhere a real flood would arrive";

/// What a round came to.
#[derive(Clone, Debug)]
pub struct RoundResult {
    /// Its length.
    pub took: Duration,
    /// Frames that the attacker sent.
    pub sent: u64,
    /// What the friend got done meanwhile.
    pub work: Work,
    /// What it cost.
    pub spent: RoundCost,
    /// Counters before and after, when guard was on.
    pub counted: Option<(Counted, Counted)>,
}

/// Floods for some seconds while the friend works; shows what guard drops, each second.
#[must_use]
pub fn flood(stage: &Stage, seconds: u64, is_guarded: bool) -> RoundResult {
    let counted = || is_guarded.then(|| stage.guard.counted());
    // The port of the router behind which the server is: where a real flood arrives.
    let wire = Wire::open(&stage.lab.wan, "srv");
    let frames = frames(stage);
    let friend = Friend::start(stage);
    let before = counted();
    let accounts = Accounts::read(&stage.lab.srv);
    let started = Instant::now();
    let flood = Flood::start(wire, frames, Rate::Unlimited);
    if is_guarded {
        print_head();
    }
    let mut last = (before.clone(), started);
    for second in 1..=seconds {
        let due = started + Duration::from_secs(second);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if let (Some(then), Some(now)) = (&last.0, counted()) {
            let at = Instant::now();
            print_row(second, then, &now, at - last.1);
            last = (Some(now), at);
        }
    }
    let sent = flood.stop();
    let took = started.elapsed();
    let spent = accounts.until(&Accounts::read(&stage.lab.srv));
    RoundResult {
        took,
        sent,
        work: friend.stop(),
        spent,
        counted: before.zip(counted()),
    }
}

/// Requests of three in four over IPv4, the others over IPv6.
fn frames(stage: &Stage) -> Vec<Vec<u8>> {
    let macs = (stage.lab.srv.mac("eth0"), stage.lab.wan.mac("srv"));
    (0..FRAMES)
        .map(|number| {
            let (protocol, port) = TARGETS[number as usize % TARGETS.len()];
            let random = u64::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let source_port = 1024 + (random >> 40) as u16 % 60_000;
            let frame = packet().macs(macs.0, macs.1);
            let frame = if number / 8 % 4 == 3 {
                let source = Ipv6Addr::from(0x2a00_u128 << 112 | u128::from(random));
                frame.from_ip(source.into()).to_ip(stage.lab.srv.v6)
            } else {
                // 11.0.0.0 to 99.255.255.255: forged, and none of the hosts here.
                let source = 0x0b00_0000 + (random >> 32) as u32 % (89 << 24);
                frame
                    .from_ip(Ipv4Addr::from(source).into())
                    .to_ip(stage.lab.srv.v4)
            };
            match protocol {
                "tcp" => {
                    let flags = if port == OPEN {
                        TcpFlags::ACK
                    } else {
                        TcpFlags::SYN
                    };
                    frame.tcp_between(source_port, port, flags).build()
                }
                _ => frame.udp_between(source_port, port).payload(32).build(),
            }
        })
        .collect()
}

fn print_head() {
    println!("dropped packets per second, by port; measured by `guardctl stats --json`");
    print!("{:>4}", "s");
    for (protocol, port) in TARGETS {
        print!("{:>11}", format!("{port}/{protocol}"));
    }
    println!("{:>12}{:>12}", "all dropped", "passed");
}

fn print_row(second: u64, then: &Counted, now: &Counted, took: Duration) {
    let rate = |now: u64, then: u64| {
        let packets = now.saturating_sub(then) as f64;
        number((packets / took.as_secs_f64()) as u64)
    };
    print!("{second:>4}");
    for (protocol, port) in TARGETS {
        let row = rate(now.dropped(protocol, port), then.dropped(protocol, port));
        print!("{row:>11}");
    }
    println!(
        "{:>12}{:>12}",
        rate(now.all("drop"), then.all("drop")),
        rate(now.all("pass"), then.all("pass"))
    );
}

//! Frames of which each has another source.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use guard_common::{
    packet::TcpFlags,
    testing::{packet, packet_v6, random::Random},
};
use guard_tests::lab::{Topology, Wire};

/// Longest flood, whatever happens to the test.
const LONGEST: Duration = Duration::from_secs(120);
/// Frames with a destination, a source port and a checksum of their own.
const TEMPLATES: usize = 4096;
/// Frames in one go.
const STEP: usize = 256;
/// Closed ports that are flooded: below those from which this host asks.
const CLOSED: std::ops::Range<usize> = 10_000..30_000;

/// A thread that sends until it is stopped.
pub(crate) struct Forged {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Forged {
    /// SYNs, ACKs and datagrams of both families to ports that are open to everybody (`open`; a tenth,
    /// since their price is the stack's), that
    /// have sessions but are open to few (`restricted`), and that are closed. `pause` is between
    /// 256 frames and the next 256.
    pub(crate) fn start(lab: &Topology, open: u16, restricted: u16, pause: Duration) -> Self {
        let wire = Wire::open(&lab.wan, "srv");
        let mut templates = templates(lab, open, restricted);
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = thread::spawn(move || {
            let mut random = Random::new(99);
            let begin = Instant::now();
            while !stopped.load(Ordering::Relaxed) && begin.elapsed() < LONGEST {
                for step in templates.chunks_mut(STEP) {
                    for frame in &mut *step {
                        change_source(frame, &mut random);
                    }
                    counted.fetch_add(wire.send(step) as u64, Ordering::Relaxed);
                    thread::sleep(pause);
                }
            }
        });
        Self {
            stop,
            sent,
            thread: Some(thread),
        }
    }

    /// Frames sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Forged {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn templates(lab: &Topology, open: u16, restricted: u16) -> Vec<Vec<u8>> {
    let macs = (lab.srv.mac("eth0"), lab.wan.mac("srv"));
    let mut random = Random::new(9);
    (0..TEMPLATES)
        .map(|number| {
            let base = if number % 4 == 3 {
                packet_v6()
            } else {
                let bytes: [u8; 2] = random.bytes();
                packet().from(&format!("11.1.{}.{}", bytes[0], bytes[1]))
            };
            let base = base.macs(macs.0, macs.1);
            let closed = (CLOSED.start + random.below(CLOSED.len())) as u16;
            let from = (1024 + random.below(60_000)) as u16;
            match number / 4 % 32 {
                0 => base.tcp_between(from, open, TcpFlags::SYN),
                1 => base.tcp_between(from, open, TcpFlags::ACK),
                2 => base.udp_between(from, open).payload(18),
                3..8 => base.tcp_between(from, restricted, TcpFlags::SYN),
                8..12 => base.tcp_between(from, restricted, TcpFlags::ACK),
                12..20 => base.tcp_between(from, closed, TcpFlags::SYN),
                20..24 => base.tcp_between(from, closed, TcpFlags::ACK),
                _ => base.udp_between(from, closed).payload(18),
            }
            .build()
        })
        .collect()
}

/// Another source with the same sum of its 16-bit words, so that every checksum stays right.
fn change_source(frame: &mut [u8], random: &mut Random) {
    const IPV4_SOURCE: usize = 14 + 12;
    const IPV6_SOURCE: usize = 14 + 8;
    // Two words of the address: in IPv6 the third and the last, behind 2001:db8.
    let (first, second) = if frame[12..14] == [0x08, 0x00] {
        (IPV4_SOURCE, IPV4_SOURCE + 2)
    } else {
        (IPV6_SOURCE + 4, IPV6_SOURCE + 14)
    };
    let word = |at: usize| u32::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
    let sum = word(first) + word(second);
    // 11.0.0.0 to 99.255.255.255: none of them is of the lab, and none is a martian.
    let new = ((11 + random.below(89)) << 8 | random.below(256)) as u32;
    let rest = sum + (0xffff - new);
    let rest = (rest & 0xffff) + (rest >> 16);
    let rest = (rest & 0xffff) + (rest >> 16);
    frame[first..first + 2].copy_from_slice(&(new as u16).to_be_bytes());
    frame[second..second + 2].copy_from_slice(&(rest as u16).to_be_bytes());
}

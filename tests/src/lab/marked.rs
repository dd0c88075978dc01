//! A stream of numbered packets to two ports in turn, by which a test sees which policy decided each
//! of them.

use std::{
    collections::BTreeSet,
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use guard_common::{
    packet::TcpFlags,
    testing::{packet, packet_v6},
};

use super::{Seen, Topology, Wire, until};

/// First byte of the source hardware address of a numbered frame; locally administered.
const MARK: u8 = 0x4e;
/// Longest stream, whatever happens to the test.
const LONGEST: Duration = Duration::from_secs(60);
/// Frames sent in one go: a fraction of the receiver's ring of 256.
const STEP: usize = 16;

/// Packets numbered in the order in which they are sent from one CPU: even numbers go to the first
/// port, odd ones to the second, SYNs and datagrams of both families by turns.
#[derive(Debug)]
pub struct Marked {
    stream: u8,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU32>,
    thread: Option<JoinHandle<()>>,
}

impl Marked {
    /// Starts stream number `stream`, on the CPU of that number, from the router's port to the
    /// server, at a pace at which no queue overflows.
    ///
    /// # Panics
    /// When the hosts are not there.
    #[must_use]
    pub fn start(lab: &Topology, stream: u8, ports: [u16; 2]) -> Self {
        const PAUSE: Duration = Duration::from_millis(1);
        let wire = Wire::open(&lab.wan, "srv");
        let templates = templates(lab, stream, ports);
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU32::new(0));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = thread::spawn(move || {
            stay_on_cpu(stream.into());
            let started = Instant::now();
            let mut number = 0u32;
            while !stopped.load(Ordering::Relaxed) && started.elapsed() < LONGEST {
                let frames: Vec<Vec<u8>> = (number..)
                    .take(STEP)
                    .map(|number| {
                        let mut frame = templates[number as usize % templates.len()].clone();
                        frame[8..12].copy_from_slice(&number.to_be_bytes());
                        frame
                    })
                    .collect();
                assert_eq!(wire.send(&frames), frames.len(), "the wire is full");
                number += STEP as u32;
                counted.store(number, Ordering::Release);
                thread::sleep(PAUSE);
            }
        });
        Self {
            stream,
            stop,
            sent,
            thread: Some(thread),
        }
    }

    /// Waits until more packets have been sent, each of them after the call.
    ///
    /// # Panics
    /// When the stream has ended.
    pub fn wait_for_more(&self) {
        let sent = || self.sent.load(Ordering::Acquire);
        // The first step may have begun before the call.
        let enough = sent() + 2 * STEP as u32;
        until("the stream to go on", || sent() >= enough);
    }

    /// Ends the stream and returns how many packets it had.
    ///
    /// # Panics
    /// When the sender did.
    #[must_use]
    pub fn stop(mut self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("taken only here");
        thread.join().expect("the sender");
        self.sent.load(Ordering::Acquire)
    }

    /// Numbers of this stream's packets among the frames that were received.
    #[must_use]
    pub fn numbers(stream: u8, seen: &[Seen]) -> BTreeSet<u32> {
        seen.iter()
            .filter(|seen| !seen.is_outgoing && seen.frame.get(6..8) == Some(&[MARK, stream]))
            .filter_map(|seen| seen.frame.get(8..12)?.try_into().ok())
            .map(u32::from_be_bytes)
            .collect()
    }

    /// Number of the stream.
    #[must_use]
    pub fn stream(&self) -> u8 {
        self.stream
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn templates(lab: &Topology, stream: u8, [first, second]: [u16; 2]) -> Vec<Vec<u8>> {
    let macs = (lab.srv.mac("eth0"), [MARK, stream, 0, 0, 0, 0]);
    let v4 = || packet().macs(macs.0, macs.1);
    let v6 = || packet_v6().macs(macs.0, macs.1);
    [
        v4().udp(first),
        v4().udp(second),
        v4().tcp(first, TcpFlags::SYN),
        v4().tcp(second, TcpFlags::SYN),
        v6().udp(first),
        v6().udp(second),
        v6().tcp(first, TcpFlags::SYN),
        v6().tcp(second, TcpFlags::SYN),
    ]
    .map(|packet| packet.build())
    .to_vec()
}

/// Frames of one CPU go through one queue and arrive in order.
fn stay_on_cpu(cpu: usize) {
    // SAFETY: all-zero is a valid, empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: a live set; the CPU number is checked against its size inside.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: a live set of the length that is passed; 0 is the calling thread.
    let result = unsafe { libc::sched_setaffinity(0, mem::size_of_val(&set), &raw const set) };
    assert_eq!(result, 0, "there is no CPU {cpu}");
}

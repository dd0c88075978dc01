//! The flood of the end-to-end part: live frames of a test run, each with a new source and port, sent
//! out of an interface by XDP, in bounded number.

use std::{
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, EbpfLoader,
    programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp, xdp::XdpMode},
};
use guard_common::{
    abi::{counters::SHARD_ROWS, names, switch::SLOTS},
    packet::TcpFlags,
    testing::packet,
};
use guard_user::dataplane::object::BENCH_OBJECT;

const PROGRAM: &str = "bench_flood";
/// Words that hold the headers of a frame.
const HEADER_WORDS: usize = 7;
/// Ports of a flood to closed ports.
const ALL_PORTS: u32 = 8192;
/// Frames that the kernel prepares at once.
const BATCH: u32 = 64;
/// Frames between two looks at the clock at full speed.
const STRETCH: u32 = 100_000;
/// Most frames at once in a paced flood.
const LARGEST_BURST: u32 = 192;
/// A flood that had to wait makes up for this fraction of a second, and not for more.
const MOST_OWED: u64 = 200;
/// Between two bursts of a paced flood: few enough frames for the 256 places of veth's ring.
const BEAT: Duration = Duration::from_micros(100);

/// What the flood consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP segments that ask for a connection.
    Syn,
    /// Datagrams.
    Udp,
    /// The same segments, all to [`LIMITED_PORT`].
    SynOnePort,
}

/// The lowest port of the flood, which a policy may limit.
pub const LIMITED_PORT: u16 = 40_000;

impl Kind {
    /// For the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Syn => "SYN",
            Self::Udp => "UDP",
            Self::SynOnePort => "SYN, one port",
        }
    }
}

/// How fast it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as one CPU makes frames.
    Full,
    /// Frames per second, in bursts of a millisecond.
    PerSecond(u32),
}

/// A loaded generator. Its thread must be in the namespace of the interface.
#[derive(Debug)]
pub struct Generator {
    object: Ebpf,
    frame: Vec<u8>,
}

impl Generator {
    /// Loads it. It is also put onto `idle`, an interface that receives nothing: the kernel then knows
    /// the program already, and a burst begins without waiting for all CPUs to notice.
    ///
    /// # Errors
    /// When the kernel refuses the program.
    pub fn new(kind: Kind, macs: ([u8; 6], [u8; 6]), interface: u32, idle: &str) -> Result<Self> {
        let base = packet()
            .macs(macs.0, macs.1)
            .from_ip(Ipv4Addr::UNSPECIFIED.into())
            .to("192.0.2.1");
        let (mut frame, checksum_at) = match kind {
            Kind::Syn | Kind::SynOnePort => {
                (base.tcp_between(40_000, 0, TcpFlags::SYN).build(), 50)
            }
            Kind::Udp => (base.udp_between(40_000, 0).payload(18).build(), 40),
        };
        for at in [24, checksum_at] {
            frame[at..at + 2].fill(0);
        }
        let pseudo_header = u32::from(frame[23]) + (frame.len() - 34) as u32 + sum(&frame[30..34]);
        let header_sum = fold(sum(&frame[14..34]));
        let payload_sum = fold(sum(&frame[34..]) + pseudo_header);
        let checksum_at = checksum_at as u32;
        // The last word is not whole.
        let mut padded = frame.clone();
        padded.resize(frame.len().next_multiple_of(size_of::<u64>()), 0);
        let mut headers = [0u64; HEADER_WORDS];
        for (word, bytes) in headers
            .iter_mut()
            .zip(padded.chunks_exact(size_of::<u64>()))
        {
            *word = u64::from_ne_bytes(bytes.try_into()?);
        }
        let slot_words = 1u32;
        let ports = match kind {
            Kind::Syn | Kind::Udp => ALL_PORTS,
            Kind::SynOnePort => 1,
        };
        let mut object = EbpfLoader::new()
            .override_global("FLOOD_HEADERS", &headers, true)
            .override_global("FLOOD_PORTS", &ports, true)
            .override_global("FLOOD_INTERFACE", &interface, true)
            .override_global("FLOOD_HEADER_SUM", &header_sum, true)
            .override_global("FLOOD_PAYLOAD_SUM", &payload_sum, true)
            .override_global("FLOOD_CHECKSUM_AT", &checksum_at, true)
            .map_max_entries(names::POLICY, SLOTS * slot_words)
            .map_max_entries(names::COUNTERS, SHARD_ROWS)
            .load(BENCH_OBJECT)?;
        let program: &mut Xdp = object
            .program_mut(PROGRAM)
            .context("no flood in the benchmark's object")?
            .try_into()?;
        program.load()?;
        program.attach(idle, XdpMode::Driver)?;
        Ok(Self { object, frame })
    }

    /// Sends for some time and returns how many frames.
    ///
    /// # Errors
    /// When the kernel refuses a test run.
    pub fn send(&self, pace: Pace, length: Duration) -> Result<u64> {
        // Else every sleep takes 50 µs longer.
        // SAFETY: the call takes integers.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
        let started = Instant::now();
        let (mut sent, mut missed) = (0, 0);
        while started.elapsed() < length {
            let burst = match pace {
                Pace::Full => STRETCH,
                Pace::PerSecond(rate) => {
                    let due = (f64::from(rate) * started.elapsed().as_secs_f64()) as u64;
                    let owed = due - sent - missed;
                    let late = owed.saturating_sub(u64::from(rate) / MOST_OWED);
                    missed += late;
                    (owed - late).min(u64::from(LARGEST_BURST)) as u32
                }
            };
            // One frame alone is no repetition, which live frames must be.
            if burst > 1 {
                self.burst(burst)?;
                sent += u64::from(burst);
            }
            if burst < LARGEST_BURST {
                thread::sleep(BEAT);
            }
        }
        Ok(sent)
    }

    fn burst(&self, frames: u32) -> Result<()> {
        let program: &Xdp = self
            .object
            .program(PROGRAM)
            .context("no flood in the benchmark's object")?
            .try_into()?;
        program.test_run(TestRunOptions {
            data_in: Some(&self.frame),
            repeat: frames,
            attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
            ..TestRunOptions::default()
        })?;
        Ok(())
    }
}

/// Ones' complement sum, not folded; an odd last byte counts as the high one.
fn sum(bytes: &[u8]) -> u32 {
    bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum()
}

fn fold(sum: u32) -> u32 {
    let sum = (sum >> 16) + (sum & 0xffff);
    (sum >> 16) + (sum & 0xffff)
}

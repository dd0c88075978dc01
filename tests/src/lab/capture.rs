//! What a host's network stack sees: every frame behind XDP, and every frame that it sends.

use std::{
    io, mem,
    net::IpAddr,
    os::fd::{AsRawFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use guard_common::packet::{Frame, Packet, Transport, parse};

use super::{
    Namespace, until,
    wire::{packet_socket, set_option},
};

const EVERY_PROTOCOL: u16 = 3;
/// Receive buffer: a scan of all ports fits while this process waits for a CPU.
const BUFFER_BYTES: i32 = 64 << 20;

/// A frame as the host saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Sent by the host rather than received.
    pub is_outgoing: bool,
    /// Its bytes.
    pub frame: Vec<u8>,
}

impl Seen {
    /// The IP packet inside, if it is one that can be read.
    #[must_use]
    pub fn packet(&self) -> Option<Packet> {
        let packet = Packet::default();
        match parse(self.frame.as_slice(), &packet) {
            Ok(Frame::Ip) => Some(packet),
            Ok(_) | Err(_) => None,
        }
    }

    /// Who sent it, if it is an IP packet.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        let source = self.packet()?.source();
        let bits = u128::from(source.hi()) << 64 | u128::from(source.lo());
        Some(IpAddr::V6(bits.into()).to_canonical())
    }

    /// Protocol and destination port of TCP and UDP.
    #[must_use]
    pub fn port(&self) -> Option<(&'static str, u16)> {
        match self.packet()?.transport() {
            Transport::Tcp {
                destination_port, ..
            } => Some(("tcp", destination_port)),
            Transport::Udp {
                destination_port, ..
            } => Some(("udp", destination_port)),
            Transport::None
            | Transport::Icmp { .. }
            | Transport::Icmpv6 { .. }
            | Transport::Other => None,
        }
    }
}

/// Watches an interface, as tcpdump does, from its start until [`Capture::stop`].
#[derive(Debug)]
pub struct Capture {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    thread: Option<JoinHandle<Vec<Seen>>>,
}

impl Capture {
    /// Starts to watch.
    ///
    /// # Panics
    /// When there is no such interface.
    #[must_use]
    pub fn start(namespace: &Namespace, interface: &str) -> Self {
        let (socket, _) = namespace
            .run(|| packet_socket(interface, EVERY_PROTOCOL))
            .unwrap_or_else(|error| panic!("{interface}: {error}"));
        set_option(
            &socket,
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            BUFFER_BYTES,
        );
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicU64::new(0));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&count));
        let thread = thread::spawn(move || watch(&socket, &stopped, &counted));
        Self {
            stop,
            count,
            thread: Some(thread),
        }
    }

    /// Frames seen so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits until nothing has come for a moment, and returns everything seen.
    ///
    /// # Panics
    /// When the kernel had to leave frames out, or frames never cease.
    #[must_use]
    pub fn stop(mut self) -> Vec<Seen> {
        let mut before = u64::MAX;
        until("the last frame", || {
            thread::sleep(std::time::Duration::from_millis(100));
            mem::replace(&mut before, self.count()) == self.count()
        });
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("taken only here");
        match thread.join() {
            Ok(seen) => seen,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn watch(socket: &OwnedFd, stop: &AtomicBool, count: &AtomicU64) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut buffer = vec![0; 65536];
    while !stop.load(Ordering::Relaxed) {
        if !is_readable(socket) {
            continue;
        }
        if let Some(frame) = receive(socket, &mut buffer) {
            seen.push(frame);
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
    assert_eq!(lost(socket), 0, "frames that the capture lost");
    seen
}

fn is_readable(socket: &OwnedFd) -> bool {
    const NOTICE_MS: libc::c_int = 20;
    let mut poll = libc::pollfd {
        fd: socket.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one live pollfd.
    let ready = unsafe { libc::poll(&raw mut poll, 1, NOTICE_MS) };
    ready > 0
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Option<Seen> {
    // SAFETY: all-zero is a valid sockaddr_ll.
    let mut from: libc::sockaddr_ll = unsafe { mem::zeroed() };
    let mut from_len = mem::size_of::<libc::sockaddr_ll>() as u32;
    // SAFETY: buffer and address are live and of the lengths that are passed.
    let length = unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            libc::MSG_DONTWAIT,
            (&raw mut from).cast(),
            &raw mut from_len,
        )
    };
    let length = usize::try_from(length).ok()?;
    Some(Seen {
        is_outgoing: from.sll_pkttype == libc::PACKET_OUTGOING,
        frame: buffer[..length].to_vec(),
    })
}

/// Frames that found the buffer full.
fn lost(socket: &OwnedFd) -> u32 {
    const PACKET_STATISTICS: libc::c_int = 6;
    let mut statistics = [0u32; 2];
    let mut length = mem::size_of_val(&statistics) as u32;
    // SAFETY: a live buffer of the length that is passed.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            PACKET_STATISTICS,
            statistics.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
    statistics[1]
}

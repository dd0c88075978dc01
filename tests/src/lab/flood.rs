//! The same frames again and again, as fast as they go or at a rate, for a bounded time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use guard_common::testing::random::Random;

use super::{Wire, fresh::renew};

/// Longest flood, whatever happens to the test.
const LONGEST: Duration = Duration::from_secs(60);
/// Frames between two looks at the clock.
const STEP: usize = 256;
/// Floods with fresh sources so far: whom one has made known is no source of the next.
static FRESH: AtomicU64 = AtomicU64::new(12);

/// How fast a flood is.
#[derive(Clone, Copy, Debug)]
pub enum Rate {
    /// As fast as the kernel takes them.
    Unlimited,
    /// Frames per second.
    PerSecond(u32),
}

/// A thread that sends until it is stopped.
#[derive(Debug)]
pub struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// Starts to send these frames in turn.
    ///
    /// # Panics
    /// When there is no frame.
    #[must_use]
    pub fn start(wire: Wire, frames: Vec<Vec<u8>>, rate: Rate) -> Self {
        Self::begin(wire, frames, rate, None)
    }

    /// The same, each frame with another source every time it is sent.
    ///
    /// # Panics
    /// When there is no frame.
    #[must_use]
    pub fn start_fresh(wire: Wire, frames: Vec<Vec<u8>>, rate: Rate) -> Self {
        Self::begin(
            wire,
            frames,
            rate,
            Some(Random::new(FRESH.fetch_add(1, Ordering::Relaxed))),
        )
    }

    fn begin(wire: Wire, frames: Vec<Vec<u8>>, rate: Rate, fresh: Option<Random>) -> Self {
        assert!(!frames.is_empty(), "a flood of nothing");
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = thread::spawn(move || send(&wire, frames, rate, fresh, &stopped, &counted));
        Self {
            stop,
            sent,
            thread: Some(thread),
        }
    }

    /// Frames sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends it and returns how many frames were sent.
    #[must_use]
    pub fn stop(mut self) -> u64 {
        self.end();
        self.sent()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.end();
    }
}

fn send(
    wire: &Wire,
    mut frames: Vec<Vec<u8>>,
    rate: Rate,
    mut fresh: Option<Random>,
    stop: &AtomicBool,
    sent: &AtomicU64,
) {
    let started = Instant::now();
    let step = match rate {
        Rate::Unlimited => STEP,
        // A hundred steps a second at most, so that slow floods are even.
        Rate::PerSecond(rate) => (rate as usize / 100).clamp(1, STEP),
    };
    let chunks = frames.len().div_ceil(step);
    for number in (0..chunks).cycle() {
        let end = frames.len().min((number + 1) * step);
        let chunk = &mut frames[number * step..end];
        if let Some(random) = &mut fresh {
            chunk.iter_mut().for_each(|frame| renew(frame, random));
        }
        if stop.load(Ordering::Relaxed) || started.elapsed() > LONGEST {
            return;
        }
        let so_far = sent.fetch_add(wire.send(chunk) as u64, Ordering::Relaxed);
        if let Rate::PerSecond(rate) = rate {
            let due = Duration::from_secs_f64((so_far + 1) as f64 / f64::from(rate));
            thread::sleep(due.saturating_sub(started.elapsed()));
        }
    }
}

//! One thread takes snapshots for everybody who looks, and only while somebody does.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::watch;

/// Between two snapshots.
const SECOND: Duration = Duration::from_secs(1);
/// Between two looks at whether somebody still looks.
const LOOK: Duration = Duration::from_millis(200);

/// What is shown.
pub trait Sampler {
    /// Takes a snapshot: one line of JSON, or nothing while there is nothing to compare with. Called once a second.
    fn sample(&mut self) -> Option<String>;
    /// Keeps up what must be kept up between two snapshots. Called five times a second.
    fn tend(&mut self);
}

/// Begins to sample, on the thread that goes on with it.
pub type BeginSampler = Box<dyn Fn() -> Box<dyn Sampler> + Send + Sync>;

/// Those who look.
pub(super) struct Viewers {
    begin: BeginSampler,
    latest: watch::Sender<Option<Bytes>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Viewers {
    pub(super) fn new(begin: BeginSampler) -> Self {
        Self {
            begin,
            latest: watch::Sender::new(None),
            thread: Mutex::new(None),
        }
    }

    /// One more: the latest snapshot, as it changes.
    pub(super) fn join(self: &Arc<Self>) -> watch::Receiver<Option<Bytes>> {
        let mut thread = self.lock();
        let receiver = self.latest.subscribe();
        if thread.as_ref().is_none_or(JoinHandle::is_finished) {
            // What was seen by those before.
            self.latest.send_replace(None);
            let viewers = Arc::clone(self);
            *thread = Some(thread::spawn(move || viewers.sample()));
        }
        receiver
    }

    /// Waits for the thread, when nobody is there any more.
    pub(super) fn finish(&self) {
        let thread = self.lock().take();
        if let Some(thread) = thread {
            // A broken one has ended, too.
            thread.join().unwrap_or_default();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sample(&self) {
        let mut sampler = (self.begin)();
        let mut next = Instant::now();
        while self.is_anybody_there() {
            if Instant::now() >= next {
                // A machine that was asleep is not caught up with.
                next = Instant::now() + SECOND;
                if let Some(line) = sampler.sample() {
                    let event = Bytes::from(format!("data: {line}\n\n"));
                    self.latest.send_replace(Some(event));
                }
            }
            thread::sleep(LOOK.min(next.saturating_duration_since(Instant::now())));
            sampler.tend();
        }
    }

    /// If not, the thread is gone for whoever comes next.
    fn is_anybody_there(&self) -> bool {
        let mut thread = self.lock();
        if self.latest.receiver_count() > 0 {
            return true;
        }
        *thread = None;
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts those that are at work, and all snapshots.
    #[derive(Default)]
    struct Counts {
        at_work: AtomicUsize,
        snapshots: AtomicUsize,
    }

    struct Counting(Arc<Counts>);

    impl Sampler for Counting {
        fn sample(&mut self) -> Option<String> {
            let number = self.0.snapshots.fetch_add(1, Ordering::SeqCst);
            Some(format!("{{\"number\":{number}}}"))
        }

        fn tend(&mut self) {}
    }

    impl Drop for Counting {
        fn drop(&mut self) {
            self.0.at_work.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn within(mut is_true: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_true() {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(10));
        }
        true
    }

    #[test]
    fn one_thread_samples_for_all_and_none_for_nobody() {
        let counts = Arc::new(Counts::default());
        let of_sampler = Arc::clone(&counts);
        let viewers = Arc::new(Viewers::new(Box::new(move || {
            of_sampler.at_work.fetch_add(1, Ordering::SeqCst);
            Box::new(Counting(Arc::clone(&of_sampler)))
        })));
        let at_work = || counts.at_work.load(Ordering::SeqCst);
        assert_eq!(at_work(), 0);
        for _ in 0..2 {
            let seen: Vec<_> = (0..8).map(|_| viewers.join()).collect();
            assert!(within(|| seen.iter().all(|seen| seen.borrow().is_some())));
            assert_eq!(at_work(), 1);
            drop(seen);
            viewers.finish();
            assert!(within(|| at_work() == 0));
        }
        let taken = counts.snapshots.load(Ordering::SeqCst);
        thread::sleep(SECOND + LOOK);
        assert_eq!(counts.snapshots.load(Ordering::SeqCst), taken);
    }
}

//! The friend at work: one request after the other, each timed.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::stage::{APPLICATION, Stage};
use crate::lab::{finish, http_get};

/// A page that takes longer than this is no page.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two requests.
const PAUSE: Duration = Duration::from_millis(5);

/// What the friend got done.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// How long each answered request took, sorted.
    pub answered: Vec<Duration>,
    /// Requests without an answer.
    pub failed: u64,
    /// Logins that succeeded.
    pub logins: u64,
    /// Logins that did not.
    pub failed_logins: u64,
}

impl Work {
    /// The time within which this share of the answers came.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let last = self.answered.len().checked_sub(1)?;
        self.answered.get((last as f64 * share) as usize).copied()
    }
}

/// A friend who works until told to stop.
#[derive(Debug)]
pub struct Friend {
    stop: Arc<AtomicBool>,
    requests: JoinHandle<Work>,
    logins: JoinHandle<(u64, u64)>,
}

impl Friend {
    /// Begins to fetch pages of both ports in turn, and to log in again and again.
    #[must_use]
    pub fn start(stage: &Stage) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let server = stage.lab.srv.v4;
        let stopped = Arc::clone(&stop);
        let requests = stage.lab.friend.spawn(move || request(server, &stopped));
        let stopped = Arc::clone(&stop);
        let mut ssh = stage.sshd.client(&stage.lab.friend, server);
        ssh.arg("true");
        let logins = thread::spawn(move || {
            let (mut done, mut failed) = (0, 0);
            while !stopped.load(Ordering::Relaxed) {
                match finish(&mut ssh, Duration::from_secs(20)).code {
                    Some(0) => done += 1,
                    _ => failed += 1,
                }
                thread::sleep(Duration::from_millis(300));
            }
            (done, failed)
        });
        Self {
            stop,
            requests,
            logins,
        }
    }

    /// Ends the work.
    ///
    /// # Panics
    /// When the friend did.
    #[must_use]
    pub fn stop(self) -> Work {
        self.stop.store(true, Ordering::Relaxed);
        let mut work = self.requests.join().expect("the friend's requests");
        (work.logins, work.failed_logins) = self.logins.join().expect("the friend's logins");
        work.answered.sort();
        work
    }
}

fn request(server: IpAddr, stop: &AtomicBool) -> Work {
    let mut work = Work::default();
    for port in [80, APPLICATION].into_iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let started = Instant::now();
        match http_get(SocketAddr::new(server, port), PATIENCE) {
            Ok(_) => work.answered.push(started.elapsed()),
            Err(_) => work.failed += 1,
        }
        thread::sleep(PAUSE);
    }
    work
}

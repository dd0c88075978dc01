//! Work that a policy in force may ask for, and that nothing waits for: a thread of its own does it while the policy
//! asks, and tries again when it cannot.

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use super::keeper::{DaemonState, locked};
use crate::{control::Level, controller::Controller, failure::Failure};

/// Between two attempts.
const RETRY: Duration = Duration::from_secs(5);

/// Such work.
pub(super) trait Work: Sized + Send + 'static {
    /// How a policy asks for it.
    type Wanted: Clone + PartialEq;
    /// Of the thread.
    const NAME: &'static str;
    /// What problems are filed under.
    const SUBJECT: &'static str;
    /// What every problem means.
    const UNDONE: &'static str;

    /// What is to be done, as the policy asks.
    fn new(wanted: Self::Wanted) -> Self;

    /// Does it until [`Daemon::wait`] says that it is over.
    ///
    /// # Errors
    /// When it cannot be done; it is tried again a few seconds later.
    fn run(&mut self, daemon: &Daemon) -> Result<Stopped, Failure>;
}

/// Why the work ends.
pub(super) struct Stopped;

/// What the work knows of the daemon.
pub(super) struct Daemon {
    pub(super) controller: Controller,
    pub(super) state: Arc<Mutex<DaemonState>>,
    report: fn(&Mutex<DaemonState>, Option<String>),
    stopped: mpsc::Receiver<()>,
}

impl Daemon {
    /// Reports what is wrong, or that nothing is.
    pub(super) fn report(&self, problem: Option<&Failure>) {
        (self.report)(&self.state, problem.map(Failure::in_brackets));
    }

    /// Waits. Is it over?
    pub(super) fn wait(&self, most: Duration) -> bool {
        match self.stopped.recv_timeout(most) {
            Err(RecvTimeoutError::Timeout) => false,
            Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
        }
    }

    fn go_on(&self, work: &mut impl Work) {
        while let Err(failure) = work.run(self) {
            self.report(Some(&failure));
            if self.wait(RETRY) {
                return;
            }
        }
    }
}

fn report<W: Work>(state: &Mutex<DaemonState>, why: Option<String>) {
    let problem = why.map(|why| (Level::Warning, format!("{}: {why}", W::UNDONE)));
    locked(state).events.standing(W::SUBJECT, problem);
}

/// Has the work done while a policy asks for it.
pub(super) struct Follower<W: Work> {
    controller: Controller,
    state: Arc<Mutex<DaemonState>>,
    wanted: Option<W::Wanted>,
    running: Option<Running>,
}

/// Dropped, it ends the thread, which looks some times a second. Nobody waits for that: it may be loading a program.
struct Running {
    _stop: mpsc::Sender<()>,
}

impl<W: Work> Follower<W> {
    pub(super) fn new(controller: Controller, state: Arc<Mutex<DaemonState>>) -> Self {
        Self {
            controller,
            state,
            wanted: None,
            running: None,
        }
    }

    /// Does this from now on, or nothing.
    pub(super) fn follow(&mut self, wanted: Option<W::Wanted>) {
        if self.wanted == wanted {
            return;
        }
        self.wanted.clone_from(&wanted);
        self.running = None;
        report::<W>(&self.state, None);
        let Some(wanted) = wanted else {
            return;
        };
        let (stop, stopped) = mpsc::channel();
        let daemon = Daemon {
            controller: self.controller.clone(),
            state: Arc::clone(&self.state),
            report: report::<W>,
            stopped,
        };
        let mut work = W::new(wanted);
        let spawned = thread::Builder::new()
            .name(W::NAME.to_owned())
            .spawn(move || daemon.go_on(&mut work));
        match spawned {
            Ok(_) => self.running = Some(Running { _stop: stop }),
            Err(error) => report::<W>(&self.state, Some(format!("no thread: {error}"))),
        }
    }
}

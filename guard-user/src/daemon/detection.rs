//! Detection as part of the daemon: begun with it, begun again if it breaks, and what it says is put
//! where others can read it.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    jails_report,
    keeper::{DaemonState, locked},
};
use crate::{
    control::{Level, Response},
    controller::Controller,
    detect::{Attempted, Detection, JailsStatus, Observer, Order, Severity},
    failure::{Exit, Failure},
};

/// Between two attempts to begin.
const PAUSE: Duration = Duration::from_secs(5);

/// Writes on the board.
struct StateObserver(Arc<Mutex<DaemonState>>);

impl Observer for StateObserver {
    fn log(&self, severity: Severity, message: String) {
        locked(&self.0)
            .events
            .log(jails_report::level(severity), message);
    }

    fn standing(&self, subject: String, problem: Option<(Severity, String)>) {
        let problem = problem.map(|(severity, what)| (jails_report::level(severity), what));
        locked(&self.0).events.standing(subject, problem);
    }

    fn report(&self, status: JailsStatus) {
        locked(&self.0).jails = jails_report::of(status);
    }
}

/// Keeps detection going.
pub(super) struct Supervisor {
    controller: Controller,
    state: Arc<Mutex<DaemonState>>,
    detection: Option<Detection>,
    next: Instant,
}

impl Supervisor {
    pub(super) fn new(controller: Controller, state: Arc<Mutex<DaemonState>>) -> Self {
        let mut supervisor = Self {
            controller,
            state,
            detection: None,
            next: Instant::now(),
        };
        supervisor.look();
        supervisor
    }

    /// Begins it, if it does not go on. For every second.
    pub(super) fn look(&mut self) {
        if let Some(ended) = self.detection.take_if(|detection| detection.has_ended()) {
            let why = ended.why();
            self.log(format!(
                "no log is read, and nobody is banned for what logs say: {why}; trying again"
            ));
            self.next = Instant::now() + PAUSE;
        }
        if self.detection.is_some() || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + PAUSE;
        match Detection::start(&self.controller, StateObserver(Arc::clone(&self.state))) {
            Ok(detection) => self.detection = Some(detection),
            Err(error) => self.log(format!("logs cannot be read: {error}; trying again")),
        }
    }

    /// The files of jails anew; `done` is told when that has happened.
    pub(super) fn reload(&self, done: oneshot::Sender<()>) {
        // Whoever does not wait any more knows it.
        self.order(Order::Reload(Box::new(|()| {
            done.send(()).unwrap_or_default()
        })));
    }

    /// A failure that an operator reports.
    pub(super) fn attempt(&self, jail: String, source: IpAddr, done: oneshot::Sender<Response>) {
        self.order(Order::Attempt {
            jail,
            source,
            reply: Box::new(|attempted| done.send(answer(attempted)).unwrap_or_default()),
        });
    }

    /// Ends it.
    pub(super) fn stop(self, patience: Duration) {
        if let Some(detection) = self.detection {
            detection.stop(patience);
        }
    }

    /// What nobody takes is dropped, and with it the sender that somebody waits for.
    fn order(&self, order: Order) {
        if let Some(detection) = &self.detection {
            detection.order(order);
        }
    }

    fn log(&self, message: String) {
        locked(&self.state).events.log(Level::Error, message);
    }
}

fn answer(attempted: Result<Attempted, Failure>) -> Response {
    match attempted {
        Ok(Attempted { is_banned, message }) => Response::Counted {
            banned: is_banned,
            message,
        },
        Err(failure) => Response::failed(failure.exit, failure.message),
    }
}

/// The answer when detection does not go on.
pub(super) fn nobody() -> Response {
    Response::failed(
        Exit::Failed,
        "detection has ended; `guardctl daemon --status` says why",
    )
}

//! Detection: logs are read, failures are counted, and whoever fails too often is banned. A thread of the
//! daemon; what it needs of the others comes in as an order, and what it has to say goes out to a listener.

mod ban_executor;
mod clock;
mod detector;
mod journal;
mod marks;
mod memory;
mod names;
mod report;
mod running;
mod source;
mod status;

use std::{
    io::{self, Write as _},
    net::IpAddr,
    os::unix::net::UnixStream,
    sync::mpsc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{controller::Controller, failure::Failure};
use detector::Detector;
pub use status::{JailStatus, JailsStatus, LineCounts, SourceStatus};

/// How bad something is that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Somebody should look at it.
    Warning,
    /// All is well.
    Info,
}

/// Who hears what happens.
pub trait Observer: Send + 'static {
    /// Something happened.
    fn log(&self, severity: Severity, message: String);
    /// A state that lasts: reported when it begins or changes, `None` when it is over.
    fn standing(&self, subject: String, problem: Option<(Severity, String)>);
    /// How it is with the jails now.
    fn report(&self, status: JailsStatus);
}

/// What followed from a failure that an operator reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempted {
    /// Is the source banned now?
    pub is_banned: bool,
    /// What happened.
    pub message: String,
}

/// Tells whoever ordered it how it went.
pub type Reply<T> = Box<dyn FnOnce(T) + Send>;

/// What the detector is told to do.
pub enum Order {
    /// Read the files of jails and filters again.
    Reload(Reply<()>),
    /// Count a failure of this source in the jail of this name.
    Attempt {
        /// The jail.
        jail: String,
        /// Who.
        source: IpAddr,
        /// Exit 6 when there is no such jail.
        reply: Reply<Result<Attempted, Failure>>,
    },
    /// Save and end.
    Stop,
}

/// The running detector.
#[derive(Debug)]
pub struct Detection {
    orders: mpsc::Sender<Order>,
    waker: UnixStream,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Detection {
    /// Starts it.
    ///
    /// # Errors
    /// When the kernel has no thread or no socket left.
    pub fn start(controller: &Controller, observer: impl Observer) -> io::Result<Self> {
        let (orders, ordered) = mpsc::channel();
        let (waker, wake) = UnixStream::pair()?;
        for end in [&waker, &wake] {
            end.set_nonblocking(true)?;
        }
        let controller = controller.clone();
        let thread = thread::Builder::new()
            .name("guard-detect".to_owned())
            .spawn(move || Detector::open(controller, observer, ordered, wake)?.run())?;
        Ok(Self {
            orders,
            waker,
            thread,
        })
    }

    /// Gives an order. `false` when nobody is there to take it.
    pub fn order(&self, order: Order) -> bool {
        let is_taken = self.orders.send(order).is_ok();
        // A full socket has woken it already.
        (&self.waker).write_all(&[0]).unwrap_or_default();
        is_taken
    }

    /// Has it ended by itself? It never should.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Why it has ended.
    #[must_use]
    pub fn why(self) -> String {
        match self.thread.join() {
            Ok(Ok(())) => "it was asked to".to_owned(),
            Ok(Err(failure)) => failure.to_string(),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                format!("it is broken: {}", text.unwrap_or("no reason given"))
            }
        }
    }

    /// Ends it, and waits so long for it to save what it knows.
    pub fn stop(self, patience: Duration) {
        self.order(Order::Stop);
        let deadline = Instant::now() + patience;
        while !self.thread.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

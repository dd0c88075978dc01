//! `guardctl daemon`: sees to it that interfaces which come, go or are renamed are protected, and
//! answers at the control socket. Enforcement does not need it: the kernel goes on without.

mod bans;
mod cause;
mod databases;
mod detection;
mod drift;
mod drop_log;
mod ends;
mod event_log;
mod excess;
mod filtering;
mod fleet;
mod fleet_policy;
mod follower;
mod host_names;
mod interfaces;
mod jails_report;
mod journal;
mod keeper;
mod metrics;
mod samples;
mod single;

use std::{
    future::pending,
    io,
    net::IpAddr,
    process,
    sync::{Arc, Mutex},
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::{
    select,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
    task::{JoinHandle, spawn_blocking},
    time::{MissedTickBehavior, interval},
};

use crate::{
    control::{
        JailsReport, Level, Report, Request, Response,
        server::{ControlServer, RequestHandler},
    },
    controller::{Controller, state::absence},
    failure::{Exit, Failure, from_io},
    host::watch::Watch,
};
use cause::Cause;
use detection::Supervisor;
use drop_log::DropLines;
use event_log::EventLog;
pub(crate) use event_log::now;
use excess::ExcessBans;
use fleet::FleetHandler;
use follower::Follower;
use keeper::{DaemonState, Keeper, locked};
use metrics::MetricsServer;
use single::Single;

/// Between two looks at the interfaces when nothing seems to happen.
const PERIOD: Duration = Duration::from_secs(1);
/// For the work at hand when the daemon ends.
const LAST_WORK: Duration = Duration::from_secs(2);

/// An order that the loop must carry out.
#[derive(Debug)]
enum Order {
    Reconcile(oneshot::Sender<()>),
    ReloadJails(oneshot::Sender<()>),
    Attempt(String, IpAddr, oneshot::Sender<Response>),
    Stop(oneshot::Sender<()>),
}

/// Runs until it is told to stop.
///
/// # Errors
/// Exit 1 when another daemon runs, 4 without capabilities, and when socket, signals or netlink
/// cannot be had.
pub fn run(controller: &Controller) -> Result<(), Failure> {
    controller.may_attach()?;
    let _single = Single::claim(controller.layout())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| from_io("cannot start", &error))?;
    let result = runtime.block_on(keep_watch(controller));
    runtime.shutdown_timeout(LAST_WORK);
    result
}

async fn keep_watch(controller: &Controller) -> Result<(), Failure> {
    let path = controller.layout().control();
    let server = ControlServer::open(&path).map_err(|error| from_io(path.display(), &error))?;
    let failed = |what| move |error: io::Error| from_io(what, &error);
    let mut watch = Watch::start().map_err(failed("cannot watch the interfaces"))?;
    let on = |kind| signal(kind).map_err(failed("cannot wait for signals"));
    let mut terminate = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    let mut hang_up = on(SignalKind::hangup())?;
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);

    let state = Arc::new(Mutex::new(DaemonState {
        report: Report {
            pid: process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since: now(),
            ..Report::default()
        },
        jails: JailsReport::default(),
        events: EventLog::new(),
        metrics: None,
        drop_log: None,
        excess: None,
    }));
    let fleet = FleetHandler::new(controller.clone(), Arc::clone(&state));
    let (orders, mut ordered) = mpsc::channel(crate::control::MOST_CLIENTS);
    let serving = server.serve(ControlHandler {
        state: Arc::clone(&state),
        orders,
        fleet: fleet.clone(),
    });
    let mut serving = std::pin::pin!(serving);
    let mut keeper = Some(Keeper::new(controller.clone(), Arc::clone(&state)));
    let mut detection = Supervisor::new(controller.clone(), Arc::clone(&state));
    let mut metrics = MetricsServer::new(controller.clone(), Arc::clone(&state));
    let mut drop_log = Follower::<DropLines>::new(controller.clone(), Arc::clone(&state));
    let mut excess = Follower::<ExcessBans>::new(controller.clone(), Arc::clone(&state));
    let mut work = Work::default();
    let mut wanted = Wanted::default();

    loop {
        if wanted.is_anything()
            && let Some(keeper) = keeper.take()
        {
            work.start(keeper, std::mem::take(&mut wanted));
        }
        select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => {
                wanted.reload = true;
                let (done, _) = oneshot::channel();
                detection.reload(done);
            }
            () = watch.changed() => wanted.look = true,
            _ = ticks.tick() => {
                wanted.look = true;
                detection.look();
                serve_metrics(&mut metrics, &state);
                fleet.look();
                let (log, bans) = {
                    let state = locked(&state);
                    (state.drop_log, state.excess.clone())
                };
                drop_log.follow(log);
                excess.follow(bans);
            }
            () = &mut serving => {}
            order = ordered.recv() => match order {
                Some(Order::Reconcile(asker)) => wanted.askers.push(asker),
                Some(Order::ReloadJails(asker)) => detection.reload(asker),
                Some(Order::Attempt(jail, source, asker)) => {
                    detection.attempt(jail, source, asker);
                }
                Some(Order::Stop(asker)) => {
                    // Whether he still listens or not.
                    asker.send(()).unwrap_or_default();
                    break;
                }
                None => {}
            },
            done = work.done() => keeper = Some(done?),
        }
    }
    notify(&[NotifyState::Stopping]);
    detection.stop(LAST_WORK);
    let message = "stopped; the policy stays in force";
    locked(&state).events.log(Level::Info, message);
    // What was asked last is answered before the socket goes.
    tokio::task::yield_now().await;
    Ok(())
}

/// Where the policy wants metrics; what keeps them from being served there is reported.
fn serve_metrics(metrics: &mut MetricsServer, state: &Mutex<DaemonState>) {
    let wanted = locked(state).metrics.clone();
    if let Some(served) = metrics.follow(wanted) {
        let problem = served.err().map(|why| (Level::Warning, why.to_string()));
        locked(state).events.standing("metrics", problem);
    }
}

/// What the next round must do.
#[derive(Default)]
struct Wanted {
    look: bool,
    reload: bool,
    askers: Vec<oneshot::Sender<()>>,
}

impl Wanted {
    fn is_anything(&self) -> bool {
        self.look || self.reload || !self.askers.is_empty()
    }
}

/// The round that is being made.
#[derive(Default)]
struct Work {
    round: Option<JoinHandle<Keeper>>,
    askers: Vec<oneshot::Sender<()>>,
    is_ready: bool,
}

impl Work {
    fn start(&mut self, mut keeper: Keeper, wanted: Wanted) {
        self.askers = wanted.askers;
        let cause = if self.askers.is_empty() {
            Cause::Tick
        } else {
            Cause::Requested
        };
        self.round = Some(spawn_blocking(move || {
            if wanted.reload {
                keeper.reload();
            }
            keeper.round(cause);
            keeper
        }));
    }

    /// The end of the round; never, when none is being made.
    async fn done(&mut self) -> Result<Keeper, Failure> {
        let Some(round) = &mut self.round else {
            return pending().await;
        };
        let keeper = round.await.map_err(|error| {
            Failure::new(Exit::Failed, format!("the daemon is broken: {error}"))
        })?;
        self.round = None;
        for asker in self.askers.drain(..) {
            // Whoever does not listen any more knows it.
            asker.send(()).unwrap_or_default();
        }
        let summary = keeper.summary();
        if let Some(why) = keeper.absence().filter(|_| is_managed()) {
            notify(&[NotifyState::Status(&summary)]);
            return Err(absence::failure(why));
        }
        if self.is_ready {
            notify(&[NotifyState::Status(&summary)]);
        } else {
            notify(&[NotifyState::Ready, NotifyState::Status(&summary)]);
            self.is_ready = true;
        }
        Ok(keeper)
    }
}

/// Does somebody start us again when we end? Then we do not go on as if all were well: a unit that has
/// failed is seen, and its next start tries again.
fn is_managed() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Without a service manager nobody is told.
fn notify(states: &[NotifyState<'_>]) {
    sd_notify::notify(states).unwrap_or_default();
}

/// Answers what it can from the board; the rest are orders for the loop.
#[derive(Clone)]
struct ControlHandler {
    state: Arc<Mutex<DaemonState>>,
    orders: mpsc::Sender<Order>,
    fleet: FleetHandler,
}

impl RequestHandler for ControlHandler {
    async fn answer(&self, request: Request) -> Response {
        match request {
            Request::Ping => Response::Pong { pid: process::id() },
            Request::Status => {
                let state = locked(&self.state);
                Response::Status(Report {
                    events: state.events.recent(),
                    ..state.report.clone()
                })
            }
            Request::Jails => Response::Jails(locked(&self.state).jails.clone()),
            Request::Reconcile => self.order(Order::Reconcile).await,
            Request::ReloadJails => self.order(Order::ReloadJails).await,
            Request::Attempt { jail, source } => {
                let (sender, receiver) = oneshot::channel();
                let order = Order::Attempt(jail, source, sender);
                if self.orders.send(order).await.is_err() {
                    return detection::nobody();
                }
                receiver.await.unwrap_or_else(|_| detection::nobody())
            }
            Request::FleetOwn { .. }
            | Request::FleetRecords { .. }
            | Request::FleetReport { .. }
            | Request::FleetPolicy { .. }
            | Request::FleetPolicyProven { .. }
            | Request::Fleet
            | Request::FleetQuarantine { .. } => {
                let fleet = self.fleet.clone();
                let answered = spawn_blocking(move || fleet.answer(request)).await;
                answered.unwrap_or_else(|_| Response::failed(Exit::Failed, "it was not answered"))
            }
            Request::Stop => self.order(Order::Stop).await,
        }
    }
}

impl ControlHandler {
    async fn order(&self, order: impl FnOnce(oneshot::Sender<()>) -> Order) -> Response {
        let (sender, receiver) = oneshot::channel();
        let is_taken = self.orders.send(order(sender)).await.is_ok();
        if is_taken && receiver.await.is_ok() {
            Response::Done
        } else {
            Response::failed(Exit::Failed, "the daemon is stopping")
        }
    }
}

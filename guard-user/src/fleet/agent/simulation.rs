//! Hosts of a fleet for the benchmark: each is the session of guard-fleet as it is, with a daemon that the benchmark
//! plays. All of them share two threads, so what they need is what as many hosts need, and less.

use std::{
    cell::RefCell,
    net::Ipv4Addr,
    path::Path,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use ipnetwork::IpNetwork;
use serde_json::json;
use tokio::{
    sync::oneshot,
    task::{LocalSet, spawn_local},
    time::sleep,
};

pub use super::simulated_daemon::SimulatedDaemon;
use super::{
    block_on,
    daemon::DaemonLink,
    nats::{
        self, SharedReport, connect_as, store,
        stream::{STREAM, call},
        subject::{STORED, of_ban},
    },
};
use crate::{
    control::fleet::NatsReport,
    failure::{Exit, Failure},
    fleet::{Member, settings::NatsSettings},
};

/// A fast machine has more to do than one thread can.
const THREADS: usize = 2;
/// Between two looks at how the hosts are.
const LOOK: Duration = Duration::from_millis(50);
/// Between the first connections of two hosts, so that they do not all shake hands at once.
const APART: Duration = Duration::from_millis(10);
/// Puts that are on their way at a time, of one host that fills a stream.
const WINDOW: usize = 100;
const PATIENCE: Duration = Duration::from_secs(5);

/// A host.
#[derive(Clone, Debug)]
pub struct SimulatedHost {
    /// What its guard-fleet hands over, and takes bans from.
    pub daemon: Arc<SimulatedDaemon>,
    report: Arc<Mutex<NatsReport>>,
}

impl SimulatedHost {
    /// How it is with its connection, as guard-fleet would report it.
    #[must_use]
    pub fn report(&self) -> NatsReport {
        locked(&self.report).clone()
    }
}

/// Hosts that share bans until this is dropped.
#[derive(Debug)]
pub struct Simulation {
    hosts: Vec<SimulatedHost>,
    threads: Vec<HostThread>,
}

/// Some of the hosts run on it.
#[derive(Debug)]
struct HostThread {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Simulation {
    /// With these hosts.
    #[must_use]
    pub fn start(settings: Vec<NatsSettings>) -> Self {
        let hosts: Vec<SimulatedHost> = settings
            .iter()
            .map(|_| SimulatedHost {
                daemon: Arc::default(),
                report: Arc::default(),
            })
            .collect();
        let running: Vec<_> = settings.into_iter().zip(hosts.clone()).collect();
        let each = running.len().div_ceil(THREADS).max(1);
        let threads = running
            .chunks(each)
            .map(|some| HostThread::start(some.to_vec()));
        let threads = threads.collect();
        Self { hosts, threads }
    }

    /// All of them.
    #[must_use]
    pub fn hosts(&self) -> &[SimulatedHost] {
        &self.hosts
    }
}

impl HostThread {
    fn start(hosts: Vec<(NatsSettings, SimulatedHost)>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            block_on(LocalSet::new().run_until(async move {
                tokio::select! {
                    () = run(hosts) => {}
                    _ = stopped => {}
                }
                Ok(())
            }))
        });
        Self { stop, thread }
    }
}

async fn run(hosts: Vec<(NatsSettings, SimulatedHost)>) {
    let mut reports = Vec::new();
    for (settings, host) in hosts {
        let report: SharedReport = Rc::new(RefCell::default());
        let link = DaemonLink::simulated(Arc::clone(&host.daemon));
        spawn_local(nats::run(settings, link, Rc::clone(&report)));
        reports.push((report, host.report));
        sleep(APART).await;
    }
    loop {
        for (from, to) in &reports {
            *locked(to) = from.borrow().clone();
        }
        sleep(LOOK).await;
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        for thread in self.threads.drain(..) {
            // It has ended already when nobody listens; what it panicked with was printed.
            thread.stop.send(()).unwrap_or_default();
            thread.thread.join().ok();
        }
    }
}

/// Stores bans of a member without anybody's guard-fleet: `count` addresses from `first` on.
///
/// # Errors
/// When the server does not take them all.
pub fn fill(
    settings: &NatsSettings,
    first: Ipv4Addr,
    count: u32,
    seconds: u32,
) -> Result<(), Failure> {
    let member = settings
        .member()
        .map_err(|bad| Failure::new(Exit::Usage, bad.to_string()))?;
    block_on(async {
        let client = nats::connect(settings).await?;
        let puts = stream::iter(0..count).map(|number| {
            let address = Ipv4Addr::from(first.to_bits().wrapping_add(number));
            put(&client, &member, address, seconds)
        });
        let mut puts = puts.buffer_unordered(WINDOW);
        while let Some(put) = puts.next().await {
            put?;
        }
        Ok(())
    })
}

async fn put(
    client: &async_nats::Client,
    member: &Member,
    address: Ipv4Addr,
    seconds: u32,
) -> Result<(), Failure> {
    let subject = format!(
        "{STORED}{}",
        of_ban(member, IpNetwork::from(std::net::IpAddr::from(address)))
    );
    let record = json!({"v": 1, "id": 1, "left": seconds, "reason": "jail sshd: 5 failures"});
    let payload = Bytes::from(record.to_string());
    match store(client, subject, &payload, seconds, PATIENCE).await {
        Some(Ok(())) => Ok(()),
        Some(Err(why)) => Err(Failure::new(Exit::Refused, why.to_string())),
        None => Err(Failure::new(
            Exit::NoAnswer,
            format!("{address} is not acknowledged"),
        )),
    }
}

/// Name of the server that leads the stream of bans, if one does; `key` is the admin's.
///
/// # Errors
/// When nobody answers.
pub fn leader(
    servers: &[String],
    key: &Path,
    ca: Option<&Path>,
) -> Result<Option<String>, Failure> {
    block_on(async {
        let client = connect_as(servers, key, ca, "_INBOX_admin").await?;
        let info = call(&client, format!("$JS.API.STREAM.INFO.{STREAM}"), Vec::new())
            .await
            .map_err(|fault| Failure::new(Exit::NoAnswer, fault.0))?;
        Ok(info["cluster"]["leader"].as_str().map(ToOwned::to_owned))
    })
}

fn locked(report: &Mutex<NatsReport>) -> MutexGuard<'_, NatsReport> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The bouncer: pulls decisions from the LAPI, and hands to the daemon what it has to hear. No answer ends it: after a bad
//! one it waits, longer each time, and asks for everything again, because the LAPI counts a delta as read that never
//! arrived.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hyper::Method;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{
    Handover,
    client::{Asking, Client, Identity},
    decisions,
    known::{Known, Pull},
    status::CrowdsecStatus,
    trouble::Trouble,
};
use crate::control::fleet::MOST_RECORDS;

/// Scopes of which a LAPI may know decisions. Those that guard cannot enforce are asked for, too, so that their number is
/// shown.
const SCOPES: &str = "ip,range,country,as,username,session";

/// How often what happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    /// Between two deltas.
    pub(super) delta: Duration,
    /// Between two pulls of everything.
    pub(super) all: Duration,
    /// After the first failure; twice as long after each further one.
    pub(super) retry: Duration,
    /// At most.
    pub(super) most_retry: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            delta: Duration::from_secs(10),
            all: Duration::from_secs(3600),
            retry: Duration::from_secs(1),
            most_retry: Duration::from_secs(60),
        }
    }
}

impl Rhythm {
    /// How long to wait after so many failures in a row: hosts that lost the same LAPI must not come back all at once.
    pub(super) fn pause(&self, failures: u32, trouble: &Trouble) -> Duration {
        let doubled = self
            .retry
            .saturating_mul(1 << failures.saturating_sub(1).min(16));
        let pause = if trouble.is_about_us() {
            // What only an operator can mend is not asked for every second.
            doubled.max(self.delta)
        } else {
            doubled
        };
        pause.min(self.most_retry).mul_f64(0.5 + jitter())
    }
}

/// 0 to 1.
fn jitter() -> f64 {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(random) / f64::from(u32::MAX)
}

/// What both sides of the bouncer know.
#[derive(Default)]
pub(super) struct Shared {
    known: Mutex<Known>,
    /// There may be something to hand over.
    changed: Notify,
    /// Everything was read once.
    first: tokio::sync::watch::Sender<bool>,
}

impl Shared {
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when everything was read once.
    pub(super) async fn first_pull(&self) {
        let mut first = self.first.subscribe();
        if first.wait_for(|is_over| *is_over).await.is_err() {
            // Its sender is part of this.
            std::future::pending::<()>().await;
        }
    }
}

/// Pulls, until it is dropped.
pub(super) async fn pull_for_ever(
    client: &Client,
    shared: &Shared,
    status: &CrowdsecStatus,
    rhythm: Rhythm,
) {
    let mut all_at: Option<Instant> = None;
    let mut failures = 0;
    loop {
        let pull = match all_at {
            Some(at) if at.elapsed() < rhythm.all => Pull::Changes,
            Some(_) | None => Pull::All,
        };
        let pause = match pull_once(client, shared, pull).await {
            Ok(()) => {
                failures = 0;
                if pull == Pull::All {
                    all_at = Some(Instant::now());
                    shared.first.send_replace(true);
                }
                let known = shared.known();
                let count = known.count_in_force(Instant::now());
                status.pulled(count, known.skipped(), known.too_many());
                drop(known);
                shared.changed.notify_one();
                rhythm.delta
            }
            Err(trouble) => {
                failures += 1;
                all_at = None;
                let count = shared.known().count_in_force(Instant::now());
                status.failed(&trouble, count);
                rhythm.pause(failures, &trouble)
            }
        };
        sleep(pause).await;
    }
}

async fn pull_once(client: &Client, shared: &Shared, pull: Pull) -> Result<(), Trouble> {
    let is_first = match pull {
        Pull::All => "true",
        Pull::Changes => "false",
    };
    let path = format!("/v1/decisions/stream?startup={is_first}&scopes={SCOPES}");
    let answer = client
        .ask_for(Asking {
            method: Method::GET,
            path,
            identity: Identity::Bouncer,
            body: None,
        })
        .await?;
    let lists = decisions::read(answer.body, client.settings().machine.clone()).await?;
    shared.known().take_in(pull, lists, answer.at);
    Ok(())
}

/// Hands over, until it is dropped.
pub(super) async fn hand_over_for_ever<H: Handover>(handover: &H, shared: &Shared, rhythm: Rhythm) {
    let mut run = handover.run();
    loop {
        if handover.run() != run {
            run = handover.run();
            shared.known().say_all();
        }
        let records = shared.known().next_records(MOST_RECORDS, Instant::now());
        if records.is_empty() {
            // Also without a change: the daemon may have begun anew.
            let _ = timeout(rhythm.retry, shared.changed.notified()).await;
            continue;
        }
        if handover.hand_over(records.clone()).await.is_err() {
            // Whoever reports says why.
            shared.known().give_back(&records);
            sleep(rhythm.retry).await;
        }
    }
}

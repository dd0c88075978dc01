//! The daemon, as guard-fleet sees it: own bans come from it, what others say goes to it.

use std::{cell::Cell, fs, time::Duration};

use tokio::time::sleep;

use super::now_ms;
use crate::{
    control::{
        Request, Response, client,
        fleet::{FleetRecord, FleetReport, FleetTaken, OwnBan, OwnBans, OwnMark, PolicyState},
        unexpected,
    },
    failure::Failure,
    layout::Layout,
};

/// Between two looks at whether this host has banned somebody.
const LOOK: Duration = Duration::from_millis(50);
/// After so long it is asked even if nothing seems to have happened, and after a failure.
const ASK_MS: u64 = 10_000;
const PAUSE: Duration = Duration::from_secs(1);

/// The daemon's socket.
#[derive(Clone, Debug)]
pub(super) struct DaemonLink {
    daemon: Daemon,
    /// The daemon's process when it answered last.
    run: std::rc::Rc<Cell<u64>>,
}

/// Who answers.
#[derive(Clone, Debug)]
enum Daemon {
    /// The daemon of this host.
    Socket(Layout),
    /// One that the benchmark plays.
    #[cfg(feature = "testing")]
    Simulated(std::sync::Arc<super::simulated_daemon::SimulatedDaemon>),
}

/// Follows the bans that this host makes itself.
#[derive(Debug)]
pub(super) struct OwnFeed {
    daemon: DaemonLink,
    mark: Option<OwnMark>,
    /// What the note of the last change looked like when it was asked.
    seen: Option<String>,
    asked_ms: u64,
}

/// News of own bans.
#[derive(Debug)]
pub(super) struct OwnNews {
    /// These are all; what is not among them is lifted.
    pub(super) is_whole: bool,
    /// New, changed or lifted ones.
    pub(super) bans: Vec<OwnBan>,
}

impl DaemonLink {
    pub(super) fn new(layout: Layout) -> Self {
        Self {
            daemon: Daemon::Socket(layout),
            run: std::rc::Rc::default(),
        }
    }

    /// One that the benchmark plays; its first run never ends.
    #[cfg(feature = "testing")]
    pub(super) fn simulated(
        daemon: std::sync::Arc<super::simulated_daemon::SimulatedDaemon>,
    ) -> Self {
        Self {
            daemon: Daemon::Simulated(daemon),
            run: std::rc::Rc::new(Cell::new(1)),
        }
    }

    /// A number that is another one when the daemon has been started anew, and knows nothing any more.
    pub(super) fn run(&self) -> u64 {
        self.run.get()
    }

    async fn ask(&self, request: Request) -> Result<Response, Failure> {
        let layout = match &self.daemon {
            Daemon::Socket(layout) => layout.clone(),
            #[cfg(feature = "testing")]
            Daemon::Simulated(daemon) => return Ok(daemon.answer(request)),
        };
        let asked = tokio::task::spawn_blocking(move || client::ask(&layout, request)).await;
        asked.unwrap_or_else(|error| {
            Err(Failure::new(
                crate::failure::Exit::Failed,
                format!("asking the daemon has failed: {error}"),
            ))
        })
    }

    /// What changes with this host's own bans.
    fn note(&self) -> Option<String> {
        match &self.daemon {
            Daemon::Socket(layout) => fs::read_to_string(layout.own_bans()).ok(),
            #[cfg(feature = "testing")]
            Daemon::Simulated(daemon) => Some(daemon.note()),
        }
    }

    /// Hands records over, once.
    pub(super) async fn send(&self, records: Vec<FleetRecord>) -> Result<FleetTaken, Failure> {
        let answer = self.ask(Request::FleetRecords { records }).await?;
        let Response::FleetTaken(taken) = answer else {
            return Err(unexpected(answer));
        };
        Ok(taken)
    }

    /// Hands a policy over that somebody signed.
    pub(super) async fn policy(&self, sealed: String) -> Result<PolicyState, Failure> {
        self.ask_policy(Request::FleetPolicy { bundle: sealed })
            .await
    }

    /// Says that this host reaches its server under that policy.
    pub(super) async fn proven(&self, generation: u64) -> Result<PolicyState, Failure> {
        self.ask_policy(Request::FleetPolicyProven { generation })
            .await
    }

    async fn ask_policy(&self, request: Request) -> Result<PolicyState, Failure> {
        let answer = self.ask(request).await?;
        let Response::FleetPolicy(state) = answer else {
            return Err(unexpected(answer));
        };
        Ok(state)
    }

    /// Says how it is, and learns which run of the daemon it is.
    pub(super) async fn report(&self, report: FleetReport) -> Result<(), Failure> {
        if let Response::Pong { pid } = self.ask(Request::Ping).await? {
            self.run.set(u64::from(pid));
        }
        let answer = self.ask(Request::FleetReport { report }).await?;
        let Response::Done = answer else {
            return Err(unexpected(answer));
        };
        Ok(())
    }

    async fn own(&self, since: Option<OwnMark>, from: Option<String>) -> Result<OwnBans, Failure> {
        let answer = self.ask(Request::FleetOwn { since, from }).await?;
        let Response::FleetOwn(own) = answer else {
            return Err(unexpected(answer));
        };
        Ok(own)
    }
}

impl OwnFeed {
    pub(super) fn new(daemon: DaemonLink) -> Self {
        Self {
            daemon,
            mark: None,
            seen: None,
            asked_ms: 0,
        }
    }

    /// Waits for news: all bans at first. Dropped while it waits, it has lost none.
    pub(super) async fn next(&mut self) -> OwnNews {
        loop {
            let note = self.daemon.note();
            let is_due = now_ms().saturating_sub(self.asked_ms) >= ASK_MS;
            if self.mark.is_some() && note == self.seen && !is_due {
                sleep(LOOK).await;
                continue;
            }
            match self.read().await {
                Ok((news, mark)) => {
                    // Of before it was asked: what changed meanwhile is asked for again.
                    self.seen = note;
                    self.asked_ms = now_ms();
                    self.mark = Some(mark);
                    if news.is_whole || !news.bans.is_empty() {
                        return news;
                    }
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    async fn read(&self) -> Result<(OwnNews, OwnMark), Failure> {
        let first = self.daemon.own(self.mark.clone(), None).await?;
        let (is_whole, mut mark, mut next) = (first.is_whole, first.mark, first.next);
        let mut bans = first.bans;
        while let Some(from) = next {
            let page = match is_whole {
                true => self.daemon.own(None, Some(from)).await?,
                false => self.daemon.own(Some(mark.clone()), None).await?,
            };
            if page.is_whole != is_whole {
                // Another store meanwhile: from the beginning.
                return Box::pin(OwnFeed::new(self.daemon.clone()).read()).await;
            }
            if !is_whole {
                mark = page.mark;
            }
            bans.extend(page.bans);
            next = page.next;
        }
        Ok((OwnNews { is_whole, bans }, mark))
    }
}

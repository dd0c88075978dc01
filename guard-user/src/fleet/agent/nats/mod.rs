//! NATS: this host's bans to the others, and theirs to this host's daemon. The stream is for hosts that come later or were
//! cut off; what is new is heard as it is stored, without a consumer per host.

mod connection;
mod hearing;
pub(super) mod hosts;
mod known;
mod missed;
mod own;
pub(super) mod policy;
mod publish;
mod record;
mod stored;
pub(super) mod stream;
pub(super) mod subject;

use std::{cell::RefCell, pin::pin, rc::Rc, sync::atomic::Ordering, time::Duration};

use async_nats::{Client, Message, Subscriber};
use futures_util::{
    FutureExt as _, StreamExt as _, future::LocalBoxFuture, stream::FuturesUnordered,
};
use ipnetwork::IpNetwork;
use tokio::{
    select,
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    daemon::{DaemonLink, OwnFeed, OwnNews},
    now_ms,
};
use crate::{
    control::fleet::{FleetTaken, NatsReport},
    failure::Failure,
    fleet::{Member, settings::NatsSettings},
    text::value::printable,
};
pub(super) use connection::{connect, connect_as};
use hosts::say_alive;
use known::Known;
use missed::Missed;
use own::{OwnBans, Published};
use policy::SharedPolicy;
use publish::publish;
pub(super) use publish::store;
use stream::{HOSTS, Info, STREAM, ServerClock, StreamFault, check, info};
use subject::{REPUBLISHED, UNSTORED};

/// Own bans that are on their way at a time.
const WINDOW: usize = 100;
/// Between two questions whether the server has more than was heard.
const PROBE: Duration = Duration::from_secs(2);
/// Without an answer for so long, what is known is stale.
const STALE: Duration = Duration::from_secs(6);
/// Between two signs of life.
const ALIVE: Duration = Duration::from_secs(20);
/// Between two attempts to connect, and to hand records over after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// After the server has refused a ban; it may be full.
const REFUSED: Duration = Duration::from_secs(5);
/// The oldest server that ends records by itself.
const OLDEST: (i64, i64, i64) = (2, 11, 0);
/// Messages that are taken in at once: what follows from them is done for all of them.
const MOST_AT_ONCE: usize = 256;
/// Between two looks at what there is to report.
const NOTE: Duration = Duration::from_millis(250);

/// How it is, for whoever reports it.
pub(super) type SharedReport = Rc<RefCell<NatsReport>>;

/// Shares bans, until it is dropped.
pub(super) async fn run(settings: NatsSettings, daemon: DaemonLink, report: SharedReport) {
    let member = match settings.member() {
        Ok(member) => member,
        Err(bad) => return say(&report, &bad.to_string()),
    };
    report.borrow_mut().member = member.to_string();
    // Beside the session: what is asked of the daemon must not begin anew with each message of others.
    let (news, own_news) = mpsc::channel(1);
    let mut feed = OwnFeed::new(daemon.clone());
    let feed = async move { while news.send(feed.next().await).await.is_ok() {} };
    let mut session = Session {
        settings: settings.clone(),
        policy: SharedPolicy::default(),
        own_news,
        has_begun: false,
        daemon,
        report,
        member,
        known: Known::default(),
        own: OwnBans::default(),
        stored: Vec::new(),
        missed: Missed::new(),
        last: 0,
        head: 0,
        clock: None,
        unreadable: 0,
        forged: 0,
        refused: None,
        run: 0,
        current: None,
    };
    let sessions = async {
        loop {
            let fault = match connect(&settings).await {
                Ok(client) => match session.share(&client).await {
                    Ok(never) => match never {},
                    Err(fault) => {
                        client.drain().await.ok();
                        fault.0
                    }
                },
                Err(failure) => failure.in_brackets(),
            };
            session.stale(&fault);
            sleep(RETRY).await;
        }
    };
    select! {
        () = feed => {}
        never = sessions => match never {},
    }
}

fn say(report: &SharedReport, what: &str) {
    let mut report = report.borrow_mut();
    report.is_current = false;
    report.state = printable(what, 200);
}

/// Nothing of this kind comes.
enum Never {}

/// What was begun and has ended.
enum Done {
    Published(Published),
    Handed(Vec<known::Key>, Result<FleetTaken, Failure>),
    Probed(Result<(Info, u64), StreamFault>),
    Read(Result<(), StreamFault>),
    Alive,
}

type Work = FuturesUnordered<LocalBoxFuture<'static, Done>>;

struct Session {
    settings: NatsSettings,
    /// How it is with the policy of the group.
    policy: SharedPolicy,
    daemon: DaemonLink,
    own_news: mpsc::Receiver<OwnNews>,
    /// Have all own bans been read once? From then on there are only changes.
    has_begun: bool,
    report: SharedReport,
    member: Member,
    known: Known,
    own: OwnBans,
    /// What the stream has of this host: network, number and end.
    stored: Vec<(IpNetwork, u64, u64)>,
    /// What was not heard of the stream, before the last that was; and the last that there is.
    missed: Missed,
    last: u64,
    head: u64,
    clock: Option<ServerClock>,
    unreadable: u64,
    /// Messages that were not of the member whose subject they had.
    forged: u64,
    /// Why the server does not store this host's bans, and when it said so.
    refused: Option<(String, Instant)>,
    /// The run of the daemon that was handed what is known.
    run: u64,
    /// When the server answered last, and everything was known.
    current: Option<Instant>,
}

impl Session {
    /// Ends when the connection has to be made anew.
    async fn share(&mut self, client: &Client) -> Result<Never, StreamFault> {
        let (major, minor, patch) = OLDEST;
        if !client.is_server_compatible(major, minor, patch) {
            let version = client.server_info().version;
            return Err(StreamFault(format!(
                "the server is nats-server {version}; {major}.{minor} or newer is needed, for older ones end no records"
            )));
        }
        // What is stored while the stream is read is heard, and then read again at most.
        let mut events = subscribe(client, REPUBLISHED).await?;
        let mut unstored = subscribe(client, UNSTORED).await?;
        client
            .flush()
            .await
            .map_err(|error| StreamFault(error.to_string()))?;
        let mut connected = client.statistics().connects.load(Ordering::Relaxed);
        self.read_all(client).await?;
        // What was being handed over when the connection before ended may be lost: all of it again.
        self.run = 0;
        // Until this host's own bans are known, nothing of it is published or lifted.
        let mut is_reconciled = self.has_begun;
        if is_reconciled {
            self.own.reconcile(&self.stored, now_ms());
        }
        let policies = policy::follow(
            client.clone(),
            self.settings.clone(),
            self.daemon.clone(),
            Rc::clone(&self.policy),
        );
        let mut policies = pin!(policies);
        let mut work = Work::new();
        let mut probe = interval(PROBE);
        let mut alive = interval(ALIVE);
        let mut noted = interval(NOTE);
        for every in [&mut probe, &mut alive, &mut noted] {
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        let (mut probing, mut handing) = (None, false);
        let mut on_their_way = 0;
        let mut hand_over_at = Instant::now();
        loop {
            if self.run != self.daemon.run() && self.daemon.run() != 0 {
                self.run = self.daemon.run();
                self.known.again(now_ms());
            }
            let is_time = Instant::now() >= hand_over_at;
            if !handing && is_time && self.known.waiting() > 0 {
                let batch = self.known.batch(now_ms());
                if batch.is_empty() {
                    hand_over_at = Instant::now() + Duration::from_millis(100);
                } else {
                    handing = true;
                    let (keys, records): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
                    let daemon = self.daemon.clone();
                    let done = async move { Done::Handed(keys, daemon.send(records).await) };
                    work.push(done.boxed_local());
                }
            }
            let is_refused = self
                .refused
                .as_ref()
                .is_some_and(|(_, at)| at.elapsed() < REFUSED);
            while is_reconciled && !is_refused && on_their_way < WINDOW {
                let Some((network, record, kept_s)) = self.own.next(now_ms()) else {
                    break;
                };
                on_their_way += 1;
                let (client, member) = (client.clone(), self.member.clone());
                let done = publish(client, member, network, record, kept_s);
                work.push(done.map(Done::Published).boxed_local());
            }
            if let Some(reading) = self.missed.begin(client, self.clock) {
                work.push(reading.map(Done::Read).boxed_local());
            }
            select! {
                _ = noted.tick() => {
                    let now_connected = client.statistics().connects.load(Ordering::Relaxed);
                    if now_connected != connected {
                        // Another server meanwhile: what the one before was about to say is lost.
                        connected = now_connected;
                        self.missed.note(self.last + 1);
                    }
                    self.note(client);
                }
                Some(news) = self.own_news.recv() => {
                    self.has_begun |= news.is_whole;
                    self.own.take(news, now_ms());
                    if self.has_begun && !is_reconciled {
                        self.own.reconcile(&self.stored, now_ms());
                        is_reconciled = true;
                    }
                }
                event = events.next() => {
                    let Some(event) = event else {
                        return Err(StreamFault("the connection has ended".to_owned()));
                    };
                    self.hear_event(&event);
                    for event in waiting(&mut events) {
                        self.hear_event(&event);
                    }
                }
                Some((stored, late)) = self.missed.next() => self.hear_stored(&stored, late),
                event = unstored.next() => {
                    for event in event.into_iter().chain(waiting(&mut unstored)) {
                        self.hear_unstored(&event);
                    }
                }
                Some(done) = work.next() => match done {
                    Done::Published(published) => {
                        on_their_way -= 1;
                        self.own.settle(&published, now_ms());
                        // Others have heard it all the same.
                        self.refused = published.refused.map(|why| (why.0, Instant::now()));
                    }
                    Done::Handed(keys, taken) => {
                        handing = false;
                        self.known.settle(keys, taken.as_ref().ok(), now_ms());
                        if taken.is_err() {
                            hand_over_at = Instant::now() + RETRY;
                        }
                    }
                    Done::Probed(probed) => {
                        let asked_at = probing.take().unwrap_or(0);
                        match probed {
                            Ok((found, members)) => {
                                check(&found.config)?;
                                if found.state.last_seq < asked_at {
                                    return Err(StreamFault("the stream has begun anew".to_owned()));
                                }
                                self.report.borrow_mut().members = members;
                                self.clock = found.clock();
                                // What was stored just now may still be on its way to us.
                                if self.last < self.head {
                                    self.missed.note(self.last + 1);
                                    self.last = self.head;
                                }
                                self.head = self.head.max(found.state.last_seq);
                                if self.missed.first().is_none() {
                                    self.current = Some(Instant::now());
                                }
                            }
                            Err(fault) => self.report.borrow_mut().state = printable(&fault.0, 200),
                        }
                    }
                    Done::Read(read) => {
                        self.missed.ended(read.is_ok());
                        if let Err(fault) = read {
                            self.report.borrow_mut().state = printable(&fault.0, 200);
                        }
                    }
                    Done::Alive => {}
                },
                _ = probe.tick() => {
                    if probing.is_none() {
                        probing = Some(self.last);
                        let client = client.clone();
                        let done = async move {
                            let members = match info(&client, HOSTS).await {
                                Ok(hosts) => hosts.state.num_subjects,
                                Err(_) => 0,
                            };
                            let found = info(&client, STREAM).await;
                            Done::Probed(found.map(|found| (found, members)))
                        };
                        work.push(done.boxed_local());
                    }
                }
                _ = alive.tick() => {
                    let policy = self.policy.borrow().clone();
                    let said = say_alive(client.clone(), self.member.clone(), policy);
                    work.push(said.map(|()| Done::Alive).boxed_local());
                }
                never = &mut policies => return Ok(never),
                () = tokio::time::sleep_until(hand_over_at), if !is_time => {}
            }
        }
    }

    /// What there is to report.
    fn note(&self, client: &Client) {
        let is_current = self
            .current
            .is_some_and(|current| current.elapsed() < STALE);
        let (published, unacknowledged) = self.own.counts(now_ms());
        let refused = self.refused.as_ref().filter(|_| unacknowledged > 0);
        let mut report = self.report.borrow_mut();
        report.is_current = is_current && refused.is_none();
        report.stale_s = self
            .current
            .map_or(0, |current| current.elapsed().as_secs());
        if is_current {
            let server = client.server_info();
            let name = format!("{} {}", server.server_name, server.version);
            report.state = match refused {
                None => printable(&name, 200),
                Some((why, _)) => {
                    printable(&format!("the server does not store our bans: {why}"), 200)
                }
            };
        }
        let heard = self
            .missed
            .first()
            .map_or(self.last, |first| first.saturating_sub(1));
        report.behind = self.head.saturating_sub(heard);
        report.published = published;
        report.unacknowledged = unacknowledged;
        report.withheld = self.own.withheld;
        report.unreadable = self.unreadable;
        report.forged = self.forged;
        report.overfull = self.known.overfull;
    }

    fn stale(&mut self, why: &str) {
        say(&self.report, why);
        self.report.borrow_mut().stale_s = self
            .current
            .map_or(0, |current| current.elapsed().as_secs());
    }
}

/// Messages that are here already, as many as are taken in at once.
fn waiting(messages: &mut Subscriber) -> impl Iterator<Item = Message> {
    (0..MOST_AT_ONCE).map_while(|_| messages.next().now_or_never().flatten())
}

async fn subscribe(client: &Client, beginning: &str) -> Result<Subscriber, StreamFault> {
    client
        .subscribe(format!("{beginning}>"))
        .await
        .map_err(|error| StreamFault(error.to_string()))
}

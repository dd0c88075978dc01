//! Part fleet: many hosts, three real servers and two real guards. How long a ban takes to everybody, also while a server
//! that leads is killed; how long a host takes that was cut off, or that is new.

mod hop;
mod join;
mod leader;
mod load;
mod report;
mod server;

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use guard_user::fleet::agent::simulation::Simulation;

use crate::lab::{FleetHost, NatsCluster, Relay, within};
pub use join::Join;
pub use leader::Leader;
use load::Sources;
pub use load::Spread;
pub use report::EXPLANATION;
pub use server::Servers;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Simulated hosts.
    pub hosts: usize,
    /// Bans per second, of all of them.
    pub per_second: u32,
    /// How long they ban.
    pub load: Duration,
    /// How long they ban while the leader is killed.
    pub unled: Duration,
    /// How long a host is cut off.
    pub cut: Duration,
    /// Members who have banned when a host joins, and how many each: as many as a host takes of one at once.
    pub members: u32,
    /// See there.
    pub bans_each: u32,
}

impl Plan {
    /// The usual, or a bit of everything.
    #[must_use]
    pub fn new(is_smoke: bool) -> Self {
        if is_smoke {
            Self {
                hosts: 50,
                per_second: 25,
                load: Duration::from_secs(2),
                unled: Duration::from_secs(6),
                cut: Duration::from_secs(9),
                members: 10,
                bans_each: 200,
            }
        } else {
            Self {
                hosts: 200,
                per_second: 100,
                load: Duration::from_secs(30),
                unled: Duration::from_secs(20),
                cut: Duration::from_secs(15),
                members: 100,
                bans_each: 1000,
            }
        }
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// What was done.
    pub plan: Plan,
    /// From a ban to every other simulated host.
    pub heard: Spread,
    /// From `guardctl ban` on a real host to the first packet that another one drops, meanwhile.
    pub dropped: Spread,
    /// What the servers needed meanwhile.
    pub servers: Servers,
    /// The leader is killed.
    pub leader: Leader,
    /// A real host is cut off: until its status says so, and until it has everything again.
    pub stale: Duration,
    /// See there.
    pub equal: Duration,
    /// A real host joins.
    pub join: Join,
}

/// For everything to be as it was.
const PATIENCE: Duration = Duration::from_secs(40);

/// Measures it; `None` where there is no nats-server, which is said.
///
/// # Errors
/// When something does not work at all.
pub fn measure(plan: &Plan) -> Result<Option<Fleet>> {
    let simulated: Vec<String> = (0..plan.hosts)
        .map(|number| format!("h-{number}"))
        .collect();
    let members: Vec<String> = (0..plan.members)
        .map(|number| format!("k-{number}"))
        .collect();
    let real = ["a", "b", "c"].map(ToOwned::to_owned);
    let names: Vec<String> = simulated
        .iter()
        .chain(&members)
        .chain(&real)
        .map(|name| format!("{GROUP}/{name}"))
        .collect();
    let Some(mut cluster) = NatsCluster::start(&names) else {
        return Ok(None);
    };
    let relays = cluster.behind_relays();
    let a = FleetHost::join(&cluster, GROUP, "a");
    let b = FleetHost::join(&(&cluster, relays.as_slice()), GROUP, "b");
    let settings = simulated.iter().map(|name| cluster.settings(GROUP, name));
    let simulation = Simulation::start(settings.collect());
    until_current(&simulation)?;
    println!(
        "{} simulated hosts and two real ones hear each other",
        plan.hosts
    );

    let sources = Sources::default();
    let measured = server::Measuring::begin(&cluster, &relays)?;
    let (bans, dropped) = thread::scope(|scope| {
        let load = scope.spawn(|| load::ban_for(&simulation, &sources, plan.per_second, plan.load));
        let dropped = hop::measure(&a, &b, plan.load);
        (load.join(), dropped)
    });
    let bans = bans.map_err(|_| anyhow::anyhow!("the load has panicked"))?;
    let heard = load::settle(&simulation, &bans, PATIENCE);
    let servers = measured.end(&cluster, &relays, bans.len())?;
    println!("{}", report::heard_line(&heard, &dropped, &servers));

    let leader = leader::measure(plan, &mut cluster, &simulation, &sources)?;
    println!("{}", leader.line());
    until_current(&simulation)?;

    let (stale, equal) = cut_off(plan, &b, &relays, &simulation, &sources)?;
    println!("{}", report::cut_line(plan, stale, equal));

    drop((simulation, a, b));
    let join = join::measure(plan, &cluster, &members)?;
    println!("{}", join.line());
    Ok(Some(Fleet {
        plan: *plan,
        heard,
        dropped: dropped?,
        servers,
        leader,
        stale,
        equal,
        join,
    }))
}

/// Of every host: it is believed in full.
const GROUP: &str = "web";

/// Waits until every simulated host hears the others, and has nothing left to publish.
fn until_current(simulation: &Simulation) -> Result<()> {
    let is_well = || {
        let mut reports = simulation.hosts().iter().map(|host| host.report());
        reports.all(|report| report.is_current && report.unacknowledged == 0)
    };
    if within(PATIENCE, || is_well().then_some(())).is_some() {
        return Ok(());
    }
    let reports = simulation.hosts().iter().map(|host| host.report());
    let ill = reports.filter(|report| !report.is_current || report.unacknowledged > 0);
    let ill: Vec<_> = ill.collect();
    let first = ill.first().context("it took too long")?;
    anyhow::bail!("{} hosts do not hear the others: {first:?}", ill.len())
}

/// Cuts the cable of a real host while others ban.
fn cut_off(
    plan: &Plan,
    host: &FleetHost,
    relays: &[Relay],
    simulation: &Simulation,
    sources: &Sources,
) -> Result<(Duration, Duration)> {
    let is_stale = || {
        let report = host.view().report.and_then(|report| report.nats);
        report.is_some_and(|nats| !nats.is_current)
    };
    let cut = |is_cut: bool| relays.iter().for_each(|relay| relay.cut(is_cut));
    // Its report is seconds old, and may still be of when nobody led the stream.
    let hears = within(PATIENCE, || (!is_stale()).then_some(()));
    ensure!(
        hears.is_some(),
        "the host hears nothing before it is cut off"
    );
    thread::scope(|scope| {
        let length = plan.cut + Duration::from_secs(2);
        scope.spawn(move || load::ban_for(simulation, sources, plan.per_second, length));
        let begun = std::time::Instant::now();
        cut(true);
        let stale = within(plan.cut, || is_stale().then(|| begun.elapsed()));
        thread::sleep(plan.cut.saturating_sub(begun.elapsed()));
        let expected: Vec<String> = sources.so_far().iter().map(ToString::to_string).collect();
        let returned = std::time::Instant::now();
        cut(false);
        let equal = within(PATIENCE, || {
            let banned = host.guard.banned();
            let has_all = expected
                .iter()
                .all(|source| banned.binary_search(source).is_ok());
            (has_all && !is_stale()).then(|| returned.elapsed())
        });
        let stale = stale.with_context(|| format!("not STALE within {:?}", plan.cut))?;
        Ok((
            stale,
            equal.context("the host that was cut off lacks bans")?,
        ))
    })
}

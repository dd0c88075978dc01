//! Keeps every interface that should be protected protected: looks, compares, heals and tells.
//! Blocking; one round at a time.

use std::{
    collections::BTreeSet,
    mem,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    bans::BanKeeper, cause::Cause, databases::DatabaseWatch, ends::EndKeeper, event_log::EventLog,
    filtering::FilteringWatch, host_names::NameWatch, interfaces::Interfaces,
    samples::SampleKeeper,
};
use crate::{
    control::{JailsReport, Level, Report},
    controller::{
        ActivePolicy, Consent, Controller, ExcessRules, Healing, Loading, PolicyOrigin, Refresh,
        SessionWatch, Spare, state::last_good,
    },
    failure::Failure,
    host::Network,
    ruleset::{drop_log::DropLog, listen::Listen},
};

/// Between two attempts at what has failed and may fail again.
const RETRY: Duration = Duration::from_secs(5);
/// Between two looks for interfaces by which strangers can come.
const EXPOSURES: Duration = Duration::from_secs(5);
/// Between two looks at the sessions that go on behind NAT.
const SESSIONS: Duration = Duration::from_secs(60);

/// What is known of the host: a change of it may need another image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct NetworkFacts {
    /// Name, index and MTU.
    interfaces: BTreeSet<(String, u32, u32)>,
    addresses: BTreeSet<(IpAddr, u32)>,
    on_loopback: BTreeSet<IpAddr>,
}

impl NetworkFacts {
    fn of(network: &Network) -> Self {
        let interfaces = network.interfaces.iter();
        Self {
            interfaces: interfaces
                .map(|i| (i.name.clone(), i.index, i.mtu))
                .collect(),
            addresses: network.addresses.iter().copied().collect(),
            on_loopback: network.on_loopback.iter().copied().collect(),
        }
    }
}

/// The outcome of the last healing.
#[derive(Clone, Debug)]
struct KnownPolicy {
    in_force: ActivePolicy,
    names: Vec<String>,
    follows_routes: bool,
    facts: NetworkFacts,
    /// Something is left to be done.
    retry: Option<Instant>,
}

/// What others may read while a round is made.
#[derive(Debug)]
pub(super) struct DaemonState {
    pub(super) report: Report,
    pub(super) jails: JailsReport,
    pub(super) events: EventLog,
    /// Where metrics are to be served.
    pub(super) metrics: Option<Listen>,
    /// What is to be logged of dropped packets.
    pub(super) drop_log: Option<DropLog>,
    /// Rules that ban whoever goes on above them.
    pub(super) excess: Option<ExcessRules>,
}

/// The board is whole whatever a panicking holder did.
pub(super) fn locked(state: &Mutex<DaemonState>) -> MutexGuard<'_, DaemonState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
pub(super) struct Keeper {
    controller: Controller,
    state: Arc<Mutex<DaemonState>>,
    known: Option<KnownPolicy>,
    /// For the next interface.
    spare: Option<Spare>,
    interfaces: Interfaces,
    /// After a failed `load`.
    next_load: Option<Instant>,
    /// Why guard is not in force although it should be.
    absence: Option<String>,
    next_sessions: Instant,
    bans: BanKeeper,
    databases: DatabaseWatch,
    names: NameWatch,
    ends: EndKeeper,
    watched: SessionWatch,
    filtering: FilteringWatch,
    samples: SampleKeeper,
    /// Digest of the policy that says where metrics are served, and what is logged; `None` = guard was off.
    settings_of: Option<Option<u64>>,
    /// The same, of the policy whose limits ban.
    excess_of: Option<Option<u64>>,
    /// Interfaces without guard by which strangers can come.
    exposed: Vec<String>,
    next_exposed: Instant,
}

impl Keeper {
    pub(super) fn new(controller: Controller, state: Arc<Mutex<DaemonState>>) -> Self {
        let bans = BanKeeper::new(controller.layout().ban_clock());
        Self {
            controller,
            state,
            known: None,
            spare: None,
            interfaces: Interfaces::default(),
            next_load: None,
            absence: None,
            next_sessions: Instant::now() + SESSIONS,
            bans,
            databases: DatabaseWatch::default(),
            names: NameWatch::default(),
            ends: EndKeeper::default(),
            watched: SessionWatch::default(),
            filtering: FilteringWatch::default(),
            samples: SampleKeeper::default(),
            settings_of: None,
            excess_of: None,
            exposed: Vec::new(),
            next_exposed: Instant::now(),
        }
    }

    /// Looks once, and does what is needed.
    pub(super) fn round(&mut self, cause: Cause) {
        let ended = self.ends.round(&self.controller);
        ended.log(&mut self.state().events);
        let result = match self.controller.in_force() {
            Ok(Some(in_force)) => {
                self.absence = None;
                self.follow_settings(Some(in_force.digest));
                self.follow_excess(Some(in_force.digest));
                let kept = self.keep(in_force, cause);
                self.watch_filtering();
                self.watch_exposures();
                if let Some(round) = self.databases.round(&self.controller, in_force) {
                    round.log(&mut self.state().events);
                }
                if let Some(round) = self.names.round(&self.controller, cause) {
                    round.log(&mut self.state().events);
                }
                if let Some(sampled) = self.samples.round(&self.controller) {
                    let problem = sampled.err().map(|failure| {
                        let what = "no samples of the counters for `stats --since`";
                        (Level::Warning, failure.context(what).in_brackets())
                    });
                    self.state().events.standing("samples", problem);
                }
                let round = self.bans.round(&self.controller, in_force.digest);
                if let Some(round) = round {
                    round.log(&mut self.state().events);
                }
                kept
            }
            Ok(None) => {
                self.follow_settings(None);
                self.follow_excess(None);
                self.off();
                Ok(())
            }
            Err(failure) => Err(failure),
        };
        let problem = result
            .err()
            .map(|failure| (Level::Error, failure.in_brackets()));
        self.state().events.standing("round", problem);
        self.report();
    }

    /// Takes up where metrics are to be served and what is to be logged, when another policy is in force. Files that cannot be read change
    /// nothing, and are read again when they are in force.
    fn follow_settings(&mut self, digest: Option<u64>) {
        if self.settings_of == Some(digest) {
            return;
        }
        self.settings_of = Some(digest);
        if let Ok(loaded) = self.controller.load() {
            let mut state = self.state();
            // Where nothing is dropped, there is nothing to log.
            state.drop_log = loaded.policy.drop_log.filter(|_| digest.is_some());
            state.metrics = loaded.policy.metrics;
        }
    }

    /// Takes up which limits ban, when another policy is in force. Nobody is banned by one that is not known.
    fn follow_excess(&mut self, digest: Option<u64>) {
        if self.excess_of == Some(digest) {
            return;
        }
        let rules = match digest {
            Some(digest) => self.controller.excess_rules(digest),
            None => Ok(None),
        };
        self.excess_of = rules.is_ok().then_some(digest);
        self.state().excess = rules.ok().flatten();
    }

    /// The files anew, as `guardctl reload` does it.
    pub(super) fn reload(&mut self) {
        let result = self.controller.reload(Consent::default());
        let mut state = self.state();
        match result {
            Ok(changed) => state.events.log(Level::Info, changed.message),
            Err(failure) => state.events.log(
                Level::Error,
                format!(
                    "reload: {}; the policy in force stays",
                    failure.in_brackets()
                ),
            ),
        }
    }

    /// One line for the service manager.
    pub(super) fn summary(&self) -> String {
        let lost = self.interfaces.unprotected();
        match &self.known {
            None => match &self.absence {
                Some(why) => format!("UNPROTECTED: guard should be on: {why}"),
                None => "guard is off".to_owned(),
            },
            Some(_) if !lost.is_empty() => format!("UNPROTECTED: {}", lost.join(", ")),
            Some(known) => {
                let mut on = format!(
                    "generation {} on {}",
                    known.in_force.generation,
                    known.names.join(", ")
                );
                if !self.exposed.is_empty() {
                    on = format!("NOT GUARDED: {}; {on}", self.exposed.join(", "));
                }
                match self.controller.fallback(known.in_force.digest) {
                    Some(why) => {
                        format!(
                            "ON THE COPY OF THE LAST POLICY, the files were not usable: {why}; {on}"
                        )
                    }
                    None => on,
                }
            }
        }
    }

    /// Why guard is not in force although it should be, if the last attempt to load it has failed.
    pub(super) fn absence(&self) -> Option<&str> {
        self.absence.as_deref()
    }

    fn state(&self) -> MutexGuard<'_, DaemonState> {
        locked(&self.state)
    }

    fn log(&self, level: Level, message: impl Into<String>) {
        self.state().events.log(level, message);
    }

    /// Nothing is installed. If it should be, somebody has taken the pins away, or nothing was
    /// loaded after a reboot.
    fn off(&mut self) {
        self.spare = None;
        if mem::take(&mut self.known).is_some() {
            self.log(Level::Info, "guard is off");
        }
        self.interfaces.off();
        let is_time = self.next_load.is_none_or(|next| Instant::now() >= next);
        if !last_good::is_enabled(self.controller.layout()) {
            self.absence = None;
            return;
        }
        if !is_time {
            return;
        }
        self.next_load = Some(Instant::now() + RETRY);
        let problem = match self.controller.load_at_boot() {
            Ok(Loading::Off) => None,
            Ok(Loading::Loaded {
                origin, generation, ..
            }) => {
                let how = match origin {
                    PolicyOrigin::Files | PolicyOrigin::Kernel => {
                        "from the policy files".to_owned()
                    }
                    PolicyOrigin::LastGood { why } => format!(
                        "from the copy of the last policy, because the files are not usable: {why}"
                    ),
                };
                self.log(
                    Level::Warning,
                    format!("guard was on and nothing was in force: generation {generation} {how}"),
                );
                None
            }
            Err(failure) => Some((Level::Error, failure.in_brackets())),
        };
        self.absence = problem.as_ref().map(|(_, why)| why.clone());
        self.state().events.standing("load", problem);
        if let Ok(Some(in_force)) = self.controller.in_force() {
            let kept = self.keep(in_force, Cause::Requested);
            let problem = kept
                .err()
                .map(|failure| (Level::Error, failure.in_brackets()));
            self.state().events.standing("round", problem);
        }
    }

    fn keep(&mut self, in_force: ActivePolicy, cause: Cause) -> Result<(), Failure> {
        let started = Instant::now();
        let network = self.read()?;
        let facts = NetworkFacts::of(&network);
        let protected = self.controller.protected(&network)?;
        if !self.is_due(in_force, cause, &facts, &network, &protected) {
            self.get_ready();
            self.keep_sessions(&network);
            return Ok(());
        }
        let Some(healing) = self.controller.heal(&mut self.spare)? else {
            self.off();
            return Ok(());
        };
        let network = Network::read_without_routes()
            .map_err(|error| crate::failure::from_io("cannot read the interfaces", &error))?;
        let protected = self.controller.protected(&network)?;
        if !healing.attached.is_empty() {
            self.filtering.begin_anew();
        }
        self.tell_of(&healing, &protected, started);
        let news = self
            .interfaces
            .look(&healing, &network, &protected, started);
        for (level, message) in news {
            self.log(level, message);
        }
        let is_complete = healing.problems.is_empty()
            && healing.failed.is_empty()
            && healing.refresh != Refresh::NotNow;
        self.known = Some(KnownPolicy {
            in_force: healing.in_force,
            names: healing.names,
            follows_routes: healing.follows_routes,
            // Of before: what changed meanwhile is looked at again.
            facts,
            retry: (!is_complete).then(|| Instant::now() + RETRY),
        });
        self.get_ready();
        Ok(())
    }

    /// For the next interface. What keeps a program from being loaded is reported when one is needed.
    fn get_ready(&mut self) {
        self.controller.get_ready(&mut self.spare).ok();
    }

    /// What the flow table may have lost of the sessions behind NAT.
    fn keep_sessions(&mut self, network: &Network) {
        if Instant::now() < self.next_sessions {
            return;
        }
        self.next_sessions = Instant::now() + SESSIONS;
        let result = self.controller.keep_sessions(network, &mut self.watched);
        let problem = result
            .err()
            .map(|failure| (Level::Warning, failure.in_brackets()));
        self.state().events.standing("sessions", problem);
    }

    /// Attached is not filtering.
    fn watch_filtering(&mut self) {
        let counted = match self.controller.count_frames() {
            Ok(Some(counted)) => counted,
            Ok(None) => {
                // Whatever counts next counts from zero.
                self.filtering.begin_anew();
                return;
            }
            Err(_) => return,
        };
        let messages = self
            .filtering
            .look(&self.controller, &counted, &mut self.spare);
        for (level, message) in messages {
            self.log(level, message);
        }
    }

    /// What is not guarded is nobody's fault, and for everybody to see.
    fn watch_exposures(&mut self) {
        if Instant::now() < self.next_exposed {
            return;
        }
        self.next_exposed = Instant::now() + EXPOSURES;
        let Ok(exposures) = self.controller.unwanted_exposures_now() else {
            return;
        };
        let texts: Vec<String> = exposures.iter().map(ToString::to_string).collect();
        let problem = (!texts.is_empty()).then(|| (Level::Warning, texts.join("\n")));
        self.state().events.standing("exposed", problem);
        let names = exposures.into_iter().map(|exposure| exposure.interface);
        self.exposed = names.collect();
    }

    fn read(&self) -> Result<Network, Failure> {
        let follows_routes = self.known.as_ref().is_none_or(|known| known.follows_routes);
        let read = if follows_routes {
            Network::read()
        } else {
            Network::read_without_routes()
        };
        read.map_err(|error| crate::failure::from_io("cannot read the interfaces", &error))
    }

    fn is_due(
        &self,
        in_force: ActivePolicy,
        cause: Cause,
        facts: &NetworkFacts,
        network: &Network,
        protected: &BTreeSet<String>,
    ) -> bool {
        let Some(known) = &self.known else {
            return true;
        };
        let has_changed = known.in_force != in_force || known.facts != *facts;
        if has_changed || cause == Cause::Requested {
            return true;
        }
        let may_try = known.retry.is_none_or(|retry| Instant::now() >= retry);
        let is_bare = |name: &String| {
            network.interface(name).is_some_and(|interface| {
                !protected.contains(name) || self.controller.lacks_way_out(interface)
            })
        };
        let has_joined = known.follows_routes
            && network.default_interfaces().iter().any(|name| {
                let is_ethernet = network.interface(name).is_some_and(|i| i.is_ethernet);
                is_ethernet && !known.names.contains(name)
            });
        may_try && (known.retry.is_some() || known.names.iter().any(is_bare) || has_joined)
    }

    /// What healing did, and what went wrong, beside what it means for an interface.
    fn tell_of(&mut self, healing: &Healing, protected: &BTreeSet<String>, started: Instant) {
        if healing.refresh == Refresh::Renewed {
            self.log(
                Level::Info,
                format!(
                    "this host's addresses or interfaces changed: generation {} has the new ones \
                     ({:.1} s)",
                    healing.in_force.generation,
                    started.elapsed().as_secs_f64()
                ),
            );
        }
        // Of an interface that is unprotected the reason is reported with it.
        let half = healing.failed.iter();
        let half = half.filter(|(name, _)| protected.contains(name));
        let half = half.map(|(_, failure)| failure);
        let problems: Vec<String> = healing
            .problems
            .iter()
            .chain(half)
            .map(Failure::in_brackets)
            .collect();
        let problem = (!problems.is_empty()).then(|| (Level::Error, problems.join("\n")));
        self.state().events.standing("healing", problem);
    }

    fn report(&self) {
        let mut state = self.state();
        state.report.generation = self.known.as_ref().map(|known| known.in_force.generation);
        state.report.interfaces = self.interfaces.report();
    }
}

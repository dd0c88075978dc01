//! Keeping the policy that is in force on every interface that it is meant for: interfaces come
//! and go, and the host's addresses change. No policy is changed and no pending one confirmed.

use std::{collections::BTreeSet, os::unix::fs::MetadataExt as _, time::Duration};

use guard_common::abi::names;

use crate::{
    controller::{
        Applied, Controller, Lock, Renamed,
        state::{
            devices::{Devices, current_names},
            ends, last_good,
        },
        transaction::{activate::image, targets},
    },
    dataplane::{
        adopt, heal,
        installation::{self, Commitment},
        interface::attached::Attached,
        pins::{self, Running},
        preflight,
        spare::Spare,
        tables::exempt::SessionWatch,
    },
    failure::Failure,
    host::{Interface, Network, clock},
    ruleset::{compile::Stamp, source::Loaded},
};

/// What tells one policy in force from another, cheap to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActivePolicy {
    /// Its generation.
    pub generation: u32,
    /// Digest of the files that it was compiled from.
    pub digest: u64,
    /// Number of the pin of its map: another one after `disable` and `enable`.
    pin: u64,
    /// It was in force before a change that nobody has confirmed in time, and is to be settled. Whoever
    /// slept while that change was in force sees nothing else of it.
    has_returned: bool,
}

/// Is the image in the kernel the one of this host's present addresses and interfaces?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// It was already.
    Current,
    /// It is now.
    Renewed,
    /// Unknown: the files are not what is in force, or a change awaits its confirmation.
    NotNow,
}

/// What healing found and did.
#[derive(Debug)]
pub struct Healing {
    /// The policy in force.
    pub in_force: ActivePolicy,
    /// Names of the interfaces that are meant to be protected.
    pub names: Vec<String>,
    /// Default routes decide what is protected, because the policy names no interface.
    pub follows_routes: bool,
    /// Interfaces that have other names than the policy's.
    pub renamed: Vec<Renamed>,
    /// Interfaces that carry a default route since, and are protected from now on.
    pub joined: Vec<String>,
    /// Interfaces that have the program again, or for the first time.
    pub attached: Vec<Attached>,
    /// Interfaces on whose way out the program was missing, and is again.
    pub way_out: Vec<String>,
    /// Interfaces that could not have it, and why.
    pub failed: Vec<(String, Failure)>,
    /// Interfaces that carry the program and are not named: renamed, most of the time.
    pub strays: Vec<String>,
    /// Addresses and indices in the image.
    pub refresh: Refresh,
    /// What else went wrong.
    pub problems: Vec<Failure>,
}

impl Healing {
    pub(in crate::controller) fn nothing(in_force: ActivePolicy) -> Self {
        Self {
            in_force,
            names: Vec::new(),
            follows_routes: false,
            renamed: Vec::new(),
            joined: Vec::new(),
            attached: Vec::new(),
            way_out: Vec::new(),
            failed: Vec::new(),
            strays: Vec::new(),
            refresh: Refresh::NotNow,
            problems: Vec::new(),
        }
    }
}

#[cfg(test)]
impl Healing {
    /// Nothing was to be done about these interfaces.
    pub(crate) fn quiet(names: &[&str]) -> Self {
        Self {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Self::nothing(ActivePolicy {
                generation: 1,
                digest: 0,
                pin: 0,
                has_returned: false,
            })
        }
    }
}

/// How long the lock is waited for before an open interface is seen to without it.
const SHORTLY: Duration = Duration::from_millis(500);
/// How long it is waited for where nothing is in force that could be attached.
const PATIENCE: Duration = Duration::from_secs(10);

impl Controller {
    /// The policy in force; `None` when guard is off.
    ///
    /// # Errors
    /// As [`pins::open`].
    pub fn in_force(&self) -> Result<Option<ActivePolicy>, Failure> {
        Ok(pins::open(&self.layout)?.map(|running| self.name_of(&running)))
    }

    pub(in crate::controller) fn name_of(&self, running: &Running) -> ActivePolicy {
        let pin = self.layout.maps().join(names::POLICY);
        ActivePolicy {
            generation: running.slots.generation(),
            digest: running.slots.digest(),
            pin: pin.metadata().map_or(0, |pin| pin.ino()),
            has_returned: running.slots.switch().is_expired(clock::boot_time_ns()),
        }
    }

    /// May this process load the program and attach it?
    ///
    /// # Errors
    /// Exit 4 naming what is missing.
    pub fn may_attach(&self) -> Result<(), Failure> {
        preflight::may_load()
    }

    /// Names of the interfaces that run the program of one of our links.
    ///
    /// # Errors
    /// When the pins cannot be read.
    pub fn protected(&self, network: &Network) -> Result<BTreeSet<String>, Failure> {
        let indices = heal::protected(&self.layout, network)?;
        Ok(indices
            .into_iter()
            .filter_map(|index| network.by_index(index))
            .map(|interface| interface.name.clone())
            .collect())
    }

    /// Does an interface lack the program on its way out?
    #[must_use]
    pub fn lacks_way_out(&self, interface: &Interface) -> bool {
        heal::lacks_way_out(&self.layout, interface)
    }

    /// Loads the program for interfaces to come, unless it is there. Under the lock, for loading makes what is not
    /// pinned: beside a command that removes the pins, it would put others in their place. `false`: a command has it.
    ///
    /// # Errors
    /// When nothing is installed, or the program cannot be loaded.
    pub fn get_ready(&self, spare: &mut Option<Spare>) -> Result<bool, Failure> {
        if Spare::is_ready(&self.layout, spare.as_ref())? {
            return Ok(true);
        }
        let Some(_lock) = Lock::if_free(&self.layout)? else {
            return Ok(false);
        };
        Spare::ready(&self.layout, spare).map(|_| true)
    }

    /// Looks up the sessions that go on behind NAT, which the kernel may have forgotten to tell, and
    /// those that hold their source.
    ///
    /// # Errors
    /// When the connection table cannot be read.
    pub fn keep_sessions(
        &self,
        network: &Network,
        watched: &mut SessionWatch,
    ) -> Result<(), Failure> {
        adopt::adopt_running(&self.layout, network, watched).map(|_| ())
    }

    /// Puts the program onto every interface that should have it and has not, and the host's present
    /// addresses into the policy in force. `None` when guard is off. A daemon keeps the spare. While
    /// another command has the lock, only interfaces that are open are seen to.
    ///
    /// # Errors
    /// When the lock, the pins or the network cannot be read. What goes wrong with one interface is
    /// part of the answer.
    pub fn heal(&self, spare: &mut Option<Spare>) -> Result<Option<Healing>, Failure> {
        self.heal_within(PATIENCE, spare)
    }

    /// The same for whoever has more time for a command that puts guard in force.
    ///
    /// # Errors
    /// As [`Controller::heal`].
    pub(in crate::controller) fn heal_within(
        &self,
        patience: Duration,
        spare: &mut Option<Spare>,
    ) -> Result<Option<Healing>, Failure> {
        if let Some(lock) = Lock::wait(&self.layout, SHORTLY)? {
            return self.heal_under(&lock, spare);
        }
        if let Some(healing) = self.attach_meanwhile(spare)? {
            return Ok(Some(healing));
        }
        let lock = Lock::acquire_within(&self.layout, patience)?;
        self.heal_under(&lock, spare)
    }

    fn heal_under(
        &self,
        _lock: &Lock,
        spare: &mut Option<Spare>,
    ) -> Result<Option<Healing>, Failure> {
        if self
            .in_force()?
            .is_some_and(|in_force| in_force.has_returned)
        {
            // Where the first policy has not been confirmed, everything goes: nothing of ours may hold
            // a program then.
            *spare = None;
        }
        // A deadline that has passed is settled before anything else.
        self.recover()?;
        let Some(running) = pins::open(&self.layout)? else {
            return Ok(None);
        };
        let network = self.network()?;
        let in_force = self.name_of(&running);
        let is_pending = running.slots.switch().has_deadline();
        let settled = self
            .load()
            .ok()
            .filter(|loaded| !is_pending && loaded.digest == in_force.digest);
        let mut healing = Healing::nothing(in_force);
        self.names(settled.as_ref(), &network, &mut healing)?;
        if healing.names.is_empty() {
            healing.names = self.protected(&network)?.into_iter().collect();
        }
        let modes = match &settled {
            Some(loaded) => loaded.policy.modes.clone(),
            None => Applied::read(&self.layout)
                .map(|applied| applied.modes)
                .unwrap_or_default(),
        };
        let modes = self.modes_now(&modes, &network)?;
        let wanted = targets::unattended(&self.layout, &network, &healing.names, &modes);
        // Before anything else: what is open is closed.
        match heal::heal(&self.layout, &wanted, &network, spare) {
            Ok(healed) => {
                healing.attached = healed.attached;
                healing.way_out = healed.way_out;
                healing.problems.extend(healed.problem);
                healing.failed = healed.failed;
            }
            Err(failure) => healing.problems.push(failure),
        }
        if let Some(loaded) = &settled {
            match self.refresh(loaded, &running, &network) {
                Ok(refresh) => healing.refresh = refresh,
                Err(failure) => healing.problems.push(failure),
            }
            let saved = [
                last_good::save_last_good(&self.layout, loaded),
                self.remember_devices(&loaded.policy, &healing.names, &network),
            ];
            healing
                .problems
                .extend(saved.into_iter().filter_map(Result::err));
        }
        let strays = self.protected(&network)?.into_iter();
        healing.strays = strays
            .filter(|name| !healing.names.contains(name))
            .collect();
        Ok(Some(healing))
    }

    /// Which interfaces are meant: those that were, whatever they are called now, and those of the policy
    /// if its files are what is in force. Default routes only ever add one.
    fn names(
        &self,
        settled: Option<&Loaded>,
        network: &Network,
        healing: &mut Healing,
    ) -> Result<(), Failure> {
        let applied = Applied::read(&self.layout);
        let before: Vec<String> = applied.iter().flat_map(|a| a.interfaces.clone()).collect();
        let named = settled.map(|loaded| &loaded.policy.interfaces);
        healing.follows_routes = named.is_some_and(Vec::is_empty);
        let meant = named.filter(|named| !named.is_empty()).unwrap_or(&before);
        let linked = heal::protected(&self.layout, network)?;
        healing.renamed = Devices::read(&self.layout).renamed(meant, network, &linked);
        healing.names = current_names(meant, &healing.renamed);
        if healing.follows_routes {
            for name in network.default_interfaces() {
                let is_ethernet = network.interface(&name).is_some_and(|i| i.is_ethernet);
                if is_ethernet && !healing.names.contains(&name) {
                    healing.names.push(name);
                }
            }
        }
        let is_new = |name: &&String| {
            let is_renamed = healing.renamed.iter().any(|renamed| renamed.to == **name);
            !is_renamed && !before.contains(*name)
        };
        healing.joined = healing.names.iter().filter(is_new).cloned().collect();
        let Some(mut applied) = applied.filter(|applied| {
            applied.interfaces != healing.names && applied.generation == healing.in_force.generation
        }) else {
            return Ok(());
        };
        applied.interfaces.clone_from(&healing.names);
        let saved = applied.stage(&self.layout).and_then(|staged| {
            staged
                .commit()
                .map_err(|error| crate::controller::state::policy_files::stage_failure(&error))
        });
        healing.problems.extend(saved.err());
        Ok(())
    }

    /// Own addresses and the indices of interfaces are part of the image.
    fn refresh(
        &self,
        loaded: &Loaded,
        running: &Running,
        network: &Network,
    ) -> Result<Refresh, Failure> {
        let stamp = Stamp {
            generation: running.slots.generation(),
            digest: loaded.digest,
        };
        let moments = self.moments();
        let image = image(&loaded.policy, network, stamp, &moments)?;
        ends::keep(&self.layout, &loaded.policy, &moments)?;
        if image.words == running.slots.active_image() {
            return Ok(Refresh::Current);
        }
        installation::apply(&self.layout, &image, network, Commitment::Settled)?;
        Ok(Refresh::Renewed)
    }
}

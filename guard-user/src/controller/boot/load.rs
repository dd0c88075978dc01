//! The policy into a kernel that has just booted, before the network is up: nobody is asked, no
//! session is there to be cut, and what was not confirmed is not loaded.

use crate::{
    controller::{
        Applied, Controller, Fallback, Lock,
        state::{absence, ends, last_good, policy_files::stage_failure},
        transaction::{activate::image, targets},
    },
    dataplane::{bpffs, heal, installation, interface::attached::Attached, pins, preflight},
    failure::{Exit, Failure},
    host::Network,
    ruleset::{compile::Stamp, source::Loaded},
};

/// Where the policy came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyOrigin {
    /// The policy files.
    Files,
    /// The copy of the last policy that was in force, because the files are not usable.
    LastGood {
        /// What is wrong with the files.
        why: String,
    },
    /// The kernel has a policy already.
    Kernel,
}

/// What `load` did.
#[derive(Debug)]
pub enum Loading {
    /// guard was not on: nothing to do.
    Off,
    /// A policy is in force.
    Loaded {
        /// Where it came from.
        origin: PolicyOrigin,
        /// Generation in force.
        generation: u32,
        /// Interfaces that the program was put on.
        attached: Vec<Attached>,
        /// Interfaces that are not protected, and why: those that are not there yet, too.
        unprotected: Vec<(String, String)>,
        /// What the operator should look at.
        warnings: Vec<String>,
    },
}

/// Why an interface that does not exist is unprotected.
const NOT_YET: &str = "no such interface yet; `guardctl daemon` attaches when it appears";

impl Controller {
    /// Puts the policy on disk in force, if guard was on when the host went down. When the files
    /// cannot be used, the last policy that was in force.
    ///
    /// # Errors
    /// Exit 5 when neither can be used, and whatever the kernel refuses. Nothing is attached then, and
    /// `status` says why.
    pub fn load_at_boot(&self) -> Result<Loading, Failure> {
        let loading = self.try_to_load();
        match &loading {
            Ok(_) => absence::forget(&self.layout),
            // What cannot be kept is at least reported.
            Err(failure) => absence::remember(&self.layout, failure).unwrap_or_default(),
        }
        loading
    }

    fn try_to_load(&self) -> Result<Loading, Failure> {
        if !last_good::is_enabled(&self.layout) {
            return Ok(Loading::Off);
        }
        preflight::may_load()?;
        let lock = Lock::acquire(&self.layout)?;
        // `disable` may have come to its end meanwhile.
        if !last_good::is_enabled(&self.layout) {
            return Ok(Loading::Off);
        }
        let recovered = self.recover();
        if pins::open(&self.layout)?.is_some() {
            recovered?;
            drop(lock);
            return self.already_loaded();
        }
        let (loaded, origin) = self.usable_policy()?;
        let network = self.network()?;
        let before = Applied::read(&self.layout).unwrap_or_default();
        let names = self.names_now(&meant(&loaded, &before), &network)?;
        let names = with_default_routes(&loaded, names, &network);
        let generation = before.generation.wrapping_add(1).max(1);
        let stamp = Stamp {
            generation,
            digest: loaded.digest,
        };
        let moments = self.moments();
        let image = image(&loaded.policy, &network, stamp, &moments)?;
        bpffs::prepare(&self.layout)?;
        let applied = Applied::new(&loaded.policy, generation, names.clone()).stage(&self.layout);
        // First the policy, then one interface after the other: what one of them cannot do must
        // not leave the others open.
        let spare = installation::install_bare(&self.layout, &image, &network)?;
        let modes = self.modes_now(&loaded.policy.modes, &network)?;
        let targets = targets::unattended(&self.layout, &network, &names, &modes);
        let healed = heal::heal(&self.layout, &targets, &network, &mut Some(spare))?;
        let unprotected = unprotected(&names, healed.failed, &network);
        let mut warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        // A change that was under way and cannot be put in order must not leave the host open.
        warnings.extend(recovered.err().map(|failure| failure.message));
        let kept = ends::keep(&self.layout, &loaded.policy, &moments);
        warnings.extend(kept.err().map(|failure| failure.message));
        if let PolicyOrigin::LastGood { why } = &origin {
            let noted = Fallback::note(&self.layout, loaded.digest, why);
            warnings.extend(noted.err().map(|failure| failure.message));
        }
        let banned = self.restore_bans(&mut warnings);
        warnings.extend(banned.err().map(|failure| failure.message));
        let remembered = self.remember_devices(&loaded.policy, &names, &network);
        warnings.extend(remembered.err().map(|failure| failure.message));
        // Only listings need it, and they find it missing: a read-only disk must not open the host.
        let saved =
            applied.and_then(|applied| applied.commit().map_err(|error| stage_failure(&error)));
        warnings.extend(saved.err().map(|failure| failure.message));
        if origin == PolicyOrigin::Files {
            let kept = last_good::save_last_good(&self.layout, &loaded);
            warnings.extend(kept.err().map(|failure| failure.message));
            let kept = self.names.save(&loaded.host_names);
            warnings.extend(kept.err().map(|failure| failure.message));
        }
        Ok(Loading::Loaded {
            origin,
            generation,
            attached: healed.attached,
            unprotected,
            warnings,
        })
    }

    /// Nothing is loaded over a policy that is in force; interfaces may lack it all the same.
    fn already_loaded(&self) -> Result<Loading, Failure> {
        let Some(healing) = self.heal(&mut None)? else {
            return Ok(Loading::Off);
        };
        let network = self.network()?;
        let unprotected = unprotected(&healing.names, healing.failed, &network);
        Ok(Loading::Loaded {
            origin: PolicyOrigin::Kernel,
            generation: healing.in_force.generation,
            attached: healing.attached,
            unprotected,
            warnings: healing
                .problems
                .into_iter()
                .map(|failure| failure.message)
                .collect(),
        })
    }

    /// The files; when they are broken, or one of them has lost its text, the last policy that was in force. Who
    /// empties a file and applies that gets what he wrote: then the empty one was in force last.
    fn usable_policy(&self) -> Result<(Loaded, PolicyOrigin), Failure> {
        let broken = match self.load() {
            Ok(loaded) => match last_good::lost_file(&self.layout, &loaded) {
                None => return Ok((loaded, PolicyOrigin::Files)),
                Some(file) => {
                    let how = match file.exists() {
                        true => "is empty, and was not when it was applied",
                        false => "does not exist",
                    };
                    let message = format!("{}: {how}", file.display());
                    Failure::new(Exit::BadConfiguration, message)
                }
            },
            Err(broken) => broken,
        };
        match last_good::last_good(&self.layout) {
            Ok(Some(kept)) => Ok((kept, why(&broken))),
            Ok(None) => Err(broken
                .context("THE HOST IS UNPROTECTED: the policy files do not load, and no policy that was in force is kept")
                .help("correct the files (`guardctl check`), then `guardctl enable`")),
            Err(failure) => Err(failure
                .context("THE HOST IS UNPROTECTED: neither the policy files nor the copy of the last policy load")
                .help("correct the files (`guardctl check`), then `guardctl enable`")),
        }
    }
}

fn why(broken: &Failure) -> PolicyOrigin {
    PolicyOrigin::LastGood {
        why: broken.message.clone(),
    }
}

/// What could not be attached to, and what is not there.
fn unprotected(
    names: &[String],
    failed: Vec<(String, Failure)>,
    network: &Network,
) -> Vec<(String, String)> {
    let failed = failed.into_iter();
    let mut unprotected: Vec<_> = failed.map(|(name, why)| (name, why.message)).collect();
    let gone = names
        .iter()
        .filter(|name| network.interface(name).is_none());
    unprotected.extend(gone.map(|name| (name.clone(), NOT_YET.to_owned())));
    unprotected
}

/// Before the network is up there are no default routes: then what was protected last.
fn meant(loaded: &Loaded, before: &Applied) -> Vec<String> {
    if loaded.policy.interfaces.is_empty() {
        before.interfaces.clone()
    } else {
        loaded.policy.interfaces.clone()
    }
}

fn with_default_routes(loaded: &Loaded, mut names: Vec<String>, network: &Network) -> Vec<String> {
    if !loaded.policy.interfaces.is_empty() {
        return names;
    }
    for name in network.default_interfaces() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

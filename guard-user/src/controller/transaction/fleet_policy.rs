//! A policy that somebody signed for this host's group, whom root named: checked like one that an operator applies, in
//! force with a deadline, and kept only when this host has proven that it can still be reached.

use std::{path::Path, time::Duration};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::lockout::{AtRisk, Ways};
use crate::{
    control::fleet::{MOST_REASON, PolicyState, PolicyStep},
    controller::{
        Confirm, Consent, Controller, Lock, Pending,
        state::{
            fleet_policy::TakenPolicy,
            history::{self, ChangeOutcome},
            journal::ChangeJournal,
        },
    },
    dataplane::pins,
    failure::{Exit, Failure},
    fleet::{
        bundle::{self, Bundle},
        settings::NatsSettings,
    },
    host::sessions,
    ruleset::compile::Image,
    text::value::printable,
};

/// Longest explanation that is kept and published.
const MOST_WHY: usize = 4 * MOST_REASON;

impl Controller {
    /// How it is with the policy of the fleet; `None` when this host takes none.
    ///
    /// # Errors
    /// When what is known of it cannot be read.
    pub fn fleet_policy(&self, settings: &NatsSettings) -> Result<Option<PolicyState>, Failure> {
        let Some(signer) = &settings.policy_key else {
            return Ok(None);
        };
        let taken = self.settled(TakenPolicy::read(&self.layout, signer)?)?;
        Ok(Some(taken.state()))
    }

    /// Puts a sealed policy in force, when it is this host's turn; asked again, it says what came of it.
    ///
    /// # Errors
    /// Exit 7 for one that is not signed by whom root named, not of this group, or older than what was taken.
    pub fn take_fleet_policy(
        &self,
        settings: &NatsSettings,
        sealed: &str,
    ) -> Result<PolicyState, Failure> {
        let refused =
            |why: String| Failure::new(Exit::Refused, format!("policy of the fleet: {why}"));
        let Some(signer) = &settings.policy_key else {
            return Err(refused("this host takes none".to_owned())
                .help("`guardctl fleet policy accept KEY`"));
        };
        let member = settings.member().map_err(|bad| refused(bad.to_string()))?;
        let key = bundle::signer(signer).map_err(|bad| refused(bad.to_string()))?;
        let bundle = Bundle::open(sealed, &key).map_err(|fault| refused(fault.to_string()))?;
        if bundle.group != member.group() {
            return Err(refused(format!("it is for group {:?}", bundle.group)));
        }
        let taken = self.settled(TakenPolicy::read(&self.layout, signer)?)?;
        if bundle.generation < taken.generation {
            return Err(refused(format!(
                "generation {} is older than {}, which this host has had",
                bundle.generation, taken.generation
            )));
        }
        let is_new = bundle.generation > taken.generation;
        if !is_new && taken.step != PolicyStep::Waiting {
            return Ok(taken.state());
        }
        if !bundle.is_released_to(&member) {
            return Ok(PolicyState {
                generation: bundle.generation,
                step: PolicyStep::Waiting,
                why: "not released to this host yet".to_owned(),
            });
        }
        self.apply_bundle(signer, &bundle)
    }

    fn apply_bundle(&self, signer: &str, bundle: &Bundle) -> Result<PolicyState, Failure> {
        let mut taken = TakenPolicy {
            signer: signer.to_owned(),
            generation: bundle.generation,
            digest: digest(bundle.policy.as_bytes()),
            step: PolicyStep::Pending,
            why: String::new(),
        };
        let running = pins::open(&self.layout)?;
        let main = std::fs::read(self.source().main_file()).unwrap_or_default();
        if digest(&main) == taken.digest
            && let Some(running) = &running
            && self.pending()?.is_none()
            && self.refuse_unapplied_files(running).is_ok()
        {
            taken.step = PolicyStep::Confirmed;
            "it was in force already".clone_into(&mut taken.why);
            taken.write(&self.layout)?;
            return Ok(taken.state());
        }
        // Before anything changes: what is killed on the way is not tried again, but reported.
        taken.write(&self.layout)?;
        let command = command(bundle.generation);
        let file = Path::new(&command);
        let confirm = match running {
            Some(_) => Confirm::Within(Duration::from_secs(u64::from(bundle.confirm_s))),
            None => Confirm::NotNeeded,
        };
        let consent = Consent {
            force: false,
            dry_run: false,
            confirm,
        };
        let own = self.clone().for_command(command.clone());
        match own.apply_text(file, || Ok(bundle.policy.clone()), consent) {
            Ok(changed) if changed.pending.is_some() => {}
            Ok(_) => {
                taken.step = PolicyStep::Confirmed;
                "guard is off on this host".clone_into(&mut taken.why);
            }
            // An operator's change comes first; afterwards it is tried again.
            Err(failure) if failure.exit == Exit::Pending => {
                taken.step = PolicyStep::Waiting;
                taken.why = printable(&failure.in_brackets(), MOST_WHY);
            }
            Err(failure) => {
                taken.step = PolicyStep::Failed;
                taken.why = printable(&failure.in_brackets(), MOST_WHY);
            }
        }
        taken.write(&self.layout)?;
        Ok(taken.state())
    }

    /// Keeps it, for this host has reached its server over a new connection since: unless an operator who is logged in
    /// could not log in again.
    ///
    /// # Errors
    /// Exit 6 when that policy is not pending.
    pub fn prove_fleet_policy(
        &self,
        settings: &NatsSettings,
        generation: u64,
    ) -> Result<PolicyState, Failure> {
        let signer = settings.policy_key.clone().unwrap_or_default();
        let mut taken = self.settled(TakenPolicy::read(&self.layout, &signer)?)?;
        if taken.generation != generation || taken.step != PolicyStep::Pending {
            let what = format!("policy {generation} of the fleet is not pending");
            return Err(Failure::new(Exit::NotFound, what));
        }
        let kept = self
            .operators_can_log_in()
            .and_then(|()| self.confirm_command(Some(&command(generation)), Consent::default()));
        match kept {
            Ok(_) => taken.step = PolicyStep::Confirmed,
            Err(failure) => {
                taken.step = PolicyStep::Failed;
                taken.why = printable(&failure.in_brackets(), MOST_WHY);
                // At once; what cannot be taken back now returns by itself when its time is over.
                self.take_back(generation).ok();
            }
        }
        taken.write(&self.layout)?;
        Ok(taken.state())
    }

    /// The policy from before, if this one still waits.
    fn take_back(&self, generation: u64) -> Result<(), Failure> {
        let _lock = Lock::acquire(&self.layout)?;
        self.recover()?;
        let Some(running) = pins::open(&self.layout)? else {
            return Ok(());
        };
        if Pending::of(&running.slots).is_none() || !self.is_of_policy(generation) {
            return Ok(());
        }
        history::conclude(&self.layout, ChangeOutcome::RolledBack).ok();
        self.return_to_previous(&running)?;
        self.forget(ChangeOutcome::RolledBack)
    }

    /// Is the change under way that of this policy?
    fn is_of_policy(&self, generation: u64) -> bool {
        let command = command(generation);
        ChangeJournal::read(&self.layout).is_some_and(|journal| journal.command == command)
    }

    /// Could everybody who is logged in now do so under the policy in force, who could under the one before?
    fn operators_can_log_in(&self) -> Result<(), Failure> {
        let Some(running) = pins::open(&self.layout)? else {
            return Ok(());
        };
        let network = self.network()?;
        let interfaces = match self.words_in_force(&running) {
            Some(applied) => applied.interfaces,
            None => self.linked_interfaces()?,
        };
        let ways = Ways::of(&sessions::operators(), &network, &interfaces);
        let image = |words| Image { words };
        let switch = running.slots.switch();
        let now = image(running.slots.active_image());
        let before = image(running.slots.image_in(switch.previous()));
        AtRisk::under(&now, &ways)
            .beyond(&AtRisk::under(&before, &ways))
            .refuse()
    }

    /// What time has made of one that was pending.
    fn settled(&self, mut taken: TakenPolicy) -> Result<TakenPolicy, Failure> {
        if taken.step != PolicyStep::Pending {
            return Ok(taken);
        }
        if self.pending()?.is_some() && self.is_of_policy(taken.generation) {
            return Ok(taken);
        }
        let main = std::fs::read(self.source().main_file()).unwrap_or_default();
        if digest(&main) == taken.digest {
            taken.step = PolicyStep::Confirmed;
            "by an operator".clone_into(&mut taken.why);
        } else {
            taken.step = PolicyStep::Failed;
            "not confirmed in time: the policy from before is in force again"
                .clone_into(&mut taken.why);
        }
        taken.write(&self.layout)?;
        Ok(taken)
    }
}

/// What the history calls it.
fn command(generation: u64) -> String {
    format!("fleet policy {generation}")
}

fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

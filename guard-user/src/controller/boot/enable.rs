//! Turning guard on and off.

use crate::{
    controller::{
        Applied, AtRisk, Consent, Controller, Lock, Pending, edit_failure,
        query::floods::COOKIES_ARE_OFF,
        state::{
            absence,
            devices::forget_interfaces,
            ends,
            history::ChangeOutcome,
            last_good,
            policy_files::{FileChange, remove},
        },
        transaction::{
            activate::{Activation, image},
            later_risk::LaterRisk,
            lockout::Ways,
            targets,
        },
    },
    dataplane::{
        bpffs, installation,
        interface::detach::prove_gone,
        pins, preflight,
        removal::{self, TakenOff},
        takeover::Change as LinkChange,
    },
    failure::{Exit, Failure},
    host::{sessions, syn_cookies},
    ruleset::{
        compile::{Image, Stamp},
        describe,
        edit::{self, Change},
        model::{DefaultAction, ModeChoice, Policy},
        source::{Loaded, Source},
    },
    text::Overlay,
};

/// What a policy file says before anybody wrote one.
const TEMPLATE: &str = "\
#:schema file:///usr/share/guard/guard.schema.json
# guard's policy. `guardctl allow`, `deny` and `delete` edit this file and keep its comments;
# after editing it by hand: `guardctl check`, then `guardctl reload`.
#
# Rules are tried in order, the first match decides, the default takes the rest.
#
# [[rule]]
# action = \"allow\"
# port = 22
# proto = \"tcp\"
# from = \"198.51.100.10\"
# comment = \"ssh from the office\"

default = \"deny\"
";

/// What `enable` is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enabling {
    /// Interfaces to protect, saved in the policy; none = those of the policy, else those with
    /// default routes.
    pub interfaces: Vec<String>,
    /// Where the program shall run on them, saved in the policy; `None` = as the policy says.
    pub mode: Option<ModeChoice>,
    /// What kind of policy it shall be.
    pub preset: Preset,
    /// The text of guard.toml, in the place of what is there.
    pub policy: Option<String>,
}

/// What kind of policy `enable` puts in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// As the files say.
    #[default]
    Files,
    /// Drop nothing and count what would be dropped; saved in the policy.
    Monitor,
    /// No open port at all: the host is reached through connections that it opens itself.
    NoIngress,
}

const NOBODY_CAN_LOG_IN: &str = "no rule allows anything: NOBODY CAN LOG IN, and no port is open. Allow \
     your SSH (`guardctl allow 22/tcp`), or add --no-ingress if that is what you want";

/// What `enable` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enabled {
    /// What happened to each interface.
    pub changes: Vec<LinkChange>,
    /// Generation in force.
    pub generation: u32,
    /// Number of rules.
    pub rules: usize,
    /// `deny`, `allow` or `monitor`.
    pub default: &'static str,
    /// What the operator should look at.
    pub warnings: Vec<String>,
    /// Nothing was done, this is what would be.
    pub dry_run: bool,
    /// Was guard active before?
    pub was_active: bool,
    /// Interfaces that are (or would be) protected.
    pub interfaces: Vec<String>,
    /// What must be confirmed to stay.
    pub pending: Option<Pending>,
}

/// What `disable` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// Was guard active before?
    pub was_active: bool,
}

impl Controller {
    /// Attaches guard with the policy on disk. `consent_to_cut` is asked when an operator could not
    /// log in again.
    ///
    /// # Errors
    /// Exit 4 without capabilities, 5 for a wrong policy or one that opens what `--no-ingress` shall
    /// close, 6 for an unknown interface, 7 when an operator could not log in again, 9 when the kernel
    /// cannot, 10 for a foreign program, 11 for another version's pins, 13 without a BPF file system,
    /// 14 while a change is pending. Nothing has changed then.
    pub fn enable(
        &self,
        wanted: &Enabling,
        consent: Consent,
        consent_to_cut: impl FnOnce(&AtRisk) -> Result<(), Failure>,
    ) -> Result<Enabled, Failure> {
        preflight::may_load()?;
        let _lock = self.begin(consent)?;
        let (loaded, changes) = self.with_settings(wanted)?;
        if wanted.preset == Preset::NoIngress {
            refuse_ingress(&loaded.policy)?;
        }
        let network = self.network()?;
        let running = pins::open(&self.layout)?;
        let interfaces = self.interfaces(&loaded.policy, &network)?;
        let targets = preflight::interfaces(&self.layout, &network, &interfaces)?;
        let before = running.as_ref().map(|running| running.slots.switch());
        if let Some(running) = &running
            && consent.confirm.limit().is_some()
        {
            self.refuse_other_interfaces(running, &interfaces)?;
        }
        let generation = running
            .as_ref()
            .map_or(1, |running| running.slots.next_generation());
        let moments = self.moments();
        let image = image(
            &loaded.policy,
            &network,
            Stamp {
                generation,
                digest: loaded.digest,
            },
            &moments,
        )?;
        let mut warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        if !consent.force {
            let operators = sessions::operators();
            let ways = Ways::of(&operators, &network, &interfaces);
            let at_risk = AtRisk::under(&image, &ways);
            if !at_risk.is_empty() {
                consent_to_cut(&at_risk)?;
            }
            let in_force = running
                .as_ref()
                .filter(|running| running.slots.generation() != 0);
            let in_force = in_force.map(|running| Image {
                words: running.slots.active_image(),
            });
            let later = LaterRisk::of(&image, in_force.as_ref(), &ways);
            warnings.extend(later.check(&loaded.policy, &moments)?);
        }
        if wanted.preset != Preset::NoIngress && opens_nothing(&loaded.policy) {
            warnings.push(NOBODY_CAN_LOG_IN.to_owned());
        }
        if syn_cookies::are_off() {
            warnings.push(COOKIES_ARE_OFF.to_owned());
        }
        let mut enabled = Enabled {
            changes: Vec::new(),
            generation,
            rules: loaded.policy.rules.len(),
            default: crate::controller::state::applied::default_word(loaded.policy.default),
            warnings,
            dry_run: consent.dry_run,
            was_active: before.is_some(),
            interfaces: interfaces.clone(),
            pending: None,
        };
        if consent.dry_run {
            return Ok(enabled);
        }
        ends::keep(&self.layout, &loaded.policy, &moments)?;
        self.names.save(&loaded.host_names)?;
        let activation = Activation {
            loaded: &loaded,
            changes: FileChange::all(&changes)?,
            applied: Applied::new(&loaded.policy, generation, interfaces.clone()),
            before,
            limit: consent.confirm.limit(),
        };
        let kernel = |term| {
            bpffs::prepare(&self.layout)?;
            let modes = self.modes_now(&loaded.policy.modes, &network)?;
            let targets = targets::afresh(&targets, &modes);
            installation::install(&self.layout, &image, &targets, &network, term)
        };
        let (changes, pending) = self.carry_out(activation, kernel, &mut enabled.warnings)?;
        let remembered = self.remember_devices(&loaded.policy, &interfaces, &network);
        enabled
            .warnings
            .extend(remembered.err().map(|failure| failure.message));
        if before.is_none() {
            let banned = self.restore_bans(&mut enabled.warnings);
            enabled
                .warnings
                .extend(banned.err().map(|failure| failure.message));
        }
        let attached: Vec<String> = changes
            .iter()
            .filter_map(|change| match change {
                LinkChange::Attached(attached) => Some(attached.interface.clone()),
                LinkChange::Replaced(_) | LinkChange::Detached(_) => None,
            })
            .collect();
        match self.prove_filtering(&attached) {
            Ok(warnings) => enabled.warnings.extend(warnings),
            Err(failure) => enabled.warnings.push(failure.message),
        }
        absence::forget(&self.layout);
        let exposures = self
            .network()
            .and_then(|network| self.unwanted_exposures(&network, &loaded.policy.unguarded));
        if let Ok(exposures) = exposures {
            let texts = exposures.iter().map(|exposure| {
                format!(
                    "{exposure} (`guardctl enable --iface {}` guards it, if it carries Ethernet frames; `unguarded` in guard.toml \
                     accepts it)",
                    exposure.interface
                )
            });
            enabled.warnings.extend(texts);
        }
        enabled.changes = changes;
        enabled.pending = pending;
        Ok(enabled)
    }

    /// Takes guard off every interface and forgets its state in the kernel, also what another version of
    /// guard left there. The policy stays.
    ///
    /// # Errors
    /// When a pin cannot be removed, or a driver keeps the program.
    pub fn disable(&self, consent: Consent) -> Result<Disabled, Failure> {
        preflight::may_detach()?;
        let lock = Lock::unless_dry_run(&self.layout, consent)?;
        if lock.is_some() {
            // What is wrong with the pins must not keep them in place.
            self.recover().ok();
        }
        let was_active = !pins::versions(&self.layout)?.is_empty();
        let mut taken_off = TakenOff::new();
        if was_active && !consent.dry_run {
            taken_off = removal::remove(&self.layout)?;
            forget_interfaces(&self.layout)?;
            self.forget(ChangeOutcome::RolledBack)?;
            remove(&self.layout.applied())?;
        }
        if !consent.dry_run {
            last_good::mark_disabled(&self.layout)?;
            absence::forget(&self.layout);
        }
        drop(lock);
        prove_gone(&taken_off)?;
        Ok(Disabled { was_active })
    }

    /// The policy with what the command says saved in it, and the file texts that say so.
    fn with_settings(&self, wanted: &Enabling) -> Result<(Loaded, Vec<Change>), Failure> {
        let mut source = self.source();
        let main = source.main_file();
        let mut changes = Vec::new();
        let text = wanted.policy.as_deref();
        if let Some(text) = text.or((!main.exists()).then_some(TEMPLATE)) {
            changes.push(Change {
                path: main,
                text: text.to_owned(),
            });
            source = over(&source, &changes);
        }
        let mut loaded = source
            .load()
            .map_err(crate::controller::bad_configuration)?;
        let mut set = |outcome: Result<edit::EditOutcome, edit::EditError>| match outcome
            .map_err(|error| edit_failure(&error))?
        {
            edit::EditOutcome::Edited(edited) => {
                let edited = *edited;
                changes.retain(|change| edited.changes.iter().all(|new| new.path != change.path));
                changes.extend(edited.changes);
                Ok(Some((edited.loaded, over(&self.source(), &changes))))
            }
            edit::EditOutcome::Unchanged | edit::EditOutcome::Covered { .. } => Ok(None),
        };
        if !wanted.interfaces.is_empty() {
            let outcome = edit::set_interfaces(&source, &loaded, &wanted.interfaces);
            if let Some(after) = set(outcome)? {
                (loaded, source) = after;
            }
        }
        if let Some(mode) = wanted.mode {
            let names = self.interfaces(&loaded.policy, &self.network()?)?;
            let mut modes = loaded.policy.modes.clone();
            for name in names {
                match mode {
                    ModeChoice::Auto => modes.remove(&name),
                    ModeChoice::Native | ModeChoice::Generic => modes.insert(name, mode),
                };
            }
            let outcome = edit::set_modes(&source, &loaded, &modes);
            if let Some(after) = set(outcome)? {
                (loaded, source) = after;
            }
        }
        if wanted.preset == Preset::Monitor {
            let outcome = edit::set_default(&source, &loaded, DefaultAction::Monitor);
            if let Some(after) = set(outcome)? {
                (loaded, _) = after;
            }
        }
        Ok((loaded, changes))
    }
}

/// The source with these texts in place of the files.
fn over<'n>(source: &Source<'n>, changes: &[Change]) -> Source<'n> {
    let mut overlay = Overlay::default();
    for change in changes {
        overlay.insert(change.path.clone(), change.text.clone());
    }
    source.clone().with_overlay(overlay)
}

/// Does the policy let nobody in?
fn opens_nothing(policy: &Policy) -> bool {
    policy.default == DefaultAction::Deny
        && !policy.enabled_rules().any(|rule| rule.action.allows())
}

/// `--no-ingress` means it.
fn refuse_ingress(policy: &Policy) -> Result<(), Failure> {
    if opens_nothing(policy) {
        return Ok(());
    }
    let rules: Vec<String> = policy
        .rules
        .iter()
        .zip(1..)
        .filter(|(rule, _)| rule.is_enabled && rule.action.allows())
        .map(|(rule, number)| format!("rule {number} ({})", describe::command(rule)))
        .collect();
    let (what, help) = match rules.as_slice() {
        [] => (
            format!(
                "the default is {}",
                crate::controller::state::applied::default_word(policy.default)
            ),
            "`guardctl default deny` first, or `guardctl enable` without --no-ingress",
        ),
        rules => (
            rules.join(", "),
            "`guardctl delete NUMBER` first, or `guardctl enable` without --no-ingress",
        ),
    };
    Err(Failure::new(
        Exit::BadConfiguration,
        format!("--no-ingress means no open port at all, and the policy opens some: {what}"),
    )
    .help(help))
}

//! The bans that fail2ban's jails have running, as bans of the same jails here.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use super::super::args::Global;
use crate::{
    bans::{BanTarget, BanTerm, store::BanOrigin},
    controller::{Confirm, Consent, Controller, List},
    failure::Failure,
    jails::import::{Import, plain_name, running_bans},
};

/// What became of them.
#[derive(Debug, Default)]
pub(super) struct CarriedBans {
    pub(super) number: u64,
    pub(super) warnings: Vec<String>,
}

/// Bans whom the jails that were carried over have banned, for the time that is left.
///
/// # Errors
/// The store of bans cannot be written.
pub(super) fn carry(
    controller: &Controller,
    global: &Global,
    from: &Path,
    done: &Import,
) -> Result<CarriedBans, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = since.map_or(0, |since| since.as_secs());
    let mut carried = CarriedBans::default();
    let found = match running_bans(from, i64::try_from(now).unwrap_or(i64::MAX)) {
        Ok(found) => found,
        Err(why) => {
            let help =
                "while it runs, `fail2ban-client banned` shows them, and `guardctl ban` takes them";
            carried.warnings.push(format!(
                "running bans are not carried over: {why}\n  help: {help}"
            ));
            return Ok(carried);
        }
    };
    let mut by_jail: BTreeMap<String, Vec<(BanTarget, BanTerm)>> = BTreeMap::new();
    for ban in found {
        let jail = plain_name(&ban.jail);
        let Ok(target) = BanTarget::parse(&ban.source.to_string()) else {
            continue;
        };
        if done.jails.contains(&jail) {
            by_jail.entry(jail).or_default().push((target, ban.left));
        }
    }
    for (jail, sources) in by_jail {
        let consent = Consent {
            force: global.force,
            dry_run: global.dry_run,
            confirm: Confirm::default(),
        };
        let list = List {
            origin: &BanOrigin::Jail(jail.clone()),
            term: None,
            reason: "by fail2ban",
        };
        let done = controller.import_sources(list, sources, consent)?;
        carried.number += done.new + done.longer;
        let refused = done.lines.wrong.iter();
        carried.warnings.extend(refused.map(|wrong| {
            format!(
                "a ban of the jail {jail} is not carried over: {}",
                wrong.message
            )
        }));
    }
    Ok(carried)
}

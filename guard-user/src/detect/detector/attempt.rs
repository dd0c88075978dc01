//! A failure that an operator reports.

use super::Detector;
use crate::{
    detect::{Attempted, Observer},
    failure::{Exit, Failure},
    jails::FailureVerdict,
};

impl<L: Observer> Detector<L> {
    pub(super) fn attempt(
        &mut self,
        name: &str,
        source: std::net::IpAddr,
    ) -> Result<Attempted, Failure> {
        let now_ms = self.clock.steady_ms();
        let mut asked = Vec::new();
        let mut jails = self.running.iter_mut();
        let Some(jail) = jails.find(|running| running.jail.settings().name == name) else {
            return Err(
                Failure::new(Exit::NotFound, format!("no jail {name} is running"))
                    .help("`guardctl jail list` shows those that are"),
            );
        };
        let enough = jail.jail.settings().max_retry;
        let verdict = jail.failed(source, now_ms, &mut self.past, &mut asked);
        let refused = jail.refused;
        self.carry_out(asked);
        let mut jails = self.running.iter();
        let was_refused = jails
            .find(|running| running.jail.settings().name == name)
            .is_some_and(|running| running.refused > refused);
        let (is_banned, message) = match verdict {
            FailureVerdict::Ban(_) if self.problems.contains_key("bans") => {
                return Err(Failure::new(Exit::Failed, self.problems["bans"].clone()));
            }
            FailureVerdict::Ban(ban) if was_refused => {
                let message = format!("{} is protected, and not banned", ban.prefix);
                return Err(Failure::new(Exit::Refused, message));
            }
            FailureVerdict::Ban(ban) => {
                (true, format!("{} is banned for {}", ban.prefix, ban.term))
            }
            FailureVerdict::Counted(count) => {
                (false, format!("{source} has {count} of {enough} failures"))
            }
            FailureVerdict::Banned => (true, format!("{source} is banned already")),
            FailureVerdict::Spared => (
                false,
                format!("{source} is spared (ignoreip or ignoreself)"),
            ),
            FailureVerdict::Old | FailureVerdict::Named | FailureVerdict::TooWide => {
                (false, format!("{source} was not counted"))
            }
        };
        Ok(Attempted { is_banned, message })
    }
}

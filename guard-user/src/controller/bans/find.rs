//! Which bans a text means, and what to say when there are none.

use super::session::Session;
use crate::{
    bans::{BanTarget, Complaint, Prefix, store::BanOrigin},
    failure::{Exit, Failure},
};

/// What a text means that is to be lifted.
pub(super) struct Lifted {
    pub(super) prefix: Prefix,
    pub(super) origins: Vec<BanOrigin>,
    /// What keeps it shut out all the same.
    pub(super) warning: Option<String>,
}

impl Session {
    /// The bans that a text means, of the origins that are meant.
    pub(super) fn find(
        &self,
        text: &str,
        is_meant: &dyn Fn(&BanOrigin) -> bool,
    ) -> Result<Lifted, Failure> {
        let target = BanTarget::parse(text).map_err(Complaint::failure)?;
        // An address may have been banned as its /64, or, where that is protected, alone.
        let alone = target.address.map(Prefix::single);
        let candidates = [Some(target.prefix), alone];
        let found = self.store.change(&self.now, |change| {
            for prefix in candidates.into_iter().flatten() {
                let (meant, others): (Vec<BanOrigin>, Vec<BanOrigin>) = change
                    .origins_of(prefix)?
                    .into_iter()
                    .partition(|origin| is_meant(origin));
                if !meant.is_empty() {
                    let by = others.into_iter().next();
                    let others = change.around(prefix)?.into_iter();
                    let around = others.map(|(other, _)| other);
                    let mut outer = around.filter(|other| other.covers(prefix) && *other != prefix);
                    return Ok(Some((prefix, meant, outer.next_back(), by)));
                }
            }
            Ok(None)
        })?;
        let Some((prefix, origins, outer, by)) = found else {
            return Err(self.not_banned(&target, text)?);
        };
        let warning = match (by, outer) {
            (Some(by), _) => Some(format!("{prefix} stays banned by the {by}")),
            (None, Some(outer)) => Some(format!("{prefix} stays banned: {outer} is")),
            (None, None) => None,
        };
        Ok(Lifted {
            prefix,
            origins,
            warning,
        })
    }

    /// Says what there is instead.
    fn not_banned(&self, target: &BanTarget, text: &str) -> Result<Failure, Failure> {
        let mut outer = None;
        self.store.each(&self.now, |record| {
            if record.prefix.covers(target.prefix) {
                outer = Some(record);
            }
            true
        })?;
        let failure = Failure::new(Exit::NotFound, format!("{text} is not banned"));
        Ok(match outer {
            None => failure.help("`guardctl bans list` shows what is"),
            Some(record) => match record.origin {
                BanOrigin::Operator
                | BanOrigin::Jail(_)
                | BanOrigin::Fleet(_)
                | BanOrigin::Crowdsec
                | BanOrigin::Limit => failure.help(format!(
                    "{} is, and contains it: `guardctl unban {}`",
                    record.prefix, record.prefix
                )),
                BanOrigin::Feed(name) => failure.help(format!(
                    "feed {name} names {}: take it out of its file, or `guardctl never add {text}`",
                    record.prefix
                )),
            },
        })
    }
}

//! A look at the bans for whoever looks again and again: it waits for no lock, and keeps nobody from banning.

use crate::{
    bans::{
        Prefix,
        store::{BanRow, Ends, Now, peek_ends},
    },
    controller::Controller,
    failure::{Failure, from_io},
};

/// What a look at the store found.
#[derive(Clone, Debug)]
pub struct BanPeek {
    /// How many bans there are; some may be over and not yet swept.
    pub number: u64,
    /// Those that end first, the next one first; permanent ones last.
    pub soonest: Vec<BanRow>,
    /// Those of the sources that were asked about.
    pub of_sources: Vec<BanRow>,
    /// There were too many to look at all of them.
    pub is_partial: bool,
    /// The time by which that is so.
    pub now: Now,
}

impl Controller {
    /// How many bans there are, the `most` that end first, and those of these sources. `None` when the store is being
    /// changed, or cannot be read: what was so a moment ago is all there is to say.
    ///
    /// # Errors
    /// When there is no clock.
    pub fn peek_bans(&self, most: usize, sources: &[Prefix]) -> Result<Option<BanPeek>, Failure> {
        let now = Now::read().map_err(|error| from_io("cannot read the clock", &error))?;
        let path = self.layout.bans();
        let nothing = || Ends {
            number: 0,
            soonest: Vec::new(),
            of_sources: Vec::new(),
            is_partial: false,
        };
        let is_there = path.symlink_metadata().is_ok();
        let ends = if is_there {
            peek_ends(&path, &now, most, sources)
        } else {
            Some(nothing())
        };
        Ok(ends.map(|ends| {
            let Ends {
                number,
                soonest,
                of_sources,
                is_partial,
            } = ends;
            BanPeek {
                number,
                soonest,
                of_sources,
                is_partial,
                now,
            }
        }))
    }
}

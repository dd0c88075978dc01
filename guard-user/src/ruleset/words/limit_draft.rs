//! The words of a limit: `rate`, `packets`, `burst` and `block`.

use super::{Read, fail, refused};
use crate::ruleset::{
    limit::{self, Block, Counts, Limit, Rate},
    model::Traffic,
};

/// What was said so far, each with the place of its keyword.
#[derive(Default)]
pub(super) struct LimitDraft {
    rate: Option<(usize, Rate)>,
    counts: Counts,
    burst: Option<(usize, u32)>,
    block: Option<(usize, Block)>,
}

impl LimitDraft {
    /// What stands behind a keyword of a limit.
    pub(super) fn expected(keyword: &str) -> &'static str {
        match keyword {
            "rate" => "connections per time, e.g. 20/s",
            "packets" => "packets per time, e.g. 300/s",
            "burst" => "a number of connections, e.g. 10",
            _ => "a length of time, e.g. 60s",
        }
    }

    /// Takes a keyword of a limit and what stands behind it, with their places.
    pub(super) fn set(
        &mut self,
        keyword: &str,
        (at, value): (usize, usize),
        text: &str,
    ) -> Read<()> {
        let twice = || Err(fail(at, refused::twice(keyword)));
        let is_new = match keyword {
            "burst" => {
                let burst = limit::burst(text).map_err(|bad| fail(value, bad))?;
                self.burst.replace((at, burst)).is_none()
            }
            "block" => {
                let block = Block::parse(text).map_err(|bad| fail(value, bad))?;
                self.block.replace((at, block)).is_none()
            }
            _ => {
                let rate = Rate::parse(text).map_err(|bad| fail(value, bad))?;
                let counts = if keyword == "packets" {
                    Counts::Packets
                } else {
                    Counts::Connections
                };
                let before = std::mem::replace(&mut self.counts, counts);
                let is_new = self.rate.replace((at, rate)).is_none();
                if !is_new && before != counts {
                    return Err(fail(at, refused::rate_and_packets()));
                }
                is_new
            }
        };
        if is_new { Ok(()) } else { twice() }
    }

    /// The place of what was said, if anything was.
    pub(super) fn first(&self) -> Option<usize> {
        let rate = self.rate.map(|(at, _)| at);
        let burst = self.burst.map(|(at, _)| at);
        rate.or(burst).or(self.block.map(|(at, _)| at))
    }

    /// The limit of rules about this traffic, which stands at a place; the line ends at another.
    pub(super) fn finish(&self, traffic: &[Traffic], traffic_at: usize, end: usize) -> Read<Limit> {
        for traffic in traffic {
            traffic
                .may_be_limited(self.counts)
                .map_err(|bad| fail(traffic_at, bad))?;
        }
        let at = self.burst.map(|(at, _)| at);
        let at = at.or(self.rate.map(|(at, _)| at)).unwrap_or(end);
        let limit = Limit::of(
            self.counts,
            self.rate.map(|(_, rate)| rate),
            self.burst.map(|(_, burst)| burst),
            self.block.map(|(_, block)| block),
        )
        .map_err(|bad| fail(at, bad))?;
        for traffic in traffic {
            let at = self.block.map_or(end, |(at, _)| at);
            traffic.may_block(limit).map_err(|bad| fail(at, bad))?;
        }
        Ok(limit)
    }
}

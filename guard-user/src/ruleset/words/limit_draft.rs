//! The words of a limit: `rate`, `packets`, `burst`, `block` and `on-excess`.

use super::{Parser, Read, fail, refused};
use crate::ruleset::{
    limit::{self, Block, Counts, Extras, Limit, Rate},
    model::Traffic,
    on_excess::ExcessBan,
};

/// What was said so far, each with the place of its keyword.
#[derive(Default)]
pub(super) struct LimitDraft {
    rate: Option<(usize, Rate)>,
    counts: Counts,
    burst: Option<(usize, u32)>,
    block: Option<(usize, Block)>,
    on_excess: Option<(usize, ExcessBan)>,
}

impl Parser<'_> {
    /// `on-excess "ban 60s"`; without the quotes it is two words.
    pub(super) fn on_excess(&mut self, at: usize) -> Read<()> {
        let (value, text) = self.value(at, LimitDraft::expected("on-excess"))?;
        let text = if text == "ban" {
            let (_, time) = self.value(value, "a length of time, e.g. 60s")?;
            format!("ban {time}")
        } else {
            text.to_owned()
        };
        self.draft.limit.set("on-excess", (at, value), &text)
    }
}

impl LimitDraft {
    /// What stands behind a keyword of a limit.
    pub(super) fn expected(keyword: &str) -> &'static str {
        match keyword {
            "rate" => "connections per time, e.g. 20/s",
            "packets" => "packets per time, e.g. 300/s",
            "burst" => "a number of connections, e.g. 10",
            "on-excess" => "what to do, e.g. \"ban 60s\"",
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
            "on-excess" => {
                let ban = ExcessBan::parse(text).map_err(|bad| fail(value, bad))?;
                self.on_excess.replace((at, ban)).is_none()
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
        let block = self.block.map(|(at, _)| at);
        let on_excess = self.on_excess.map(|(at, _)| at);
        rate.or(burst).or(block).or(on_excess)
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
            Extras {
                burst: self.burst.map(|(_, burst)| burst),
                block: self.block.map(|(_, block)| block),
                on_excess: self.on_excess.map(|(_, ban)| ban),
            },
        )
        .map_err(|bad| fail(at, bad))?;
        for traffic in traffic {
            let at = self.block.map_or(end, |(at, _)| at);
            traffic.may_block(limit).map_err(|bad| fail(at, bad))?;
            let at = self.on_excess.map_or(end, |(at, _)| at);
            traffic.may_ban(limit).map_err(|bad| fail(at, bad))?;
        }
        Ok(limit)
    }
}

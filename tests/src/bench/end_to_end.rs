//! The end-to-end rounds: every filter in an arena of its own, all arenas in turn, round after round.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::{
    arena::{Arena, FloodCost},
    client::Work,
    filters::{Filter, Installed},
    flood::{Kind, Pace},
    series::Series,
};

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds; in each, every filter meets every flood once.
    pub rounds: usize,
    /// Length of a flood at full speed.
    pub flood: Duration,
    /// Length of the client's work.
    pub work: Duration,
    /// Frames per second while the client works.
    pub rate: u32,
}

/// A filter in force. What is declared first is dropped first.
#[derive(Debug)]
pub struct Cell {
    _installed: Installed,
    arena: Arena,
    filter: Filter,
}

/// Floods at full speed against one filter, a value per round.
#[derive(Clone, Debug)]
pub struct Mitigation {
    /// The filter.
    pub filter: Filter,
    /// The flood.
    pub kind: Kind,
    /// Frames per second that it dealt with.
    pub per_second: Series,
    /// CPU nanoseconds per frame.
    pub cpu: Series,
    /// Share of the frames that reached TCP or UDP.
    pub leaked: Series,
}

/// The honest client's work behind one filter, a value per round.
#[derive(Clone, Debug)]
pub struct Service {
    /// The filter.
    pub filter: Filter,
    /// Requests per second without a flood.
    pub calm: Series,
    /// Requests per second during the flood.
    pub flooded: Series,
    /// 99th percentile without a flood, in milliseconds.
    pub calm_p99: Series,
    /// The same during the flood.
    pub flooded_p99: Series,
    /// Share of requests that were never answered during the flood.
    pub failed: Series,
    /// Frames of the flood per second.
    pub sent: Series,
    /// Share of them, and of the honest packets among them, that found the interface's queue full.
    pub lost: Series,
}

impl Cell {
    /// Makes the arena and puts the filter in force.
    ///
    /// # Errors
    /// When a tool or the kernel refuses it, or the honest client cannot get through.
    pub fn new(filter: Filter) -> Result<Self> {
        let arena = Arena::new()?;
        let installed = filter
            .install(&arena)
            .with_context(|| format!("cannot set up {}", filter.name()))?;
        let cell = Self {
            _installed: installed,
            arena,
            filter,
        };
        let work = cell.arena.serve(None, Duration::from_millis(50))?;
        ensure!(
            !work.work.answered.is_empty(),
            "{}: the honest client gets no answer",
            filter.name()
        );
        Ok(cell)
    }

    /// The filter.
    #[must_use]
    pub fn filter(&self) -> Filter {
        self.filter
    }

    fn flood(&self, kind: Kind, plan: &Plan) -> Result<FloodCost> {
        let spent = self.arena.flood(kind, Pace::Full, plan.flood)?;
        ensure!(
            spent.received > 0,
            "{}: nothing of the flood arrived",
            self.filter.name()
        );
        let share = spent.delivered as f64 / spent.received as f64;
        // Without a filter all must arrive, or they would not be frames that a server has to answer.
        let is_as_it_should = match self.filter {
            Filter::Nothing => share > 0.99,
            // The ceiling lets 2000 in at once, and a thousand in a second.
            Filter::GuardLimit => share < 0.05,
            // What the queue holds comes in, and the rest is answered.
            Filter::GuardCookies => share < 0.05,
            Filter::BareDrop
            | Filter::GuardNative
            | Filter::GuardGeneric
            | Filter::XdpFilter
            | Filter::NftIngress
            | Filter::IptablesRaw
            | Filter::NftInput
            | Filter::NftInputConntrack
            | Filter::Ufw => share < 0.001,
        };
        ensure!(
            is_as_it_should,
            "{}: {} of {} frames of the {} flood reached a socket's door",
            self.filter.name(),
            spent.delivered,
            spent.received,
            kind.name()
        );
        Ok(spent)
    }
}

/// Floods at full speed, all filters and kinds in turn.
///
/// # Errors
/// When a filter lets the flood in, or the generator fails.
pub fn mitigate(cells: &[&Cell], kinds: &[Kind], plan: &Plan) -> Result<Vec<Mitigation>> {
    let mut all: Vec<Mitigation> = Vec::new();
    for kind in kinds {
        for cell in cells {
            all.push(Mitigation {
                filter: cell.filter,
                kind: *kind,
                per_second: Series::default(),
                cpu: Series::default(),
                leaked: Series::default(),
            });
        }
    }
    for _ in 0..plan.rounds {
        let pairs = kinds
            .iter()
            .flat_map(|kind| cells.iter().map(move |cell| (*kind, *cell)));
        for (row, (kind, cell)) in all.iter_mut().zip(pairs) {
            let spent = cell.flood(kind, plan)?;
            let received = spent.received as f64;
            row.per_second.push(received / spent.took.as_secs_f64());
            row.cpu.push(spent.cpu.as_nanos() as f64 / received);
            row.leaked.push(spent.delivered as f64 / received);
        }
    }
    Ok(all)
}

/// The honest client without a flood and during one, all filters in turn.
///
/// # Errors
/// When the generator fails.
pub fn serve(cells: &[Cell], kind: Kind, plan: &Plan) -> Result<Vec<Service>> {
    let new = |cell: &Cell| Service {
        filter: cell.filter,
        calm: Series::default(),
        flooded: Series::default(),
        calm_p99: Series::default(),
        flooded_p99: Series::default(),
        failed: Series::default(),
        sent: Series::default(),
        lost: Series::default(),
    };
    let mut all: Vec<Service> = cells.iter().map(new).collect();
    for _ in 0..plan.rounds {
        for (row, cell) in all.iter_mut().zip(cells) {
            let calm = cell.arena.serve(None, plan.work)?.work;
            let flooded = cell.arena.serve(Some((kind, plan.rate)), plan.work)?;
            let per_second = |work: &Work| work.answered.len() as f64 / plan.work.as_secs_f64();
            let p99 = |work: &Work| work.percentile(0.99).as_secs_f64() * 1e3;
            row.calm.push(per_second(&calm));
            row.calm_p99.push(p99(&calm));
            row.flooded.push(per_second(&flooded.work));
            row.flooded_p99.push(p99(&flooded.work));
            let asked = flooded.work.answered.len() as u64 + flooded.work.failed;
            row.failed
                .push(flooded.work.failed as f64 / asked.max(1) as f64);
            let flood = flooded.flood;
            row.sent.push(flood.sent as f64 / flood.took.as_secs_f64());
            let lost = flood.sent.saturating_sub(flood.received);
            row.lost.push(lost as f64 / flood.sent.max(1) as f64);
        }
    }
    Ok(all)
}

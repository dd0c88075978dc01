//! What guard tells programs that collect figures: read once, and written as text in either form of Prometheus. No
//! address is in it, and no series that a stranger could make.

mod families;
mod text;

use std::time::{Duration, Instant};

use crate::{
    bans::{settings::Capacity, store::BanCounts},
    control::{JailsReport, fleet::FleetSummary},
    controller::{Controller, Notes, OriginCount, PortSample, ProgramFault, Traffic},
    failure::Failure,
};

pub use text::Form;

/// Between two looks at the store of bans, which is on the disk and may be large.
const BANS: Duration = Duration::from_secs(30);

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub struct MetricFacts {
    is_active: bool,
    generation: u32,
    pending: Option<Duration>,
    exposed: usize,
    interfaces: Vec<InterfaceFacts>,
    traffic: Option<Traffic>,
    ports: Vec<PortSample>,
    bans: Option<BanFacts>,
    daemon: Option<DaemonFacts>,
}

/// An interface that should be protected.
#[derive(Clone, Debug)]
struct InterfaceFacts {
    name: String,
    mode: Option<&'static str>,
    is_protected: bool,
}

/// What is banned.
#[derive(Clone, Debug)]
pub struct BanFacts {
    origins: Vec<OriginCount>,
    counts: BanCounts,
    capacity: Capacity,
}

/// What the daemon knows.
#[derive(Clone, Debug, Default)]
pub struct DaemonFacts {
    /// When it started, in seconds since 1970.
    pub since: u64,
    /// Its jails.
    pub jails: JailsReport,
    /// Reports of dropped packets that its log has lost.
    pub events_lost: u64,
    /// What other hosts ban.
    pub fleet: FleetSummary,
}

/// Reads the facts, again and again.
#[derive(Debug)]
pub struct MetricReader {
    controller: Controller,
    notes: Notes,
    bans: Option<(Instant, BanFacts)>,
}

impl MetricReader {
    /// Of this instance; `notes` says whether this is the one who keeps the list of ports.
    #[must_use]
    pub fn new(controller: Controller, notes: Notes) -> Self {
        Self {
            controller,
            notes,
            bans: None,
        }
    }

    /// Reads them.
    ///
    /// # Errors
    /// When pins or interfaces cannot be read. A store of bans that cannot be read is left out.
    pub fn read(&mut self, daemon: Option<DaemonFacts>) -> Result<MetricFacts, Failure> {
        let status = self.controller.status()?;
        let interfaces = status.interfaces.iter().map(|interface| InterfaceFacts {
            name: interface.name.clone(),
            mode: interface.mode.map(|mode| mode.label()),
            is_protected: interface.mode.is_some() && interface.fault != Some(ProgramFault::Blind),
        });
        let is_active = status.protection.is_in_force();
        let traffic = if is_active {
            Some(self.controller.traffic()?.read()?)
        } else {
            None
        };
        let ports = traffic
            .as_ref()
            .map(|traffic| self.controller.port_samples(traffic, self.notes));
        Ok(MetricFacts {
            is_active,
            generation: status.generation,
            pending: status.pending.map(|pending| pending.left),
            exposed: status.exposures.len(),
            interfaces: interfaces.collect(),
            ports: ports.unwrap_or_default(),
            traffic,
            bans: self.bans(),
            daemon,
        })
    }

    fn bans(&mut self) -> Option<BanFacts> {
        if let Some((at, facts)) = &self.bans
            && at.elapsed() < BANS
        {
            return Some(facts.clone());
        }
        let read = || -> Result<BanFacts, Failure> {
            Ok(BanFacts {
                origins: self.controller.bans_by_origin()?,
                counts: self.controller.ban_counts()?,
                capacity: self.controller.load()?.policy.bans.capacity,
            })
        };
        match read() {
            Ok(facts) => {
                self.bans = Some((Instant::now(), facts.clone()));
                Some(facts)
            }
            // A command has the store, or a file is being edited: what was so half a minute ago is better than a gap.
            Err(_) => self.bans.as_ref().map(|(_, facts)| facts.clone()),
        }
    }
}

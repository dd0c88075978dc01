//! The matrix of floods: every kind from every origin onto every target in both families, against guard and against
//! nftables with connection tracking: how much gets through, how much is sent back, and what a packet costs.
//!
//! Then the same floods beside honest clients ([`honest`]).

pub mod honest;
pub mod honest_table;
pub mod host;
pub mod kind;
pub mod table;
pub mod target;

use std::time::Duration;

use anyhow::Result;

use self::{
    host::{Accounts, FloodedHost, Subject},
    kind::{Family, Kind, Origin},
    target::Target,
};
use super::cpus;
use crate::require;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long each flood is.
    pub length: Duration,
    /// Which floods there are.
    pub extent: Extent,
}

/// Which floods there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of them.
    Full,
    /// A TCP and a UDP flood from random sources over IPv4, to see that it works.
    Sample,
}

/// A flood onto a target, against everything that is compared.
#[derive(Clone, Debug)]
pub struct Row {
    /// The address family.
    pub family: Family,
    /// What is flooded.
    pub target: Target,
    /// The kind of flood.
    pub kind: Kind,
    /// Where it seems to come from.
    pub origin: Origin,
    /// What it came to, by what stood in the way.
    pub cells: Vec<(Subject, Accounts)>,
}

/// The rows, and what could not be compared.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    /// Row by row.
    pub rows: Vec<Row>,
    /// What was left out because a program is not installed.
    pub missing: Vec<&'static str>,
}

/// How long honest clients work, at least, in each flood.
const CLIENTS_ASK: Duration = Duration::from_secs(3);

impl Plan {
    /// What honest clients do in each flood.
    #[must_use]
    pub fn work(&self) -> honest::Work {
        honest::Work {
            length: CLIENTS_ASK,
            download: match self.extent {
                Extent::Full => 100_000_000,
                Extent::Sample => 5_000_000,
            },
        }
    }
}

impl Extent {
    /// The kinds of floods from random sources.
    fn kinds(self) -> Vec<Kind> {
        let all = Kind::ALL.into_iter();
        all.filter(|kind| self.has(*kind, Origin::Random)).collect()
    }

    fn families(self) -> Vec<Family> {
        match self {
            Self::Full => Family::ALL.to_vec(),
            Self::Sample => vec![Family::V4],
        }
    }

    /// A sample is short: guard, which comes first, is enough.
    fn clients_subjects(self, all: &[Subject]) -> &[Subject] {
        match self {
            Self::Full => all,
            Self::Sample => &all[..1],
        }
    }

    fn looks_at_clients_of(self, target: Target) -> bool {
        self == Self::Full || target == Target::Host
    }

    fn has(self, kind: Kind, origin: Origin) -> bool {
        match self {
            Self::Full => true,
            Self::Sample => origin == Origin::Random && matches!(kind, Kind::Ack | Kind::Udp),
        }
    }
}

impl Row {
    /// What the flood came to against one of them.
    #[must_use]
    pub fn cell(&self, subject: Subject) -> Option<&Accounts> {
        let mut cells = self.cells.iter();
        let found = cells.find(|(of, _)| *of == subject);
        found.map(|(_, accounts)| accounts)
    }
}

impl Accounts {
    /// Share of what arrived that the filter let through.
    #[must_use]
    pub fn share_reached(&self) -> f64 {
        self.reached as f64 / self.received as f64
    }

    /// Packets sent back per packet that arrived.
    #[must_use]
    pub fn share_back(&self) -> f64 {
        self.back as f64 / self.received as f64
    }

    /// CPU nanoseconds per packet that arrived.
    #[must_use]
    pub fn cpu_ns(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.received as f64
    }
}

/// Runs it, and hands on the rows of each target and family as soon as they are there.
///
/// # Errors
/// When a tool or the kernel refuses a filter, nothing of a flood arrives, or `seen` fails.
///
/// # Panics
/// When the kernel refuses a part of the lab.
pub fn measure(plan: &Plan, mut seen: impl FnMut(&[Row]) -> Result<()>) -> Result<Matrix> {
    // What is started from here, guardctl and the flood, leaves the CPU that receives alone.
    cpus::pin(cpus::sender());
    let mut matrix = Matrix::default();
    let subjects = subjects(&mut matrix.missing);
    for family in plan.extent.families() {
        for target in Target::ALL {
            if !require::programs(target.programs()) {
                matrix.missing.push(target.name());
                continue;
            }
            let rows = of_target(plan, family, target, &subjects)?;
            seen(&rows)?;
            matrix.rows.extend(rows);
        }
    }
    Ok(matrix)
}

/// Guard, and what it is compared with.
fn subjects(missing: &mut Vec<&'static str>) -> Vec<Subject> {
    let mut subjects = vec![Subject::Guard];
    if require::programs(Subject::Nftables.programs()) {
        subjects.push(Subject::Nftables);
    } else {
        missing.push(Subject::Nftables.name());
    }
    subjects
}

/// What honest clients notice of the floods of open ports from random sources. Hands on the rows of each target and
/// family as soon as they are there.
///
/// # Errors
/// As [`measure`].
///
/// # Panics
/// As [`measure`].
pub fn clients(
    plan: &Plan,
    mut noticed: impl FnMut(&[honest::Row]) -> Result<()>,
) -> Result<Vec<honest::Row>> {
    cpus::pin(cpus::sender());
    let mut all = Vec::new();
    // Who is missing was said with the floods.
    let subjects = subjects(&mut Vec::new());
    let kinds = plan.extent.kinds();
    for family in plan.extent.families() {
        for target in [Target::Host, Target::Published] {
            if !require::programs(target.programs()) || !plan.extent.looks_at_clients_of(target) {
                continue;
            }
            let subjects = plan.extent.clients_subjects(&subjects);
            let rows = honest::measure(family, target, &kinds, subjects, plan.work())?;
            noticed(&rows)?;
            all.extend(rows);
        }
    }
    Ok(all)
}

/// The floods of one target, each against one filter after the other.
fn of_target(
    plan: &Plan,
    family: Family,
    target: Target,
    subjects: &[Subject],
) -> Result<Vec<Row>> {
    let mut subjects = subjects.to_vec();
    // A closed port is closed to every segment.
    if target != Target::Closed && subjects.contains(&Subject::Nftables) {
        subjects.push(Subject::NftablesStrict);
    }
    subjects.push(Subject::BareDrop);
    let hosts: Vec<FloodedHost> = subjects
        .iter()
        .map(|subject| FloodedHost::new(target, *subject))
        .collect::<Result<_>>()?;
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        for origin in Origin::ALL {
            if !kind.meets(target) || !plan.extent.has(kind, origin) {
                continue;
            }
            let mut cells = Vec::new();
            for host in &hosts {
                let is_asked_for = match host.subject() {
                    Subject::Guard | Subject::Nftables => true,
                    Subject::NftablesStrict => kind.is_out_of_state(),
                    Subject::BareDrop => origin == Origin::Random,
                };
                if !is_asked_for {
                    continue;
                }
                let counted = host.flood((family, kind, origin), plan.length)?;
                cells.push((host.subject(), counted));
            }
            rows.push(Row {
                family,
                target,
                kind,
                origin,
                cells,
            });
        }
    }
    Ok(rows)
}

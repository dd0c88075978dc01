//! The packet that costs most: a seeded search through shapes of packets, each measured by test runs, beside a
//! program that only drops.

pub mod scene;
pub mod shape;

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::Result;
use guard_common::{abi::reason::Reason, testing::random::Random};

use self::{
    scene::{Scene, Size},
    shape::Shape,
};
use super::series::Series;
use crate::{harness::MIN_FRAME, local_net::LocalNet};

/// Packets of a first and of a second look; the second weeds out what was an accident.
/// Each look takes the kernel some 20 ms of waiting, however few packets it has.
const FIRST_LOOK: u32 = 4000;
const SECOND_LOOK: u32 = 20_000;
/// Shapes that go on having offspring.
const PARENTS: usize = 24;
/// Largest frame that a test run takes here.
const MOST_BYTES: usize = 3000;

/// How much is searched and measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Seed of the search.
    pub seed: u64,
    /// Shapes that are tried.
    pub shapes: usize,
    /// Rounds in which those that were found are measured beside the program that only drops.
    pub rounds: usize,
    /// Packets of each.
    pub packets: u32,
}

/// One of the most expensive packets, the most expensive of its reason.
#[derive(Clone, Debug)]
pub struct Worst {
    /// The policy that it met.
    pub size: Size,
    /// What became of it.
    pub reason: Reason,
    /// ns of a program that only drops.
    pub bare: Series,
    /// ns of guard.
    pub guard: Series,
    /// The packet.
    pub frame: Vec<u8>,
}

impl Worst {
    /// The least of one by the least of the other: what the machine does beside cannot make it larger.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.guard.min() / self.bare.min()
    }

    /// The packet in hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        self.frame.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _written = write!(text, "{byte:02x}");
            text
        })
    }
}

/// A shape with what it cost.
struct Found {
    shape: Shape,
    ns: f64,
}

/// Searches, and measures the worst of each reason.
///
/// # Errors
/// When the kernel refuses a program or a run.
pub fn search(net: &LocalNet, size: Size, plan: &Plan) -> Result<Vec<Worst>> {
    let mut scene = Scene::new(net, size)?;
    let mut random = Random::new(plan.seed);
    let mut parents: Vec<Found> = Vec::new();
    let mut by_reason: BTreeMap<u32, (f64, Reason, Vec<u8>)> = BTreeMap::new();
    for number in 0..plan.shapes {
        // A third of all are made up, so that the search does not end where it began.
        let shape = if parents.is_empty() || number % 3 == 0 {
            Shape::random(&mut random)
        } else {
            parents[random.below(parents.len())]
                .shape
                .mutated(&mut random)
        };
        let frame = shape.frame(&scene.palette);
        if !(MIN_FRAME..=MOST_BYTES).contains(&frame.len()) {
            continue;
        }
        let reason = scene.reason(&frame)?;
        let quick = scene.cost(&frame, FIRST_LOOK)?;
        let known = by_reason.get(&(reason as u32)).map_or(0.0, |(ns, ..)| *ns);
        let least = if parents.len() < PARENTS {
            0.0
        } else {
            parents.last().map_or(0.0, |found| found.ns)
        };
        if quick <= known && quick <= least {
            continue;
        }
        let ns = quick.min(scene.cost(&frame, SECOND_LOOK)?);
        if ns > known {
            by_reason.insert(reason as u32, (ns, reason, frame));
        }
        if ns > least {
            parents.push(Found { shape, ns });
            parents.sort_by(|one, other| other.ns.total_cmp(&one.ns));
            parents.truncate(PARENTS);
        }
    }
    let mut worst = Vec::new();
    for (_, reason, frame) in by_reason.into_values() {
        worst.push(measure(&mut scene, size, reason, frame, plan)?);
    }
    worst.sort_by(|one, other| other.ratio().total_cmp(&one.ratio()));
    Ok(worst)
}

/// Measures one packet beside the program that only drops.
///
/// # Errors
/// When the kernel refuses a run.
pub fn measure(
    scene: &mut Scene,
    size: Size,
    reason: Reason,
    frame: Vec<u8>,
    plan: &Plan,
) -> Result<Worst> {
    let (mut bare, mut guard) = (Series::default(), Series::default());
    // The first round warms caches and does not count.
    for round in 0..=plan.rounds {
        let costs = (
            scene.bare_cost(&frame, plan.packets)?,
            scene.cost(&frame, plan.packets)?,
        );
        if round > 0 {
            bare.push(costs.0);
            guard.push(costs.1);
        }
    }
    Ok(Worst {
        size,
        reason,
        bare,
        guard,
        frame,
    })
}

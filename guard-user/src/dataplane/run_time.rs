//! How long guard's programs ran, as the kernel measures it while somebody wants to know.

use std::{collections::BTreeSet, fs, os::fd::OwnedFd, time::Duration};

use aya::{
    programs::{
        links::{FdLink, PinnedLink},
        loaded_programs,
    },
    sys::{Stats, enable_stats},
};

use crate::layout::Layout;

/// What was measured of all of guard's programs since they were loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunTime {
    /// Time on all CPUs together.
    pub time: Duration,
    /// How often they ran.
    pub count: u64,
}

/// The kernel measures as long as this lives.
#[derive(Debug)]
pub struct RunTimes {
    layout: Layout,
    /// `None`: the kernel cannot (before 5.8), or will not. Then `kernel.bpf_stats_enabled` may be on all the same.
    _measuring: Option<OwnedFd>,
}

impl RunTimes {
    pub(crate) fn begin(layout: &Layout) -> Self {
        Self {
            layout: layout.clone(),
            _measuring: enable_stats(Stats::RunTime).ok(),
        }
    }

    /// What was measured until now; `None` when the kernel does not say.
    #[must_use]
    pub fn read(&self) -> Option<RunTime> {
        let own = self.programs();
        let mut found = None;
        // A program that cannot be asked is not ours, or going away.
        for info in loaded_programs().flatten() {
            if own.contains(&info.id()) {
                let sum: &mut RunTime = found.get_or_insert_default();
                sum.time += info.run_time();
                sum.count += info.run_count();
            }
        }
        found
    }

    /// The programs that the pinned links hold. One on the way out that is a filter of clsact has no link.
    fn programs(&self) -> BTreeSet<u32> {
        let entries = fs::read_dir(self.layout.links()).into_iter().flatten();
        entries
            .flatten()
            .filter_map(|entry| {
                let link = FdLink::from(PinnedLink::from_pin(entry.path()).ok()?);
                Some(link.info().ok()?.program_id())
            })
            .collect()
    }
}

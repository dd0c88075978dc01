//! Who failed lately, and when: an exact window per source, in bounded memory.

use std::collections::{BTreeSet, HashMap};

use smallvec::SmallVec;

use crate::bans::Prefix;

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Sources.
    pub(super) sources: usize,
    /// Failures of all sources together.
    pub(super) failures: usize,
}

/// 65 536 sources cost about 16 MB, and a botnet that comes with more of them within one
/// `findtime` is a matter of the limits in the kernel.
pub(super) const BOUNDS: Bounds = Bounds {
    sources: 1 << 16,
    failures: 1 << 18,
};

/// Times of failures in milliseconds, oldest first.
type Times = SmallVec<[i64; 4]>;

/// Who failed within the window. When it is full, whoever failed least often gives his place, among
/// those the one who has been quiet longest: a flood of new sources pushes out each other, and never
/// somebody who is about to be banned.
#[derive(Debug)]
pub(super) struct Suspects {
    bounds: Bounds,
    window_ms: i64,
    times: HashMap<Prefix, Times>,
    /// Number of failures, the latest of them, and whose.
    order: BTreeSet<(usize, i64, Prefix)>,
    held: usize,
    pushed_out: u64,
}

impl Suspects {
    pub(super) fn new(window_ms: i64, bounds: Bounds) -> Self {
        Self {
            bounds,
            window_ms,
            times: HashMap::new(),
            order: BTreeSet::new(),
            held: 0,
            pushed_out: 0,
        }
    }

    /// Notes a failure of this weight and says how many there are within the window now. No more than
    /// `enough` are remembered of one source.
    pub(super) fn add(
        &mut self,
        who: Prefix,
        time_ms: i64,
        weight: u32,
        enough: usize,
        now_ms: i64,
    ) -> usize {
        let mut times = self.take(who);
        let oldest = now_ms.saturating_sub(self.window_ms);
        times.retain(|time| *time > oldest);
        if time_ms > oldest {
            let place = times.partition_point(|time| *time <= time_ms);
            let weight = usize::try_from(weight).unwrap_or(usize::MAX).min(enough);
            times.insert_many(place, std::iter::repeat_n(time_ms, weight));
        }
        let count = times.len();
        let surplus = count.saturating_sub(enough);
        times.drain(..surplus);
        self.put(who, times, now_ms);
        count
    }

    /// Forgets a source, because it is banned now.
    pub(super) fn forget(&mut self, who: Prefix) {
        self.take(who);
    }

    /// Forgets whoever had no failure within the window.
    pub(super) fn sweep(&mut self, now_ms: i64) {
        let oldest = now_ms.saturating_sub(self.window_ms);
        let gone: Vec<Prefix> = self
            .order
            .iter()
            .filter(|(_, last, _)| *last <= oldest)
            .map(|(_, _, who)| *who)
            .collect();
        for who in gone {
            self.take(who);
        }
    }

    /// Sources that are remembered.
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// Sources that gave their place although their failures were within the window.
    pub(super) fn pushed_out(&self) -> u64 {
        self.pushed_out
    }

    fn take(&mut self, who: Prefix) -> Times {
        let Some(times) = self.times.remove(&who) else {
            return Times::new();
        };
        if let Some(last) = times.last() {
            self.order.remove(&(times.len(), *last, who));
        }
        self.held -= times.len();
        times
    }

    fn put(&mut self, who: Prefix, times: Times, now_ms: i64) {
        let Some(last) = times.last().copied() else {
            return;
        };
        while self.times.len() >= self.bounds.sources
            || self.held + times.len() > self.bounds.failures
        {
            let Some((_, latest, least)) = self.order.first().copied() else {
                break;
            };
            self.take(least);
            let is_over = latest <= now_ms.saturating_sub(self.window_ms);
            self.pushed_out += u64::from(!is_over);
        }
        self.held += times.len();
        self.order.insert((times.len(), last, who));
        self.times.insert(who, times);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn source(number: u32) -> Prefix {
        Prefix::v4(Ipv4Addr::from_bits(number), 32)
    }

    #[test]
    fn only_failures_within_the_window_count_whatever_their_order() {
        let mut suspects = Suspects::new(100, BOUNDS);
        for (time, now, count) in [
            (1000, 1000, 1),
            (950, 1000, 2),
            (1050, 1050, 2),
            (1040, 1060, 3),
            (950, 1060, 3),
            (1300, 1300, 1),
        ] {
            assert_eq!(suspects.add(source(1), time, 1, 10, now), count, "{time}");
        }
    }

    #[test]
    fn a_flood_of_sources_pushes_out_nobody_who_failed_more_than_once() {
        let bounds = Bounds {
            sources: 100,
            failures: 400,
        };
        let mut suspects = Suspects::new(1_000_000, bounds);
        for _ in 0..4 {
            suspects.add(source(0), 1, 1, 5, 1);
        }
        for number in 1..100_000 {
            suspects.add(source(number), 2, 1, 5, 2);
            assert!(suspects.len() <= bounds.sources);
        }

        assert_eq!(suspects.add(source(0), 3, 1, 5, 3), 5);
        assert_eq!(suspects.pushed_out(), 99_999 - 99);
    }

    #[test]
    fn failures_are_bounded_as_sources_are() {
        let bounds = Bounds {
            sources: 1000,
            failures: 400,
        };
        let mut suspects = Suspects::new(1_000_000, bounds);
        for number in 0..1000 {
            for _ in 0..100 {
                suspects.add(source(number), 1, 1, 200, 1);
            }
            assert!(suspects.held <= bounds.failures);
        }
    }

    #[test]
    fn a_sweep_forgets_the_quiet_ones_and_keeps_the_others() {
        let mut suspects = Suspects::new(100, BOUNDS);
        suspects.add(source(1), 1000, 1, 5, 1000);
        suspects.add(source(2), 1090, 1, 5, 1090);

        suspects.sweep(1100);

        assert_eq!(suspects.len(), 1);
        assert_eq!(suspects.add(source(2), 1110, 1, 5, 1110), 2);
        suspects.forget(source(2));
        assert_eq!(
            (suspects.len(), suspects.held, suspects.order.len()),
            (0, 0, 0)
        );
    }
}

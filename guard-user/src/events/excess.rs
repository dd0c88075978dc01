//! Who goes on sending above a limit: proven by what is *dropped* of a source alone, for what passed says nothing of
//! who sent it. Memory is bounded whatever comes.

use std::{collections::HashMap, hash::Hash, net::IpAddr, time::Duration};

/// Rules and sources that are counted at a time; of more, those that come first. Each holds a TCP session.
const MOST: usize = 4096;
/// The sample is taken for whole where so many times as many packets were counted as seen: the counter is read a moment
/// later than the reports.
const WHOLE: f64 = 1.25;
/// How many standard deviations a sample must be off to accuse somebody wrongly.
const SURE: f64 = 5.0;

/// What a source may send by a rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// In the long run.
    pub per_second: f64,
    /// And at once.
    pub burst: f64,
}

/// What is dropped of each source, beside what the limit would have let in if nobody had used it up.
///
/// A source is found out when in some time more of its packets were dropped than it may send in that time. So it has
/// sent more than that, even if every packet of it was dropped.
#[derive(Debug)]
pub struct Excess<K> {
    /// Reports since the last look, by rule and source, with the last address.
    slice: HashMap<K, (u32, IpAddr)>,
    /// All reports of that counter since then, whoever they are about.
    seen: u64,
    /// Packets too much.
    above: HashMap<K, f64>,
}

impl<K> Default for Excess<K> {
    fn default() -> Self {
        Self {
            slice: HashMap::new(),
            seen: 0,
            above: HashMap::new(),
        }
    }
}

impl<K: Copy + Eq + Hash + Ord> Excess<K> {
    /// Takes note of any report, of which others are counted together.
    pub fn saw(&mut self) {
        self.seen += 1;
    }

    /// Takes note of a dropped segment of a source's session.
    pub fn note(&mut self, key: K, address: IpAddr) {
        if self.slice.len() < MOST || self.slice.contains_key(&key) {
            let (reports, last) = self.slice.entry(key).or_insert((0, address));
            *reports = reports.saturating_add(1);
            *last = address;
        }
    }

    /// Ends a slice of so long, in which `counted` packets were dropped: who is found out, in order.
    pub fn end_slice(
        &mut self,
        took: Duration,
        counted: u64,
        allowance: impl Fn(K) -> Option<Allowance>,
    ) -> Vec<(K, IpAddr)> {
        let slice = std::mem::take(&mut self.slice);
        let seen = std::mem::take(&mut self.seen).max(1);
        let scale = counted as f64 / seen as f64;
        for (key, (reports, _)) in &slice {
            let reports = f64::from(*reports);
            let dropped = if scale <= WHOLE {
                reports
            } else {
                // No more than what a sample proves.
                scale * (reports - SURE * reports.sqrt()).max(0.0)
            };
            if self.above.len() < MOST || self.above.contains_key(key) {
                *self.above.entry(*key).or_default() += dropped;
            }
        }
        let mut found = Vec::new();
        self.above.retain(|key, above| {
            let Some(allowed) = allowance(*key) else {
                return false;
            };
            *above -= allowed.per_second * took.as_secs_f64();
            if *above <= 0.0 {
                return false;
            }
            if *above <= allowed.burst {
                return true;
            }
            if let Some((_, address)) = slice.get(key) {
                found.push((*key, *address));
            }
            false
        });
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Duration = Duration::from_millis(500);

    fn address() -> IpAddr {
        "203.0.113.7".parse().expect("an address")
    }

    fn allowed(_: u32) -> Option<Allowance> {
        Some(Allowance {
            per_second: 100.0,
            burst: 100.0,
        })
    }

    /// Slices in which so many packets of a source are dropped and reported; in which it is found out.
    fn found_in(slices: &[u32]) -> Option<usize> {
        let mut excess = Excess::default();
        slices.iter().position(|dropped| {
            for _ in 0..*dropped {
                excess.saw();
                excess.note(1, address());
            }
            let found = excess.end_slice(HALF, u64::from(*dropped), allowed);
            found == [(1, address())]
        })
    }

    #[test]
    fn a_source_of_which_less_is_dropped_than_it_may_send_is_never_found_out() {
        // Every packet of it is dropped.
        assert_eq!(found_in(&[50; 1000]), None);
        // It has paused before.
        assert_eq!(found_in(&[150, 50, 50, 50]), None);
        assert_eq!(found_in(&[0, 0, 150, 0, 0, 0, 150]), None);
    }

    #[test]
    fn a_source_of_which_more_is_dropped_than_it_may_send_is_found_out() {
        assert_eq!(found_in(&[151]), Some(0));
        assert_eq!(found_in(&[100, 100, 100]), Some(2));
        assert_eq!(found_in(&[51; 200]), Some(100));
    }

    #[test]
    fn a_sample_accuses_nobody_by_chance() {
        let of = |reports: u32| {
            let mut excess = Excess::default();
            for _ in 0..reports {
                excess.note(1, address());
            }
            for _ in 0..1000 {
                excess.saw();
            }
            excess.end_slice(HALF, 1_000_000, allowed)
        };
        // Each report stands for a thousand packets, and 150 are enough.
        for reports in [1, 5, 25] {
            assert_eq!(of(reports), [], "{reports} reports");
        }
        assert_eq!(of(40), [(1, address())]);
    }

    #[test]
    fn a_counter_that_is_read_a_little_later_adds_nothing() {
        let mut excess = Excess::default();
        for _ in 0..140 {
            excess.saw();
            excess.note(1, address());
        }
        assert_eq!(excess.end_slice(HALF, 160, allowed), []);
    }

    #[test]
    fn what_no_rule_bans_for_is_forgotten() {
        let mut excess = Excess::default();
        for _ in 0..1000 {
            excess.note(1, address());
        }
        assert_eq!(excess.end_slice(HALF, 1000, |_| None), []);
        assert!(excess.above.is_empty());
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let mut excess = Excess::default();
        for round in 0..4u32 {
            for key in 0..100_000 {
                excess.saw();
                excess.note(round * 100_000 + key, address());
            }
            assert!(excess.slice.len() <= MOST);
            let much = |_| {
                Some(Allowance {
                    per_second: 0.1,
                    burst: 100.0,
                })
            };
            assert_eq!(excess.end_slice(HALF, 100_000, much), []);
            assert!(excess.above.len() <= MOST);
        }
    }
}

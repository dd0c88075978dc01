//! Which sources are dropped most, by the packets that are reported: a sample, scaled by what the counters say.
//!
//! Memory is bounded whatever comes: of a flood of forged addresses none is frequent, and none is shown as if it were.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use guard_common::abi::{
    reason::{Action, Reason},
    record::Counted,
    service::Service,
};

use super::{
    rates::{SourceRates, SourceState},
    space_saving::SpaceSaving,
};
use crate::{
    bans::{BanTerm, Prefix},
    output::stats::service_name,
};

/// Sources that are counted in a slice, and in all slices of a second.
const MOST_COUNTED: usize = 1024;
const MOST_SCALED: usize = 4096;
/// Sources that are remembered.
const MOST_KEPT: usize = 512;
/// Services whose main reason is counted.
const MOST_SERVICES: usize = 4096;
/// What a source did so many seconds ago counts a third.
const MEMORY_S: f64 = 4.0;
/// So many reports in one interval speak for themselves.
const PLENTY: f64 = 100.0;
/// A source with fewer packets per second has gone.
const GONE: f64 = 0.02;
/// With fewer reports than these, where each stands for several packets, it is chance.
const CHANCE: u64 = 3;
/// The prefix of IPv6 that one host has; with those of IPv4 before it.
const V6_LENGTH: u8 = 64;

/// The most frequent of some values, by one candidate and its lead (Boyer and Moore).
#[derive(Clone, Copy, Debug)]
struct Majority<T> {
    value: Option<T>,
    lead: u32,
}

impl<T> Default for Majority<T> {
    fn default() -> Self {
        Self {
            value: None,
            lead: 0,
        }
    }
}

impl<T: PartialEq> Majority<T> {
    fn note(&mut self, value: T) {
        if self.value.as_ref() == Some(&value) {
            self.lead += 1;
        } else if self.lead == 0 {
            self.value = Some(value);
            self.lead = 1;
        } else {
            self.lead -= 1;
        }
    }
}

/// What makes reports comparable: of each reason another sample is taken.
type Row = (Reason, bool);

/// The reports of a second, in slices: the sample becomes denser and sparser meanwhile, so each slice is scaled by what
/// was counted in it.
#[derive(Debug)]
pub(super) struct Interval {
    slice: SpaceSaving<(Prefix, Row), Majority<Service>>,
    seen: HashMap<Row, u64>,
    reasons: HashMap<Service, Majority<Reason>>,
    scaled: HashMap<(Prefix, Row), Scaled>,
}

/// What the slices until now say of a source.
#[derive(Clone, Copy, Debug, Default)]
struct Scaled {
    packets: f64,
    reports: u64,
    service: Option<Service>,
}

impl Default for Interval {
    fn default() -> Self {
        Self {
            slice: SpaceSaving::new(MOST_COUNTED),
            seen: HashMap::new(),
            reasons: HashMap::new(),
            scaled: HashMap::new(),
        }
    }
}

impl Interval {
    /// Takes note of a packet that was dropped, or would have been.
    pub(super) fn note(&mut self, counted: &Counted, source: Option<IpAddr>) {
        if counted.reason.action() != Action::Drop {
            return;
        }
        let row = (counted.reason, counted.is_monitored);
        *self.seen.entry(row).or_default() += 1;
        if let Some(service) = counted.service {
            let is_known = self.reasons.contains_key(&service);
            if is_known || self.reasons.len() < MOST_SERVICES {
                self.reasons
                    .entry(service)
                    .or_default()
                    .note(counted.reason);
            }
        }
        if let Some(source) = source {
            let service = self.slice.add((network(source), row));
            if let Some(of) = counted.service {
                service.note(of);
            }
        }
    }

    /// Ends a slice, in which a reason had `counted` packets.
    pub(super) fn end_slice(&mut self, counted: impl Fn(Reason, bool) -> u64) {
        let slice = std::mem::replace(&mut self.slice, SpaceSaving::new(MOST_COUNTED));
        let seen = std::mem::take(&mut self.seen);
        for slot in slice.slots() {
            let (_, row) = slot.key;
            let seen = seen.get(&row).copied().unwrap_or(1).max(1);
            // A counter that was read a little earlier is no less than what was seen.
            let scale = counted(row.0, row.1).max(seen) as f64 / seen as f64;
            let scaled = self.scaled.entry(slot.key).or_default();
            scaled.packets += slot.sure() as f64 * scale;
            scaled.reports += slot.sure();
            scaled.service = slot.value.value.or(scaled.service);
        }
        if self.scaled.len() > MOST_SCALED {
            let mut all: Vec<_> = self.scaled.drain().collect();
            all.sort_by(|one, other| other.1.packets.total_cmp(&one.1.packets));
            all.truncate(MOST_SCALED / 2);
            self.scaled = all.into_iter().collect();
        }
    }

    /// Why most of what was dropped of a service was dropped.
    pub(super) fn main_reasons(&self) -> impl Iterator<Item = (Service, Reason)> {
        let reasons = self.reasons.iter();
        reasons.filter_map(|(service, reason)| Some((*service, reason.value?)))
    }
}

/// The sources of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Sources {
    kept: BTreeMap<Prefix, Kept>,
}

#[derive(Clone, Debug)]
struct Kept {
    /// Packets per second.
    rate: f64,
    /// Why most of them are dropped.
    reason: Reason,
    service: Option<Service>,
}

/// What one interval says of a source.
#[derive(Clone, Debug)]
struct Fresh {
    packets: f64,
    reports: u64,
    /// Packets of the reason that has most.
    most: f64,
    reason: Reason,
    service: Option<Service>,
}

impl Sources {
    /// Adds an interval of so many seconds, whose slices have ended.
    pub(super) fn add(&mut self, interval: &Interval, seconds: f64) {
        let mut fresh: HashMap<Prefix, Fresh> = HashMap::new();
        for ((source, row), scaled) in &interval.scaled {
            let (source, row) = (*source, *row);
            let Scaled {
                packets,
                reports,
                service,
            } = *scaled;
            if reports < CHANCE && packets > 2.0 * reports as f64 {
                continue;
            }
            let of = fresh.entry(source).or_insert_with(|| Fresh {
                packets: 0.0,
                reports: 0,
                most: 0.0,
                reason: row.0,
                service,
            });
            of.packets += packets;
            of.reports += reports;
            if packets > of.most {
                of.most = packets;
                of.reason = row.0;
                of.service = service;
            }
        }
        let share = 1.0 - (-seconds / MEMORY_S).exp();
        for (source, kept) in &mut self.kept {
            if !fresh.contains_key(source) {
                kept.rate *= 1.0 - share;
            }
        }
        for (source, fresh) in fresh {
            let share = share.max((fresh.reports as f64 / PLENTY).min(1.0));
            let rate = fresh.packets / seconds;
            let kept = self.kept.entry(source).or_insert_with(|| Kept {
                rate,
                reason: fresh.reason,
                service: fresh.service,
            });
            kept.rate += (rate - kept.rate) * share;
            kept.reason = fresh.reason;
            kept.service = fresh.service;
        }
        self.kept.retain(|_, kept| kept.rate >= GONE);
        if self.kept.len() > MOST_KEPT {
            let few: Vec<Prefix> = self.busiest(MOST_KEPT);
            let mut kept: BTreeMap<Prefix, Kept> = std::mem::take(&mut self.kept);
            let few = few.into_iter();
            self.kept = few
                .filter_map(|source| kept.remove_entry(&source))
                .collect();
        }
    }

    /// The busiest, the first one first.
    pub(super) fn busiest(&self, most: usize) -> Vec<Prefix> {
        let mut all: Vec<(&Prefix, &Kept)> = self.kept.iter().collect();
        all.sort_by(|one, other| other.1.rate.total_cmp(&one.1.rate));
        all.iter().take(most).map(|(source, _)| **source).collect()
    }

    /// The same for people; `ban` says what is left of a source's own ban.
    pub(super) fn top(
        &self,
        most: usize,
        ban: impl Fn(Prefix) -> Option<BanTerm>,
    ) -> Vec<SourceRates> {
        let busiest = self.busiest(most).into_iter();
        let rows = busiest.filter_map(|source| {
            let kept = self.kept.get(&source)?;
            let ban = ban(source);
            let state = if ban.is_some() || kept.reason == Reason::Banned {
                SourceState::Banned
            } else if kept.reason == Reason::Limited {
                SourceState::Limited
            } else {
                SourceState::Free
            };
            Some(SourceRates {
                source: source.to_string(),
                packets: kept.rate,
                service: kept.service.map(service_name),
                reason: kept.reason.label(),
                state,
                seconds_left: ban.and_then(|term| match term {
                    BanTerm::For(left) => Some(left.as_secs()),
                    BanTerm::Permanent => None,
                }),
            })
        });
        rows.collect()
    }
}

/// The address; of IPv6, the network that one host has.
fn network(source: IpAddr) -> Prefix {
    let single = Prefix::single(source);
    if single.is_v4() {
        single
    } else {
        single.widened(V6_LENGTH)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use guard_common::{
        abi::{
            hit::Hit,
            watch::{gate, is_due},
        },
        testing::random::Random,
    };

    use super::*;

    fn dropped(reason: Reason) -> Counted {
        Counted {
            reason,
            action: Action::Drop,
            is_monitored: false,
            service: Some(Service::tcp(22)),
            hit: Hit::NONE,
        }
    }

    fn address(number: usize) -> IpAddr {
        Ipv4Addr::from_bits(0xcb00_0000 + number as u32).into()
    }

    #[test]
    fn the_ten_busiest_of_a_zipf_flood_are_found_at_their_rates() {
        const SOURCES: usize = 10_000;
        const REPORTS: usize = 100_000;
        let mut sums = Vec::with_capacity(SOURCES);
        let mut sum = 0.0;
        for rank in 1..=SOURCES {
            sum += (rank as f64).powf(-1.1);
            sums.push(sum);
        }
        let mut random = Random::new(1);
        let mut true_counts = vec![0u64; SOURCES];
        let mut interval = Interval::default();
        // As the filter and its watcher do: one in sixteen at first, and a new phase with every report.
        let (mut packets, mut reports, mut word) = (0u64, 0, gate(0, 15));
        while reports < REPORTS {
            let at = random.number() as f64 / u64::MAX as f64 * sum;
            let source = sums.partition_point(|upto| *upto < at).min(SOURCES - 1);
            true_counts[source] += 1;
            packets += 1;
            if is_due(word, packets) {
                interval.note(&dropped(Reason::DefaultDrop), Some(address(source)));
                reports += 1;
                word = gate(random.number() as u32, 15);
            }
        }
        let mut sources = Sources::default();
        interval.end_slice(|_, _| packets);
        sources.add(&interval, 1.0);
        let found = sources.top(10, |_| None);
        let mut ranks: Vec<usize> = (0..SOURCES).collect();
        ranks.sort_by_key(|rank| std::cmp::Reverse(true_counts[*rank]));
        for rank in &ranks[..10] {
            let source = address(*rank).to_string();
            let row = found.iter().find(|row| row.source == source);
            let row = row.unwrap_or_else(|| panic!("{source} is missing: {found:?}"));
            let error = row.packets / true_counts[*rank] as f64 - 1.0;
            assert!(error.abs() <= 0.15, "{source}: {error}");
        }
        assert!(sources.kept.len() <= MOST_KEPT);
    }

    #[test]
    fn a_sample_that_becomes_denser_within_a_second_makes_no_source_larger() {
        // A flood ends in the middle of a second: one packet in a hundred is reported before, each behind.
        let mut interval = Interval::default();
        for n in 0..100 {
            let is_steady = n % 40 == 0;
            let source = if is_steady {
                address(7)
            } else {
                address(1000 + n)
            };
            interval.note(&dropped(Reason::DefaultDrop), Some(source));
        }
        interval.end_slice(|_, _| 10_000);
        for _ in 0..250 {
            interval.note(&dropped(Reason::DefaultDrop), Some(address(7)));
        }
        interval.end_slice(|_, _| 250);
        let mut sources = Sources::default();
        sources.add(&interval, 1.0);
        let top = sources.top(1, |_| None);
        assert_eq!(top[0].source, "203.0.0.7");
        assert_eq!(top[0].packets.round(), 550.0);
    }

    #[test]
    fn of_a_flood_of_forged_addresses_none_stands_out() {
        let mut random = Random::new(2);
        let mut sources = Sources::default();
        for _ in 0..5 {
            let mut interval = Interval::default();
            for _ in 0..4000 {
                let forged = Ipv4Addr::from_bits(random.number() as u32);
                interval.note(&dropped(Reason::DefaultDrop), Some(forged.into()));
            }
            interval.end_slice(|_, _| 1_000_000);
            sources.add(&interval, 1.0);
        }
        assert!(sources.top(10, |_| None).is_empty());
    }

    #[test]
    fn few_packets_are_shown_as_they_are_and_forgotten_in_time() {
        let mut sources = Sources::default();
        let mut interval = Interval::default();
        interval.note(&dropped(Reason::Limited), Some(address(7)));
        let v6: IpAddr = "2001:db8::1:2:3:4".parse().expect("an address");
        interval.note(&dropped(Reason::Banned), Some(v6));
        interval.end_slice(|_, _| 1);
        sources.add(&interval, 1.0);
        let top = sources.top(10, |_| None);
        let of = |text: &str| top.iter().find(|row| row.source == text);
        let limited = of("203.0.0.7").expect("seen");
        assert_eq!(limited.packets, 1.0);
        assert_eq!(limited.state, SourceState::Limited);
        assert_eq!(limited.service.as_deref(), Some("22/tcp"));
        let banned = of("2001:db8:0:0::/64")
            .or(of("2001:db8::/64"))
            .expect("seen");
        assert_eq!(banned.state, SourceState::Banned);
        for _ in 0..60 {
            sources.add(&Interval::default(), 1.0);
        }
        assert!(sources.top(10, |_| None).is_empty());
    }

    #[test]
    fn a_source_with_a_ban_of_its_own_has_the_time_left() {
        let mut sources = Sources::default();
        let mut interval = Interval::default();
        interval.note(&dropped(Reason::DefaultDrop), Some(address(7)));
        interval.end_slice(|_, _| 1);
        sources.add(&interval, 1.0);
        let hour = std::time::Duration::from_secs(3600);
        let top = sources.top(10, |_| Some(BanTerm::For(hour)));
        assert_eq!(top[0].state, SourceState::Banned);
        assert_eq!(top[0].seconds_left, Some(3600));
    }

    #[test]
    fn the_main_reason_of_a_port_is_that_of_most_of_its_packets() {
        let mut interval = Interval::default();
        for n in 0..100 {
            let reason = if n % 3 == 0 {
                Reason::OutOfState
            } else {
                Reason::Limited
            };
            interval.note(&dropped(reason), None);
        }
        let main: Vec<_> = interval.main_reasons().collect();
        assert_eq!(main, [(Service::tcp(22), Reason::Limited)]);
    }
}

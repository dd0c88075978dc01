//! Who was banned before, by which jail, and how often: what makes bans grow and keeps one burst of
//! failures from being two bans. The caller saves it and brings it back.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use smallvec::SmallVec;

use crate::bans::Prefix;

/// A source is forgotten this long after its last ban ended; fail2ban's `dbpurgeage`.
pub const FORGET_AFTER_MS: i64 = 86_400_000;
/// Sources that are remembered: about 25 MB when all of them are in use.
const MOST: usize = 1 << 17;

/// The bans of one source by one jail. Times are milliseconds of the caller's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanRecord {
    /// Name of the jail.
    pub jail: Arc<str>,
    /// How many bans there were.
    pub count: u32,
    /// When the last began.
    pub since_ms: i64,
    /// When the last ends or ended; `i64::MAX` for a permanent one.
    pub until_ms: i64,
}

/// Everybody who was banned.
#[derive(Debug, Default)]
pub struct Past {
    sources: HashMap<Prefix, SmallVec<[BanRecord; 1]>>,
    /// End of the last ban of a source, and whose.
    order: BTreeSet<(i64, Prefix)>,
}

impl Past {
    /// What was saved.
    #[must_use]
    pub fn restored(records: impl IntoIterator<Item = (Prefix, BanRecord)>) -> Self {
        let mut past = Self::default();
        for (who, record) in records {
            past.put(who, record);
        }
        past
    }

    /// What this jail did to the source.
    #[must_use]
    pub fn of(&self, who: Prefix, jail: &str) -> Option<&BanRecord> {
        let records = self.sources.get(&who)?;
        records.iter().find(|record| &*record.jail == jail)
    }

    /// How often any jail banned the source.
    #[must_use]
    pub fn of_all_jails(&self, who: Prefix) -> u32 {
        let records = self.sources.get(&who).into_iter().flatten();
        records.fold(0, |sum: u32, record| sum.saturating_add(record.count))
    }

    /// Notes a ban and returns the record to save.
    pub fn banned(
        &mut self,
        who: Prefix,
        jail: &Arc<str>,
        now_ms: i64,
        until_ms: i64,
    ) -> BanRecord {
        let before = self.of(who, jail).map_or(0, |record| record.count);
        let record = BanRecord {
            jail: Arc::clone(jail),
            count: before.saturating_add(1),
            since_ms: now_ms,
            until_ms,
        };
        self.put(who, record.clone());
        record
    }

    /// The last ban of this jail was not made after all: it is as if the source had never been evaluated.
    pub fn undone(&mut self, who: Prefix, jail: &str, now_ms: i64) {
        let Some(record) = self.of(who, jail).cloned() else {
            return;
        };
        let mut records = self.remove(who);
        records.retain(|other| &*other.jail != jail);
        if record.count > 1 {
            records.push(BanRecord {
                count: record.count - 1,
                since_ms: i64::MIN,
                until_ms: now_ms,
                ..record
            });
        }
        if !records.is_empty() {
            self.order.insert((last_end(&records), who));
            self.sources.insert(who, records);
        }
    }

    /// Somebody lifted a ban: the source is counted again from now on. That there was a ban is not
    /// forgotten. Returns the records that changed.
    pub fn lifted(&mut self, who: Prefix, jail: Option<&str>, now_ms: i64) -> Vec<BanRecord> {
        let records = self.sources.get(&who).into_iter().flatten();
        let changed: Vec<BanRecord> = records
            .filter(|record| jail.is_none_or(|jail| &*record.jail == jail))
            .filter(|record| record.until_ms > now_ms)
            .map(|record| BanRecord {
                until_ms: now_ms,
                ..record.clone()
            })
            .collect();
        for record in &changed {
            self.put(who, record.clone());
        }
        changed
    }

    /// Forgets whose last ban ended long ago, and returns them.
    pub fn sweep(&mut self, now_ms: i64) -> Vec<Prefix> {
        let mut gone = Vec::new();
        while let Some((until, who)) = self.order.first().copied()
            && until.saturating_add(FORGET_AFTER_MS) <= now_ms
        {
            self.remove(who);
            gone.push(who);
        }
        gone
    }

    /// Everything, to be saved.
    pub fn records(&self) -> impl Iterator<Item = (Prefix, &BanRecord)> {
        let sources = self.sources.iter();
        sources.flat_map(|(who, records)| records.iter().map(|record| (*who, record)))
    }

    /// Sources that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Was nobody ever banned?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    fn remove(&mut self, who: Prefix) -> SmallVec<[BanRecord; 1]> {
        let Some(records) = self.sources.remove(&who) else {
            return SmallVec::new();
        };
        self.order.remove(&(last_end(&records), who));
        records
    }

    fn put(&mut self, who: Prefix, record: BanRecord) {
        let mut records = self.remove(who);
        match records.iter_mut().find(|other| other.jail == record.jail) {
            Some(other) => *other = record,
            None => records.push(record),
        }
        while self.sources.len() >= MOST {
            let Some((_, first)) = self.order.first().copied() else {
                break;
            };
            self.remove(first);
        }
        self.order.insert((last_end(&records), who));
        self.sources.insert(who, records);
    }
}

fn last_end(records: &[BanRecord]) -> i64 {
    let ends = records.iter().map(|record| record.until_ms);
    ends.max().unwrap_or(i64::MIN)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_ban_that_was_not_made_leaves_no_trace() {
        let (sshd, nginx): (Arc<str>, Arc<str>) = ("sshd".into(), "nginx".into());
        let who = Prefix::v4(Ipv4Addr::new(203, 0, 113, 7), 32);
        let mut past = Past::default();
        past.banned(who, &nginx, 500, 900);
        past.banned(who, &sshd, 1000, 2000);
        past.undone(who, "sshd", 1000);
        assert_eq!(past.of(who, "sshd"), None);
        assert_eq!(past.of_all_jails(who), 1);
        past.banned(who, &sshd, 1000, 2000);
        past.banned(who, &sshd, 3000, 5000);
        past.undone(who, "sshd", 3000);
        let left = past.of(who, "sshd").unwrap();
        assert_eq!((left.count, left.until_ms), (1, 3000));
        past.undone(who, "sshd", 3000);
        past.undone(who, "nginx", 3000);
        past.undone(who, "nginx", 3000);
        assert!(past.is_empty() && past.order.is_empty());
    }

    #[test]
    fn bans_are_counted_by_jail_and_by_source() {
        let (sshd, nginx): (Arc<str>, Arc<str>) = ("sshd".into(), "nginx".into());
        for who in [
            Prefix::v4(Ipv4Addr::new(203, 0, 113, 7), 32),
            Prefix::v6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 64),
        ] {
            let mut past = Past::default();
            assert!(past.is_empty());
            past.banned(who, &sshd, 1000, 2000);
            past.banned(who, &nginx, 1500, 1600);
            let last = past.banned(who, &sshd, 3000, 5000);

            assert_eq!((last.count, last.since_ms, last.until_ms), (2, 3000, 5000));
            assert_eq!(past.of(who, "sshd"), Some(&last));
            assert_eq!(past.of(who, "nginx").map(|record| record.count), Some(1));
            assert_eq!((past.of_all_jails(who), past.len()), (3, 1));

            let saved: Vec<_> = past.records().map(|(who, it)| (who, it.clone())).collect();
            let back = Past::restored(saved);
            assert_eq!(back.of(who, "sshd"), Some(&last));
            assert_eq!(back.of_all_jails(who), 3);
        }
    }

    #[test]
    fn a_lifted_ban_is_over_and_still_counted() {
        let jail: Arc<str> = "sshd".into();
        let who = Prefix::v4(Ipv4Addr::new(203, 0, 113, 7), 32);
        let mut past = Past::default();
        past.banned(who, &jail, 0, i64::MAX);

        assert_eq!(past.lifted(who, Some("nginx"), 500), []);
        let changed = past.lifted(who, None, 500);

        assert_eq!(changed.len(), 1);
        assert_eq!(past.of(who, "sshd"), changed.first());
        assert_eq!((changed[0].count, changed[0].until_ms), (1, 500));
    }

    #[test]
    fn a_source_is_forgotten_a_day_after_its_last_ban() {
        let jail: Arc<str> = "sshd".into();
        let [early, late, ever] =
            [1, 2, 3].map(|end| Prefix::v4(Ipv4Addr::new(203, 0, 113, end), 32));
        let mut past = Past::default();
        past.banned(early, &jail, 0, 1000);
        past.banned(late, &jail, 0, 2000);
        past.banned(ever, &jail, 0, i64::MAX);

        assert_eq!(past.sweep(FORGET_AFTER_MS + 999), []);
        assert_eq!(past.sweep(FORGET_AFTER_MS + 1000), [early]);
        assert_eq!(past.sweep(i64::MAX - 1), [late]);
        assert_eq!(past.len(), 1);
    }

    #[test]
    fn who_was_banned_is_bounded_and_the_longest_ended_give_way() {
        let jail: Arc<str> = "sshd".into();
        let mut past = Past::default();
        let most = u32::try_from(MOST).unwrap();
        for number in 0..most + 10 {
            let who = Prefix::v4(Ipv4Addr::from_bits(number), 32);
            past.banned(who, &jail, 0, i64::from(number));
        }

        assert_eq!((past.len(), past.order.len()), (MOST, MOST));
        assert_eq!(
            past.of(Prefix::v4(Ipv4Addr::from_bits(9), 32), "sshd"),
            None
        );
        assert!(
            past.of(Prefix::v4(Ipv4Addr::from_bits(10), 32), "sshd")
                .is_some()
        );
    }
}

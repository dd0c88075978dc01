//! What a list names, packed: a full table of it takes less than 100 MB, and what is named again and again takes its
//! place once.

use std::{cmp::Ordering, collections::HashMap, time::Duration};

use super::{
    overfull::Overfull, prefix::Prefix, settings::Capacity, store::BanCounts, term::BanTerm,
};

/// Most bytes of different reasons, and most of them; a list with more is kept without the rest.
const MOST_REASON_BYTES: usize = 8 << 20;
const MOST_REASONS: usize = 1 << 16;
/// Instead of a number of seconds.
const USUAL: u32 = 0;
const FOREVER: u32 = u32::MAX;
/// Instead of the number of a reason.
const NO_REASON: u32 = u32::MAX;

/// A source and what is said of it.
pub type Named<'w> = (Prefix, BanTerm, &'w str);

/// Sources that shall be banned, each once, for the longest time that is said of it.
#[derive(Debug)]
pub struct Wanted {
    capacity: Capacity,
    /// What holds for those of which nothing is said.
    term: BanTerm,
    reason: String,
    entries: Vec<Packed>,
    /// So many are held before those that are named twice are looked for.
    most: usize,
    reasons: Reasons,
    taken: u64,
}

#[derive(Clone, Copy, Debug)]
struct Packed {
    prefix: [u8; 17],
    term: u32,
    reason: u32,
}

/// Sources that are wanted, beside others that come in the same order.
#[derive(Debug)]
pub struct Compared<'w> {
    wanted: &'w mut Wanted,
    /// What of them is behind all that came.
    next: usize,
    /// Those in front of this have not come.
    kept: usize,
}

impl Compared<'_> {
    /// Is this one wanted?
    pub fn meets(&mut self, prefix: Prefix) -> bool {
        let bytes = prefix.to_bytes();
        let entries = &mut self.wanted.entries;
        while let Some(entry) = entries.get(self.next).copied() {
            match entry.prefix.cmp(&bytes) {
                Ordering::Less => {
                    entries[self.kept] = entry;
                    self.kept += 1;
                    self.next += 1;
                }
                Ordering::Equal => {
                    self.next += 1;
                    return true;
                }
                Ordering::Greater => return false,
            }
        }
        false
    }

    /// Those that came leave what is wanted.
    pub fn keep_new(self) {
        let Self { wanted, next, kept } = self;
        wanted.entries.drain(kept..next);
    }
}

#[derive(Debug, Default)]
struct Reasons {
    numbers: HashMap<Box<str>, u32>,
    bytes: usize,
    left_out: u64,
}

impl Wanted {
    /// Nothing yet; no more is taken than there is room for.
    #[must_use]
    pub fn new(capacity: Capacity, term: BanTerm, reason: &str) -> Self {
        let total = usize::try_from(capacity.total()).unwrap_or(usize::MAX / 2);
        Self {
            capacity,
            term,
            reason: reason.to_owned(),
            entries: Vec::new(),
            most: total.saturating_add(total / 4).saturating_add(1024),
            reasons: Reasons::default(),
            taken: 0,
        }
    }

    /// One more.
    ///
    /// # Errors
    /// When there are more different ones than a table holds.
    pub fn add(
        &mut self,
        prefix: Prefix,
        term: Option<BanTerm>,
        reason: Option<&str>,
    ) -> Result<(), Overfull> {
        let term = match term {
            None => USUAL,
            Some(BanTerm::Permanent) => FOREVER,
            Some(BanTerm::For(time)) => {
                let seconds = time.as_secs().max(1);
                u32::try_from(seconds).map_or(FOREVER - 1, |seconds| seconds.min(FOREVER - 1))
            }
        };
        let reason = reason.map_or(NO_REASON, |reason| self.reasons.number(reason));
        self.taken += 1;
        self.entries.push(Packed {
            prefix: prefix.to_bytes(),
            term,
            reason,
        });
        if self.entries.len() >= self.most {
            self.settle()?;
        }
        Ok(())
    }

    /// In order, each once.
    ///
    /// # Errors
    /// As [`Wanted::add`].
    pub fn settle(&mut self) -> Result<(), Overfull> {
        let usual = self.term;
        // Of two of the same prefix the longer one comes first, and stays.
        self.entries.sort_unstable_by(|a, b| {
            let terms = || b.term(usual).cmp(&a.term(usual));
            a.prefix.cmp(&b.prefix).then_with(terms)
        });
        self.entries.dedup_by_key(|entry| entry.prefix);
        self.entries.shrink_to(self.most / 2);
        self.counts().refuse_more_than(self.capacity)
    }

    /// How many there are, by the table that holds them.
    #[must_use]
    pub fn counts(&self) -> BanCounts {
        let mut counts = BanCounts::default();
        for prefix in self.prefixes() {
            counts.count(prefix);
        }
        counts
    }

    /// What there is, in order once it was settled.
    pub fn iter(&self) -> impl Iterator<Item = Named<'_>> {
        let texts = self.reasons.texts();
        self.entries.iter().map(move |entry| {
            let own = texts.get(entry.reason as usize);
            let reason = own.copied().unwrap_or(&self.reason);
            (entry.prefix(), entry.term(self.term), reason)
        })
    }

    /// The prefixes alone.
    pub fn prefixes(&self) -> impl Iterator<Item = Prefix> {
        self.entries.iter().map(Packed::prefix)
    }

    /// To be compared with others, one by one in their order. This was settled.
    #[must_use]
    pub fn compare(&mut self) -> Compared<'_> {
        Compared {
            next: 0,
            kept: 0,
            wanted: self,
        }
    }

    /// How many there are; different ones once it was settled.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many were added, with those that were named twice.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// How many reasons were not kept.
    #[must_use]
    pub fn reasons_left_out(&self) -> u64 {
        self.reasons.left_out
    }
}

impl Packed {
    fn prefix(&self) -> Prefix {
        let (bits, length) = self.prefix.split_at(16);
        let bits = bits.try_into().map_or(0, u128::from_be_bytes);
        Prefix::new(bits, length.first().copied().unwrap_or_default())
    }

    fn term(&self, usual: BanTerm) -> BanTerm {
        match self.term {
            USUAL => usual,
            FOREVER => BanTerm::Permanent,
            seconds => BanTerm::For(Duration::from_secs(seconds.into())),
        }
    }
}

impl Reasons {
    fn number(&mut self, reason: &str) -> u32 {
        if let Some(number) = self.numbers.get(reason) {
            return *number;
        }
        if self.numbers.len() >= MOST_REASONS || self.bytes + reason.len() > MOST_REASON_BYTES {
            self.left_out += 1;
            return NO_REASON;
        }
        let number = u32::try_from(self.numbers.len()).unwrap_or(NO_REASON);
        self.bytes += reason.len();
        self.numbers.insert(reason.into(), number);
        number
    }

    /// By number.
    fn texts(&self) -> Vec<&str> {
        let mut texts = vec![""; self.numbers.len()];
        for (text, number) in &self.numbers {
            texts[*number as usize] = text;
        }
        texts
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::bans::target::BanTarget;

    const SMALL: Capacity = Capacity {
        ipv4: 100,
        ipv6: 10,
        cidrs: 10,
    };

    fn prefix(text: &str) -> Prefix {
        BanTarget::parse(text).expect(text).prefix
    }

    fn seconds(number: u64) -> BanTerm {
        BanTerm::For(Duration::from_secs(number))
    }

    #[test]
    fn what_is_named_twice_is_one_ban_for_the_longer_time() {
        let mut wanted = Wanted::new(SMALL, seconds(600), "usual");
        for (text, term, reason) in [
            ("203.0.113.8", Some(seconds(60)), None),
            ("203.0.113.7", None, None),
            ("203.0.113.7", Some(seconds(60)), Some("short")),
            ("203.0.113.7", Some(seconds(900)), Some("long")),
            ("2001:db8::/64", Some(BanTerm::Permanent), Some("long")),
        ] {
            wanted.add(prefix(text), term, reason).expect("room");
        }
        wanted.settle().expect("room");
        let found: Vec<(String, BanTerm, &str)> = wanted
            .iter()
            .map(|(prefix, term, reason)| (prefix.to_string(), term, reason))
            .collect();
        assert_eq!(
            found,
            [
                ("203.0.113.7".to_owned(), seconds(900), "long"),
                ("203.0.113.8".to_owned(), seconds(60), "usual"),
                ("2001:db8::/64".to_owned(), BanTerm::Permanent, "long"),
            ]
        );
        assert_eq!(wanted.taken(), 5);
    }

    #[test]
    fn a_list_is_left_when_the_table_would_be_full_however_long_it_is() {
        let mut wanted = Wanted::new(SMALL, BanTerm::Permanent, "");
        let held = (0..1_000_000u32).take_while(|number| {
            let address = Ipv4Addr::from(0x0b00_0000 + number);
            wanted.add(Prefix::v4(address, 32), None, None).is_ok()
        });
        assert!(held.count() < 2000);
        // Nor is one kept that names the same again and again.
        let mut wanted = Wanted::new(SMALL, BanTerm::Permanent, "");
        for number in 0..1_000_000u32 {
            let address = Ipv4Addr::from(0x0b00_0000 + number % 100);
            wanted
                .add(Prefix::v4(address, 32), None, None)
                .expect("room");
        }
        wanted.settle().expect("room");
        assert_eq!((wanted.len(), wanted.taken()), (100, 1_000_000));
        assert!(wanted.entries.capacity() < 5000);
    }

    #[test]
    fn what_is_there_already_leaves_what_is_wanted_and_the_rest_is_told() {
        let names = |texts: &[&str]| -> Vec<Prefix> { texts.iter().map(|t| prefix(t)).collect() };
        for (wants, has, new, gone) in [
            (
                &["192.0.2.1", "192.0.2.3"][..],
                &[][..],
                &["192.0.2.1", "192.0.2.3"][..],
                &[][..],
            ),
            (&[], &["192.0.2.1"], &[], &["192.0.2.1"]),
            (&["192.0.2.1"], &["192.0.2.1"], &[], &[]),
            (
                &["192.0.2.1", "192.0.2.3", "192.0.2.5", "192.0.2.7"],
                &["192.0.2.0", "192.0.2.3", "192.0.2.4", "192.0.2.5"],
                &["192.0.2.1", "192.0.2.7"],
                &["192.0.2.0", "192.0.2.4"],
            ),
        ] {
            let mut wanted = Wanted::new(SMALL, BanTerm::Permanent, "");
            for prefix in names(wants) {
                wanted.add(prefix, None, None).expect("room");
            }
            wanted.settle().expect("room");
            let mut compared = wanted.compare();
            let mut left = names(has);
            left.retain(|prefix| !compared.meets(*prefix));
            compared.keep_new();
            assert_eq!(left, names(gone), "{wants:?} {has:?}");
            assert_eq!(
                wanted.prefixes().collect::<Vec<_>>(),
                names(new),
                "{wants:?} {has:?}"
            );
        }
    }

    #[test]
    fn reasons_are_kept_up_to_a_limit() {
        let mut wanted = Wanted::new(Capacity::default(), BanTerm::Permanent, "usual");
        let long = "x".repeat(240);
        for number in 0..100_000u32 {
            let address = Ipv4Addr::from(0x0b00_0000 + number);
            let reason = format!("{long}{number}");
            wanted
                .add(Prefix::v4(address, 32), None, Some(&reason))
                .expect("room");
        }
        wanted.settle().expect("room");
        assert!(wanted.reasons.bytes <= MOST_REASON_BYTES);
        let usual = wanted.iter().filter(|(_, _, reason)| *reason == "usual");
        assert_eq!(usual.count() as u64, wanted.reasons_left_out());
    }
}

//! Bans that grow when they are repeated: fail2ban's `bantime.increment` and what belongs to it.

use std::time::Duration;

use crate::bans::term::{BanTerm, LONGEST};

/// Times that a ban doubles at most, as in fail2ban.
const MOST_DOUBLINGS: u32 = 20;

/// How the length of a ban grows with the bans before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Growth {
    /// Does it grow at all?
    pub is_on: bool,
    /// What every grown ban is multiplied with.
    pub factor: f64,
    /// By how much, for one ban before, two, …; the first number is never used, the last is used for
    /// all that follow. Without any, a ban doubles each time.
    pub multipliers: Vec<u32>,
    /// No grown ban is longer; none: whatever comes out.
    pub most: Option<Duration>,
    /// Up to this much more, at random, so that nobody knows when he may come back.
    pub random: Duration,
    /// Do bans of other jails count, too?
    pub counts_all_jails: bool,
}

impl Default for Growth {
    /// Doubling, to five weeks: fail2ban would go on to centuries, and addresses get new owners.
    fn default() -> Self {
        Self {
            is_on: true,
            factor: 1.0,
            multipliers: Vec::new(),
            most: Some(Duration::from_secs(5 * 7 * 86_400)),
            random: Duration::ZERO,
            counts_all_jails: false,
        }
    }
}

impl Growth {
    /// How long a ban holds after `before` others; `lot` is a random number.
    #[must_use]
    pub fn term(&self, base: BanTerm, before: u32, lot: u64) -> BanTerm {
        let base = match base {
            BanTerm::For(base) if self.is_on && before > 0 => base,
            BanTerm::For(_) | BanTerm::Permanent => return base,
        };
        let seconds = base.as_secs_f64() * self.factor;
        let grown = match self.multipliers.last() {
            Some(last) => {
                let index = usize::try_from(before).unwrap_or(usize::MAX);
                seconds * f64::from(*self.multipliers.get(index).unwrap_or(last))
            }
            // fail2ban's formula never makes a ban shorter; its multipliers may.
            None => {
                let doubled = seconds * f64::from(1_u32 << before.min(MOST_DOUBLINGS));
                doubled.max(base.as_secs_f64())
            }
        };
        let most = self.most.map_or(f64::INFINITY, |most| most.as_secs_f64());
        let share = (lot >> 11) as f64 / (1_u64 << 53) as f64;
        let whole = grown.min(most) + share * self.random.as_secs_f64();
        if whole > LONGEST.as_secs_f64() {
            return BanTerm::Permanent;
        }
        BanTerm::For(Duration::from_secs_f64(whole.max(1.0)))
    }

    /// As how many failures one counts, of somebody who was banned so often before: 1, 2, 3, 5, 9, ….
    #[must_use]
    pub fn weight(&self, before: u32) -> u32 {
        match before {
            0 => 1,
            _ if !self.is_on => 1,
            _ => (1 << (before.min(MOST_DOUBLINGS) - 1)) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_MINUTES: BanTerm = BanTerm::For(Duration::from_secs(600));

    fn minutes(term: BanTerm) -> u64 {
        match term {
            BanTerm::For(length) => length.as_secs() / 60,
            BanTerm::Permanent => u64::MAX,
        }
    }

    fn row(growth: &Growth) -> Vec<u64> {
        (0..6)
            .map(|before| minutes(growth.term(TEN_MINUTES, before, 0)))
            .collect()
    }

    #[test]
    fn repeated_bans_grow_as_the_settings_say() {
        let on = Growth::default();
        let unlimited = Growth {
            most: None,
            ..on.clone()
        };
        for (what, growth, lengths) in [
            ("doubling", on.clone(), [10, 20, 40, 80, 160, 320]),
            (
                "off",
                Growth {
                    is_on: false,
                    ..on.clone()
                },
                [10; 6],
            ),
            (
                "factor",
                Growth {
                    factor: 3.0,
                    ..on.clone()
                },
                [10, 60, 120, 240, 480, 960],
            ),
            (
                "a small factor makes none shorter",
                Growth {
                    factor: 0.125,
                    ..on.clone()
                },
                [10, 10, 10, 10, 20, 40],
            ),
            (
                "multipliers",
                Growth {
                    multipliers: vec![1, 5, 30, 60],
                    ..on.clone()
                },
                [10, 50, 300, 600, 600, 600],
            ),
            (
                "at most an hour",
                Growth {
                    most: Some(Duration::from_secs(3600)),
                    ..on
                },
                [10, 20, 40, 60, 60, 60],
            ),
        ] {
            assert_eq!(row(&growth), lengths, "{what}");
        }
        assert_eq!(unlimited.term(TEN_MINUTES, 40, 0), BanTerm::Permanent);
        assert_eq!(unlimited.term(BanTerm::Permanent, 3, 0), BanTerm::Permanent);
    }

    #[test]
    fn a_random_part_comes_on_top_and_stays_below_its_bound() {
        let growth = Growth {
            random: Duration::from_secs(600),
            ..Growth::default()
        };
        for (lot, least, most) in [
            (0, 1200, 1200),
            (u64::MAX / 2, 1499, 1500),
            (u64::MAX, 1799, 1800),
        ] {
            let BanTerm::For(length) = growth.term(TEN_MINUTES, 1, lot) else {
                panic!("a length");
            };
            let seconds = length.as_secs();
            assert!((least..=most).contains(&seconds), "{lot}: {seconds}");
        }
    }

    #[test]
    fn who_was_banned_before_has_fewer_attempts() {
        let growth = Growth::default();
        let weights: Vec<u32> = (0..6).map(|before| growth.weight(before)).collect();
        assert_eq!(weights, [1, 2, 3, 5, 9, 17]);
        assert_eq!(growth.weight(u32::MAX), (1 << 19) + 1);
        let off = Growth {
            is_on: false,
            ..growth
        };
        assert_eq!(off.weight(7), 1);
    }
}

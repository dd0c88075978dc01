//! The same measured again and again: a value per round.

use serde_json::{Value, json};

/// Values of one thing, a value per round.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<f64>);

impl Series {
    /// Adds a round.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Number of rounds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Has no round been measured?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lowest value, infinite without a round.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The highest value, minus infinity without a round.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// The middle round, not a number without one.
    #[must_use]
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Between which values the middle half of all rounds lies, not numbers without one.
    #[must_use]
    pub fn middle_half(&self) -> (f64, f64) {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let quarter = sorted.len() / 4;
        (at(quarter), at((sorted.len() - quarter).saturating_sub(1)))
    }

    /// Every round by itself.
    #[must_use]
    pub fn map(&self, each: impl Fn(f64) -> f64) -> Self {
        self.0.iter().copied().map(each).collect()
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "min": self.min(),
            "median": self.median(),
            "max": self.max(),
            "rounds": self.len(),
        })
    }

    /// Round by round, the ratio of this to another that was measured in the same rounds.
    #[must_use]
    pub fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<I: IntoIterator<Item = f64>>(rounds: I) -> Self {
        Self(rounds.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_round_by_round_and_not_of_the_medians() {
        let slow: Series = [30.0, 60.0, 40.0].into_iter().collect();
        let fast: Series = [10.0, 30.0, 20.0].into_iter().collect();

        let ratio = slow.over(&fast);

        assert_eq!((ratio.min(), ratio.median(), ratio.max()), (2.0, 2.0, 3.0));
    }

    #[test]
    fn the_middle_half_leaves_out_a_quarter_at_each_end() {
        let rounds: Series = (1..=8).rev().map(f64::from).collect();

        assert_eq!(rounds.middle_half(), (3.0, 6.0));
        assert_eq!(rounds.map(|value| -value).middle_half(), (-6.0, -3.0));
    }

    #[test]
    fn nothing_measured_is_no_number() {
        assert!(Series::default().median().is_nan());
        assert!(Series::default().middle_half().1.is_nan());
    }
}

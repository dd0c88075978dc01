//! How many flows are remembered, as a policy says it.

use guard_common::abi::flow::{BUCKET_WORDS, BUCKETS, MAX_BUCKETS, MIN_BUCKETS, WAYS};

use crate::text::value::BadValue;

/// Size of the flow table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowTableSize {
    buckets: u32,
}

/// Flows of a bucket.
const FLOWS: u64 = WAYS as u64;
const FEWEST: u64 = MIN_BUCKETS as u64 * FLOWS;
const MOST: u64 = MAX_BUCKETS as u64 * FLOWS;

impl FlowTableSize {
    /// A table of so many buckets.
    #[must_use]
    pub const fn of_buckets(buckets: u32) -> Self {
        Self { buckets }
    }

    /// The smallest table with room for so many flows, which stand in the file as `text`.
    ///
    /// # Errors
    /// When there are fewer than 65 536 or more than 16 777 216.
    pub fn for_flows(flows: u64, text: &str) -> Result<Self, BadValue> {
        if !(FEWEST..=MOST).contains(&flows) {
            let bad = format!("flow-table {text} is out of range ({FEWEST}-{MOST})");
            let usual = Self::default().flows();
            return Err(BadValue::new(bad).help(format!(
                "a flow takes 16 bytes of memory, half of the flows are for sessions that others begin; {usual} is \
                 the default"
            )));
        }
        // Both ends are powers of two.
        Ok(Self::of_buckets((flows.next_power_of_two() / FLOWS) as u32))
    }

    /// Its buckets, a power of two.
    #[must_use]
    pub const fn buckets(self) -> u32 {
        self.buckets
    }

    /// How many flows it has room for; half of that is for sessions that others begin.
    #[must_use]
    pub const fn flows(self) -> u64 {
        self.buckets as u64 * FLOWS
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.buckets as u64 * (BUCKET_WORDS * size_of::<u64>()) as u64
    }
}

impl Default for FlowTableSize {
    fn default() -> Self {
        Self::of_buckets(BUCKETS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_room_for_at_least_what_was_asked_for() {
        for (asked, flows, bytes) in [
            (65_536, 65_536, 1 << 20),
            (65_537, 131_072, 2 << 20),
            (524_288, 524_288, 8 << 20),
            (1_000_000, 1_048_576, 16 << 20),
            (16_777_216, 16_777_216, 256 << 20),
        ] {
            let size = FlowTableSize::for_flows(asked, "").expect("in range");
            assert_eq!((size.flows(), size.bytes()), (flows, bytes), "{asked}");
        }
        assert_eq!(FlowTableSize::default().flows(), 524_288);
        for refused in [0, 65_535, 16_777_217, u64::MAX] {
            FlowTableSize::for_flows(refused, "").expect_err("out of range");
        }
    }
}

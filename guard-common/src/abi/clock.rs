//! The clock of everything that ages: the kernel's jiffies, which a program reads for nothing, and what
//! is counted in them.
//!
//! A tick is the power of two of jiffies that is nearest to a second (0.85 to 1.28 s whatever the
//! kernel's HZ).

/// Eighths of a tick, as a power of two.
pub const EIGHTH_SHIFT: u32 = 3;

/// Time in ticks of about a second.
#[inline(always)]
#[must_use]
pub const fn ticks(jiffies: u64, tick_shift: u32) -> u32 {
    (jiffies >> (tick_shift & 63)) as u32
}

/// Time in eighths of a tick; wraps after 17 years.
#[inline(always)]
#[must_use]
pub const fn eighths(jiffies: u64, tick_shift: u32) -> u32 {
    (jiffies >> (tick_shift.wrapping_sub(EIGHTH_SHIFT) & 63)) as u32
}

/// Ticks of that many eighths.
#[must_use]
pub const fn ticks_of(eighths: u32) -> u32 {
    eighths >> EIGHTH_SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_eighths_are_a_tick() {
        let jiffies = (1 << 32) + 12_345;
        assert_eq!(ticks_of(eighths(jiffies, 8)), ticks(jiffies, 8));
        assert_eq!(eighths(jiffies + 256, 8), eighths(jiffies, 8) + 8);
        assert_eq!(ticks(jiffies + 256, 8), ticks(jiffies, 8) + 1);
    }
}

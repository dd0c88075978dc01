//! Limits per source: `rate 20/s burst 40`. What they mean, how they are written, and what they are in
//! the kernel's units.

use std::fmt;

use guard_common::abi::meter::{LONGEST, Meter, Scale, UNIT_SHIFT};

use super::on_excess::{self, ExcessBan, whole_seconds, write_seconds};
use crate::text::value::{BadValue, quoted};

/// How many connections, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// New connections, at least one …
    pub count: u32,
    /// … in so many seconds, at least one.
    pub seconds: u32,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Counts {
    /// New connections of TCP and new conversations of UDP.
    #[default]
    Connections,
    /// Every packet; of TCP also those of sessions.
    Packets,
}

/// What a source may open, or send, under a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// Of what.
    pub counts: Counts,
    /// In the long run.
    pub rate: Rate,
    /// At once, after a pause; at least one.
    pub burst: u32,
    /// Whoever exceeds it with a session is let in no more for a while.
    pub block: Option<Block>,
    /// Whoever goes on above it with a session is banned.
    pub on_excess: Option<ExcessBan>,
}

/// What a rule says beside the rate of its limit, each as far as it was given.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extras {
    pub(super) burst: Option<u32>,
    pub(super) block: Option<Block>,
    pub(super) on_excess: Option<ExcessBan>,
}

/// How long a source is let in no more that exceeded a limit: 1 s to a day, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Block(u32);

impl Block {
    /// Longest, in seconds.
    pub const MOST: u32 = on_excess::LONGEST;

    /// So many seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// Reads `60s`, `5m`, `1h`.
    ///
    /// # Errors
    /// When it is no length of time, or one that is not from a second to a day.
    pub fn parse(text: &str) -> Result<Self, BadValue> {
        let bad = |why: &str| {
            BadValue::new(format!("block {} {why}", quoted(text)))
                .help("write from 1s to 24h, e.g. 60s: a ban that lasts longer is a matter of `guardctl ban` or a jail")
        };
        whole_seconds(text).map(Self).map_err(bad)
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(self.0, f)
    }
}

/// Which addresses count as one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourcePrefixes {
    /// Length of the prefix of IPv4 sources.
    pub v4: u8,
    /// Length of the prefix of IPv6 sources.
    pub v6: u8,
}

impl Default for SourcePrefixes {
    /// An address, and the network that an IPv6 subscriber has to himself.
    fn default() -> Self {
        Self { v4: 32, v6: 64 }
    }
}

impl SourcePrefixes {
    /// Lengths that make sense for IPv4: a wider prefix would make strangers share a limit.
    pub const V4: std::ops::RangeInclusive<u8> = 16..=32;
    /// Lengths that make sense for IPv6.
    pub const V6: std::ops::RangeInclusive<u8> = 32..=128;
}

/// Fastest rate, per second: the kernel counts in 1/256 jiffy, which is 5 % of the distance of two
/// connections at this rate and 100 Hz.
const MOST_PER_SECOND: u32 = 5000;
/// Slowest rate: one connection in this many seconds.
const LONGEST_INTERVAL: u32 = 3600;
/// What a burst may take to be paid for, in seconds.
const LONGEST_BURST: u64 = 24 * 3600;

impl Rate {
    /// ufw's: 6 connections in 30 seconds.
    pub const DEFAULT: Self = Self {
        count: 6,
        seconds: 30,
    };

    /// Reads `20/s`, `6/30s`, `100/min`, `10/h`.
    ///
    /// # Errors
    /// When it is none, or one that the kernel's clock cannot keep.
    pub fn parse(text: &str) -> Result<Self, BadValue> {
        let bad = |why: String| BadValue::new(format!("rate {} {why}", quoted(text)));
        let example = "write a number per time, e.g. 20/s, 6/30s, 100/min or 10/h";
        let Some((count, period)) = text.split_once('/') else {
            return Err(bad("has no time".to_owned()).help(example));
        };
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let unit_at = period
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(period.len());
        let (times, unit) = period.split_at(unit_at);
        let unit_seconds = match unit.to_ascii_lowercase().as_str() {
            "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3600,
            _ => return Err(bad("has no unit of time that guard knows".to_owned()).help(example)),
        };
        if !digits(count) || !(times.is_empty() || digits(times)) {
            return Err(bad("is not a number per time".to_owned()).help(example));
        }
        let too_long = |_| bad("has a number that is too large".to_owned()).help(example);
        let count: u32 = count.parse().map_err(too_long)?;
        let times: u32 = if times.is_empty() {
            1
        } else {
            times.parse().map_err(too_long)?
        };
        if count == 0 {
            return Err(bad("lets nobody in".to_owned())
                .help("use `deny` for that; the slowest limit is 1/h"));
        }
        let seconds = times.saturating_mul(unit_seconds);
        if seconds == 0 {
            return Err(bad("has a time of 0".to_owned()).help(example));
        }
        if u64::from(count) > u64::from(seconds) * u64::from(MOST_PER_SECOND) {
            return Err(bad(format!("is faster than {MOST_PER_SECOND}/s"))
                .help("the kernel's clock is too coarse for more; use `allow`"));
        }
        if u64::from(seconds) > u64::from(count) * u64::from(LONGEST_INTERVAL) {
            return Err(bad("is slower than 1/h".to_owned())
                .help("use `deny`, or `allow from` the sources that you know"));
        }
        Ok(Self { count, seconds })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seconds {
            1 => write!(f, "{}/s", self.count),
            60 => write!(f, "{}/min", self.count),
            3600 => write!(f, "{}/h", self.count),
            seconds => write!(f, "{}/{seconds}s", self.count),
        }
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self::at(Rate::DEFAULT)
    }
}

impl Limit {
    /// This rate, and at once what it lets in during its time.
    #[must_use]
    pub const fn at(rate: Rate) -> Self {
        Self {
            counts: Counts::Connections,
            rate,
            burst: rate.count,
            block: None,
            on_excess: None,
        }
    }

    /// Of an allowed ping or another message of ICMP, unless a rule says otherwise: what monitoring and a person at a terminal send.
    pub const ICMP: Self = Self {
        counts: Counts::Packets,
        rate: Rate {
            count: 10,
            seconds: 1,
        },
        burst: 20,
        block: None,
        on_excess: None,
    };

    /// A rate and what else was given.
    ///
    /// # Errors
    /// When it would take longer than a day until a burst is paid for.
    pub(super) fn of(counts: Counts, rate: Option<Rate>, extras: Extras) -> Result<Self, BadValue> {
        let rate = rate.unwrap_or(Rate::DEFAULT);
        let limit = Self {
            counts,
            rate,
            burst: extras.burst.unwrap_or(rate.count),
            block: extras.block,
            on_excess: extras.on_excess,
        };
        let seconds = u64::from(limit.burst) * u64::from(rate.seconds) / u64::from(rate.count);
        if seconds > LONGEST_BURST {
            return Err(BadValue::new(format!(
                "a burst of {} at rate {rate} takes {} hours to recover; a day is the longest",
                limit.burst,
                seconds / 3600
            ))
            .help("choose a smaller burst or a faster rate"));
        }
        Ok(limit)
    }

    /// The words beyond `limit` that say so.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        match self.counts {
            Counts::Packets => words.extend(["packets".to_owned(), self.rate.to_string()]),
            Counts::Connections if self.rate != Rate::DEFAULT => {
                words.extend(["rate".to_owned(), self.rate.to_string()]);
            }
            Counts::Connections => {}
        }
        if self.burst != self.rate.count {
            words.extend(["burst".to_owned(), self.burst.to_string()]);
        }
        if let Some(block) = self.block {
            words.extend(["block".to_owned(), block.to_string()]);
        }
        if let Some(ban) = self.on_excess {
            words.extend(["on-excess".to_owned(), ban.to_string()]);
        }
        words
    }

    /// In units of the kernel's table: jiffies of `jiffy_ns`, cut into 256.
    #[must_use]
    pub(super) fn meter(&self, number: u32, jiffy_ns: u64) -> Meter {
        let second = second(jiffy_ns);
        let of = |count: u64| {
            let units = u128::from(second) * u128::from(self.rate.seconds) * u128::from(count);
            let rate = u128::from(self.rate.count);
            ((units + rate / 2) / rate) as u64
        };
        let interval = of(1).clamp(1, u64::from(u32::MAX)) as u32;
        // What one lies behind another may be a jiffy less than the clock says.
        let jiffy = 1 << UNIT_SHIFT;
        let number = match self.counts {
            Counts::Connections => number & !Meter::PACKETS,
            Counts::Packets => number | Meter::PACKETS,
        };
        Meter {
            interval,
            number,
            tolerance: (of(u64::from(self.burst) - 1) + jiffy).min(LONGEST / 2),
            block: self.block.map_or(0, Block::seconds),
        }
    }
}

/// Reads a burst.
pub(super) fn burst(text: &str) -> Result<u32, BadValue> {
    let bad = |why: &str| {
        BadValue::new(format!("burst {} {why}", quoted(text)))
            .help("write how many connections a source may open at once, 1 or more, e.g. 10")
    };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad("is not a number"));
    }
    match text.parse() {
        Ok(0) => Err(bad("lets nobody in")),
        Ok(burst) => Ok(burst),
        Err(_) => Err(bad("is too large")),
    }
}

/// What all meters of a policy share.
pub(super) fn scale(prefixes: SourcePrefixes, jiffy_ns: u64) -> Scale {
    Scale::new(prefixes.v4, prefixes.v6, second(jiffy_ns))
}

/// Units of a second.
fn second(jiffy_ns: u64) -> u64 {
    (1_000_000_000u64 << UNIT_SHIFT) / jiffy_ns.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_written() {
        for (text, count, seconds, written) in [
            ("20/s", 20, 1, "20/s"),
            ("6/30s", 6, 30, "6/30s"),
            ("100/min", 100, 60, "100/min"),
            ("100/m", 100, 60, "100/min"),
            ("10/h", 10, 3600, "10/h"),
            ("7/2min", 7, 120, "7/120s"),
            ("5000/s", 5000, 1, "5000/s"),
            ("1/h", 1, 3600, "1/h"),
            ("3/10Seconds", 3, 10, "3/10s"),
        ] {
            let rate = Rate::parse(text).expect(text);
            assert_eq!((rate.count, rate.seconds), (count, seconds), "{text}");
            assert_eq!(rate.to_string(), written);
            assert_eq!(Rate::parse(written), Ok(rate));
        }
    }

    #[test]
    fn blocks_last_from_a_second_to_a_day() {
        for (text, written) in [
            ("1s", "1s"),
            ("60", "60s"),
            ("60s", "60s"),
            ("5m", "5m"),
            ("90s", "90s"),
            ("3600s", "1h"),
            ("1d", "24h"),
        ] {
            let block = Block::parse(text).expect(text);
            assert_eq!(block.to_string(), written);
            assert_eq!(Block::parse(written), Ok(block));
        }
        for (text, why) in [
            ("", "not a length"),
            ("ban 60s", "not a length"),
            ("-1s", "not a length"),
            ("0", "shorter than a second"),
            ("500ms", "shorter than a second"),
            ("1500ms", "whole seconds"),
            ("25h", "longer than a day"),
            ("99999999999999s", "longer than a day"),
        ] {
            let bad = Block::parse(text).expect_err(text);
            assert!(bad.message.contains(why), "{text}: {}", bad.message);
            assert!(bad.help.is_some());
        }
    }

    #[test]
    fn what_is_no_rate_is_refused_with_a_way_out() {
        for (text, why) in [
            ("", "has no time"),
            ("20", "has no time"),
            ("20/", "no unit"),
            ("20/5", "no unit"),
            ("20/x", "no unit"),
            ("0/s", "lets nobody in"),
            ("5/0s", "a time of 0"),
            ("-1/s", "not a number"),
            ("1.5/s", "not a number"),
            ("/s", "not a number"),
            ("5001/s", "faster than 5000/s"),
            ("1/2h", "slower than 1/h"),
            ("1/99999999h", "slower than 1/h"),
            ("99999999999/s", "too large"),
            ("1/99999999999s", "too large"),
            ("５/s", "not a number"),
        ] {
            let bad = Rate::parse(text).expect_err(text);
            assert!(bad.message.contains(why), "{text}: {}", bad.message);
            assert!(bad.help.is_some());
        }
        for (text, why) in [
            ("0", "lets nobody in"),
            ("x", "not a number"),
            ("-1", "not a number"),
            ("4294967296", "too large"),
        ] {
            let bad = burst(text).expect_err(text);
            assert!(bad.message.contains(why), "{text}: {}", bad.message);
        }
        let extras = Extras {
            burst: Some(25),
            ..Extras::default()
        };
        let slow =
            Limit::of(Counts::Connections, Rate::parse("1/h").ok(), extras).expect_err("25 hours");
        assert!(slow.message.contains("25 hours"), "{}", slow.message);
    }

    #[test]
    fn meters_keep_the_rate_within_five_percent_at_every_hz() {
        for hz in [100u64, 250, 300, 1000] {
            let jiffy_ns = 1_000_000_000 / hz;
            for text in ["6/30s", "1/s", "20/s", "1000/s", "5000/s", "1/h", "7/min"] {
                let limit = Limit::at(Rate::parse(text).expect(text));
                let meter = limit.meter(1, jiffy_ns);
                let seconds = f64::from(meter.interval) / (hz * 256) as f64;
                let wanted = f64::from(limit.rate.seconds) / f64::from(limit.rate.count);
                let off = (seconds / wanted - 1.0).abs();
                assert!(off < 0.05, "{text} at {hz}: {seconds} for {wanted}");
                assert!(meter.tolerance >= 256 && meter.tolerance <= LONGEST / 2);
            }
        }
    }
}

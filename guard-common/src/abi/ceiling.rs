//! The ceiling: how many new connections a port takes from all sources together, where the host has no
//! listener that could answer with cookies. One word per port, two per (port, source prefix) in
//! hashed tables of fixed size: nothing is allocated, so nothing can be exhausted.
//!
//! A meter is the theoretical arrival time of the generic cell rate algorithm (ITU-T I.371): each
//! connection puts it an interval further, and what is too far ahead of the clock is too much. Time
//! is in microseconds made of jiffies.

use super::{
    addr::Addr,
    ceiling_map::{
        ANSWERED_FIRST, DATAGRAMS_FIRST, EXCEEDED_FIRST, KNOWN_FIRST, OUT_OF_STATE_FIRST,
        OUT_OF_STATE_REFUSED_FIRST, PORTS_FIRST, PREFIXES, PREFIXES_FIRST, REFUSED_FIRST,
        REPEATS_FIRST, UDP_ANSWERS_FIRST,
    },
};

/// Words of one of the two tables of meters of source prefixes.
const PREFIX_ROW: u32 = PREFIXES / 2;

/// New connections per second that a port takes unless the policy says otherwise. A service behind
/// NAT that makes more than a thousand new ones in a second is rare, and a thousand SYNs per second
/// cost connection tracking, bridge and container a few percent of a core; with Linux's default of
/// 63 s in SYN_RECV (tcp_synack_retries = 5) they hold 63 000 of 262 144 tracked connections.
pub const DEFAULT_PER_SECOND: u32 = 1000;
/// How many may come at once: a page load of every visitor after a restart.
pub const DEFAULT_BURST: u32 = 2000;
/// While more than half of the burst is used up, a prefix may use this part of the ceiling.
const SHARE: u32 = 8;

/// Datagrams of a source that one answer to it bears out. Of the protocols that a client sends much over, QUIC
/// acknowledges every second to tenth datagram, and TCP inside a WireGuard tunnel every second segment, or of those
/// that were joined one in some twenty.
pub const ANSWERS_COUNT: u64 = 32;

/// A ceiling in one word: `interval in microseconds (low half), burst (high half)`; 0 = none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling(u64);

impl Ceiling {
    /// No ceiling.
    pub const NONE: Self = Self(0);
    /// What a port has unless the policy says otherwise.
    pub const DEFAULT: Self = Self::new(1_000_000 / DEFAULT_PER_SECOND, DEFAULT_BURST);
    /// Answers of DHCP. Not what the policy says for ports: with one in a minute, the answers to others on a
    /// link would keep this host without an address.
    pub const DHCP: Self = Self::DEFAULT;
    /// First fragments that rules let in and that are no replies, and fragments ahead of their first one. What is
    /// not put together within 30 s (`ipfrag_time`) fills the kernel's memory for reassembly (`ipfrag_high_thresh`,
    /// 4 MB, of which a fragment takes up to 2.3 KB): 58 per second fill it.
    pub const OF_FRAGMENTS: Self = Self::new(1_000_000 / 40, 400);
    /// ICMP errors: each is read to the ends of the conversation that it quotes. The kernel itself sends no more
    /// than 1000 per second (`icmp_msgs_per_sec`).
    pub const OF_ERRORS: Self = Self::new(1_000_000 / 1000, 2000);

    /// A connection per this many microseconds (not 0), and so many at once.
    #[must_use]
    pub const fn new(interval_us: u32, burst: u32) -> Self {
        Self((burst as u64) << 32 | interval_us as u64)
    }

    /// Segments that nothing vouches for, unless the policy says otherwise: every client of before a reboot gets his
    /// reset within a second, and this host answers a flood with no more.
    pub const OUT_OF_STATE: Self = Self::new(1_000_000 / 200, 400);

    /// Datagrams to a port from sources that this host has not answered, unless the policy says otherwise: as many
    /// new clients as a busy resolver or game has, and no more than a process takes without effort.
    pub const DATAGRAMS: Self = Self::new(1_000_000 / 2000, 4000);
    /// Echo requests that rules let in, of all sources together.
    pub const OF_ECHOES: Self = Self::new(1_000_000 / 1000, 2000);

    /// As stored.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// As stored.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.0
    }

    /// Is there none?
    #[inline(always)]
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 as u32 == 0
    }

    /// Does not even one fit?
    #[inline(always)]
    #[must_use]
    pub const fn is_closed(self) -> bool {
        self.0 >> 32 == 0
    }

    /// As [`Ceiling::per_second`]; 0 where not even one fits.
    #[must_use]
    pub fn admitted_per_second(self) -> Option<f64> {
        self.per_second()
            .map(|rate| if self.is_closed() { 0.0 } else { rate })
    }

    /// So many per second; `None` = any number.
    #[must_use]
    pub fn per_second(self) -> Option<f64> {
        let interval = self.0 as u32;
        (interval != 0).then(|| 1e6 / f64::from(interval))
    }

    /// Meters of a whole port.
    #[inline(always)]
    #[must_use]
    pub const fn of_port(self) -> Pace {
        let interval = self.0 & 0xffff_ffff;
        Pace {
            interval,
            tolerance: (self.0 >> 32).wrapping_mul(interval),
        }
    }

    /// Meters of one source that this host answers: twice as fast as all strangers together, the burst too. Who lets in
    /// fewer strangers than by default says nothing of his clients. `hide` keeps a number from the compiler, which would
    /// make two ways of it to the verifier.
    #[inline(always)]
    #[must_use]
    pub fn of_answered(self, hide: impl Fn(u64) -> u64) -> Pace {
        let least = Self::DATAGRAMS.0;
        let is_lower = hide((self.0 >> 32).wrapping_sub(least >> 32) >> 63).wrapping_neg();
        let whole = Self(self.0 & !is_lower | least & is_lower).of_port();
        Pace {
            interval: whole.interval / 2,
            tolerance: whole.tolerance,
        }
    }

    /// Meters of the answers to such a source that count: as many in a second as it may send of itself. With
    /// [`ANSWERS_COUNT`] that is 132 000 datagrams per second unless the policy says otherwise: a gigabit of full size
    /// has 85 000. What counts when they come all together bears out as much as is owed when answers begin to count.
    #[inline(always)]
    #[must_use]
    pub fn of_answers(self, hide: impl Fn(u64) -> u64) -> Pace {
        let source = self.of_answered(hide);
        Pace {
            interval: source.interval,
            tolerance: source.tolerance / (2 * ANSWERS_COUNT),
        }
    }

    /// Meters of one source prefix at a port: an eighth of it, the burst too.
    #[inline(always)]
    #[must_use]
    pub const fn of_prefix(self) -> Pace {
        let whole = self.of_port();
        Pace {
            interval: whole.interval * SHARE as u64,
            tolerance: whole.tolerance,
        }
    }
}

/// What a meter is compared with, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two connections.
    pub interval: u64,
    /// How far ahead of the clock the meter may be.
    pub tolerance: u64,
}

impl Pace {
    /// How far a meter is ahead of the clock. More than it can be is left from another policy.
    #[inline(always)]
    #[must_use]
    pub const fn debt(self, meter: u64, now_us: u64) -> u64 {
        let debt = meter.wrapping_sub(now_us);
        if debt as i64 <= 0 || debt > 2 * self.tolerance + 64 * self.interval {
            0
        } else {
            debt
        }
    }

    /// Does one more fit?
    #[inline(always)]
    #[must_use]
    pub const fn admits(self, debt: u64) -> bool {
        debt + self.interval <= self.tolerance
    }

    /// Is there nothing that a further connection could add?
    #[inline(always)]
    #[must_use]
    pub const fn is_full(self, debt: u64) -> bool {
        debt > self.tolerance
    }

    /// Is more than half of the burst used up?
    #[inline(always)]
    #[must_use]
    pub const fn is_tight(self, debt: u64) -> bool {
        debt > self.tolerance / 2
    }
}

/// Word of a port's meter.
#[inline(always)]
#[must_use]
pub const fn port_meter(port: u16) -> u32 {
    PORTS_FIRST + port as u32
}

/// Words of the two meters of a source prefix (up to 48 bits) at a port. A prefix has used its part when both
/// say so: whoever shares one with a flood has the other, and one prefix in 67 million shares both.
#[inline(always)]
#[must_use]
pub const fn prefix_meters(prefix: u64, port: u16, seed: u64) -> [u32; 2] {
    let mut hash = (prefix ^ (port as u64) << 48 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ hash >> 32 ^ seed).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let (first, second) = ((hash >> 50) as u32, (hash >> 34) as u32);
    [
        PREFIXES_FIRST + (first & (PREFIX_ROW - 1)),
        PREFIXES_FIRST + PREFIX_ROW + (second & (PREFIX_ROW - 1)),
    ]
}

/// Word of a port's meter for sources of whose prefix somebody has completed a handshake.
#[inline(always)]
#[must_use]
pub const fn known_meter(port: u16) -> u32 {
    KNOWN_FIRST + port as u32
}

/// Word of the number of SYNs to a port that were answered with a cookie.
#[inline(always)]
#[must_use]
pub const fn answered(port: u16) -> u32 {
    ANSWERED_FIRST + port as u32
}

/// Word of the number of SYNs to a port that were above the ceiling.
#[inline(always)]
#[must_use]
pub const fn refused(port: u16) -> u32 {
    REFUSED_FIRST + port as u32
}

/// Word of a port's meter of segments that nothing vouches for.
#[inline(always)]
#[must_use]
pub const fn out_of_state_meter(port: u16) -> u32 {
    OUT_OF_STATE_FIRST + port as u32
}

/// Word of the number of segments to a port that nothing vouched for and that were above the ceiling.
#[inline(always)]
#[must_use]
pub const fn out_of_state_refused(port: u16) -> u32 {
    OUT_OF_STATE_REFUSED_FIRST + port as u32
}

/// Word of a port's meter of datagrams from sources that this host has not answered.
#[inline(always)]
#[must_use]
pub const fn datagram_meter(port: u16) -> u32 {
    DATAGRAMS_FIRST + port as u32
}

/// Word of a port's meter of those of them that repeat themselves.
#[inline(always)]
#[must_use]
pub const fn repeat_meter(port: u16) -> u32 {
    REPEATS_FIRST + port as u32
}

/// Word and bit that say that a datagram left from a port.
#[inline(always)]
#[must_use]
pub const fn udp_answers(port: u16) -> (u32, u64) {
    (UDP_ANSWERS_FIRST + (port as u32 >> 6), 1 << (port & 63))
}

/// Ticks for which a cookie may come back: its sender's round trip, and two retransmissions.
const COOKIE_TICKS: u32 = 8;

/// May the last segment of a handshake carry a cookie of this host, according to [`super::ceiling_map::LAST_COOKIE`]?
#[inline(always)]
#[must_use]
pub const fn may_bring_cookie(last: u64, tick: u32) -> bool {
    last != 0 && tick.wrapping_sub(last as u32) <= COOKIE_TICKS
}

/// Word of the mark of a port.
#[inline(always)]
#[must_use]
pub const fn exceeded(port: u16) -> u32 {
    EXCEEDED_FIRST + port as u32
}

/// The mark that says: in this jiffy nobody listened at this address of ours ([`fold`]), and the ceiling of the
/// port was exceeded. As long as the clock does not move it stays so. It is of one address, or a flood
/// of one at which nobody listens would close the port at the others.
#[inline(always)]
#[must_use]
pub const fn exceeded_mark(jiffies: u64, local: u32) -> u64 {
    jiffies << 33 | local as u64
}

/// Set in a mark that is true of source prefixes that have used their part of the ceiling, and of no other.
pub const EXCEEDED_BY_PREFIX: u64 = 1 << 32;

/// An address of ours in 32 bits; one of IPv4 loses nothing.
#[inline(always)]
#[must_use]
pub const fn fold(local: Addr) -> u32 {
    let (hi, lo) = (local.hi(), local.lo());
    (hi >> 32 ^ hi ^ lo >> 32 ^ lo) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::ceiling_map::{FRAGMENTS, LAST_COOKIE};

    #[test]
    fn a_meter_that_is_idle_admits_the_burst_and_then_its_rate() {
        for (pace, rate, burst) in [
            (Ceiling::DEFAULT.of_port(), 1000, 2000),
            (Ceiling::DEFAULT.of_prefix(), 125, 250),
        ] {
            let (mut meter, mut admitted) = (0u64, 0);
            let begin = 4_000_000_000_000;
            for now in (begin..begin + 10_000_000).step_by(100) {
                let debt = pace.debt(meter, now);
                if pace.admits(debt) {
                    meter = now + debt + pace.interval;
                    admitted += 1;
                }
            }
            let expected = burst + rate * 10;
            assert!(
                (expected - 2..=expected + 2).contains(&admitted),
                "{admitted}"
            );
        }
    }

    #[test]
    fn what_is_left_of_a_slower_ceiling_counts_for_nothing() {
        let pace = Ceiling::DEFAULT.of_port();
        assert_eq!(pace.debt(10_000_000_000, 1_000_000), 0);
        assert_eq!(pace.debt(1_500_000, 1_000_000), 500_000);
        assert_eq!(pace.debt(999_999, 1_000_000), 0);
    }

    #[test]
    fn a_source_that_is_answered_has_twice_the_ceiling_of_strangers_and_never_less_than_by_default()
    {
        let paces = |ceiling: Ceiling| {
            let Pace {
                interval,
                tolerance,
            } = ceiling.of_answered(|number| number);
            (1_000_000 / interval, tolerance / interval)
        };
        assert_eq!(paces(Ceiling::DATAGRAMS), (4000, 8000));
        assert_eq!(paces(Ceiling::new(200, 10_000)), (10_000, 20_000));
        for lower in [Ceiling::new(1, 0), Ceiling::new(1_000_000, 2)] {
            assert_eq!(paces(lower), (4000, 8000), "{lower:?}");
        }
    }

    #[test]
    fn words_of_the_map_do_not_overlap() {
        assert_eq!(port_meter(u16::MAX) + 1, PREFIXES_FIRST);
        for prefix in 0..10_000 {
            let [first, second] = prefix_meters(prefix << 13, 443, 7);
            assert!((PREFIXES_FIRST..PREFIXES_FIRST + PREFIX_ROW).contains(&first));
            assert!((PREFIXES_FIRST + PREFIX_ROW..ANSWERED_FIRST).contains(&second));
        }
        assert_eq!(answered(u16::MAX) + 1, refused(0));
        assert_eq!(refused(u16::MAX) + 1, exceeded(0));
        assert_eq!(exceeded(u16::MAX) + 1, known_meter(0));
        assert_eq!(known_meter(u16::MAX) + 1, FRAGMENTS);
        assert_eq!(answered(u16::MAX) + 1, refused(0));
        assert_eq!(out_of_state_meter(u16::MAX) + 1, out_of_state_refused(0));
        assert_eq!(out_of_state_refused(u16::MAX) + 1, LAST_COOKIE);
    }
}

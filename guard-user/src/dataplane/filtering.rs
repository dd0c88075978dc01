//! Proof that an interface is filtered: that a program is attached says nothing about whether the driver
//! hands it packets. What the interface has received must have been counted by the program.

use super::{attachments::Counts, pins::Running};
use crate::host::Interface;

/// Frames without any being counted that are no accident: one may have been received while the program
/// was being put there.
const FEW: u64 = 3;
/// Frames of which half must have been counted: drivers add up what they received now and then.
const MANY: u64 = 16;

/// What the counts of an interface say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The program sees what the interface receives.
    Proven,
    /// Too little was received to tell.
    Unknown,
    /// The interface receives what the program does not see.
    Blind,
}

/// What an interface has received, and guard has counted on all interfaces.
///
/// At the end of a time: the interface was read before, so what has come since is never missing from
/// guard's count. At its beginning the order must be the other way round.
#[must_use]
pub fn counts(running: &Running, interface: &Interface) -> Counts {
    Counts {
        received: interface.received,
        counted: running.counters.packets(),
    }
}

/// What the counts of an interface that is the only one say, since `since`.
#[must_use]
pub fn judge(since: Counts, now: Counts) -> Sight {
    let counted = now.counted.saturating_sub(since.counted);
    let received = now.received.saturating_sub(since.received);
    judge_all(&[received], counted)[0]
}

/// What the counts of all guarded interfaces say: frames that each received, and that guard counted on
/// all of them, in the same time.
#[must_use]
pub fn judge_all(received: &[u64], counted: u64) -> Vec<Sight> {
    let missing = received.iter().sum::<u64>().saturating_sub(counted);
    let is_suspect = |received: u64| {
        let is_nothing_seen = counted == 0 && received >= FEW;
        is_nothing_seen || (received >= MANY && missing > received / 2)
    };
    // Of several that would explain what is missing, the one whose number is nearest to it.
    let suspect = (0..received.len())
        .filter(|at| is_suspect(received[*at]))
        .min_by_key(|at| received[*at].abs_diff(missing));
    let sight = received.iter().enumerate().map(|(at, received)| {
        if counted == 0 && *received >= FEW || suspect == Some(at) {
            Sight::Blind
        } else if suspect.is_none() && *received > 0 && counted > 0 {
            Sight::Proven
        } else {
            Sight::Unknown
        }
    });
    sight.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Sight::{Blind, Proven, Unknown};

    #[test]
    fn what_was_received_and_not_counted_is_not_filtered() {
        let cases: [(&[u64], u64, &[Sight]); 12] = [
            // Nothing came, or hardly anything.
            (&[0], 0, &[Unknown]),
            (&[2], 0, &[Unknown]),
            // Counted on another interface, or loops of our own.
            (&[0], 9, &[Unknown]),
            (&[3], 0, &[Blind]),
            (&[1], 1, &[Proven]),
            (&[1000], 990, &[Proven]),
            // Half of the queues.
            (&[1000], 499, &[Blind]),
            (&[15], 1, &[Proven]),
            // Several interfaces.
            (&[1000, 20], 1020, &[Proven, Proven]),
            (&[1000, 20], 1000, &[Unknown, Blind]),
            (&[1000, 20], 20, &[Blind, Unknown]),
            (&[1000, 20], 0, &[Blind, Blind]),
        ];
        for (received, counted, expected) in cases {
            let case = format!("{received:?} received, {counted} counted");
            assert_eq!(judge_all(received, counted), expected, "{case}");
        }
    }

    #[test]
    fn a_count_that_begins_anew_proves_nothing() {
        let since = Counts {
            received: 1000,
            counted: 1000,
        };
        let now = Counts {
            received: 3,
            counted: 1000,
        };
        assert_eq!(judge(since, now), Unknown);
    }
}

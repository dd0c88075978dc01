//! Proof that an interface is filtered: that a program is attached says nothing about whether the driver
//! hands it packets. What the interface has received must have been counted by the program.

use super::attachments::FrameCounts;
use crate::{
    dataplane::pins::Running,
    host::{Interface, XdpMode},
};

/// Frames without any being counted that are no accident: one may have been received while the program
/// was being put there.
const FEW: u64 = 3;
/// Frames of which half must have been counted in native mode: drivers add up what they received now and
/// then. In generic mode a CPU that cannot keep up drops frames before the program (its backlog is full).
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
pub fn counts(running: &Running, interface: &Interface) -> FrameCounts {
    FrameCounts {
        received: interface.received,
        counted: running.counters.packets(),
    }
}

/// What an interface has received in some time.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Frames.
    pub frames: u64,
    /// Where the program runs.
    pub mode: XdpMode,
}

/// What the counts of an interface that is the only one say, since `since`.
#[must_use]
pub fn evaluate(mode: XdpMode, since: FrameCounts, now: FrameCounts) -> Sight {
    let counted = now.counted.saturating_sub(since.counted);
    let frames = now.received.saturating_sub(since.received);
    evaluate_all(&[Received { frames, mode }], counted)[0]
}

/// What the counts of all guarded interfaces say: frames that each received, and that guard counted on
/// all of them, in the same time.
#[must_use]
pub fn evaluate_all(received: &[Received], counted: u64) -> Vec<Sight> {
    let sum: u64 = received.iter().map(|received| received.frames).sum();
    let missing = sum.saturating_sub(counted);
    let is_nothing_seen = |received: Received| counted == 0 && received.frames >= FEW;
    let is_suspect = |received: Received| {
        let is_half_missing = received.frames >= MANY && missing > received.frames / 2;
        is_nothing_seen(received) || (received.mode == XdpMode::Native && is_half_missing)
    };
    // Of several that would explain what is missing, the one whose number is nearest to it.
    let suspect = (0..received.len())
        .filter(|at| is_suspect(received[*at]))
        .min_by_key(|at| received[*at].frames.abs_diff(missing));
    let sight = received.iter().enumerate().map(|(at, received)| {
        if is_nothing_seen(*received) || suspect == Some(at) {
            Sight::Blind
        } else if suspect.is_none() && received.frames > 0 && counted > 0 {
            Sight::Proven
        } else {
            Sight::Unknown
        }
    });
    sight.collect()
}

/// The same for each by itself, where little was received: in one and the same time, what is missing of guard's count
/// is as much as an interface that no program sees has received.
#[must_use]
pub fn evaluate_each(received: &[Received], counted: u64) -> Vec<Sight> {
    let sum: u64 = received.iter().map(|received| received.frames).sum();
    let missing = sum.saturating_sub(counted);
    let sight = received.iter().map(|received| {
        let is_most = missing.saturating_mul(2) > received.frames;
        let can_lose = received.mode == XdpMode::Generic && counted > 0;
        match received.frames {
            0 => Sight::Unknown,
            _ if !is_most => Sight::Proven,
            FEW.. if !can_lose => Sight::Blind,
            _ => Sight::Unknown,
        }
    });
    sight.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Sight::{Blind, Proven, Unknown};

    fn native(frames: u64) -> Received {
        Received {
            frames,
            mode: XdpMode::Native,
        }
    }

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
            let received: Vec<Received> = received.iter().map(|frames| native(*frames)).collect();
            assert_eq!(evaluate_all(&received, counted), expected, "{case}");
        }
    }

    #[test]
    fn an_interface_that_receives_little_is_not_proven_by_what_others_receive() {
        for (received, counted, expected) in [
            (&[100, 5][..], 105, &[Proven, Proven][..]),
            (&[100, 5], 100, &[Proven, Blind]),
            (&[5, 100], 5, &[Blind, Blind]),
            (&[100, 2], 100, &[Proven, Unknown]),
            (&[100, 0], 100, &[Proven, Unknown]),
            (&[0, 4], 9, &[Unknown, Proven]),
            // Nothing says which of them, so both are tried elsewhere.
            (&[5, 5], 5, &[Blind, Blind]),
        ] {
            let frames: Vec<Received> = received.iter().map(|frames| native(*frames)).collect();
            assert_eq!(
                evaluate_each(&frames, counted),
                expected,
                "{received:?} {counted}"
            );
        }
    }

    #[test]
    fn in_generic_mode_a_busy_cpu_loses_frames_before_the_program() {
        let generic = |frames| Received {
            frames,
            mode: XdpMode::Generic,
        };
        assert_eq!(evaluate_all(&[generic(1000)], 10), [Proven]);
        assert_eq!(evaluate_all(&[generic(1000)], 0), [Blind]);
        assert_eq!(
            evaluate_all(&[generic(1000), native(20)], 10),
            [Unknown, Blind]
        );
    }

    #[test]
    fn a_count_that_begins_anew_proves_nothing() {
        let since = FrameCounts {
            received: 1000,
            counted: 1000,
        };
        let now = FrameCounts {
            received: 3,
            counted: 1000,
        };
        assert_eq!(evaluate(XdpMode::Native, since, now), Unknown);
    }
}

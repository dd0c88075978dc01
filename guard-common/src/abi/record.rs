//! What there is to count of a packet, in one number: what the program that evaluates it hands to the one that
//! answers, and to those that watch.
//!
//! `row of the reason (16 bits) | passes (1) | admission (7, or 0) | hit (16) | row of the service + 1, 0 = none
//! (24)`, from the low end. Without undefined parts, which old verifiers refuse to see moved.

use super::{
    counters::{MONITORED_ROWS_AFTER, REASON_ROWS, SHARD_ROWS},
    hit::Hit,
    reason::{Action, Reason},
    service::Service,
};

/// Set if the packet goes on.
pub const PASSES: u64 = 1 << 16;
/// Where the admission stands.
pub const ADMISSION_SHIFT: u32 = 17;
/// Where the [`super::hit::Hit`] stands.
pub const HIT_SHIFT: u32 = 24;
/// Where the row of the service stands, its successor that is.
pub const SERVICE_SHIFT: u32 = 40;
/// Rows that reasons have: those of packets that met their action, and behind them those that passed in monitor
/// mode.
pub const ROWS: u32 = MONITORED_ROWS_AFTER + REASON_ROWS;
/// The bits of the reason's row that say anything.
pub const ROW_MASK: u32 = ROWS - 1;

const _: () = assert!(ROWS.is_power_of_two());
const _: () = assert!(SHARD_ROWS < 1 << (64 - SERVICE_SHIFT));

/// The row of a reason.
#[must_use]
pub const fn row(reason: Reason, is_monitored: bool) -> u32 {
    reason as u32
        + if is_monitored {
            MONITORED_ROWS_AFTER
        } else {
            0
        }
}

/// What became of a packet, as it was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Why.
    pub reason: Reason,
    /// What.
    pub action: Action,
    /// It passed although this reason drops, because of monitor mode.
    pub is_monitored: bool,
    /// The service that it asked for.
    pub service: Option<Service>,
    /// The rule that it was counted for.
    pub hit: Hit,
}

impl Counted {
    /// The meaning of a record; `None` for a reason of another version.
    #[must_use]
    pub fn of(record: u64) -> Option<Self> {
        let row = record as u32 & ROW_MASK;
        let is_monitored = row >= MONITORED_ROWS_AFTER;
        let reason = *Reason::ALL.get((row % MONITORED_ROWS_AFTER) as usize)?;
        let action = if record & PASSES != 0 {
            Action::Pass
        } else if matches!(reason.action(), Action::Answer) {
            Action::Answer
        } else {
            Action::Drop
        };
        // Rows of services lie alike whatever became of a packet.
        let service = match (record >> SERVICE_SHIFT) as u32 {
            0 => None,
            successor => Service::from_row((successor - 1) % Service::ROWS),
        };
        Some(Self {
            reason,
            action,
            is_monitored,
            service,
            hit: Hit::from_bits((record >> HIT_SHIFT) as u16),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::counters::{dropped_row, monitored_row, passed_row};

    #[test]
    fn a_record_says_what_was_counted() {
        let service = Service::udp(53);
        let bits = |row: u32, passes: u64, successor: u32| {
            u64::from(row) | passes | u64::from(successor) << SERVICE_SHIFT
        };
        let counted = |reason, action, is_monitored, service| {
            Some(Counted {
                reason,
                action,
                is_monitored,
                service,
                hit: Hit::NONE,
            })
        };
        for (record, expected) in [
            (
                bits(row(Reason::DefaultDrop, false), 0, dropped_row(service) + 1),
                counted(Reason::DefaultDrop, Action::Drop, false, Some(service)),
            ),
            (
                bits(
                    row(Reason::RuleAllow, false),
                    PASSES,
                    passed_row(service) + 1,
                ),
                counted(Reason::RuleAllow, Action::Pass, false, Some(service)),
            ),
            (
                bits(
                    row(Reason::Banned, true),
                    PASSES,
                    monitored_row(service) + 1,
                ),
                counted(Reason::Banned, Action::Pass, true, Some(service)),
            ),
            (
                bits(row(Reason::SynCookie, false), 0, 0),
                counted(Reason::SynCookie, Action::Answer, false, None),
            ),
            (bits(127, 0, 0), None),
        ] {
            assert_eq!(Counted::of(record), expected, "{record:#x}");
        }
    }

    #[test]
    fn a_record_names_the_rule_that_decided() {
        let hit = Hit::new(2, 7);
        let record = u64::from(row(Reason::RuleDeny, false)) | u64::from(hit.bits()) << HIT_SHIFT;
        let counted = Counted::of(record).expect("a reason of this version");
        assert_eq!((counted.hit.number(), counted.service), (7, None));
    }

    #[test]
    fn the_first_row_is_no_missing_service() {
        let record = u64::from(dropped_row(Service::tcp(0)) + 1) << SERVICE_SHIFT;
        let counted = Counted::of(record).expect("a reason of this version");
        assert_eq!(counted.service, Some(Service::tcp(0)));
    }
}

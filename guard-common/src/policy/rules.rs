//! Rules, first match: service -> group by index; scope from interface and destination where rules
//! name one; source -> class in constant time; then the lowest ordinal of "any service from this
//! class" and "this service from this class" decides. The price does not grow with the rules.

use super::{Arrival, Tables, classify};
use crate::{
    abi::{
        addr::Addr,
        image::{
            ANY_ALLOWS, BY_DESTINATION, BY_INTERFACE, BY_SOURCE, DEFAULT_ALLOW,
            HEADER_DESTINATION_DEFAULT, HEADER_DESTINATIONS, HEADER_FLAGS, HEADER_PAIRS,
            HEADER_PREFIXES, HEADER_SEED, HEADER_SOURCE_DEFAULT, HEADER_TABLES, INTERFACES,
            MAX_INTERFACES, MAX_PROBES, SERVICES, Tree, pair_hash,
        },
        reason::{Action, Reason, Verdict},
        rule::{Class, Group, Pair, RuleRef},
        service::Service,
    },
    packet::{Packet, Transport},
};

/// The active slot of the policy array.
pub(super) struct Policy<'a, T> {
    tables: &'a T,
    base: u32,
}

impl<'a, T: Tables> Policy<'a, T> {
    #[inline(always)]
    fn active(tables: &'a T) -> Self {
        let switch = tables.switch();
        let now_ns = if switch.has_deadline() {
            tables.now_ns()
        } else {
            0
        };
        Self {
            tables,
            base: switch.slot_at(now_ns).wrapping_mul(tables.slot_words()),
        }
    }

    #[inline(always)]
    pub(super) fn at(tables: &'a T, base: u32) -> Self {
        Self { tables, base }
    }

    #[inline(always)]
    pub(super) fn longest_prefix(&self, addr: Addr, tree: Tree, default: u32) -> u32 {
        self.tables.longest_prefix(self.base, addr, tree, default)
    }

    #[inline(always)]
    pub(super) fn word(&self, index: u32) -> u64 {
        self.tables.policy_word(self.base.wrapping_add(index))
    }

    /// First word, mask and seed of the prefix table.
    #[inline(always)]
    pub(super) fn prefix_table(&self) -> (u32, u32, u64) {
        let (mask, first) = split(self.word(HEADER_PREFIXES));
        (first, mask, self.word(HEADER_SEED))
    }
}

/// `(upper half, lower half)` reversed: the lower half first.
#[inline(always)]
const fn split(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

/// Stages 5 to 7.
#[inline(always)]
pub(super) fn decide<T: Tables>(
    tables: &T,
    arrival: Arrival,
    packet: &Packet,
    service: Service,
) -> Verdict {
    let policy = Policy::active(tables);
    let (scopes, flags) = split(policy.word(HEADER_FLAGS));
    let group = group_number(&policy, service);

    if group == 0 && flags & (DEFAULT_ALLOW | ANY_ALLOWS) == 0 && opens_connection(packet) {
        return Verdict::of(Reason::DefaultDrop);
    }

    let scope = if flags & (BY_INTERFACE | BY_DESTINATION) == 0 {
        0
    } else {
        scope(&policy, flags, arrival, packet)
    };
    let class = if flags & BY_SOURCE == 0 {
        0
    } else {
        let (v6, v4) = split(policy.word(HEADER_SOURCE_DEFAULT));
        classify::source(
            &policy,
            packet.source,
            if packet.source.is_v4() { v4 } else { v6 },
        )
    };
    let (classes_at, groups_at) = split(policy.word(HEADER_TABLES));
    let source = Class::from_word(policy.word(cell(classes_at, class, scopes, scope)));
    if source.own {
        return Verdict::of(Reason::OwnSource);
    }

    let mut rule = source.any;
    if group != 0 {
        let group = Group::from_word(policy.word(cell(groups_at, group, scopes, scope)));
        rule = rule.first(rule_of(&policy, group, class));
    }
    if rule.is_none() {
        return Verdict::of(if flags & DEFAULT_ALLOW == 0 {
            Reason::DefaultDrop
        } else {
            Reason::DefaultAllow
        });
    }
    if rule.allows() {
        Verdict {
            action: Action::Pass,
            reason: Reason::RuleAllow,
            rule,
        }
    } else {
        Verdict {
            action: Action::Drop,
            reason: Reason::RuleDeny,
            rule,
        }
    }
}

/// A cell of a table with rows of `width` cells, from `first` on. Wraps: whatever an image says, a
/// look-up behind its end reads as 0.
#[inline(always)]
const fn cell(first: u32, row: u32, width: u32, column: u32) -> u32 {
    first
        .wrapping_add(row.wrapping_mul(width))
        .wrapping_add(column)
}

#[inline(always)]
fn opens_connection(packet: &Packet) -> bool {
    matches!(packet.transport, Transport::Tcp { flags, .. } if flags.opens())
}

/// Which group of rules a service belongs to; 0 = no rule names it.
#[inline(always)]
fn group_number<T: Tables>(policy: &Policy<'_, T>, service: Service) -> u32 {
    let row = service.row();
    (policy.word(SERVICES + (row >> 2)) >> ((row & 3) * 16)) as u32 & 0xffff
}

#[inline(always)]
fn scope<T: Tables>(policy: &Policy<'_, T>, flags: u32, arrival: Arrival, packet: &Packet) -> u32 {
    let mut interface = 0;
    if flags & BY_INTERFACE != 0 {
        for place in 0..MAX_INTERFACES {
            let (class, ifindex) = split(policy.word(INTERFACES + place));
            if ifindex == arrival.ifindex {
                interface = class;
                break;
            }
        }
    }
    let mut destination = 0;
    if flags & BY_DESTINATION != 0 {
        let (v6, v4) = split(policy.word(HEADER_DESTINATION_DEFAULT));
        let default = if packet.destination.is_v4() { v4 } else { v6 };
        destination = classify::destination(policy, packet.destination, default);
    }
    cell(
        0,
        interface,
        policy.word(HEADER_DESTINATIONS) as u32,
        destination,
    )
}

/// The first rule of a group that matches sources of this class.
#[inline(always)]
fn rule_of<T: Tables>(policy: &Policy<'_, T>, group: Group, class: u32) -> RuleRef {
    if group.list == 0 || class == 0 {
        return group.fallback;
    }
    let (mask, first) = split(policy.word(HEADER_PAIRS));
    let key = Pair::key(group.list, class);
    let start = pair_hash(key, policy.word(HEADER_SEED));
    for probe in 0..MAX_PROBES {
        let pair =
            Pair::from_word(policy.word(first.wrapping_add(start.wrapping_add(probe) & mask)));
        if pair.is_empty() {
            break;
        }
        if pair.has_key(key) {
            return pair.rule();
        }
    }
    group.fallback
}

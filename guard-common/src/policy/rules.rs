//! Rules, first match: service -> group by index; scope from interface and destination where rules
//! name one; source -> class in constant time; then the lowest ordinal of "any service from this
//! class" and "this service from this class" decides. The price does not grow with the rules.

use super::{Arrival, Tables, classify};
use crate::{
    abi::{
        addr::Addr,
        image::{
            ANY_ALLOWS, ANY_FROM_ANYWHERE, BY_DESTINATION, BY_INTERFACE, BY_SOURCE, DEFAULT_ALLOW,
            FAMILY_CLASSES, GROUPS, HEADER_CLASSES, HEADER_DESTINATION_DEFAULT,
            HEADER_DESTINATIONS, HEADER_PAIRS, HEADER_SOURCE_DEFAULT, INTERFACES, MAX_INTERFACES,
            MAX_PROBES, SERVICES, TableRef, Tree, pair_hash,
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
    fn active(tables: &'a T) -> (Self, u32) {
        let switch = tables.switch();
        let now_ns = if switch.has_deadline() {
            tables.now_ns()
        } else {
            0
        };
        let state = switch.at(now_ns);
        (
            Self::at(tables, state.slot().wrapping_mul(tables.slot_words())),
            state.flags(),
        )
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
}

/// The two numbers of a word, `(low, high)`.
#[inline(always)]
const fn split(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

/// Stages 5 to 7.
#[inline(always)]
pub(super) fn decide<T: Tables>(
    tables: &T,
    arrival: Arrival,
    packet: &Packet,
    service: Service,
) -> Verdict {
    let (policy, flags) = Policy::active(tables);
    let group = group_number(&policy, service);

    if group == 0 && flags & (DEFAULT_ALLOW | ANY_ALLOWS) == 0 && opens_connection(packet) {
        return Verdict::of(Reason::DefaultDrop);
    }

    let (scopes, scope) = if flags & (BY_INTERFACE | BY_DESTINATION) == 0 {
        (1, 0)
    } else {
        scope(&policy, flags, arrival, packet)
    };
    let class = class(&policy, flags, packet);
    let mut rule = RuleRef::NONE;
    if class != 0 || flags & ANY_FROM_ANYWHERE != 0 {
        let (classes, _) = split(policy.word(HEADER_CLASSES));
        let source = Class::from_word(policy.word(cell(classes, class, scopes, scope)));
        if source.own {
            return Verdict::of(Reason::OwnSource);
        }
        rule = source.any;
    }
    if group != 0 {
        let group = Group::from_word(policy.word(cell(GROUPS, group, scopes, scope)));
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

/// Class of the packet's source; 0 = no prefix of the policy holds it.
#[inline(always)]
fn class<T: Tables>(policy: &Policy<'_, T>, flags: u32, packet: &Packet) -> u32 {
    if flags & BY_SOURCE == 0 {
        return 0;
    }
    let default = if flags & FAMILY_CLASSES == 0 {
        0
    } else {
        of_family(policy.word(HEADER_SOURCE_DEFAULT), packet.source)
    };
    classify::source(policy, packet.source, default)
}

/// Of two numbers the one for the address's family.
#[inline(always)]
const fn of_family(word: u64, addr: Addr) -> u32 {
    let (v4, v6) = split(word);
    if addr.is_v4() { v4 } else { v6 }
}

/// Number of scopes, and the packet's.
#[inline(always)]
fn scope<T: Tables>(
    policy: &Policy<'_, T>,
    flags: u32,
    arrival: Arrival,
    packet: &Packet,
) -> (u32, u32) {
    let (_, scopes) = split(policy.word(HEADER_CLASSES));
    let mut interface = 0;
    if flags & BY_INTERFACE != 0 {
        for place in 0..MAX_INTERFACES {
            let (ifindex, class) = split(policy.word(INTERFACES + place));
            if ifindex == arrival.ifindex {
                interface = class;
                break;
            }
        }
    }
    let mut destination = 0;
    if flags & BY_DESTINATION != 0 {
        let default = of_family(policy.word(HEADER_DESTINATION_DEFAULT), packet.destination);
        destination = classify::destination(policy, packet.destination, default);
    }
    (
        scopes,
        cell(
            0,
            interface,
            policy.word(HEADER_DESTINATIONS) as u32,
            destination,
        ),
    )
}

/// The first rule of a group that matches sources of this class.
#[inline(always)]
fn rule_of<T: Tables>(policy: &Policy<'_, T>, group: Group, class: u32) -> RuleRef {
    if group.list == 0 || class == 0 {
        return group.fallback;
    }
    let table = TableRef::from_word(policy.word(HEADER_PAIRS));
    let key = Pair::key(group.list, class);
    let start = pair_hash(key, table.seed());
    for probe in 0..MAX_PROBES {
        let place = start.wrapping_add(probe) & table.mask();
        let pair = Pair::from_word(policy.word(table.first().wrapping_add(place)));
        if pair.is_empty() {
            break;
        }
        if pair.has_key(key) {
            return pair.rule();
        }
    }
    group.fallback
}

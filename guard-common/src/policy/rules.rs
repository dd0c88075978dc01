//! Rules, first match: service -> group by index; scope from interface, destination, source port and
//! time where rules name one; source -> class in constant time; then the lowest ordinal of "any service from this
//! class" and "this service from this class" decides. The price does not grow with the rules.

use super::{
    Circumstances, RuleLookup, Searches, classify,
    rules_answer::{RuleOutcome, RulesAnswer},
    slot::{Slot, split},
};
use crate::abi::{
    addr::Addr,
    image::{
        ANY_ALLOWS, ANY_FROM_ANYWHERE, BY_DESTINATION, BY_INTERFACE, BY_SOURCE, CONDITIONS,
        DEFAULT_ALLOW, END_STEPS, ENDS, FAMILY_CLASSES, GROUPS, HAS_NEVER, HEADER_CLASSES,
        HEADER_DESTINATION_DEFAULT, HEADER_DESTINATIONS, HEADER_PAIRS, HEADER_SOURCE_DEFAULT,
        INTERFACES, MAX_INTERFACES, MAX_PORT_SPANS, MAX_PROBES, OPEN_TO_STRANGERS, SERVICES,
        SOURCE_PORTS, TableRef, pair_hash,
    },
    rule::{Class, Group, Pair, RuleRef},
    service::Service,
    switch::SlotState,
};
use crate::packet::Packet;

/// What the rules are asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    /// The packet that arrives, or would.
    pub packet: &'a Packet,
    /// Index of the interface that it arrives on.
    pub ifindex: u32,
    /// Is it the first segment of a TCP connection?
    pub opens: bool,
    /// The policy to ask.
    pub state: SlotState,
}

/// Stages 5 to 7 for a service of this group.
#[inline(always)]
pub(super) fn ask_rules<T: Searches>(
    policy: &Slot<'_, T>,
    question: Question<'_>,
    group: u32,
) -> RulesAnswer {
    let flags = question.state.flags();
    if group == 0 && flags & (DEFAULT_ALLOW | ANY_ALLOWS) == 0 && question.opens {
        return RulesAnswer::new(RuleOutcome::DefaultDrop, RuleRef::NONE);
    }

    let (scopes, scope) = if flags & (BY_INTERFACE | BY_DESTINATION | CONDITIONS) == 0 {
        (1, 0)
    } else {
        let (_, scopes) = split(policy.word(HEADER_CLASSES));
        let packet = question.packet;
        let scope = policy.scope_of(Circumstances {
            base: policy.base(),
            flags,
            ifindex: question.ifindex,
            // Here, because a search within that call would need more of the kernel's small stack.
            destination_class: destination_class(policy, flags, packet.destination()),
            source_port: packet.source_port(),
        });
        (scopes, scope)
    };
    let class = class(policy, flags, question.packet.source());
    if class == 0 && flags & ANY_FROM_ANYWHERE == 0 {
        // A stranger: only rules without a source can match, and of those the first of the group.
        let rule = if group == 0 {
            RuleRef::NONE
        } else {
            Group::from_word(policy.word(cell(GROUPS, group, scopes, scope))).fallback
        };
        return RulesAnswer::of(rule, flags);
    }
    policy.evaluate_rules(RuleLookup {
        base: policy.base(),
        flags,
        group,
        class,
        scopes,
        scope,
    })
}

/// Flags of policies whose rules take more than the class of a source and the group of a service.
pub(super) const NOT_SIMPLE: u32 =
    BY_INTERFACE | BY_DESTINATION | CONDITIONS | ANY_FROM_ANYWHERE | FAMILY_CLASSES;

/// What the rules of such a policy say of a source that none of them names; `with_rule`: and which rule it is, if any.
#[inline(always)]
pub(super) fn of_stranger<T: Searches>(
    policy: &Slot<'_, T>,
    flags: u32,
    entry: ServiceEntry,
    with_rule: bool,
) -> RulesAnswer {
    if entry.is_open() && !with_rule {
        return RulesAnswer::new(RuleOutcome::Allow, RuleRef::NONE);
    }
    RulesAnswer::of(rule_of_stranger(policy, entry), flags)
}

/// Which rule decides about such a source, where [`of_stranger`] need not say it.
#[inline(always)]
pub(super) fn rule_of_stranger<T: Searches>(policy: &Slot<'_, T>, entry: ServiceEntry) -> RuleRef {
    let group = entry.group();
    if group == 0 {
        return RuleRef::NONE;
    }
    Group::from_word(policy.word(cell(GROUPS, group, 1, 0))).fallback
}

/// What the rules of such a policy say of an IPv4 source that a prefix of them may hold.
#[inline(always)]
pub(super) fn of_source_v4<T: Searches>(
    policy: &Slot<'_, T>,
    flags: u32,
    entry: ServiceEntry,
    source: Addr,
) -> RulesAnswer {
    let lookup = RuleLookup {
        base: policy.base(),
        flags,
        group: entry.group(),
        class: policy.source_class_v4(source.v4()),
        scopes: 1,
        scope: 0,
    };
    // Here, and not behind a call.
    evaluate_rules(policy.tables(), lookup)
}

/// The first of the rules that a place leads to, or the default.
#[inline(always)]
pub fn evaluate_rules<T: Searches>(tables: &T, lookup: RuleLookup) -> RulesAnswer {
    let policy = &Slot::at(tables, lookup.base);
    let RuleLookup {
        flags,
        group,
        class,
        scopes,
        scope,
        ..
    } = lookup;
    let mut rule = RuleRef::NONE;
    let mut is_never = false;
    if class != 0 || flags & ANY_FROM_ANYWHERE != 0 {
        let (classes, _) = split(policy.word(HEADER_CLASSES));
        let source = Class::from_word(policy.word(cell(classes, class, scopes, scope)));
        if source.own {
            return RulesAnswer::new(RuleOutcome::OwnSource, RuleRef::NONE);
        }
        rule = source.any;
        is_never = source.never;
    }
    if group != 0 {
        let group = Group::from_word(policy.word(cell(GROUPS, group, scopes, scope)));
        rule = rule.first(rule_of(policy, group, class));
    }
    if is_never {
        rule = rule.unlimited();
    }
    RulesAnswer::of(rule, flags)
}

/// A cell of a table with rows of `width` cells, from `first` on. Wraps: whatever an image says, a
/// look-up behind its end reads as 0.
#[inline(always)]
const fn cell(first: u32, row: u32, width: u32, column: u32) -> u32 {
    first
        .wrapping_add(row.wrapping_mul(width))
        .wrapping_add(column)
}

/// What the policy has of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceEntry(u32);

impl ServiceEntry {
    #[inline(always)]
    pub(super) fn of<T: Searches>(policy: &Slot<'_, T>, service: Service) -> Self {
        let row = service.row();
        Self((policy.word(SERVICES + (row >> 2)) >> ((row & 3) * 16)) as u32 & 0xffff)
    }

    /// 16 bits.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The inverse of [`ServiceEntry::bits`].
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Its group of rules; 0 = no rule names it.
    #[inline(always)]
    pub(super) const fn group(self) -> u32 {
        self.0 & (OPEN_TO_STRANGERS - 1)
    }

    /// May everybody have it whom no rule names?
    #[inline(always)]
    pub(super) const fn is_open(self) -> bool {
        self.0 & OPEN_TO_STRANGERS != 0
    }

    /// Does no rule name it, nor anything let it in, in a policy with these flags?
    #[inline(always)]
    pub(super) const fn is_closed(self, flags: u32) -> bool {
        self.0 == 0 && flags & (DEFAULT_ALLOW | ANY_ALLOWS) == 0
    }
}

/// Which group of rules a service belongs to; 0 = no rule names it.
#[inline(always)]
pub(super) fn group_number<T: Searches>(policy: &Slot<'_, T>, service: Service) -> u32 {
    ServiceEntry::of(policy, service).group()
}

/// Is this source on the never list?
#[inline(always)]
pub(super) fn is_never<T: Searches>(policy: &Slot<'_, T>, flags: u32, source: Addr) -> bool {
    flags & HAS_NEVER != 0 && on_never_list(policy, flags, source)
}

/// Is this source on the never list of the policy whose slot begins at `base`?
#[inline(always)]
pub fn is_on_never_list<T: Searches>(tables: &T, base: u32, flags: u32, source: Addr) -> bool {
    on_never_list(&Slot::at(tables, base), flags, source)
}

#[inline(always)]
fn on_never_list<T: Searches>(policy: &Slot<'_, T>, flags: u32, source: Addr) -> bool {
    let class = class(policy, flags, source);
    if class == 0 {
        return false;
    }
    let (classes, scopes) = split(policy.word(HEADER_CLASSES));
    // The same in every scope.
    Class::from_word(policy.word(cell(classes, class, scopes, 0))).never
}

/// Is this an address of this host?
#[inline(always)]
pub(super) fn is_own<T: Searches>(policy: &Slot<'_, T>, flags: u32, addr: Addr) -> bool {
    let class = class(policy, flags, addr);
    if class == 0 {
        return false;
    }
    let (classes, scopes) = split(policy.word(HEADER_CLASSES));
    Class::from_word(policy.word(cell(classes, class, scopes, 0))).own
}

/// Class of the packet's source; 0 = no prefix of the policy holds it.
#[inline(always)]
fn class<T: Searches>(policy: &Slot<'_, T>, flags: u32, source: Addr) -> u32 {
    if flags & BY_SOURCE == 0 {
        return 0;
    }
    let default = if flags & FAMILY_CLASSES == 0 {
        0
    } else {
        of_family(policy.word(HEADER_SOURCE_DEFAULT), source)
    };
    classify::source(policy, source, default)
}

/// Of two numbers the one for the address's family.
#[inline(always)]
const fn of_family(word: u64, addr: Addr) -> u32 {
    let (v4, v6) = split(word);
    if addr.is_v4() { v4 } else { v6 }
}

/// Class of a destination; 0 = no prefix of the policy holds it.
#[inline(always)]
fn destination_class<T: Searches>(policy: &Slot<'_, T>, flags: u32, destination: Addr) -> u32 {
    if flags & BY_DESTINATION == 0 {
        return 0;
    }
    let default = of_family(policy.word(HEADER_DESTINATION_DEFAULT), destination);
    classify::destination(policy, destination, default)
}

/// The scope of a packet, of the policy whose slot begins at `base`.
#[inline(always)]
pub fn scope_of<T: Searches>(tables: &T, packet: Circumstances) -> u32 {
    let policy = &Slot::at(tables, packet.base);
    let flags = packet.flags;
    let mut interface = 0;
    if flags & BY_INTERFACE != 0 {
        interface = policy.interface_class(packet.ifindex);
    }
    let (destinations, per_span) = split(policy.word(HEADER_DESTINATIONS));
    let mut scope = cell(0, interface, destinations, packet.destination_class);
    if flags & CONDITIONS != 0 {
        scope = cell(scope, policy.conditions(packet.source_port), per_span, 0);
    }
    scope
}

/// `ends that have passed * classes of source ports + class of the source port`.
#[inline(always)]
pub fn conditions<T: Searches>(tables: &T, base: u32, source_port: u16) -> u32 {
    let policy = &Slot::at(tables, base);
    let now_ns = tables.now_ns();
    let passed = count_up_to(policy, ENDS, now_ns, u64::MAX);
    let spans = count_up_to(
        policy,
        SOURCE_PORTS,
        u64::from(source_port),
        u64::from(u32::MAX),
    );
    let class = if spans == 0 {
        0
    } else {
        split(policy.word(SOURCE_PORTS + spans - 1)).1
    };
    let classes = policy.word(SOURCE_PORTS + MAX_PORT_SPANS) as u32;
    cell(class, passed, classes, 0)
}

/// How many of the ascending numbers from word `first` on are at most `most`, in the bits of a mask.
#[inline(always)]
fn count_up_to<T: Searches>(policy: &Slot<'_, T>, first: u32, most: u64, mask: u64) -> u32 {
    let mut count = 0;
    for step in (0..END_STEPS).rev() {
        let half = 1 << step;
        if policy.word(first + count + half - 1) & mask <= most {
            count += half;
        }
    }
    count
}

/// Class of the interface with this index, 0 = no rule names it.
#[inline(always)]
pub fn interface_class<T: Searches>(tables: &T, base: u32, ifindex: u32) -> u32 {
    let policy = Slot::at(tables, base);
    for lookup in 0..MAX_INTERFACES {
        let (known, class) = split(policy.word(INTERFACES + lookup));
        if known == ifindex {
            return class;
        }
    }
    0
}

/// The first rule of a group that matches sources of this class.
#[inline(always)]
fn rule_of<T: Searches>(policy: &Slot<'_, T>, group: Group, class: u32) -> RuleRef {
    if group.list == 0 || class == 0 {
        return group.fallback;
    }
    let table = TableRef::from_word(policy.word(HEADER_PAIRS));
    let key = Pair::key(group.list, class);
    let start = pair_hash(key, table.seed());
    for probe in 0..MAX_PROBES {
        let lookup = start.wrapping_add(probe) & table.mask();
        let pair = Pair::from_word(policy.word(table.first().wrapping_add(lookup)));
        if pair.is_empty() {
            break;
        }
        if pair.has_key(key) {
            return pair.rule();
        }
    }
    group.fallback
}

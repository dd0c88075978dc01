//! Policy to image: first match over any number of rules becomes a handful of table look-ups.
//!
//! Rules are grouped by what a packet can be told apart by. *Services* (ports, protocols) with the
//! same rules share a group. Interfaces, destination prefixes, source ports and ends of rules form *scopes*. Source prefixes form
//! *classes*: the class of a source is the longest prefix of the policy that holds it, and since two
//! prefixes are nested or disjoint, everything that any rule asks of a source follows from its class.
//! What is left is a table (list, class) -> lowest ordinal, which is first match.

mod ends;
mod hash;
mod keys;
mod lists;
mod meters;
mod prefixes;
mod scopes;
mod services;
mod source_ports;
mod tree;

use std::{borrow::Cow, net::IpAddr};

use guard_common::abi::{
    image::{
        ANY_ALLOWS, ANY_FROM_ANYWHERE, BY_DESTINATION, BY_INTERFACE, BY_SOURCE, CONDITIONS,
        DEFAULT_ALLOW, ENDS, FAMILY_CLASSES, FILTERS, FIXED_WORDS, GROUPS, HAS_NEVER,
        HEADER_CEILING, HEADER_CLASSES, HEADER_DATAGRAMS, HEADER_DESTINATION_DEFAULT,
        HEADER_DESTINATIONS, HEADER_DIGEST, HEADER_FLAGS, HEADER_GENERATION, HEADER_LENGTH,
        HEADER_LIMITS, HEADER_METERS, HEADER_OUT_OF_STATE, HEADER_PAIRS, HEADER_PREFIXES,
        HEADER_SOURCE_DEFAULT, HEADER_WIDE, INTERFACES, MONITOR, OPEN_TO_STRANGERS, SERVICES,
        SOURCE_PORTS, Tree, sizes,
    },
    rule::RuleRef,
};

use super::{
    limit,
    model::{DefaultAction, Policy, Prefixes, Rule, RuleAction, Traffic},
    until::Moments,
};
use hash::HashTables;
use lists::Lists;
use prefixes::{Family, Forest, Prefix};
use scopes::Scopes;
use services::Services;

/// What the compiler must know of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Name and index of every interface.
    pub interfaces: Vec<(String, u32)>,
    /// Addresses of this host, and the broadcast addresses of its networks: never a legitimate source.
    pub own: Vec<IpAddr>,
    /// What the kernel counts time in.
    pub jiffy: Jiffy,
    /// How many connections netfilter keeps track of at most; `None` where it tracks none.
    pub tracked: Option<u32>,
    /// What its clocks show when rules end.
    pub moments: Moments,
}

/// Length of the kernel's unit of time, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jiffy(pub u64);

impl Default for Jiffy {
    /// That of a kernel with 250 of them in a second.
    fn default() -> Self {
        Self(4_000_000)
    }
}

/// What the image says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Number of this policy, from 1.
    pub generation: u32,
    /// Digest of the files.
    pub digest: u64,
}

/// A compiled policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The words that go into a policy slot.
    pub words: Vec<u64>,
}

impl Image {
    /// The policy of a host without a firewall: everything passes. Generation 0.
    #[must_use]
    pub fn open() -> Self {
        let mut words = vec![0; FIXED_WORDS as usize];
        words[HEADER_FLAGS as usize] = u64::from(DEFAULT_ALLOW | MONITOR);
        words[HEADER_LENGTH as usize] = words.len() as u64;
        Self { words }
    }

    /// Buckets of the flow table that the policy asks for.
    #[must_use]
    pub fn flow_buckets(&self) -> u32 {
        let word = self.words.get(HEADER_LENGTH as usize);
        sizes(word.copied().unwrap_or_default()).1
    }

    /// Does it drop nothing, but only count what it would drop?
    #[must_use]
    pub fn is_monitor(&self) -> bool {
        let flags = self.words.get(HEADER_FLAGS as usize);
        flags.is_some_and(|flags| flags & u64::from(MONITOR) != 0)
    }
}

/// The policy needs larger tables than guard builds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy is too complex: {needed} {what}, at most {limit}")]
pub struct TooComplex {
    /// What there is too much of.
    pub what: &'static str,
    /// How much the policy needs.
    pub needed: usize,
    /// How much there may be.
    pub limit: usize,
}

impl TooComplex {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        if self.what == ends::WHAT {
            return "let rules end together: those with the same `until` count once";
        }
        if self.what == source_ports::WHAT {
            return "ask for the same source ports in more of the rules, or for none";
        }
        "merge rules that differ only in their sources into one rule with a set, or use fewer \
         destinations, interfaces, source ports and ends"
    }

    fn check(what: &'static str, needed: usize, limit: usize) -> Result<(), Self> {
        if needed > limit {
            Err(Self {
                what,
                needed,
                limit,
            })
        } else {
            Ok(())
        }
    }
}

/// Compiles a policy for this host.
///
/// # Errors
/// When a table would grow past its limit.
pub fn compile(policy: &Policy, host: &Host, stamp: Stamp) -> Result<Image, TooComplex> {
    let keys = keys::words(&policy.rules);
    let policy = &as_it_acts(policy, &host.moments);
    let rules = &policy.rules;
    TooComplex::check("rules", rules.len(), RuleRef::MAX_RULES as usize)?;
    let scopes = Scopes::new(rules, &host.moments)?;
    let sources = Forest::new(
        rules
            .iter()
            .flat_map(|rule| rule.source.prefixes.iter().copied().map(Prefix::from))
            .chain(policy.never.iter().copied().map(Prefix::from))
            .chain(host.own.iter().copied().map(Prefix::from)),
    );
    TooComplex::check(
        "source prefixes",
        sources.len(),
        guard_common::abi::rule::Pair::MAX_ID as usize,
    )?;
    let services = Services::new(rules)?;
    let lists = Lists::new(rules, &services, &scopes, &sources)?;
    let classes = lists::classes(policy, host, &scopes, &sources)?;
    let hashed = HashTables::new(&sources, &scopes.destinations, lists.pairs())?;

    let mut words = vec![0; FIXED_WORDS as usize];
    let set = |words: &mut Vec<u64>, at: u32, word: u64| words[at as usize] = word;
    for (at, node) in hashed.tree_words() {
        set(&mut words, at, node);
    }
    for (offset, word) in sources.filter_words().into_iter().enumerate() {
        words[FILTERS as usize + offset] = word;
    }
    for (row, group) in services.rows() {
        let mark = if lists.is_open_to_strangers(group) {
            OPEN_TO_STRANGERS
        } else {
            0
        };
        let entry = u64::from(u32::from(group) | mark);
        words[SERVICES as usize + row as usize / 4] |= entry << (row % 4 * 16);
    }
    for (place, (ifindex, class)) in scopes.interfaces(host).into_iter().enumerate() {
        words[INTERFACES as usize + place] = pair(ifindex, class);
    }
    if scopes.has_conditions() {
        for (offset, word) in scopes.ends.words().enumerate() {
            words[ENDS as usize + offset] = word;
        }
        for (offset, word) in scopes.source_ports.words().enumerate() {
            words[SOURCE_PORTS as usize + offset] = word;
        }
    }
    let groups_at = append(&mut words, lists.group_words());
    debug_assert_eq!(groups_at, GROUPS);
    let classes_at = append(&mut words, classes.words);
    let prefixes_at = append(&mut words, hashed.prefix_words());
    let wide_at = append(&mut words, hashed.wide_words());
    let pairs_at = append(&mut words, hashed.pair_words());
    let meters_at = append(&mut words, meters::words(rules, host.jiffy));

    let flag = |flag: u32, is_set: bool| if is_set { flag } else { 0 };
    let flags = flag(DEFAULT_ALLOW, policy.default == DefaultAction::Allow)
        | flag(MONITOR, policy.default == DefaultAction::Monitor)
        | flag(ANY_ALLOWS, classes.any_allows)
        | flag(ANY_FROM_ANYWHERE, classes.any_from_anywhere)
        | flag(BY_SOURCE, !sources.is_empty())
        | flag(HAS_NEVER, !policy.never.is_empty())
        | flag(FAMILY_CLASSES, defaults(&sources) != 0)
        | flag(CONDITIONS, scopes.has_conditions())
        | flag(BY_DESTINATION, !scopes.destinations.is_empty())
        | flag(BY_INTERFACE, scopes.has_interfaces());
    set(&mut words, HEADER_FLAGS, u64::from(flags));
    set(
        &mut words,
        HEADER_GENERATION,
        pair(stamp.generation, rules.len() as u32),
    );
    set(&mut words, HEADER_DIGEST, stamp.digest);
    set(&mut words, HEADER_CLASSES, pair(classes_at, scopes.count()));
    set(
        &mut words,
        HEADER_PREFIXES,
        hashed.prefix_table(prefixes_at).to_word(),
    );
    set(
        &mut words,
        HEADER_CEILING,
        policy.ceiling.word(host.tracked),
    );
    set(&mut words, HEADER_OUT_OF_STATE, policy.out_of_state.word());
    set(&mut words, HEADER_DATAGRAMS, policy.udp.word());
    set(&mut words, HEADER_WIDE, u64::from(wide_at));
    set(&mut words, HEADER_METERS, u64::from(meters_at));
    let scale = limit::scale(policy.sources, host.jiffy.0);
    set(&mut words, HEADER_LIMITS, scale.to_word());
    set(
        &mut words,
        HEADER_PAIRS,
        hashed.pair_table(pairs_at).to_word(),
    );
    set(&mut words, HEADER_SOURCE_DEFAULT, defaults(&sources));
    set(
        &mut words,
        HEADER_DESTINATION_DEFAULT,
        defaults(&scopes.destinations),
    );
    set(
        &mut words,
        HEADER_DESTINATIONS,
        pair(scopes.destination_count(), scopes.per_span()),
    );
    append(&mut words, keys);
    let sizes = pair(words.len() as u32, policy.flow_table.buckets());
    set(&mut words, HEADER_LENGTH, sizes);
    Ok(Image { words })
}

/// The policy with rules that match nothing in the places of those that are disabled or over, so that the others keep
/// their numbers.
fn as_it_acts<'p>(policy: &'p Policy, moments: &Moments) -> Cow<'p, Policy> {
    if ends::all_act(policy, moments) {
        return Cow::Borrowed(policy);
    }
    let mut acting = policy.clone();
    let is_idle = |rule: &&mut Rule| !rule.is_enabled || ends::is_over(rule, moments);
    for rule in acting.rules.iter_mut().filter(is_idle) {
        *rule = Rule {
            action: RuleAction::Deny,
            traffic: Traffic::Any,
            // From nobody, as with an empty set.
            source: Prefixes {
                sets: vec![String::new()],
                ..Prefixes::default()
            },
            destination: Prefixes::default(),
            source_ports: Vec::new(),
            interface: None,
            ..rule.bare()
        };
    }
    Cow::Owned(acting)
}

/// `low, high` as one word.
fn pair(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn append(words: &mut Vec<u64>, more: impl IntoIterator<Item = u64>) -> u32 {
    let at = words.len() as u32;
    words.extend(more);
    at
}

/// Classes of the two families' /0, where the policy has one.
fn defaults(forest: &Forest) -> u64 {
    pair(
        forest.default_class(Family::V4),
        forest.default_class(Family::V6),
    )
}

/// The four trees of an image, with the forest that each searches.
fn trees<'a>(sources: &'a Forest, destinations: &'a Forest) -> [(Tree, &'a Forest, Family); 4] {
    [
        (Tree::SourceV4, sources, Family::V4),
        (Tree::SourceV6, sources, Family::V6),
        (Tree::DestinationV4, destinations, Family::V4),
        (Tree::DestinationV6, destinations, Family::V6),
    ]
}

fn rule_ref(rules: &[Rule], ordinal: u32) -> RuleRef {
    match rules[ordinal as usize].action {
        RuleAction::Allow if meters::of(&rules[ordinal as usize]).is_none() => {
            RuleRef::new(ordinal, true)
        }
        RuleAction::Deny => RuleRef::new(ordinal, false),
        RuleAction::Allow | RuleAction::Limit(_) => RuleRef::new(ordinal, true).limited(),
    }
}

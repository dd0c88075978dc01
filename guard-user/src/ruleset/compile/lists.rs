//! What a group means in a scope: the rules that ask for a source, as pairs (list, class) -> rule,
//! and the first rule that does not.

use std::collections::HashMap;

use guard_common::abi::rule::{Class, Group, Pair, RuleRef};

use super::{
    Host, TooComplex,
    prefixes::{Forest, Prefix},
    rule_ref,
    scopes::Scopes,
    services::Services,
};
use crate::ruleset::model::{Policy, Rule, Traffic};

/// Words of the group table, of the class table and of the pair table.
const MAX_WORDS: usize = 4 << 20;
/// Pairs: a source list times the prefixes inside its prefixes.
const MAX_PAIRS: usize = 1 << 20;

/// Groups by scope, and the source lists behind them.
#[derive(Debug)]
pub(super) struct Lists {
    /// `[group * scopes + scope]`
    groups: Vec<Group>,
    scopes: usize,
    pairs: Vec<(u64, Pair)>,
}

impl Lists {
    pub(super) fn new(
        rules: &[Rule],
        services: &Services,
        scopes: &Scopes,
        sources: &Forest,
    ) -> Result<Self, TooComplex> {
        let scope_count = scopes.count() as usize;
        TooComplex::check(
            "groups of ports in all scopes",
            services.groups().len() * scope_count,
            MAX_WORDS,
        )?;
        // Also where there is one scope only: a rule for an empty set of destinations has none.
        let places = rules.iter().enumerate();
        let here: Vec<Vec<bool>> = places
            .map(|(ordinal, rule)| scopes.of_rule(ordinal, rule))
            .collect();
        let applies = |ordinal: u32, scope: usize| here[ordinal as usize][scope];
        let mut builder = Builder {
            rules,
            sources,
            numbers: HashMap::new(),
            pairs: Vec::new(),
        };
        let mut groups = Vec::with_capacity(services.groups().len() * scope_count);
        for members in services.groups() {
            for scope in 0..scope_count {
                let ordinals = members
                    .iter()
                    .copied()
                    .filter(|ordinal| applies(*ordinal, scope));
                groups.push(builder.group(ordinals)?);
            }
        }
        Ok(Self {
            groups,
            scopes: scope_count,
            pairs: builder.pairs,
        })
    }

    /// Does the group, in the only scope, let in whom no rule names, without a limit?
    pub(super) fn is_open_to_strangers(&self, group: u16) -> bool {
        let rule = self.groups[usize::from(group) * self.scopes].fallback;
        self.scopes == 1 && !rule.is_none() && rule.allows() && !rule.is_limited()
    }

    pub(super) fn group_words(&self) -> impl Iterator<Item = u64> {
        self.groups.iter().map(|group| group.to_word())
    }

    pub(super) fn pairs(&self) -> Vec<(u64, Pair)> {
        self.pairs.clone()
    }
}

struct Builder<'a> {
    rules: &'a [Rule],
    sources: &'a Forest,
    numbers: HashMap<Vec<u32>, u32>,
    pairs: Vec<(u64, Pair)>,
}

impl Builder<'_> {
    /// The group of these rules, in order. Rules behind the first one for any source never match.
    fn group(&mut self, ordinals: impl Iterator<Item = u32>) -> Result<Group, TooComplex> {
        let mut restricted = Vec::new();
        let mut fallback = RuleRef::NONE;
        for ordinal in ordinals {
            if self.rules[ordinal as usize].source.is_any() {
                fallback = rule_ref(self.rules, ordinal);
                break;
            }
            restricted.push(ordinal);
        }
        let list = if restricted.is_empty() {
            0
        } else {
            self.list(restricted)?
        };
        Ok(Group { fallback, list })
    }

    fn list(&mut self, ordinals: Vec<u32>) -> Result<u32, TooComplex> {
        if let Some(number) = self.numbers.get(&ordinals) {
            return Ok(*number);
        }
        let number = self.numbers.len() as u32 + 1;
        TooComplex::check("lists of sources", number as usize, Pair::MAX_ID as usize)?;
        let mut first: HashMap<u32, u32> = HashMap::new();
        for ordinal in &ordinals {
            for prefix in &self.rules[*ordinal as usize].source.prefixes {
                for class in self.sources.classes(Prefix::from(*prefix)) {
                    first.entry(class as u32).or_insert(*ordinal);
                }
                TooComplex::check(
                    "pairs of rule list and source",
                    self.pairs.len() + first.len(),
                    MAX_PAIRS,
                )?;
            }
        }
        let pairs = first.into_iter().map(|(class, ordinal)| {
            let rule = rule_ref(self.rules, ordinal);
            (Pair::key(number, class), Pair::new(number, class, rule))
        });
        self.pairs.extend(pairs);
        self.numbers.insert(ordinals, number);
        Ok(number)
    }
}

/// The class table: what a source is, whatever it asks for.
pub(super) struct Classes {
    /// `[class * scopes + scope]`
    pub(super) words: Vec<u64>,
    /// A rule for any traffic allows something.
    pub(super) any_allows: bool,
    /// A rule for any traffic from any source matches something.
    pub(super) any_from_anywhere: bool,
}

/// First rule for any traffic by class and scope, and whether a source is protected or our own.
pub(super) fn classes(
    policy: &Policy,
    host: &Host,
    scopes: &Scopes,
    sources: &Forest,
) -> Result<Classes, TooComplex> {
    let class_count = sources.len() + 1;
    let scope_count = scopes.count() as usize;
    TooComplex::check(
        "source prefixes in all scopes",
        class_count * scope_count,
        MAX_WORDS,
    )?;
    let mut any = vec![RuleRef::NONE; class_count * scope_count];
    let mut any_allows = false;
    for (ordinal, rule) in policy.rules.iter().enumerate() {
        if rule.traffic != Traffic::Any {
            continue;
        }
        any_allows |= rule.action.allows();
        let rule_ref = rule_ref(&policy.rules, ordinal as u32);
        let here = scopes.of_rule(ordinal, rule);
        let mut fill = |classes: std::ops::Range<usize>| {
            for class in classes {
                for scope in (0..scope_count).filter(|scope| here[*scope]) {
                    let place = &mut any[class * scope_count + scope];
                    *place = place.first(rule_ref);
                }
            }
        };
        if rule.source.is_any() {
            fill(0..class_count);
        }
        for prefix in &rule.source.prefixes {
            fill(sources.classes(Prefix::from(*prefix)));
        }
    }
    let mut never = vec![false; class_count];
    for prefix in &policy.never {
        never[sources.classes(Prefix::from(*prefix))].fill(true);
    }
    let mut own = vec![false; class_count];
    for ip in &host.own {
        own[sources.classes(Prefix::from(*ip))].fill(true);
    }
    let any_from_anywhere = any[..scope_count].iter().any(|rule| !rule.is_none());
    let words = any
        .chunks(scope_count)
        .zip(never.into_iter().zip(own))
        .flat_map(|(scopes, (never, own))| {
            scopes.iter().map(move |any| {
                Class {
                    any: *any,
                    never,
                    own,
                }
                .to_word()
            })
        })
        .collect();
    Ok(Classes {
        words,
        any_allows,
        any_from_anywhere,
    })
}

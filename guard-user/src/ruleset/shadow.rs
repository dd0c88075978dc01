//! Rules that can never match, because earlier rules take all their packets. Knows traffic,
//! addresses and interfaces; decides nothing about packets.

use std::borrow::Cow;

use super::{
    model::{PortRange, Rule, Traffic, Transport},
    until::Until,
};

mod index;
mod region;

use index::Index;
use region::{
    Cover, End, SetRanges, end_covers, interface_covers, source_ports_cover, traffic_covers,
};

/// How sure it is that a rule never matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// One earlier rule covers it, whatever sets contain.
    Always,
    /// One earlier rule covers it while sets contain what they contain.
    WithTheseSets,
    /// Several earlier rules cover it together.
    Together,
}

/// A rule that can never match. Rules are named by their index, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// The later rule.
    pub rule: usize,
    /// What covers it: one rule, or several for [`Certainty::Together`].
    pub by: Vec<usize>,
    /// How sure that is.
    pub certainty: Certainty,
}

/// Most pieces that a rule is cut into to see whether several rules cover it.
const MAX_PIECES: usize = 64;

/// Finds every rule that can never match.
#[must_use]
pub fn find(rules: &[Rule]) -> Vec<Shadow> {
    let mut sets = SetRanges::default();
    let facts: Vec<Facts<'_>> = rules
        .iter()
        .map(|rule| Facts::of(rule, &mut sets))
        .collect();
    let mut index = Index::default();
    let mut found = Vec::new();
    for (at, later) in facts.iter().enumerate() {
        // A rule over an empty set matches nothing by itself; that is said elsewhere.
        if !rules[at].is_enabled {
            continue;
        }
        if !later.is_empty() {
            found.extend(shadow_of(at, later, &facts, &index));
        }
        index.add(at, &rules[at], later);
    }
    found
}

/// The first of `rules` that takes every packet of `candidate`, whatever sets contain; `candidate`
/// would come after all of them. The caller compares actions: a covered rule of the other action is
/// no duplicate but a contradiction.
#[must_use]
pub fn covering_rule(rules: &[Rule], candidate: &Rule) -> Option<usize> {
    let mut sets = SetRanges::default();
    let candidate = Facts::of(candidate, &mut sets);
    rules.iter().position(|rule| {
        rule.is_enabled && Facts::of(rule, &mut sets).cover(&candidate) == Cover::Always
    })
}

/// Those of `later` whose every packet `rule` takes, whatever sets contain, by index.
pub fn covered_rules(rule: &Rule, later: &[Rule]) -> Vec<usize> {
    let mut sets = SetRanges::default();
    let rule = Facts::of(rule, &mut sets);
    let mut covered = Vec::new();
    for (at, candidate) in later
        .iter()
        .enumerate()
        .filter(|(_, later)| later.is_enabled)
    {
        let candidate = Facts::of(candidate, &mut sets);
        if !candidate.is_empty() && rule.cover(&candidate) == Cover::Always {
            covered.push(at);
        }
    }
    covered
}

fn shadow_of(rule: usize, later: &Facts<'_>, facts: &[Facts<'_>], index: &Index) -> Option<Shadow> {
    if let Some((by, cover)) = best_cover(later, facts, index) {
        let certainty = match cover {
            Cover::Always => Certainty::Always,
            Cover::WithTheseSets | Cover::No => Certainty::WithTheseSets,
        };
        return Some(Shadow {
            rule,
            by: vec![by],
            certainty,
        });
    }
    let mut by = Vec::new();
    for (count, piece) in later.pieces().enumerate() {
        if count == MAX_PIECES {
            return None;
        }
        by.push(best_cover(&piece, facts, index)?.0);
    }
    by.sort_unstable();
    by.dedup();
    // One rule alone was asked about above: it may cover each piece, but not sets by name.
    (by.len() > 1).then_some(Shadow {
        rule,
        by,
        certainty: Certainty::Together,
    })
}

/// The first rule that surely covers `later`, or else the first that does with these sets.
fn best_cover(later: &Facts<'_>, facts: &[Facts<'_>], index: &Index) -> Option<(usize, Cover)> {
    let mut best: Option<(usize, Cover)> = None;
    index.for_each_candidate_list(later, |candidates| {
        for &at in candidates {
            if best.is_some_and(|(known, cover)| cover == Cover::Always && known <= at) {
                break;
            }
            let cover = facts[at].cover(later);
            let is_better = match best {
                None => cover != Cover::No,
                Some((known, old)) => cover > old || (cover == old && at < known),
            };
            if is_better {
                best = Some((at, cover));
            }
            if cover == Cover::Always {
                break;
            }
        }
    });
    best
}

/// What of a rule decides whether it covers another.
#[derive(Clone, Debug)]
pub(in crate::ruleset) struct Facts<'r> {
    traffic: Cow<'r, Traffic>,
    source: End<'r>,
    destination: End<'r>,
    interface: Option<&'r str>,
    until: Option<Until>,
    source_ports: &'r [PortRange],
}

impl<'r> Facts<'r> {
    fn of(rule: &'r Rule, sets: &mut SetRanges<'r>) -> Self {
        Self {
            traffic: Cow::Borrowed(&rule.traffic),
            source: End::of(&rule.source, sets),
            destination: End::of(&rule.destination, sets),
            interface: rule.interface.as_deref(),
            until: rule.until,
            source_ports: &rule.source_ports,
        }
    }

    fn is_empty(&self) -> bool {
        self.source.is_empty() || self.destination.is_empty()
    }

    fn cover(&self, later: &Self) -> Cover {
        if !traffic_covers(&self.traffic, &later.traffic)
            || !interface_covers(self.interface, later.interface)
            || !end_covers(self.until, later.until)
            || !source_ports_cover(self.source_ports, later.source_ports)
        {
            return Cover::No;
        }
        let source = self.source.cover(&later.source);
        if source == Cover::No {
            return Cover::No;
        }
        source.min(self.destination.cover(&later.destination))
    }

    /// The rule cut by transport, port range and prefix.
    fn pieces(&self) -> impl Iterator<Item = Self> {
        let traffics = traffic_pieces(&self.traffic);
        traffics.into_iter().flat_map(move |traffic| {
            self.source.pieces().flat_map(move |source| {
                let traffic = traffic.clone();
                self.destination.pieces().map(move |destination| Self {
                    traffic: Cow::Owned(traffic.clone()),
                    source: source.clone(),
                    destination,
                    interface: self.interface,
                    until: self.until,
                    source_ports: self.source_ports,
                })
            })
        })
    }
}

fn traffic_pieces(traffic: &Traffic) -> Vec<Traffic> {
    let Traffic::Ports(transport, ranges) = traffic else {
        return vec![traffic.clone()];
    };
    let transports: &[Transport] = match transport {
        Transport::Tcp => &[Transport::Tcp],
        Transport::Udp => &[Transport::Udp],
        Transport::Both => &[Transport::Tcp, Transport::Udp],
    };
    let piece = |transport: &Transport, range: &PortRange| Traffic::Ports(*transport, vec![*range]);
    transports
        .iter()
        .flat_map(|transport| ranges.iter().map(move |range| piece(transport, range)))
        .collect()
}

#[cfg(test)]
mod tests;

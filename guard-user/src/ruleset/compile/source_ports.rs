//! Source ports that rules ask for: ports with the same rules are of one class, which is one more part of a scope.

use std::collections::BTreeSet;

use guard_common::abi::image::{MAX_PORT_SPANS, NO_PORT};

use super::{TooComplex, pair};
use crate::ruleset::model::Rule;

/// What [`TooComplex`] calls their spans.
pub(super) const WHAT: &str = "spans of source ports";

/// Spans of ports, each with its class. Class 0 has no rule.
#[derive(Debug)]
pub(super) struct SourcePorts {
    /// First port of each span, and its class.
    spans: Vec<(u32, u32)>,
    /// The places of the rules of each class.
    classes: Vec<Vec<usize>>,
}

impl SourcePorts {
    pub(super) fn new(rules: &[Rule]) -> Result<Self, TooComplex> {
        let ranges = rules.iter().flat_map(|rule| &rule.source_ports);
        let edges = ranges.flat_map(|range| [u32::from(range.first), u32::from(range.last) + 1]);
        let edges: BTreeSet<u32> = edges.filter(|edge| *edge < NO_PORT).collect();
        TooComplex::check(WHAT, edges.len(), MAX_PORT_SPANS as usize)?;
        let mut ports = Self {
            spans: Vec::with_capacity(edges.len()),
            classes: vec![Vec::new()],
        };
        for first in edges {
            let is_asked = |rule: &Rule| {
                let mut ranges = rule.source_ports.iter();
                ranges
                    .any(|range| (u32::from(range.first)..=u32::from(range.last)).contains(&first))
            };
            let places = rules.iter().enumerate();
            let members: Vec<usize> = places
                .filter(|(_, rule)| is_asked(rule))
                .map(|(place, _)| place)
                .collect();
            let class = ports.class_of(members);
            ports.spans.push((first, class));
        }
        Ok(ports)
    }

    fn class_of(&mut self, members: Vec<usize>) -> u32 {
        let known = self.classes.iter().position(|known| *known == members);
        let class = known.unwrap_or_else(|| {
            self.classes.push(members);
            self.classes.len() - 1
        });
        class as u32
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    pub(super) fn classes(&self) -> u32 {
        self.classes.len() as u32
    }

    /// Does the rule of this place take ports of this class?
    pub(super) fn is_acting(&self, ordinal: usize, rule: &Rule, class: u32) -> bool {
        rule.source_ports.is_empty() || self.classes[class as usize].contains(&ordinal)
    }

    /// As the image has them: the search wants something behind the last.
    pub(super) fn words(&self) -> impl Iterator<Item = u64> {
        let spans = self.spans.iter().map(|(first, class)| pair(*first, *class));
        let spans = spans.chain(std::iter::repeat(pair(NO_PORT, 0)));
        let classes = std::iter::once(u64::from(self.classes()));
        spans.take(MAX_PORT_SPANS as usize).chain(classes)
    }
}

//! Interfaces, destinations and source ports that rules name, and the time, as one small number per packet.

use std::collections::BTreeMap;

use guard_common::abi::image::MAX_INTERFACES;

use super::{
    Host, TooComplex,
    ends::Ends,
    prefixes::{Forest, Prefix},
    source_ports::SourcePorts,
};
use crate::ruleset::{model::Rule, until::Moments};

/// Most combinations of interface, destination, source port and span of time.
const MAX_SCOPES: usize = 4096;

/// `scope = ((ends passed * source port classes + source port class) * interface classes + interface class) * destination
/// classes + destination class`.
#[derive(Debug)]
pub(super) struct Scopes {
    /// Name -> class, from 1; class 0 is every other interface.
    interfaces: BTreeMap<String, u32>,
    /// Destination prefixes of all rules.
    pub(super) destinations: Forest,
    /// When rules end.
    pub(super) ends: Ends,
    /// Source ports of all rules.
    pub(super) source_ports: SourcePorts,
}

impl Scopes {
    pub(super) fn new(rules: &[Rule], moments: &Moments) -> Result<Self, TooComplex> {
        let mut interfaces = BTreeMap::new();
        for name in rules.iter().filter_map(|rule| rule.interface.as_ref()) {
            let next = interfaces.len() as u32 + 1;
            interfaces.entry(name.clone()).or_insert(next);
        }
        TooComplex::check(
            "interfaces in rules",
            interfaces.len(),
            MAX_INTERFACES as usize,
        )?;
        let destinations = Forest::new(
            rules
                .iter()
                .flat_map(|rule| rule.destination.prefixes.iter().copied().map(Prefix::from)),
        );
        let scopes = Self {
            interfaces,
            destinations,
            ends: Ends::new(rules, moments)?,
            source_ports: SourcePorts::new(rules)?,
        };
        TooComplex::check(
            "combinations of interface, destination, source port and end",
            scopes.count() as usize,
            MAX_SCOPES,
        )?;
        Ok(scopes)
    }

    pub(super) fn count(&self) -> u32 {
        self.ends.spans() * self.source_ports.classes() * self.per_span()
    }

    /// Does a packet have to be asked for its source port, or a clock for the time?
    pub(super) fn has_conditions(&self) -> bool {
        !self.ends.is_empty() || !self.source_ports.is_empty()
    }

    /// Scopes of one span of time and one class of source ports.
    pub(super) fn per_span(&self) -> u32 {
        (self.interfaces.len() as u32 + 1) * self.destination_count()
    }

    pub(super) fn destination_count(&self) -> u32 {
        self.destinations.len() as u32 + 1
    }

    pub(super) fn has_interfaces(&self) -> bool {
        !self.interfaces.is_empty()
    }

    /// Index and class of the interfaces that exist.
    pub(super) fn interfaces(&self, host: &Host) -> Vec<(u32, u32)> {
        host.interfaces
            .iter()
            .filter_map(|(name, ifindex)| Some((*ifindex, *self.interfaces.get(name)?)))
            .collect()
    }

    /// For every scope: does the rule of this place apply there?
    pub(super) fn of_rule(&self, ordinal: usize, rule: &Rule) -> Vec<bool> {
        let destinations = self.destination_count() as usize;
        let mut here = vec![rule.destination.is_any(); destinations];
        for prefix in &rule.destination.prefixes {
            here[self.destinations.classes(Prefix::from(*prefix))].fill(true);
        }
        let interface = rule.interface.as_ref().map(|name| self.interfaces[name]);
        let per_span: Vec<bool> = (0..=self.interfaces.len() as u32)
            .flat_map(|class| {
                let on = interface.is_none_or(|wanted| wanted == class);
                here.iter().map(move |here| on && *here)
            })
            .collect();
        let spans = (0..self.ends.spans()).map(|span| self.ends.is_acting(ordinal, span));
        spans
            .flat_map(|acts| {
                let classes = 0..self.source_ports.classes();
                classes.map(move |class| acts && self.source_ports.is_acting(ordinal, rule, class))
            })
            .flat_map(|acts| per_span.iter().map(move |here| acts && *here))
            .collect()
    }
}

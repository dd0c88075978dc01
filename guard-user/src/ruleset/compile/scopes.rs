//! Interfaces and destinations that rules name, as one small number per packet.

use std::collections::BTreeMap;

use guard_common::abi::image::MAX_INTERFACES;

use super::{
    Host, TooComplex,
    prefixes::{Forest, Prefix},
};
use crate::ruleset::model::Rule;

/// Most combinations of interface and destination.
const MAX_SCOPES: usize = 4096;

/// `scope = interface class * destination classes + destination class`.
#[derive(Debug)]
pub(super) struct Scopes {
    /// Name -> class, from 1; class 0 is every other interface.
    interfaces: BTreeMap<String, u32>,
    /// Destination prefixes of all rules.
    pub(super) destinations: Forest,
}

impl Scopes {
    pub(super) fn new(rules: &[Rule]) -> Result<Self, TooComplex> {
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
        };
        TooComplex::check(
            "combinations of interface and destination",
            scopes.count() as usize,
            MAX_SCOPES,
        )?;
        Ok(scopes)
    }

    pub(super) fn count(&self) -> u32 {
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

    /// For every scope: does the rule apply there?
    pub(super) fn of_rule(&self, rule: &Rule) -> Vec<bool> {
        let destinations = self.destination_count() as usize;
        let mut here = vec![rule.destination.is_any(); destinations];
        for prefix in &rule.destination.prefixes {
            here[self.destinations.classes(Prefix::from(*prefix))].fill(true);
        }
        let interface = rule.interface.as_ref().map(|name| self.interfaces[name]);
        (0..=self.interfaces.len() as u32)
            .flat_map(|class| {
                let on = interface.is_none_or(|wanted| wanted == class);
                here.iter().map(move |here| on && *here)
            })
            .collect()
    }
}

//! What there is on this host, as far as this user may read it: rules, sets, interfaces, jails, bans.

use clap_complete::engine::CompletionCandidate;

use super::{MOST, offered};
use crate::{
    bans::store::peek,
    controller::Controller,
    host::Network,
    jails::KEYS,
    layout::Layout,
    ruleset::{
        names::Names,
        source::{Outline, Source},
    },
};

/// Numbers and names of rules, with what they are.
pub(super) fn rules(current: &str) -> Vec<CompletionCandidate> {
    let rules = outline().rules;
    let names = rules.iter().filter_map(|rule| {
        let name = rule.name.clone()?;
        Some((name, Some(rule.text.as_str())))
    });
    let numbers = rules
        .iter()
        .map(|rule| (rule.number.to_string(), Some(rule.text.as_str())));
    let mut all = offered(current, names);
    all.extend(offered(current, numbers));
    all
}

pub(super) fn tags(current: &str) -> Vec<CompletionCandidate> {
    let rules = outline().rules.into_iter();
    let mut tags: Vec<String> = rules.flat_map(|rule| rule.tags).collect();
    plain(current, &mut tags)
}

/// With the `@` before them.
pub(super) fn sets(current: &str) -> Vec<CompletionCandidate> {
    let sets = outline().sets.into_iter();
    let mut sets: Vec<String> = sets.map(|set| format!("@{set}")).collect();
    plain(current, &mut sets)
}

pub(super) fn never(current: &str) -> Vec<CompletionCandidate> {
    plain(current, &mut outline().never)
}

pub(super) fn interfaces(current: &str) -> Vec<CompletionCandidate> {
    let network = Network::read_without_routes().unwrap_or_default();
    let names = network.interfaces.into_iter();
    let mut names: Vec<String> = names.map(|interface| interface.name).collect();
    plain(current, &mut names)
}

pub(super) fn profiles(current: &str) -> Vec<CompletionCandidate> {
    let names = Names::system().profiles.names();
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    plain(current, &mut names)
}

pub(super) fn jails(current: &str) -> Vec<CompletionCandidate> {
    let jails = Controller::new(Layout::from_environment()).jails();
    let mut names: Vec<String> = jails.jails.into_keys().collect();
    plain(current, &mut names)
}

pub(super) fn jail_keys(current: &str) -> Vec<CompletionCandidate> {
    offered(current, KEYS.map(|key| (key.to_owned(), None)))
}

/// The first of them in order; whoever looks for another one types some of it.
pub(super) fn banned(current: &str) -> Vec<CompletionCandidate> {
    let bans = peek(&Layout::from_environment().bans(), current, MOST);
    offered(current, bans.into_iter().map(|ban| (ban, None)))
}

fn outline() -> Outline {
    Source::new(&Layout::from_environment().etc).outline()
}

fn plain(current: &str, values: &mut Vec<String>) -> Vec<CompletionCandidate> {
    values.sort_unstable();
    values.dedup();
    offered(current, values.drain(..).map(|value| (value, None)))
}

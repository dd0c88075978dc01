//! The interfaces that should be protected: which of them are, since when, why not, and what is new about them.
//! Compares what healing found with the last look; changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    time::Instant,
};

use super::event_log::now;
use crate::{
    control::{InterfaceReport, Level},
    controller::{Healing, Renamed},
    host::Network,
};

/// Longest reason in a report; many of them must fit an answer.
const LONGEST_REASON: usize = 300;

/// An interface and since when it is as it is.
#[derive(Clone, Debug)]
struct State {
    is_protected: bool,
    since: Instant,
    since_time: u64,
    why: Option<String>,
}

/// What is new, in the order in which it is reported.
type Events = Vec<(Level, String)>;

/// What the last look saw.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    states: BTreeMap<String, State>,
    strays: BTreeSet<String>,
    renamed: Vec<Renamed>,
}

impl Interfaces {
    /// Nothing is in force.
    pub(super) fn off(&mut self) {
        self.states.clear();
        self.strays.clear();
    }

    /// Names of those that should be protected and are not.
    pub(super) fn unprotected(&self) -> Vec<&str> {
        let lost = self.states.iter().filter(|(_, state)| !state.is_protected);
        lost.map(|(name, _)| name.as_str()).collect()
    }

    /// For whoever asks the daemon.
    pub(super) fn report(&self) -> Vec<InterfaceReport> {
        let states = self.states.iter();
        states
            .map(|(name, state)| InterfaceReport {
                name: name.clone(),
                protected: state.is_protected,
                since: state.since_time,
                why: state.why.clone(),
            })
            .collect()
    }

    /// What is new since the last look. `protected` are those that run the program behind this healing, which began at
    /// `started`.
    pub(super) fn look(
        &mut self,
        healing: &Healing,
        network: &Network,
        protected: &BTreeSet<String>,
        started: Instant,
    ) -> Events {
        let mut news = Events::new();
        self.names(healing, &mut news);
        for name in &healing.joined {
            news.push((
                Level::Info,
                format!("{name}: carries a default route, and is protected from now on"),
            ));
        }
        for name in &healing.way_out {
            news.push((
                Level::Warning,
                format!(
                    "{name}: the egress program was gone (was its clsact qdisc deleted?); \
                     replies are recognised again"
                ),
            ));
        }
        self.strays(healing, &mut news);
        self.states(healing, network, protected, started, &mut news);
        news
    }

    /// Which interfaces have other names than at the last look. Their state goes with them.
    fn names(&mut self, healing: &Healing, news: &mut Events) {
        let before = mem::replace(&mut self.renamed, healing.renamed.clone());
        let of = |from: &str, all: &[Renamed]| {
            let found = all.iter().find(|renamed| renamed.from == from);
            found.map_or_else(|| from.to_owned(), |renamed| renamed.to.clone())
        };
        let meant: BTreeSet<&String> = before
            .iter()
            .chain(&healing.renamed)
            .map(|renamed| &renamed.from)
            .collect();
        for from in meant {
            let (was, is) = (of(from, &before), of(from, &healing.renamed));
            // Another device may have taken the name that one gave up.
            let is_another = healing.strays.contains(&was);
            if was == is || is_another || !healing.names.contains(&is) {
                continue;
            }
            let message = format!("{was} is called {is} now, and stays protected");
            news.push((Level::Info, message));
            if let Some(state) = self.states.remove(&was) {
                self.states.insert(is, state);
            }
        }
    }

    /// Which interfaces carry the program and are not named since.
    fn strays(&mut self, healing: &Healing, news: &mut Events) {
        let strays: BTreeSet<String> = healing.strays.iter().cloned().collect();
        for name in strays.difference(&self.strays) {
            news.push((
                Level::Warning,
                format!(
                    "{name}: runs the program, but the policy does not name it (renamed?); it \
                     stays protected until the next `guardctl reload`"
                ),
            ));
        }
        self.strays = strays;
    }

    /// Which interfaces were lost, and which are back.
    fn states(
        &mut self,
        healing: &Healing,
        network: &Network,
        protected: &BTreeSet<String>,
        started: Instant,
        news: &mut Events,
    ) {
        let (at, now_time) = (Instant::now(), now());
        let mut states = BTreeMap::new();
        for name in &healing.names {
            let before = self.states.remove(name);
            let was_protected = before.as_ref().map(|state| state.is_protected);
            let is_protected = protected.contains(name);
            let attached = healing.attached.iter().find(|a| a.interface == *name);
            let why = (!is_protected).then(|| reason(name, healing, network));
            if was_protected == Some(true) && (attached.is_some() || !is_protected) {
                let why = why
                    .as_deref()
                    .unwrap_or("it was recreated, or lost its program");
                news.push((Level::Error, format!("{name}: unprotected: {why}")));
            } else if !is_protected && before.as_ref().is_none_or(|state| state.why != why) {
                let why = why.as_deref().unwrap_or_default();
                news.push((Level::Error, format!("{name}: unprotected: {why}")));
            }
            let how = attached.map_or_else(String::new, |a| format!(" ({} mode)", a.mode.label()));
            match (is_protected, was_protected) {
                (true, Some(false)) => {
                    let since = before.as_ref().map_or(started, |state| state.since);
                    let seconds = since.elapsed().as_secs_f64();
                    let message = format!("{name}: protected again after {seconds:.1} s{how}");
                    news.push((Level::Info, message));
                }
                (true, Some(true)) if attached.is_some() => {
                    let seconds = started.elapsed().as_secs_f64();
                    let message = format!("{name}: protected again after {seconds:.1} s{how}");
                    news.push((Level::Info, message));
                }
                (true, None) => news.push((Level::Info, format!("{name}: protected{how}"))),
                (true | false, _) => {}
            }
            let state = match before {
                Some(state) if state.is_protected == is_protected && attached.is_none() => {
                    State { why, ..state }
                }
                Some(_) | None => State {
                    is_protected,
                    since: if is_protected { at } else { started },
                    since_time: now_time,
                    why,
                },
            };
            states.insert(name.clone(), state);
        }
        self.states = states;
    }
}

/// Why an interface is not protected.
fn reason(name: &str, healing: &Healing, network: &Network) -> String {
    let mut why = if network.interface(name).is_none() {
        "there is no such interface".to_owned()
    } else {
        let failed = healing.failed.iter().find(|(failed, _)| failed == name);
        failed.map_or_else(
            || "it does not run the program".to_owned(),
            |(_, failure)| failure.in_brackets(),
        )
    };
    let cut = why.floor_char_boundary(LONGEST_REASON);
    why.truncate(cut);
    why
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is reported after a healing behind which these run the program.
    fn messages_after(
        interfaces: &mut Interfaces,
        healing: &Healing,
        protected: &[&str],
    ) -> Vec<String> {
        let protected = protected.iter().map(|name| (*name).to_owned()).collect();
        let news = interfaces.look(healing, &Network::default(), &protected, Instant::now());
        news.into_iter().map(|(_, message)| message).collect()
    }

    #[test]
    fn an_interface_that_is_lost_is_told_once_and_so_is_its_return() {
        let mut interfaces = Interfaces::default();
        let healing = Healing::quiet(&["eth0", "eth1"]);
        let both = ["eth0", "eth1"];
        let begun = ["eth0: protected", "eth1: protected"];
        let lost = ["eth1: unprotected: there is no such interface"];
        let back = ["eth1: protected again after 0.0 s"];
        for (protected, expected) in [
            (&both[..], &begun[..]),
            (&both[..], &[]),
            (&both[..1], &lost),
            (&both[..1], &[]),
            (&both[..], &back),
            (&both[..], &[]),
        ] {
            assert_eq!(
                messages_after(&mut interfaces, &healing, protected),
                expected
            );
            let unprotected = if protected.len() == 1 {
                &both[1..]
            } else {
                &[]
            };
            assert_eq!(interfaces.unprotected(), unprotected);
        }
    }

    #[test]
    fn the_state_of_an_interface_goes_with_its_name() {
        let mut interfaces = Interfaces::default();
        let mut healing = Healing::quiet(&["eth0"]);
        assert_eq!(
            messages_after(&mut interfaces, &healing, &["eth0"]),
            ["eth0: protected"]
        );
        healing.names = vec!["lan0".to_owned()];
        healing.renamed = vec![Renamed {
            from: "eth0".to_owned(),
            to: "lan0".to_owned(),
        }];

        let messages = messages_after(&mut interfaces, &healing, &["lan0"]);

        assert_eq!(messages, ["eth0 is called lan0 now, and stays protected"]);
    }

    #[test]
    fn a_stray_is_told_once() {
        let mut interfaces = Interfaces::default();
        let mut healing = Healing::quiet(&[]);
        healing.strays = vec!["eth9".to_owned()];

        let messages = [(); 2].map(|()| messages_after(&mut interfaces, &healing, &[]).len());

        assert_eq!(messages, [1, 0]);
    }
}

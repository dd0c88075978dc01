//! Rules of iptables and ip6tables, as `iptables-save` writes them: what becomes of packets for this host. Tables that
//! packets go through before are stages of their own; what is said of routed packets and of those that leave is listed.

mod import;
mod matches;
mod values;
mod words;

use std::{collections::BTreeMap, sync::Arc};

use super::{
    chains::{ChainRule, Firewall, Remark, SourceLine, Stage, Target},
    condition::Condition,
};
use crate::{
    failure::{Exit, Failure},
    text::value::quoted,
};

pub use import::{is_here, rules};
pub(super) use matches::read as rule;
pub(super) use values::{icmp_type, ports, range};
pub(super) use words::split;

/// Longest line.
const MAX_LINE: usize = 64 << 10;
/// Chains that packets for this host enter, in order.
const WAY_IN: [(&str, &str); 4] = [
    ("raw", "PREROUTING"),
    ("mangle", "PREROUTING"),
    ("mangle", "INPUT"),
    ("filter", "INPUT"),
];

/// What a text says.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// Chains by table and name.
    chains: BTreeMap<(String, String), SavedChain>,
    is_v4: bool,
}

/// A chain as it was saved.
#[derive(Clone, Debug, Default)]
pub struct SavedChain {
    /// Policy of a chain of the kernel's own; `None` for others.
    pub accepts: Option<bool>,
    /// Its rules, in order.
    pub rules: Vec<ChainRule>,
}

/// Reads a text of one family.
///
/// # Errors
/// For a line that is none, with its number.
pub fn read(file: &Arc<str>, text: &str, is_v4: bool) -> Result<Saved, Failure> {
    let mut saved = Saved {
        is_v4,
        ..Saved::default()
    };
    let mut table: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        let place = SourceLine {
            file: file.clone(),
            line: index + 1,
        };
        let wrong = |what: &str| {
            let shown = quoted(line.trim());
            Failure::new(Exit::BadConfiguration, format!("{place}: {what}: {shown}")).help(
                "this is not what `iptables-save` writes; save the rules again, or repair the line",
            )
        };
        if line.len() > MAX_LINE {
            return Err(wrong("the line is longer than 64 KiB"));
        }
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('*') {
            table = Some(name.trim().to_owned());
            continue;
        }
        if line == "COMMIT" {
            table = None;
            continue;
        }
        let Some(table) = &table else {
            return Err(wrong("a line outside of a table"));
        };
        if let Some(chain) = line.strip_prefix(':') {
            let mut fields = chain.split_whitespace();
            let (Some(name), Some(policy)) = (fields.next(), fields.next()) else {
                return Err(wrong("a chain without a policy"));
            };
            let accepts = match policy {
                "ACCEPT" => Some(true),
                "-" => None,
                _ => Some(false),
            };
            let key = (table.clone(), name.to_owned());
            saved.chains.entry(key).or_default().accepts = accepts;
            continue;
        }
        let words = split(line).ok_or_else(|| wrong("a quotation without an end"))?;
        let mut words = words.as_slice();
        // Counters before the rule.
        if words.first().is_some_and(|word| word.starts_with('[')) {
            words = &words[1..];
        }
        let (command, chain, rest) = match words {
            [command, chain, rest @ ..] => (command.as_str(), chain, rest),
            _ => return Err(wrong("a line without a rule")),
        };
        let key = (table.clone(), chain.clone());
        let rule = matches::read(&place, line, rest, is_v4).map_err(|bad| wrong(&bad.message))?;
        match command {
            "-A" | "--append" => saved.chains.entry(key).or_default().rules.push(rule),
            "-I" | "--insert" => saved.chains.entry(key).or_default().rules.insert(0, rule),
            _ => return Err(wrong("a command that is neither -A nor -I")),
        }
    }
    for chain in saved.chains.values_mut() {
        join_local(&mut chain.rules);
    }
    Ok(saved)
}

/// Rules that together return whatever is for this host, a group or everybody: all that a host receives.
fn join_local(rules: &mut Vec<ChainRule>) {
    let says = |rule: &ChainRule, what: &str| {
        let bare = rule
            .text
            .contains(&format!("-m addrtype --dst-type {what} -j RETURN"));
        bare && rule.target == Target::Return
    };
    let found = rules.windows(3).position(|three| {
        ["LOCAL", "MULTICAST", "BROADCAST"]
            .iter()
            .all(|what| three.iter().any(|rule| says(rule, what)))
    });
    if let Some(at) = found {
        let rule = &mut rules[at];
        rule.when = Condition::default();
        rule.unless.clear();
        rules.drain(at + 1..at + 3);
    }
}

impl Saved {
    /// Is anything filtered on the way in?
    #[must_use]
    pub fn filters(&self) -> bool {
        self.chain("filter", "INPUT").is_some()
    }

    /// A chain.
    #[must_use]
    pub fn chain(&self, table: &str, name: &str) -> Option<&SavedChain> {
        self.chains.get(&(table.to_owned(), name.to_owned()))
    }

    /// Chains of a table by name, without those of the kernel's own.
    pub fn own_chains(&self, table: &str) -> impl Iterator<Item = (&str, &SavedChain)> {
        let of_table = self
            .chains
            .iter()
            .filter(move |((of, _), chain)| of == table && chain.accepts.is_none());
        of_table.map(|((_, name), chain)| (name.as_str(), chain))
    }

    /// Adds its chains and stages to a firewall, and what is not about packets for this host to `left`.
    pub fn add_to(&self, firewall: &mut Firewall, left: &mut Vec<Remark>) {
        let family = if self.is_v4 { "" } else { "6" };
        let named = |table: &str, chain: &str| format!("{table}{family}/{chain}");
        for ((table, name), chain) in &self.chains {
            let mut rules = chain.rules.clone();
            for rule in &mut rules {
                if let Target::Jump(to) | Target::Goto(to) = &mut rule.target {
                    *to = named(table, to);
                }
            }
            firewall.chains.insert(named(table, name), rules);
        }
        for (table, name) in WAY_IN {
            if let Some(chain) = self.chain(table, name) {
                firewall.stages.push(Stage {
                    chain: named(table, name),
                    accepts: chain.accepts.unwrap_or(true),
                    when: Condition::of_family(self.is_v4),
                });
            }
        }
        for ((table, name), chain) in &self.chains {
            let is_on_the_way = WAY_IN.contains(&(table.as_str(), name.as_str()));
            let Some(first) = chain.rules.first() else {
                if name == "FORWARD" && chain.accepts == Some(false) {
                    // Routed packets that are dropped lose nothing by guard.
                    continue;
                }
                continue;
            };
            if is_on_the_way || chain.accepts.is_none() {
                continue;
            }
            left.push(not_for_here(table, name, &first.place, chain.rules.len()));
        }
    }
}

/// What is said about a chain that packets for this host do not enter.
fn not_for_here(table: &str, chain: &str, place: &SourceLine, count: usize) -> Remark {
    let rules = match count {
        1 => "1 rule".to_owned(),
        _ => format!("{count} rules"),
    };
    let (what, help) = match (table, chain) {
        ("nat", "PREROUTING") => (
            "addresses and ports are not translated by guard",
            "keep these rules; what they publish needs a rule for the port on the host, e.g. `guardctl allow 8080/tcp`",
        ),
        ("nat", _) => (
            "addresses are not translated by guard",
            "keep these rules: guard does not touch them",
        ),
        (_, "FORWARD") => (
            "guard has no rules of its own for routed packets: what arrives meets the same rules wherever it goes",
            "keep these rules, which go on acting behind guard",
        ),
        (_, "OUTPUT" | "POSTROUTING") => (
            "guard has no rules for what leaves",
            "keep these rules, which go on acting",
        ),
        _ => (
            "packets for this host do not go through this chain",
            "keep these rules: guard does not touch them",
        ),
    };
    Remark::new(place, format!("{rules} of {table} {chain}: {what}")).help(help)
}

#[cfg(test)]
mod tests;

//! One zone of firewalld as a chain: rich rules by priority, what is refused, what is let in, and what becomes of the
//! rest.

use std::path::Path;

use super::{
    super::{
        chains::{ChainRule, Remark, Target},
        condition::Condition,
        reading::Reading,
    },
    rich::{self, RichRule},
    services,
    xml::{Element, File},
};
use crate::{failure::Failure, ruleset::model::Traffic};

/// Name of the chain of a zone.
pub(super) fn chain(zone: &str) -> String {
    format!("zone {zone}")
}

/// Does a zone let everything in?
pub(super) fn only_accepts(zone: &Element) -> bool {
    let refuses = |child: &Element| {
        child.name == "icmp-block"
            || child.name == "rule"
                && (child.child("drop").is_some() || child.child("reject").is_some())
    };
    zone.attribute("target") == Some("ACCEPT") && !zone.children.iter().any(refuses)
}

/// The rules of a zone, in the order in which they act.
#[derive(Default)]
struct Sorted {
    rich: Vec<RichRule>,
    refused: Vec<ChainRule>,
    let_in: Vec<ChainRule>,
}

pub(super) fn read(
    root: &Path,
    name: &str,
    file: &File,
    reading: &mut Reading,
) -> Result<(), Failure> {
    let zone = &file.root;
    let is_inverted = zone.child("icmp-block-inversion").is_some();
    let mut sorted = Sorted::default();
    for element in &zone.children {
        let asked = match element.name.as_str() {
            "service" => {
                let service = element.attribute("name").unwrap_or_default();
                services::service(root, service)?
            }
            "port" => services::port(element).map(|one| vec![one]),
            "source-port" => services::source_port(element).map(|one| vec![one]),
            "protocol" => {
                let value = element.attribute("value");
                value.and_then(services::protocol).map(|one| vec![one])
            }
            "icmp-block" => {
                let name = element.attribute("name");
                let asked = name.and_then(services::icmp).map(|one| vec![one]);
                let (list, target) = match is_inverted {
                    true => (&mut sorted.let_in, Target::Accept),
                    false => (&mut sorted.refused, Target::Drop),
                };
                list.extend(rules(file, element, asked, &target));
                continue;
            }
            "rule" => {
                sorted
                    .rich
                    .extend(rich::read(root, file, element, reading)?);
                continue;
            }
            "masquerade" | "forward-port" => {
                let rule = ChainRule::new(file.place(element), element.shown(), Target::Continue);
                reading.left.push(
                    Remark::about(&rule, "guard translates no addresses and forwards no ports")
                        .help("keep firewalld for it, or give it to nftables"),
                );
                continue;
            }
            _ => continue,
        };
        sorted
            .let_in
            .extend(rules(file, element, asked, &Target::Accept));
    }
    let target = zone.attribute("target").unwrap_or("default");
    let chain = in_order(sorted, file, target, is_inverted);
    reading.firewall.chains.insert(self::chain(name), chain);
    Ok(())
}

/// A rule for each condition; one that is unclear where there are none.
fn rules(
    file: &File,
    element: &Element,
    asked: Option<Vec<Condition>>,
    target: &Target,
) -> Vec<ChainRule> {
    let rule = ChainRule::new(file.place(element), element.shown(), target.clone());
    match asked {
        Some(conditions) => conditions
            .into_iter()
            .map(|when| rule.clone().when(when))
            .map(|mut rule| {
                if element.name == "service" {
                    rule.comment = element.attribute("name").map(str::to_owned);
                }
                rule
            })
            .collect(),
        None => {
            let mut rule = rule;
            rule.unclear.push(format!("this {}", element.name));
            vec![rule]
        }
    }
}

fn in_order(sorted: Sorted, file: &File, target: &str, is_inverted: bool) -> Vec<ChainRule> {
    let Sorted {
        mut rich,
        refused,
        let_in,
    } = sorted;
    // Among those of one priority, what refuses comes first.
    rich.sort_by_key(|rule| (rule.priority, !rule.refuses));
    let mut chain = Vec::new();
    let with = |wanted: fn(&RichRule) -> bool| {
        let rules = rich.iter().filter(move |rule| wanted(rule));
        rules.flat_map(|rule| rule.rules.iter().cloned())
    };
    chain.extend(with(|rule| rule.priority < 0));
    chain.extend(with(|rule| rule.priority == 0 && rule.refuses));
    chain.extend(refused);
    chain.extend(with(|rule| rule.priority == 0 && !rule.refuses));
    chain.extend(let_in);
    chain.extend(with(|rule| rule.priority > 0));
    let place = file.place(&file.root);
    let last = |target: Target| ChainRule::new(place.clone(), "target of the zone", target);
    let accepts = target == "ACCEPT";
    if matches!(target, "default" | "ACCEPT") && (is_inverted || !accepts) {
        for protocol in [1, 58] {
            let icmp = match is_inverted {
                true => last(Target::Drop),
                false => last(Target::Accept),
            };
            let of_family = Condition {
                traffic: Traffic::Protocol(protocol),
                ..Condition::of_family(protocol == 1)
            };
            chain.push(icmp.when(of_family));
        }
    }
    chain.push(last(match accepts {
        true => Target::Accept,
        false => Target::Drop,
    }));
    chain
}

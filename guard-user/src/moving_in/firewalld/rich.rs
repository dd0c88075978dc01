//! Rich rules of firewalld: a sender, a destination, one thing that is asked for, and what happens.

use std::path::Path;

use ipnetwork::IpNetwork;

use super::{
    super::{
        chains::{ChainRule, Remark, Target},
        condition::Condition,
        reading::Reading,
    },
    services,
    xml::{self, Element, File},
};
use crate::failure::Failure;

/// One of them.
pub(super) struct RichRule {
    /// Below 0 before everything else, above 0 behind it.
    pub(super) priority: i32,
    /// Does it drop or refuse?
    pub(super) refuses: bool,
    pub(super) rules: Vec<ChainRule>,
}

pub(super) fn read(
    root: &Path,
    file: &File,
    element: &Element,
    reading: &mut Reading,
) -> Result<Option<RichRule>, Failure> {
    let shown = element.shown();
    let mut unclear = Vec::new();
    let priority = element
        .attribute("priority")
        .map_or(Some(0), |text| text.parse().ok());
    let block = element.child("icmp-block");
    let (action, target) = match ["accept", "drop", "reject", "mark"]
        .iter()
        .find_map(|name| element.child(name))
    {
        Some(action) if action.name == "accept" => (Some(action), Target::Accept),
        Some(action) if action.name == "mark" => (Some(action), Target::Continue),
        Some(action) => (Some(action), Target::Drop),
        None if block.is_some() => (None, Target::Drop),
        None => (None, Target::Continue),
    };
    let mut rule = ChainRule::new(file.place(element), shown, target);
    if action.is_some_and(|action| action.child("limit").is_some()) {
        unclear.push("a rate of all senders together".to_owned());
    }
    // Where it stands is not known: it refuses first, and lets nobody in.
    let priority = priority.unwrap_or_else(|| {
        unclear.push("this priority".to_owned());
        i32::MIN
    });
    let mut when = match element.attribute("family") {
        Some("ipv4") => Condition::of_family(true),
        Some("ipv6") => Condition::of_family(false),
        Some(_) | None => Condition::default(),
    };
    let mut asked = None;
    for child in &element.children {
        match child.name.as_str() {
            "source" | "destination" => {
                let Some(found) = networks(root, child)? else {
                    unclear.push(format!("this {}", child.name));
                    continue;
                };
                let end = match child.name.as_str() {
                    "source" => Condition::from(found),
                    _ => Condition::to(found),
                };
                let invert = child.attribute("invert").unwrap_or_default();
                if matches!(invert.to_lowercase().as_str(), "yes" | "true") {
                    rule.unless.push(end);
                    continue;
                }
                match when.and(&end) {
                    Some(both) => when = both,
                    // Nothing can meet both.
                    None => return Ok(None),
                }
            }
            "service" => {
                let name = child.attribute("name").unwrap_or_default();
                asked = Some(services::service(root, name)?);
                rule.comment = Some(name.to_owned());
            }
            "port" => asked = Some(services::port(child).map(|one| vec![one])),
            "source-port" => asked = Some(services::source_port(child).map(|one| vec![one])),
            "protocol" => {
                let value = child.attribute("value");
                asked = Some(value.and_then(services::protocol).map(|one| vec![one]));
            }
            "icmp-block" | "icmp-type" => {
                let name = child.attribute("name");
                asked = Some(name.and_then(services::icmp).map(|one| vec![one]));
            }
            "masquerade" | "forward-port" => {
                reading.left.push(
                    Remark::about(&rule, "guard translates no addresses and forwards no ports")
                        .help("keep firewalld for it, or give it to nftables"),
                );
                return Ok(None);
            }
            "log" | "nflog" | "audit" => {
                reading.left.push(
                    Remark::about(
                        &rule,
                        "guard does not log single packets; the rest of the rule is taken over",
                    )
                    .help("`guardctl stats` counts every rule and reason"),
                );
            }
            "accept" | "drop" | "reject" => {}
            "mark" => reading
                .left
                .push(Remark::about(&rule, "guard marks no packets")),
            other => unclear.push(format!("<{other}>")),
        }
    }
    let conditions = match asked {
        None => vec![Condition::default()],
        Some(Some(conditions)) => conditions,
        Some(None) => {
            unclear.push("what it is about".to_owned());
            vec![Condition::default()]
        }
    };
    rule.unclear = unclear;
    let refuses = rule.target == Target::Drop;
    if rule.target == Target::Continue {
        return Ok(None);
    }
    let rules = conditions
        .iter()
        .filter_map(|asked| Some(rule.clone().when(when.and(asked)?)))
        .collect();
    Ok(Some(RichRule {
        priority,
        refuses,
        rules,
    }))
}

/// The addresses of a source or a destination; `None` for what is none (hardware addresses, sets that change).
pub(super) fn networks(root: &Path, element: &Element) -> Result<Option<Vec<IpNetwork>>, Failure> {
    if let Some(text) = element.attribute("address") {
        return Ok(services::network(text).map(|network| vec![network]));
    }
    let Some(name) = element.attribute("ipset") else {
        return Ok(None);
    };
    let Some(set) = xml::find(root, "ipsets", name)? else {
        return Ok(None);
    };
    let is_plain = set
        .root
        .attribute("type")
        .is_some_and(|kind| kind == "hash:ip" || kind == "hash:net");
    let changes = set
        .root
        .children
        .iter()
        .any(|child| child.attribute("name") == Some("timeout"));
    if !is_plain || changes {
        return Ok(None);
    }
    let entries = set
        .root
        .children
        .iter()
        .filter(|child| child.name == "entry");
    Ok(entries
        .map(|entry| services::network(&entry.text))
        .collect())
}

//! Rules of ufw: its own files for the rules that were typed, and what stands before and behind them, which its package
//! brings and administrators edit.

mod settings;
mod stock;
mod tuple;

use std::{collections::BTreeSet, path::Path};

use settings::Settings;
use tuple::{Tuple, Way};

use super::{
    chains::{ChainRule, Firewall, Remark, SourceLine, Stage, Target},
    condition::Condition,
    files::{self, Text},
    iptables,
    reading::Reading,
};
use crate::{
    failure::{Exit, Failure},
    ruleset::{icmp::IcmpType, model::Traffic},
    text::value::{BadValue, quoted},
};

/// Begins a line with a rule.
const TUPLE: &str = "### tuple ###";

/// Names of the files and chains of one family.
struct Family {
    is_v4: bool,
    /// Behind `ufw` in the names of chains.
    digit: &'static str,
}

const FAMILIES: [Family; 2] = [
    Family {
        is_v4: true,
        digit: "",
    },
    Family {
        is_v4: false,
        digit: "6",
    },
];

/// Is there a ufw?
#[must_use]
pub fn is_here(root: &Path) -> bool {
    ["etc/ufw/ufw.conf", "etc/ufw/user.rules"]
        .iter()
        .any(|file| root.join(file).symlink_metadata().is_ok())
}

/// Is it on?
#[must_use]
pub fn is_on(root: &Path) -> bool {
    Settings::read(root).is_ok_and(|settings| settings.is_enabled)
}

/// Reads its files.
///
/// # Errors
/// Exit 6 when there is no ufw, 5 when a file of it is damaged.
pub fn read(root: &Path) -> Result<Reading, Failure> {
    let folder = root.join("etc/ufw");
    if !is_here(root) {
        return Err(Failure::new(
            Exit::NotFound,
            format!("{}: there is no ufw", folder.display()),
        )
        .help(
            "give the folder that its etc/ufw is in with --root; guard needs no import to begin",
        ));
    }
    let settings = Settings::read(root)?;
    let mut reading = Reading::new("ufw", folder.display().to_string());
    if !settings.is_enabled {
        reading
            .notes
            .push("ufw is off: its rules are taken as if it were on".to_owned());
    }
    if settings.forwards {
        reading.left.push(
            Remark::new(
                &settings.forward_place,
                "DEFAULT_FORWARD_POLICY: guard has no rules of its own for routed packets",
            )
            .help("what arrives meets the same rules wherever it goes"),
        );
    }
    let mut totals = Totals::default();
    for family in &FAMILIES {
        if !family.is_v4 && !settings.has_v6 {
            reading.firewall.stages.push(Stage {
                chain: "no-ipv6".to_owned(),
                accepts: false,
                when: Condition::of_family(false),
            });
            continue;
        }
        read_family(&folder, family, &settings, &mut reading, &mut totals)?;
    }
    for hook in ["before.init", "after.init"] {
        let path = folder.join(hook);
        if settings::is_executable(&path) {
            let place = SourceLine {
                file: path.display().to_string().into(),
                line: 0,
            };
            reading.left.push(
                Remark::new(
                    &place,
                    "ufw runs this script when it starts, and guard does not",
                )
                .help("look whether it opens or closes anything"),
            );
        }
    }
    totals.report(&mut reading);
    Ok(reading)
}

/// What is said once of many rules.
#[derive(Default)]
struct Totals {
    rejects: bool,
    limits: bool,
    edited: BTreeSet<String>,
}

impl Totals {
    fn report(self, reading: &mut Reading) {
        if self.rejects {
            reading
                .notes
                .push("reject became deny: guard answers no packet that it drops".to_owned());
        }
        if self.limits {
            reading.notes.push(
                "limit: ufw lets the first 5 new connections of a source in 30 seconds in, guard 6, and then one every \
                 5 seconds"
                    .to_owned(),
            );
        }
        reading.notes.extend(self.edited);
    }
}

fn read_family(
    folder: &Path,
    family: &Family,
    settings: &Settings,
    reading: &mut Reading,
    totals: &mut Totals,
) -> Result<(), Failure> {
    let digit = family.digit;
    let of = |name: &str| files::required(&folder.join(format!("{name}{digit}.rules")), "ufw");
    let (before, user, after) = (of("before")?, of("user")?, of("after")?);
    let user = user_rules(&user, family, reading, totals)?;
    for text in [&before, &after] {
        framing_rules(text, family, reading, totals)?;
    }
    let chains = &mut reading.firewall.chains;
    let table = format!("filter{digit}");
    let own = |name: &str| format!("{table}/ufw{digit}-{name}-input");
    let here = SourceLine {
        file: folder.display().to_string().into(),
        line: 0,
    };
    chains.insert(own("user"), user);
    let last = match settings.accepts {
        true => Target::Accept,
        false => Target::Drop,
    };
    let to_policy = ChainRule::new(here.clone(), "DEFAULT_INPUT_POLICY", last);
    chains.insert(
        format!("{table}/ufw{digit}-skip-to-policy-input"),
        vec![to_policy],
    );
    let way = ["before", "user", "after"].map(|name| {
        let jump = Target::Jump(own(name));
        ChainRule::new(here.clone(), format!("ufw-{name}-input"), jump)
    });
    let entry = format!("ufw{digit}");
    chains.insert(entry.clone(), way.to_vec());
    reading.firewall.stages.push(Stage {
        chain: entry,
        accepts: settings.accepts,
        when: Condition::of_family(family.is_v4),
    });
    Ok(())
}

/// before.rules and after.rules.
fn framing_rules(
    text: &Text,
    family: &Family,
    reading: &mut Reading,
    totals: &mut Totals,
) -> Result<(), Failure> {
    is_whole(text)?;
    let saved = iptables::read(&text.name, &text.text, family.is_v4)?;
    let mut part = Firewall::default();
    saved.add_to(&mut part, &mut reading.left);
    for rule in part.chains.values_mut().flatten() {
        rule.is_stock = stock::is_stock(&rule.text);
        // Home agents and mobile nodes of IPv6 know that they are.
        if rule.is_stock
            && let Traffic::Icmp(IcmpType {
                v6: Some(144..=147),
                ..
            }) = rule.when.traffic
        {
            rule.unclear.push("mobile IPv6".to_owned());
        }
    }
    for (chain, rules) in &part.chains {
        for rule in rules.iter().filter(|rule| !rule.is_stock) {
            if chain.contains("forward") || chain.contains("output") {
                reading.left.push(
                    Remark::about(rule, "guard has no rules for what leaves or is routed")
                        .help("the line is not ufw's own; keep ufw for it, or give it to nftables"),
                );
            } else {
                totals.edited.insert(format!(
                    "{}: not ufw's own, and taken over as far as nothing else is said: {}",
                    rule.place,
                    quoted(&rule.text)
                ));
            }
        }
    }
    reading.firewall.stages.extend(part.stages);
    reading.firewall.chains.extend(part.chains);
    Ok(())
}

/// user.rules: the rules that were typed, in order.
fn user_rules(
    text: &Text,
    family: &Family,
    reading: &mut Reading,
    totals: &mut Totals,
) -> Result<Vec<ChainRule>, Failure> {
    is_whole(text)?;
    let own = format!("ufw{}-user-input", family.digit);
    let mut rules = Vec::new();
    let mut is_of_tuple = false;
    for (index, line) in text.text.lines().enumerate() {
        let place = SourceLine {
            file: text.name.clone(),
            line: index + 1,
        };
        let wrong = |bad: BadValue| {
            Failure::new(
                Exit::BadConfiguration,
                format!("{place}: {}: {}", bad.message, quoted(line.trim())),
            )
            .help("ufw writes these lines itself: delete the rule with ufw and add it again, or restore the file")
        };
        if let Some(rest) = line.trim().strip_prefix(TUPLE) {
            let tuple = tuple::read(&place, rest, family.is_v4).map_err(wrong)?;
            is_of_tuple = true;
            rules.extend(take(tuple, reading, totals));
            continue;
        }
        if line.trim().is_empty() || line.starts_with("###") {
            is_of_tuple = false;
            continue;
        }
        // What ufw made of the rule above says the same.
        let is_by_hand = !is_of_tuple
            && line
                .split_whitespace()
                .nth(1)
                .is_some_and(|chain| chain == own)
            && line.trim_start().starts_with("-A");
        if is_by_hand {
            let words = iptables::split(line)
                .ok_or_else(|| wrong(BadValue::new("a quotation without an end")))?;
            let rest = words.get(2..).unwrap_or_default();
            let rule = iptables::rule(&place, line.trim(), rest, family.is_v4).map_err(wrong)?;
            totals.edited.insert(format!(
                "{place}: written by hand, ufw loses it with the next change: {}",
                quoted(line.trim())
            ));
            rules.push(rule);
        }
    }
    Ok(rules)
}

/// What of a rule is taken over.
fn take(tuple: Tuple, reading: &mut Reading, totals: &mut Totals) -> Option<ChainRule> {
    let rule = tuple.rule;
    match tuple.way {
        Way::In => {}
        Way::Out => {
            reading.left.push(
                Remark::about(&rule, "guard has no rules for what leaves")
                    .help("keep ufw for it, or write it for nftables"),
            );
            return None;
        }
        Way::Route => {
            reading.left.push(
                Remark::about(&rule, "guard has no rules of its own for routed packets")
                    .help("keep ufw for it; for a container, allow the port on the host"),
            );
            return None;
        }
    }
    if tuple.is_logged {
        reading.left.push(
            Remark::about(
                &rule,
                "guard does not log single packets; the rest of the rule is taken over",
            )
            .help("`guardctl stats` counts every rule and reason"),
        );
    }
    totals.rejects |= tuple.rejects;
    totals.limits |= matches!(rule.target, Target::Limit(_));
    Some(rule)
}

/// A file that ends in the middle lets in what its lost rules would have dropped.
fn is_whole(text: &Text) -> Result<(), Failure> {
    let last = text.text.lines().rev().find(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    });
    if last.is_some_and(|line| line.trim() == "COMMIT") {
        return Ok(());
    }
    let lines = text.text.lines().count();
    Err(Failure::new(
        Exit::BadConfiguration,
        format!(
            "{}:{lines}: the file does not end with COMMIT: it was cut off",
            text.name
        ),
    )
    .help("restore it; ufw itself would not load it"))
}

#[cfg(test)]
mod tests;

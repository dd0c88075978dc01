//! `list`: the rules, by tag.

use serde_json::json;

use super::context::Context;
use crate::{
    controller::RuleView,
    failure::{Exit, Failure},
    output::human,
    ruleset::{labels, mmdb::DatabaseSet},
    text::{nearest::nearest, value::quoted},
};

pub(super) fn list(context: &mut Context<'_>, tag: Option<&str>) -> Result<Exit, Failure> {
    let status = context.controller.status()?;
    context.output.warnings(&status.warnings);
    if let Some(tag) = tag {
        refuse_unknown(tag, &status.rules)?;
    }
    let has_it = |rule: &&RuleView| tag.is_none_or(|tag| rule.tags.iter().any(|own| own == tag));
    let rules: Vec<&RuleView> = status.rules.iter().filter(has_it).collect();
    context.output.show(
        |out| {
            human::databases(out, &status.databases)?;
            human::host_names(out, &status.host_names)?;
            human::rules(out, rules.iter().copied())
        },
        || {
            json!({
                "in_force": status.protection.is_in_force(),
                "rules": rules,
                "databases": databases_json(&status.databases),
                "names": status.host_names,
            })
        },
    );
    Ok(Exit::Ok)
}

/// Sets that come from databases.
pub(super) fn databases_json(sets: &[DatabaseSet]) -> Vec<serde_json::Value> {
    let set = |set: &DatabaseSet| {
        json!({
            "set": set.set,
            "file": set.file.display().to_string(),
            "wanted": set.wanted,
            "type": set.kind,
            "built": set.built_on(),
            "ipv4_prefixes": set.ipv4,
            "ipv6_prefixes": set.ipv6,
        })
    };
    sets.iter().map(set).collect()
}

/// A tag that no rule has is a slip of the hand more often than a question.
fn refuse_unknown(tag: &str, rules: &[RuleView]) -> Result<(), Failure> {
    let known = || rules.iter().flat_map(|rule| &rule.tags).map(String::as_str);
    if known().any(|own| own == tag) {
        return Ok(());
    }
    if let Err(bad) = labels::add_tag(&mut Vec::new(), tag) {
        let failure = Failure::new(Exit::Usage, bad.message);
        return Err(failure.help(bad.help.unwrap_or_default()));
    }
    let message = format!("no rule has the tag {}", quoted(tag));
    Err(Failure::new(
        Exit::NotFound,
        match nearest(tag, known()) {
            Some(near) => format!("{message}; did you mean \"{near}\""),
            None => message,
        },
    )
    .help("`guardctl list` lists the rules with their tags"))
}

//! `list`: the rules, by tag.

use serde_json::json;

use super::context::Context;
use crate::{
    controller::RuleView,
    failure::{Exit, Failure},
    output::human,
    ruleset::labels,
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
        |out| human::rules(out, rules.iter().copied()),
        || json!({"in_force": status.protection.is_in_force(), "rules": rules}),
    );
    Ok(Exit::Ok)
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

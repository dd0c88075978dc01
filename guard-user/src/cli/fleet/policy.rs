//! `fleet policy`, `fleet publish`: a policy for a group of hosts, and who may say what it is.

use std::path::Path;

use clap::Subcommand;
use serde_json::json;

use super::{super::context::Context, ask, hand_on, not_joined, status::policy_words};
use crate::{
    control::{Request, Response, unexpected},
    failure::{Exit, Failure},
};

#[derive(Clone, Debug, Subcommand)]
pub(super) enum PolicyAction {
    /// Show what became of the last policy
    Status,
    /// Take policies that this key signed: each replaces guard.toml, and returns by itself unless this host still
    /// reaches its server, and whoever is logged in could log in again
    Accept {
        /// The public key: what stands in policy.pub
        key: String,
    },
    /// Take none any more; the policy in force stays
    Refuse,
}

pub(super) fn change(context: &mut Context<'_>, action: &PolicyAction) -> Result<Exit, Failure> {
    let key = match action {
        PolicyAction::Status => return show(context),
        PolicyAction::Accept { key } => Some(key.clone()),
        PolicyAction::Refuse => None,
    };
    let wanted = key.clone();
    context.controller.change_joined(|settings| {
        let Some(nats) = &mut settings.nats else {
            return Err(not_joined());
        };
        nats.policy_key = wanted;
        Ok(())
    })?;
    context.output.show(
        |out| match &key {
            Some(key) => writeln!(out, "policies that {key} signed replace guard.toml"),
            None => writeln!(out, "no policy of the fleet is taken any more"),
        },
        || json!({"policy_key": key}),
    );
    Ok(Exit::Ok)
}

fn show(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let response = ask(context, Request::Fleet)?;
    let Response::Fleet(view) = response else {
        return Err(unexpected(response));
    };
    context.output.show(
        |out| match &view.policy {
            Some(policy) => writeln!(out, "policy: {}", policy_words(policy)),
            None => writeln!(out, "this host takes no policies of a fleet"),
        },
        || json!({"policy": view.policy}),
    );
    Ok(Exit::Ok)
}

/// What would be refused by every host is not sent to the first.
pub(super) fn publish(context: &mut Context<'_>, words: &[String]) -> Result<Exit, Failure> {
    if let Some(file) = words.first().filter(|word| !word.starts_with('-')) {
        let checked = context.controller.check(Some(Path::new(file)))?;
        context.output.warnings(&checked.warnings);
    }
    let words: Vec<String> = std::iter::once("publish".to_owned())
        .chain(words.iter().cloned())
        .collect();
    Err(hand_on(&words))
}

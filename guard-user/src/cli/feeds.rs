//! `feeds`: what the files of `[[feed]]` say, and reading them again.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{ban::counted, context::Context};
use crate::{
    bans::feed::FeedStatus,
    controller::Reread,
    failure::{Exit, Failure},
};

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Feeds {
    /// Show every feed: networks, bad lines, age, and whether its file is what is banned
    List,
    /// Read every file again; exits 8 if one of them is rejected
    Reload,
}

pub(super) fn feeds(context: &mut Context<'_>, action: Option<Feeds>) -> Result<Exit, Failure> {
    let (feeds, is_reload) = match action.unwrap_or(Feeds::List) {
        Feeds::List => (context.controller.feeds()?, false),
        Feeds::Reload => (context.controller.refresh_feeds(Reread::All)?, true),
    };
    context.output.show(
        |out| {
            if feeds.is_empty() {
                return writeln!(out, "no feeds; [[feed]] in guard.toml names one");
            }
            for feed in &feeds {
                writeln!(out, "{feed}")?;
                for error in &feed.errors {
                    writeln!(
                        out,
                        "  {}:{}: {}",
                        feed.file.display(),
                        error.line,
                        error.message
                    )?;
                }
                let more = feed.wrong.saturating_sub(feed.errors.len() as u64);
                if more > 0 {
                    writeln!(out, "  and {} more", counted(more, "line"))?;
                }
            }
            Ok(())
        },
        || json!({"feeds": feeds.iter().map(feed_json).collect::<Vec<_>>()}),
    );
    let is_kept = feeds.iter().any(|feed| feed.kept_because.is_some());
    Ok(if is_kept && is_reload {
        Exit::Partial
    } else {
        Exit::Ok
    })
}

/// Reads files that have changed, beside a command that put a policy in force.
pub(super) fn refresh(context: &mut Context<'_>) {
    if context.global.dry_run {
        return;
    }
    match context.controller.refresh_feeds(Reread::Changed) {
        Ok(feeds) => {
            let warnings: Vec<String> = feeds
                .iter()
                .filter(|feed| feed.kept_because.is_some() || feed.wrong > 0)
                .map(|feed| format!("feed {feed}"))
                .collect();
            context.output.warnings(&warnings);
        }
        Err(failure) => context
            .output
            .warnings(&[format!("feeds: {}", failure.message)]),
    }
}

fn feed_json(feed: &FeedStatus) -> Value {
    json!({
        "name": feed.name,
        "file": feed.file,
        "networks": feed.entries,
        "wrong": feed.wrong,
        "errors": feed.errors,
        "age_seconds": feed.age(),
        "current": feed.kept_because.is_none() && feed.read_at.is_some(),
        "kept_because": feed.kept_because,
    })
}

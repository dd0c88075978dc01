//! What is in force, in words, beside the image in the kernel: the files may have changed since.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::policy_files::stage_failure;
use crate::{
    failure::{Exit, Failure},
    layout::Layout,
    ruleset::{
        describe,
        mmdb::DatabaseSet,
        model::{DefaultAction, ModeChoice, Policy, Rule, RuleAction},
        until::{Moments, Until},
    },
    state_file,
    text::staged::Staged,
};

/// The policy that the kernel runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Its generation, which must be the kernel's.
    pub generation: u32,
    /// `deny`, `allow` or `monitor`.
    pub default: String,
    /// The protected interfaces.
    pub interfaces: Vec<String>,
    /// Where the program shall run on them, as the policy says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub modes: BTreeMap<String, ModeChoice>,
    /// Sets that came from databases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<DatabaseSet>,
    /// The rules, in order.
    pub rules: Vec<RuleView>,
}

/// A rule as listings show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleView {
    /// From 1.
    pub number: usize,
    /// `allow`, `deny` or `limit`.
    pub action: String,
    /// What it is about, for a column.
    pub to: String,
    /// Where from, for a column.
    pub from: String,
    /// The words that would add it.
    pub rule: String,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Seconds until then, where somebody has looked at the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
    /// The operator's remark.
    pub comment: Option<String>,
    /// What commands call it.
    #[serde(default)]
    pub name: Option<String>,
    /// Words that it shares with others.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What becomes of who goes on above its limit: `ban 60s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_excess: Option<String>,
    /// Does it act?
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What it let in or dropped since `enable`, where somebody has counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits: Option<Hits>,
}

/// Packets that a rule decided about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hits {
    /// Frames.
    pub packets: u64,
    /// Bytes of those frames.
    pub bytes: u64,
}

impl RuleView {
    /// Rule `number` of a policy.
    #[must_use]
    pub fn new(number: usize, rule: &Rule) -> Self {
        let columns = describe::columns(rule);
        Self {
            number,
            action: describe::action_word(rule.action).to_owned(),
            to: columns.to,
            from: columns.from,
            rule: describe::command(rule),
            until: rule.until.map(|until| until.to_string()),
            seconds_left: None,
            comment: rule.comment.clone(),
            name: rule.labels.name.clone(),
            tags: rule.labels.tags.clone(),
            on_excess: match rule.action {
                RuleAction::Limit(limit) => limit.on_excess.map(|ban| ban.to_string()),
                RuleAction::Allow | RuleAction::Deny => None,
            },
            enabled: rule.is_enabled,
            hits: None,
        }
    }

    /// Says how much time is left.
    pub(in crate::controller) fn tell_time_left(&mut self, moments: &Moments) {
        if let Some(Ok(until)) = self.until.as_deref().map(Until::parse) {
            self.seconds_left = Some(moments.left(until).as_secs());
        }
    }

    /// When it ends, for people: `until 2026-12-01T12:00:00Z, 9m 30s left`.
    #[must_use]
    pub fn end(&self) -> Option<String> {
        let until = self.until.as_ref()?;
        Some(match self.seconds_left {
            None => format!("until {until}"),
            Some(0) => format!("over since {until}"),
            Some(seconds) => {
                let left = humantime::format_duration(Duration::from_secs(seconds));
                format!("until {until}, {left} left")
            }
        })
    }

    /// What people call it, whether it acts and when it ends, as listings show it: `disabled, name office-ssh, tag
    /// office`.
    #[must_use]
    pub fn remarks(&self) -> String {
        let mut remarks = Vec::new();
        if !self.enabled {
            remarks.push("disabled".to_owned());
        }
        remarks.extend(self.end());
        let on_excess = self.on_excess.as_ref();
        remarks.extend(on_excess.map(|what| format!("on-excess {what}")));
        remarks.extend(self.name.as_ref().map(|name| format!("name {name}")));
        remarks.extend(self.tags.iter().map(|tag| format!("tag {tag}")));
        remarks.join(", ")
    }

    /// All rules of a policy.
    #[must_use]
    pub fn all(policy: &Policy) -> Vec<Self> {
        policy
            .rules
            .iter()
            .zip(1..)
            .map(|(rule, number)| Self::new(number, rule))
            .collect()
    }
}

/// What files of earlier versions mean: no rule was disabled.
fn yes() -> bool {
    true
}

/// `deny`, `allow` or `monitor`.
#[must_use]
pub(in crate::controller) fn default_word(default: DefaultAction) -> &'static str {
    match default {
        DefaultAction::Deny => "deny",
        DefaultAction::Allow => "allow",
        DefaultAction::Monitor => "monitor",
    }
}

impl Applied {
    pub(in crate::controller) fn new(
        policy: &Policy,
        generation: u32,
        interfaces: Vec<String>,
    ) -> Self {
        Self {
            generation,
            default: default_word(policy.default).to_owned(),
            interfaces,
            modes: policy.modes.clone(),
            databases: policy.databases.clone(),
            rules: RuleView::all(policy),
        }
    }

    /// What was saved last; `None` when there is nothing or it cannot be read.
    #[must_use]
    pub fn read(layout: &Layout) -> Option<Self> {
        serde_json::from_slice(&state_file::read(&layout.applied()).ok()?).ok()
    }

    /// On disk, but not in place yet.
    pub(in crate::controller) fn stage(&self, layout: &Layout) -> Result<Staged, Failure> {
        let text = serde_json::to_string(self)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        state_file::put_folder_aside(&layout.applied()).unwrap_or_default();
        Staged::write(&layout.applied(), &text).map_err(|error| stage_failure(&error))
    }
}

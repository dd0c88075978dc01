//! Why an edit cannot be made, and what to do instead.

use std::path::PathBuf;

use crate::text::diagnostic::Diagnostics;

/// An edit that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// There is no rule of that number.
    #[error("there is no rule {number}; {}", count_text(*.count))]
    NoSuchNumber {
        /// The number that was asked for.
        number: usize,
        /// How many rules there are.
        count: usize,
    },
    /// There is no rule of that name.
    #[error("no rule is called \"{name}\"{}", near_text(near.as_deref()))]
    NoSuchName {
        /// The name that was asked for.
        name: String,
        /// A name that is like it.
        near: Option<String>,
    },
    /// Another rule has the name.
    #[error("rule {by} is called \"{name}\" already: `{words}`")]
    NameTaken {
        /// The name.
        name: String,
        /// Number of the rule that has it.
        by: usize,
        /// Its words.
        words: String,
    },
    /// The rule is there, disabled.
    #[error("rule {by} is the same, and disabled")]
    Disabled {
        /// Its number.
        by: usize,
    },
    /// An earlier rule takes all packets of the rule that would be enabled.
    #[error("rule {number} could never match: rule {by} `{words}` covers it")]
    Covered {
        /// The rule that would be enabled.
        number: usize,
        /// Number of the earlier rule.
        by: usize,
        /// Its words.
        words: String,
    },
    /// Nothing can be inserted there.
    #[error("{number} is not a place for a rule; 1 to {last} are")]
    NoSuchPlace {
        /// The number that was asked for.
        number: usize,
        /// One past the last rule.
        last: usize,
    },
    /// No rule means the same.
    #[error("there is no rule `{words}`")]
    NoSuchRule {
        /// The rule that was asked for.
        words: String,
    },
    /// Not on the never list.
    #[error("{entry} is not on the never list")]
    NotNever {
        /// What was asked for.
        entry: String,
    },
    /// An earlier rule of the other action takes all its packets.
    #[error("the rule could never match: rule {by} `{words}` covers it")]
    Contradicted {
        /// Number of the earlier rule.
        by: usize,
        /// Its words.
        words: String,
    },
    /// Later rules would have no packets left.
    #[error("{} could never match after it", shadowed_text(numbers, words))]
    Shadows {
        /// Numbers of the later rules.
        numbers: Vec<usize>,
        /// Words of the first.
        words: String,
    },
    /// The files would be wrong afterwards.
    #[error("the policy would be wrong afterwards:\n{0}")]
    Invalid(Diagnostics),
    /// The layout of a file is beyond this editor.
    #[error("{}: this file cannot be edited by command", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
    },
}

impl EditError {
    /// A way out.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoSuchNumber { .. }
            | Self::NoSuchName { .. }
            | Self::NoSuchPlace { .. }
            | Self::NoSuchRule { .. } => {
                Some("`guardctl status numbered` lists the rules".to_owned())
            }
            Self::NotNever { .. } => Some("`guardctl never list` lists its entries".to_owned()),
            Self::NameTaken { .. } => Some("choose another name; `--tag` may be shared".to_owned()),
            Self::Disabled { by } => Some(format!("`guardctl rule enable {by}`")),
            Self::Covered { number, by, .. } => Some(format!(
                "first `guardctl rule disable {by}` or `guardctl delete {number}`"
            )),
            Self::Contradicted { by, .. } => {
                Some(format!("put it first with `guardctl insert {by} …`"))
            }
            Self::Shadows { numbers, .. } => {
                let mut help = String::from("the new rule takes all its packets");
                if let [_, _, ..] = numbers.as_slice() {
                    help = "the new rule takes all their packets".to_owned();
                }
                for number in numbers.iter().rev().take(3) {
                    help.push_str(&format!(", `guardctl delete {number}`"));
                }
                help = help.replacen(", `", ": first `", 1);
                if numbers.len() > 3 {
                    help.push_str(" and so on");
                }
                Some(help)
            }
            Self::Invalid(_) => None,
            Self::Layout { .. } => Some("edit it by hand, then `guardctl reload`".to_owned()),
        }
    }
}

fn near_text(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean \"{near}\""))
}

fn shadowed_text(numbers: &[usize], words: &str) -> String {
    match numbers {
        [number] => format!("rule {number} `{words}`"),
        [first, rest @ ..] => format!("rule {first} `{words}` and {} more", rest.len()),
        [] => String::new(),
    }
}

fn count_text(count: usize) -> String {
    match count {
        0 => "there are no rules".to_owned(),
        1 => "the only rule is 1".to_owned(),
        _ => format!("rules are numbered 1 to {count}"),
    }
}

//! `doctor`: whether this host lets guard do its work, what stands beside it, and what to do about each.

mod instance;
mod interfaces;
mod kernel;
mod surroundings;

use crate::{
    controller::Controller,
    failure::{Exit, Failure},
};

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about, in a word.
    pub topic: &'static str,
    /// How it is with it.
    pub health: Health,
    /// What was seen.
    pub text: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// How it is with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// As it should be.
    Good,
    /// Works, and the operator should know it.
    Note,
    /// Does not do what it should; the code is the one of the command that fails for it.
    Wrong(Exit),
}

impl Finding {
    fn good(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, Health::Good, text)
    }

    fn note(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, Health::Note, text)
    }

    fn wrong(topic: &'static str, exit: Exit, text: impl Into<String>) -> Self {
        Self::new(topic, Health::Wrong(exit), text)
    }

    /// A command that failed for it.
    #[must_use]
    pub fn failed(topic: &'static str, failure: &Failure) -> Self {
        Self {
            remedy: failure.help.clone(),
            ..Self::wrong(topic, failure.exit, failure.message.clone())
        }
    }

    /// Anything.
    #[must_use]
    pub fn new(topic: &'static str, health: Health, text: impl Into<String>) -> Self {
        Self {
            topic,
            health,
            text: text.into(),
            remedy: None,
        }
    }

    /// With a way out.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl Controller {
    /// Looks at everything, from the kernel up. Changes nothing.
    #[must_use]
    pub fn examine(&self) -> Vec<Finding> {
        let mut found = kernel::examine(&self.layout);
        // What is wrong with the pins has been said.
        let status = self.status().ok();
        found.extend(instance::examine(self, status.as_ref()));
        if let Some(status) = &status {
            found.extend(interfaces::examine(self, status));
        }
        found.extend(surroundings::examine());
        found
    }
}

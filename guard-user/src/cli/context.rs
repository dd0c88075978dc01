//! What every command has at hand.

use super::options::Global;
use crate::{controller::Controller, output::Output};

/// The controller that does the work, the options of every command, and the terminal.
pub(super) struct Context<'a> {
    pub(super) controller: &'a Controller,
    pub(super) global: &'a Global,
    pub(super) output: &'a mut Output,
}

//! Questions. Asked only of a person: without a terminal the answer is the refusal.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use super::options::Global;
use crate::{controller::AtRisk, failure::Failure};

/// May an operator be shut out? `--yes` answers the question where one is asked, and where none can be
/// asked it is no answer.
pub(super) fn may_cut(at_risk: &AtRisk, global: &Global) -> Result<(), Failure> {
    let refusal = at_risk.refuse();
    if !io::stdin().is_terminal() {
        return refusal;
    }
    if global.yes {
        return Ok(());
    }
    let Err(failure) = refusal else {
        return Ok(());
    };
    let mut error = io::stderr();
    let asked = write!(
        error,
        "{}.\nTurn guard on all the same? [y/N] ",
        failure.message
    )
    .and_then(|()| error.flush());
    let mut answer = String::new();
    if asked.is_ok()
        && io::stdin().lock().read_line(&mut answer).is_ok()
        && matches!(answer.trim(), "y" | "Y" | "yes")
    {
        return Ok(());
    }
    Err(failure)
}

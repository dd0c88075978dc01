//! The sample logs of the installed fail2ban package, evaluated by guard: every line gives the result that
//! fail2ban itself expects, with its own filters and with guard's. And its jails, imported.

#![expect(
    clippy::unwrap_used,
    reason = "what the package holds is known; if it holds something else, the test fails there"
)]

mod condition;
mod exceptions;
mod jails;
mod package;
mod samples;
mod score;

use package::Package;
use score::Score;

/// Lines that the package of Debian 12 has, times the options that they are tried with. Fewer means
/// that something is not read.
const LEAST_CASES: usize = 1600;

/// The same for the logs of which guard has filters of its own.
const LEAST_BUILTIN_CASES: usize = 750;

#[test]
fn every_sample_line_gives_the_result_that_fail2ban_expects() {
    let Some(package) = Package::installed() else {
        return;
    };
    let mut score = Score::default();
    for filter in package.filters() {
        samples::evaluate(&package, &filter, &mut score);
    }

    score.print();
    score.assert_only_the_exceptions(exceptions::STOCK);
    assert!(score.cases() >= LEAST_CASES, "only {} cases", score.cases());
}

#[test]
fn the_built_in_filters_give_it_too() {
    let Some(package) = Package::installed() else {
        return;
    };
    let mut score = Score::default();
    for filter in package::builtin() {
        samples::evaluate(&package, &filter, &mut score);
    }

    score.print();
    score.assert_only_the_exceptions(exceptions::BUILTIN);
    assert!(
        score.cases() >= LEAST_BUILTIN_CASES,
        "only {} cases",
        score.cases()
    );
}

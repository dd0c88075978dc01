//! The sample logs of the installed fail2ban package, judged by guard: every line gives the result that
//! fail2ban itself expects, with its own filters and with guard's.

mod condition;
mod exceptions;
mod package;
mod samples;
mod score;

use package::Package;
use score::Score;

/// Lines that the package of Debian 12 has, times the options that they are tried with. Fewer means
/// that something is not read.
const LEAST_CASES: usize = 2800;

#[test]
fn every_sample_line_gives_the_result_that_fail2ban_expects() {
    let Some(package) = Package::installed() else { return };
    let mut score = Score::default();
    for filter in package.filters() {
        samples::judge(&package, &filter, &mut score);
    }

    score.print();
    score.assert_only_the_exceptions(exceptions::STOCK);
    assert!(score.cases() >= LEAST_CASES, "only {} cases", score.cases());
}

//! Who connects writes part of what daemons log about him. Whatever he writes, no built-in filter takes a line for
//! a failure of somebody else: each daemon's lines, with every field that a client chooses filled with hostile texts
//! that hold the address of a victim.

#![expect(
    clippy::unwrap_used,
    reason = "what is wrong in these tables must fail the test there"
)]

mod daemons;
mod hostile;
mod random;
mod trial;

use std::collections::BTreeSet;

use daemons::Daemon;
use guard_user::filters::builtin;

#[track_caller]
fn assert_nobody_else_is_named(daemon: &Daemon) {
    let wrong = trial::run(daemon);
    assert!(
        wrong.is_empty(),
        "{} lines name somebody who did not write them, among them:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(12)].join("\n")
    );
}

#[test]
fn no_client_of_sshd_has_somebody_else_banned() {
    assert_nobody_else_is_named(&daemons::sshd::SSHD);
}

#[test]
fn no_client_of_dovecot_has_somebody_else_banned() {
    assert_nobody_else_is_named(&daemons::dovecot::DOVECOT);
}

#[test]
fn no_client_of_postfix_has_somebody_else_banned() {
    assert_nobody_else_is_named(&daemons::postfix::POSTFIX);
}

#[test]
fn nobody_has_somebody_else_banned_by_the_log_of_dropped_packets() {
    assert_nobody_else_is_named(&daemons::guard::GUARD);
}

#[test]
fn no_client_of_apache_has_somebody_else_banned() {
    assert_nobody_else_is_named(&daemons::apache::APACHE);
}

#[test]
fn no_client_of_nginx_has_somebody_else_banned() {
    for daemon in daemons::nginx::ACCESS {
        assert_nobody_else_is_named(daemon);
    }
}

#[test]
fn no_raw_line_of_an_nginx_error_log_has_anybody_banned() {
    for daemon in daemons::nginx::ERROR {
        assert_nobody_else_is_named(daemon);
    }
}

#[test]
fn every_built_in_filter_is_tried() {
    let tried: BTreeSet<&str> = daemons::all()
        .flat_map(|daemon| daemon.filters)
        .map(|filter| filter.split('[').next().unwrap())
        .collect();
    assert_eq!(tried, builtin::names().collect::<BTreeSet<_>>());
}

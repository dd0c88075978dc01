//! What is so: `status`, `explain`, `audit`, `check`, `diff`. Nothing here changes anything.

pub(in crate::controller) mod answers;
pub(in crate::controller) mod audit;
pub(in crate::controller) mod build;
pub(in crate::controller) mod check;
pub(in crate::controller) mod diff;
pub(in crate::controller) mod doctor;
pub(in crate::controller) mod explain;
pub(in crate::controller) mod exposed;
pub(in crate::controller) mod fault;
pub(in crate::controller) mod floods;
pub(in crate::controller) mod flow_table;
pub(in crate::controller) mod interfaces_now;
pub(in crate::controller) mod port_series;
pub(in crate::controller) mod reachable;
mod rule_hits;
pub(in crate::controller) mod run_time;
pub(in crate::controller) mod samples;
pub(in crate::controller) mod status;
pub(in crate::controller) mod survey;
pub(in crate::controller) mod traffic;
pub(in crate::controller) mod watch;

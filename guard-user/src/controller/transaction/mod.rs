//! A change of the policy, all or nothing: planned, checked for lock-out, activated in files and kernel, confirmed or taken
//! back, and completed after a kill.

pub(in crate::controller) mod activate;
pub(in crate::controller) mod apply_file;
pub(in crate::controller) mod change;
pub(in crate::controller) mod confirm;
pub(in crate::controller) mod databases;
pub(in crate::controller) mod edit;
pub(in crate::controller) mod edit_file;
pub(in crate::controller) mod ended;
pub(in crate::controller) mod fleet_policy;
pub(in crate::controller) mod host_names;
pub(in crate::controller) mod later_risk;
pub(in crate::controller) mod lockout;
pub(in crate::controller) mod plan;
pub(in crate::controller) mod recover;
pub(in crate::controller) mod reload;
pub(in crate::controller) mod replace_policy;
pub(in crate::controller) mod rollback;
pub(in crate::controller) mod rule_changes;
pub(in crate::controller) mod targets;
